# Hosts as namespaces of this machine: each has its own network, mounts, processes
# and name, and a real sshd. They cost no image and start in milliseconds; nothing of
# Kubernetes can run in them. Sourced, not run; needs root.
#
# Usage: namespaces_up WORKERS, then `inside NAME COMMAND…`, then namespaces_down.

# Every name begins so: what is left behind can be told from everything else.
prefix=slipway-$$
work=$(mktemp -d)
file=$work/cluster.yaml

# Runs a command in the network of a host, of the switch or of the workstation (`ws`).
inside() {
    local name=$1
    shift
    ip netns exec "$prefix-$name" "$@"
}

# Runs a command in all namespaces of a host, beside its sshd.
within() {
    local name=$1 pid
    shift
    # The first sshd is the one that stays: others end with their connections.
    for pid in $(ip netns pids "$prefix-$name"); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != sshd ] || break
    done
    nsenter --target "$pid" --all -- "$@"
}

# All namespaces of a machine share one table of neighbours, and hosts that all
# talk to each other need one entry each for each other.
neighbours=(net.ipv4.neigh.default.gc_thresh2 net.ipv4.neigh.default.gc_thresh3)
neighbours_before=$(sysctl "${neighbours[@]}")

namespaces_down() {
    local namespace setting
    while read -r setting; do sysctl -q "${setting// /}"; done <<<"$neighbours_before"
    for namespace in $(ip netns list 2>/dev/null | awk '{ print $1 }' | grep "^$prefix-" || true); do
        ip netns pids "$namespace" | xargs -r kill -9 2>/dev/null || true
        ip netns delete "$namespace" || true
    done
    rm -rf "$work"
}

# Makes a network that is plugged into the switch with one link, eth0.
plug_in() { # NAME ADDRESS
    ip netns add "$prefix-$1"
    ip -n "$prefix-switch" link add "to-$1" type veth peer name eth0 netns "$prefix-$1"
    ip -n "$prefix-switch" link set "to-$1" master switch up
    ip -n "$prefix-$1" link set lo up
    ip -n "$prefix-$1" link set eth0 up
    ip -n "$prefix-$1" address add "$2/16" dev eth0
    ip -n "$prefix-$1" route add default via 198.18.255.254 dev eth0
}

# What a host's first process sets up before it becomes sshd; $1 is its folder.
become_host='
set -e
mount --make-rprivate /
hostname "$(basename "$1")"
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /run
# This machine has login scripts of its own, which may take longer than preflight.
mount -t tmpfs -o mode=700 tmpfs /root
mkdir /run/sshd
for file in machine-id hosts resolv.conf; do
    [ ! -e "/etc/$file" ] || mount --bind "$1/$file" "/etc/$file"
done
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
'

start_host() { # NAME ADDRESS
    local folder=$work/$1
    mkdir "$folder"
    printf '%s' "$prefix-$1" | md5sum | cut -c-32 >"$folder/machine-id"
    printf '127.0.0.1 localhost\n%s %s\n' "$2" "$1" >"$folder/hosts"
    : >"$folder/resolv.conf"
    cat >"$folder/sshd_config" <<CONFIG
Port 22
ListenAddress $2
HostKey $work/host_key
AuthorizedKeysFile $work/user_key.pub
PidFile none
UsePAM no
StrictModes no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxSessions 10
CONFIG
    inside "$1" unshare --mount --uts --pid --fork --mount-proc --kill-child sh -c "$become_host" sh "$folder" >"$folder/log" 2>&1 &
}

# Starts cp-1 and so many workers, and writes their cluster file.
namespaces_up() { # WORKERS
    local number name address
    for name in "${neighbours[@]}"; do sysctl -q "$name=16384"; done
    ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
    ssh-keygen -q -t ed25519 -N '' -f "$work/user_key"
    printf '198.18.* %s\n' "$(cat "$work/host_key.pub")" >"$work/known_hosts"
    ip netns add "$prefix-switch"
    ip -n "$prefix-switch" link add switch type bridge
    ip -n "$prefix-switch" link set switch up
    plug_in ws 198.18.255.254
    cat >"$file" <<YAML
apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: { name: namespaces }
spec:
  kubernetesVersion: 1.36.3
  ssh: { user: root, identityFile: $work/user_key, knownHostsFile: $work/known_hosts }
  # One machine beneath all of them, its own cgroups and disk, and no init system.
  ignorePreflightErrors: [InitSystem, SystemVerification, ProductUUID, DiskSpace, Swap]
  hosts:
YAML
    for number in $(seq 0 "$1"); do
        name=w-$number address=198.18.$((number / 200)).$((number % 200 + 10))
        [ "$number" -ne 0 ] || name=cp-1
        plug_in "$name" "$address"
        start_host "$name" "$address"
        printf '    - { name: %s, address: %s, role: %s }\n' \
            "$name" "$address" "$([ "$name" = cp-1 ] && echo control-plane || echo worker)" >>"$file"
    done
    for number in $(seq 0 "$1"); do
        address=198.18.$((number / 200)).$((number % 200 + 10))
        for _ in $(seq 100); do
            inside ws bash -c "exec 3<>/dev/tcp/$address/22" 2>/dev/null && break
            sleep 0.05
        done
    done
}
