#!/usr/bin/env bash
# Story: what goes wrong on real hosts while a cluster is made: a wrong sudo
# password, a full disk, a host that reboots in the middle, a workstation process
# and an agent that are killed, two runs at once. Each is told plainly, and the
# same command afterwards ends in a working cluster.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

# A user who must give sudo a password, on every host.
user_with_a_password() {
    local host
    for host in cp-1 w-1; do
        on "$host" sh -ec '
            useradd --create-home --shell /bin/bash asked
            echo "asked:the right one" | chpasswd
            echo "asked ALL=(ALL) ALL" >/etc/sudoers.d/asked
            install -d -o asked -m 700 /home/asked/.ssh
            install -o asked -m 600 /home/ops/.ssh/authorized_keys /home/asked/.ssh/authorized_keys'
    done
    sed 's/^    user: ops/    user: asked/' "$file" >"$work/asked.yaml"
    sed "s|^    user: ops|    user: asked\n    passwordFile: $work/password|" "$file" >"$work/password.yaml"
}
missing_sudo_password_is_told() { refuses 4 "passwordFile" "$slipway" preflight -f "$work/asked.yaml"; }
wrong_sudo_password_is_told() {
    (umask 077; echo "the wrong one" >"$work/password")
    refuses 4 "sudo" "$slipway" preflight -f "$work/password.yaml"
    refuses 4 "cp-1" "$slipway" init -f "$work/password.yaml" --bundle "$bundle" -y
    fails on cp-1 test -e /etc/kubernetes
}
right_sudo_password_works() {
    (umask 077; echo "the right one" >"$work/password")
    "$slipway" preflight -f "$work/password.yaml"
    # It is nowhere to be read: not in arguments that were logged, not in journals.
    fails grep -rl "the right one" "$XDG_STATE_HOME"
}

# Where blobs go is made small and full enough for the agent and nothing else.
disk_fills_up() {
    on w-1 sh -ec 'rm -rf /var/lib/slipway; mkdir -p /var/lib/slipway; mount -t tmpfs -o size=60m tmpfs /var/lib/slipway'
    # Preflight sees it coming…
    refuses 3 "/var/lib/slipway" "$slipway" init -f "$file" --bundle "$bundle" -y
}
full_disk_is_told() {
    # … and whoever goes on anyway is told which host, and why.
    local status=0
    "$slipway" init -f "$file" --bundle "$bundle" -y --ignore-preflight-errors=all >"$work/full" 2>&1 || status=$?
    cat "$work/full"
    [ "$status" -eq 1 ]
    grep -q "w-1" "$work/full"
    grep -qi "no space left" "$work/full"
    on w-1 sh -ec 'cp -a /var/lib/slipway /root/kept; umount /var/lib/slipway; cp -a /root/kept/. /var/lib/slipway; rm -r /root/kept'
}

# Waits until a run has written a line about a host that matches.
journal_says() { # HOST PATTERN
    on "$1" sh -c "cat /var/lib/slipway/runs/*.ndjson 2>/dev/null" | grep -qE "$2"
}
start_init() { # the run's process goes to $work/pid, its output to $work/init
    "$slipway" init -f "$file" --bundle "$bundle" -y >"$work/init" 2>&1 &
    echo $! >"$work/pid"
}
init_ended() { ! kill -0 "$(cat "$work/pid")" 2>/dev/null; }

host_reboots_in_the_middle() {
    local status=0
    start_init
    eventually 120 journal_says w-1 'containerd'
    podman restart --time 0 "slipway-$lab-w-1"
    wait "$(cat "$work/pid")" || status=$?
    cat "$work/init"
    [ "$status" -eq 1 ] || [ "$status" -eq 4 ]
    grep -q "w-1" "$work/init"
    eventually 60 on w-1 true
}
second_run_names_the_holder() {
    # A stopped process holds its locks and changes nothing meanwhile.
    rm -rf "$XDG_STATE_HOME/slipway/$lab"
    start_init
    until grep -q step-started "$XDG_STATE_HOME/slipway/$lab"/*.ndjson 2>/dev/null; do sleep 0.05; done
    kill -STOP "$(cat "$work/pid")"
    local status=0
    "$slipway" init -f "$file" --bundle "$bundle" -y >"$work/second" 2>&1 || status=$?
    cat "$work/second"
    kill -CONT "$(cat "$work/pid")"
    [ "$status" -eq 1 ]
    grep -q "$(id -un)@" "$work/second"
    grep -q "/$(cat "$work/pid")" "$work/second"
    kill -KILL "$(cat "$work/pid")"
}
killed_workstation_goes_on() {
    local status=0
    start_init
    sleep "$1"
    kill -KILL "$(cat "$work/pid")" 2>/dev/null || true
    wait "$(cat "$work/pid")" || status=$?
    echo "ended with $status after $1 s"
}
killed_agent_is_told() {
    local status=0
    start_init
    eventually 60 on cp-1 pgrep -f 'agent --stdio'
    sleep 3
    on cp-1 pkill -KILL -f '[a]gent --stdio' || true
    wait "$(cat "$work/pid")" || status=$?
    cat "$work/init"
    # Too late to be hit, it may have ended well.
    [ "$status" -eq 0 ] || grep -q "cp-1" "$work/init"
}
the_same_command_ends_it() { init; eventually 60 nodes_ready 2; available coredns; }
nothing_is_left_to_do() { prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y; }
closed_pipe_is_quiet() {
    "$slipway" config print -f "$file" 2>"$work/pipe" | head -n 1 >/dev/null
    [ ! -s "$work/pipe" ]
}

if subtest "two bare hosts boot" hosts_up 1; then
    subtest "a user who must give a password is made" user_with_a_password || true
    subtest "a missing sudo password is told" missing_sudo_password_is_told || true
    subtest "a wrong sudo password is told, nothing is touched" wrong_sudo_password_is_told || true
    subtest "the right sudo password works" right_sudo_password_works || true
    subtest "preflight sees a disk that is too small" disk_fills_up || true
    subtest "a full disk is told by host and cause" full_disk_is_told || true
    subtest "the second run at once names the holder" second_run_names_the_holder || true
    subtest "a host that reboots in the middle is told" host_reboots_in_the_middle || true
    for moment in 2 5 9; do
        subtest "init is killed after $moment s" killed_workstation_goes_on "$moment" || true
    done
    subtest "a killed agent is told" killed_agent_is_told || true
    subtest "the same command ends in a working cluster" the_same_command_ends_it || true
    subtest "nothing is left to do" nothing_is_left_to_do || true
    subtest "a closed pipe is quiet" closed_pipe_is_quiet || true
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
