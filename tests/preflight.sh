#!/usr/bin/env bash
# Story: hosts whose network, clock or past stands in the way are told, each with
# its ID, before anything is started. Real sshd processes in networks of their own.
# Usage: preflight.sh [SLIPWAY]      (as root)
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/lib.sh
slipway=$(readlink -f "${1:-target/release/slipway}")
source tests/namespaces.sh
trap namespaces_down EXIT
export XDG_STATE_HOME=$work/state

preflight() { inside ws "$slipway" preflight -f "$file" -o json "$@"; }

# Succeeds if exactly these errors ("ID HOST") are told, with the exit code of errors.
finds() {
    local expected found status=0
    expected=$(printf '%s\n' "$@" | sort)
    preflight >"$work/findings" || status=$?
    found=$(jq -r '.[] | select(.severity == "error") | "\(.id) \(.host)"' "$work/findings" | sort)
    jq -r '.[] | "\(.severity) \(.id) \(.host): \(.seen)"' "$work/findings"
    echo "expected: $expected"
    test "$status" -eq 3
    test "$found" = "$expected"
}
# Succeeds if people are shown this text under an ID.
shows() { # ID TEXT
    local page
    page=$(inside ws "$slipway" preflight -f "$file") || true
    grep -F -A2 " $1]" <<<"$page"
    grep -F -A2 " $1]" <<<"$page" | grep -qF -- "$2"
}
# Drops or rejects packets until the subtest ends.
block() { # NAME RULE…
    local host=$1
    shift
    inside "$host" iptables -A INPUT "$@"
    # shellcheck disable=SC2064
    trap "inside $host iptables -F INPUT" EXIT
}

good_hosts_pass() {
    preflight >"$work/findings"
    jq -e 'all(.[]; .severity == "warning")' "$work/findings"
    jq -e 'all(.[]; .id | test("Reachable|PathMTU|Probes|ClockOffset") | not)' "$work/findings"
}
nothing_stays() {
    for host in cp-1 w-1 w-2; do
        test "$(inside "$host" ss -Hltun | grep -vc ':22 ' || true)" -eq 0
        inside "$host" ss -Hltun
    done
    # The agent's own folder is all that is new on a disk.
    local root
    root=/proc/$(ip netns pids "$prefix-cp-1" | head -n 1)/root
    test "$(ls -A "$root/var/lib")" = slipway
}
refused_kubelet() {
    block w-1 -p tcp --dport 10250 -j REJECT --reject-with tcp-reset
    finds "PortReachable-10250 w-1"
    shows PortReachable-10250 "refused"
}
dropped_api() {
    block cp-1 -p tcp --dport 6443 -s "$(address w-2)" -j DROP
    finds "PortReachable-6443 cp-1"
    shows PortReachable-6443 "not reached from w-2: nothing comes back"
}
dropped_vxlan() {
    block w-1 -p udp --dport 8472 -j DROP
    finds "PortReachable-8472-udp w-1"
    shows PortReachable-8472-udp "not reached from cp-1, w-2: none arrives"
}
small_path() {
    ip -n "$prefix-switch" link set to-w-1 mtu 1400
    trap 'ip -n "$prefix-switch" link set to-w-1 mtu 1500' EXIT
    finds "PathMTU cp-1" "PathMTU w-1"
    shows PathMTU "more than 1400 bytes"
}
ignored_is_a_warning() {
    block w-1 -p udp --dport 8472 -j DROP
    refuses 3 "8472" preflight
    preflight --ignore-preflight-errors portreachable-8472-UDP >"$work/findings"
    jq -e 'any(.[]; .id == "PortReachable-8472-udp" and .severity == "warning")' "$work/findings"
}
taken_port() {
    within w-2 /usr/sbin/sshd -D -p 10250 -f "$work/w-2/sshd_config" &
    trap 'kill "$(listener w-2)"' EXIT
    eventually 10 listens w-2
    finds "Port-10250 w-2"
    shows Port-10250 "sshd listens"
}
no_default_route() {
    ip -n "$prefix-w-1" route del default
    trap 'ip -n "$prefix-w-1" route add default via 198.18.255.254 dev eth0' EXIT
    finds "ServiceRoute w-1"
}
overlapping_network() {
    ip -n "$prefix-w-1" route add 10.244.9.0/24 dev eth0
    trap 'ip -n "$prefix-w-1" route del 10.244.9.0/24' EXIT
    finds "NetworkOverlap w-1"
}
leftovers() {
    ip -n "$prefix-w-2" link add cni0 type bridge
    trap 'ip -n "$prefix-w-2" link delete cni0' EXIT
    ip -n "$prefix-w-2" address add 10.42.3.1/24 dev cni0
    ip -n "$prefix-w-2" link set cni0 up
    preflight >"$work/findings"
    jq -e 'any(.[]; .id == "Leftovers" and .host == "w-2")' "$work/findings"
}
cut_off() {
    block cp-1 -p tcp --dport 6443 -j DROP
    preflight >"$work/findings" 2>&1 &
    eventually 20 listens w-1
    # The shell became `ip netns exec`, and that slipway itself.
    kill -9 "$!"
    eventually 10 fails listens w-1
}
listener() { inside "$1" ss -Hltnp 'sport = :10250' | sed -n 's/.*pid=\([0-9]*\).*/\1/p'; }
listens() { inside "$1" ss -Hltn | grep -q ':10250 '; }
address() { awk -v name="$1," '$4 == name { gsub(",", "", $6); print $6 }' "$file"; }

namespaces_up 2
subtest "hosts that reach each other have warnings at most" good_hosts_pass || true
subtest "no port stays open and no file stays behind" nothing_stays || true
subtest "a kubelet's port that is refused is told" refused_kubelet || true
subtest "an API server's port that is dropped is told with who misses it" dropped_api || true
subtest "datagrams that do not arrive are told" dropped_vxlan || true
subtest "a path that is smaller than its links is told" small_path || true
subtest "an error that is ignored is a warning, whatever its case" ignored_is_a_warning || true
subtest "a port that is taken is told with its program" taken_port || true
subtest "a host without a route to Services is told" no_default_route || true
subtest "a network that overlaps the pods' is told" overlapping_network || true
subtest "a bridge of an earlier cluster is told" leftovers || true
subtest "ports close when the command is killed" cut_off || true
