# A cluster made with kubeadm by hand on lab hosts that hold its programs and
# images. Sourced after lab.sh, not run.
set -a
socket=unix:///run/containerd/containerd.sock

# Puts kubeadm and kubectl on hosts, as an administrator would. Usage: bring_kubeadm HOST…
bring_kubeadm() {
    local host program programs
    programs=$(find "$mirror/dl.k8s.io/release/v$version/bin/linux" -name kubeadm -printf '%h')
    for host in "$@"; do
        for program in kubeadm kubectl; do
            on "$host" sh -c "cat >/usr/local/bin/$program && chmod 755 /usr/local/bin/$program" <"$programs/$program"
        done
    done
}

# Packs what an administrator installs by hand before kubeadm. Usage: pack_a_node HOST
pack_a_node() {
    on "$1" tar -C / -cf - usr/local/bin opt/cni/bin etc/containerd etc/systemd/system/kubelet.service \
        etc/systemd/system/kubelet.service.d etc/systemd/system/containerd.service etc/sysctl.d etc/modules-load.d >"$work/node.tar"
}
# Lists the images that a node or, with `all`, a control-plane node runs.
image_layouts() {
    local name
    for name in registry.k8s.io/pause registry.k8s.io/kube-proxy ghcr.io/flannel-io/flannel ghcr.io/flannel-io/flannel-cni-plugin \
        ${1:+registry.k8s.io/etcd registry.k8s.io/kube-apiserver registry.k8s.io/kube-controller-manager registry.k8s.io/kube-scheduler registry.k8s.io/coredns/coredns}; do
        find "$mirror/images/$name" -mindepth 1 -maxdepth 1 -type d
    done
}
# Makes a bare host one that kubeadm can work on. Usage: install_by_hand HOST [all]
install_by_hand() {
    local host=$1 layout
    on "$host" tar -C / -xf - <"$work/node.tar"
    bring_kubeadm "$host"
    on "$host" sh -ec 'systemctl daemon-reload; sysctl -q --system; systemctl enable --now containerd; systemctl enable kubelet'
    eventually 20 on "$host" ctr version
    for layout in $(image_layouts "${2:-}"); do
        tar -C "$layout" -cf - . | on "$host" ctr --namespace k8s.io images import --local -
    done
}
# Keeps flannel as Slipway installed it, to be installed by hand with kubectl.
save_flannel() {
    kubectl get -o json namespace/kube-flannel clusterrole/flannel clusterrolebinding/flannel >"$work/cluster.json"
    kubectl -n kube-flannel get -o json serviceaccount/flannel configmap/kube-flannel-cfg daemonset/kube-flannel-ds >"$work/namespaced.json"
    jq -s '{ apiVersion: "v1", kind: "List", items: [.[].items[] | del(.status, .metadata.uid, .metadata.resourceVersion,
        .metadata.creationTimestamp, .metadata.generation, .metadata.managedFields)] }' "$work/cluster.json" "$work/namespaced.json" >"$work/flannel.json"
}

# `kubeadm init` on cp-1 with what this machine makes necessary, then flannel. `endpoint`
# names the controlPlaneEndpoint, if there is to be one. Usage: kubeadm_init [FLAG…]
kubeadm_init() {
    {
        cat <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: { advertiseAddress: $(address_of cp-1) }
nodeRegistration: { name: cp-1, criSocket: "$socket", ignorePreflightErrors: [SystemVerification] }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$version${endpoint:+
controlPlaneEndpoint: $endpoint:6443}
networking: { podSubnet: 10.244.0.0/16 }
YAML
        sed -n '/^---/,$p' "$file"
    } | on cp-1 tee /root/kubeadm.yaml >/dev/null
    on cp-1 kubeadm init --config /root/kubeadm.yaml "$@" | tee "$work/kubeadm.out"
    kubectl create -f - <"$work/flannel.json"
}

# Joins hosts with the command that kubeadm prints. Usage: kubeadm_join HOST…
kubeadm_join() {
    local join host
    join=$(on cp-1 kubeadm token create --print-join-command | tr -d '\r')
    for host in "$@"; do
        # shellcheck disable=SC2086
        on "$host" $join --cri-socket "$socket" --ignore-preflight-errors=SystemVerification
    done
}

# Joins control-plane hosts, with the certificates that `kubeadm_init --upload-certs`
# stored. Usage: kubeadm_join_control_planes HOST…
kubeadm_join_control_planes() {
    local join key host
    join=$(on cp-1 kubeadm token create --print-join-command | tr -d '\r')
    key=$(grep -oE -m 1 -- '--certificate-key [0-9a-f]{64}' "$work/kubeadm.out")
    for host in "$@"; do
        # shellcheck disable=SC2086
        on "$host" $join --control-plane $key --apiserver-advertise-address "$(address_of "$host")" \
            --cri-socket "$socket" --ignore-preflight-errors=SystemVerification
    done
}
