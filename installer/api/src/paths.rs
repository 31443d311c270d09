//! Every path that Slipway reads or writes on a host.

/// kubeadm's folder.
pub const KUBERNETES_DIR: &str = "/etc/kubernetes";
/// Certificates and keys of the control plane.
pub const PKI_DIR: &str = "/etc/kubernetes/pki";
/// The cluster CA's certificate.
pub const CLUSTER_CA: &str = "/etc/kubernetes/pki/ca.crt";
/// Static Pod manifests.
pub const MANIFESTS_DIR: &str = "/etc/kubernetes/manifests";
/// The administrator's kubeconfig.
pub const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
/// The kubeconfig bound to `system:masters`, used once while a cluster starts.
pub const SUPER_ADMIN_CONF: &str = "/etc/kubernetes/super-admin.conf";
/// The kubelet's kubeconfig.
pub const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
/// The kubeconfig that a kubelet starts with when it joins with a token, which is in it.
pub const BOOTSTRAP_KUBELET_CONF: &str = "/etc/kubernetes/bootstrap-kubelet.conf";
/// The kubelet's state.
pub const KUBELET_DIR: &str = "/var/lib/kubelet";
/// The kubelet's configuration.
pub const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// kubeadm's per-node part of the kubelet's configuration.
pub const KUBELET_INSTANCE_CONFIG: &str = "/var/lib/kubelet/instance-config.yaml";
/// The kubelet's flags.
pub const KUBELET_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// The kubelet's own keys and certificates.
pub const KUBELET_PKI_DIR: &str = "/var/lib/kubelet/pki";
/// The kubelet's current client certificate and key, one file.
pub const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// Stacked etcd's data.
pub const ETCD_DIR: &str = "/var/lib/etcd";
/// Executables that Slipway installs.
pub const BIN_DIR: &str = "/usr/local/bin";
/// CNI plugins.
pub const CNI_BIN_DIR: &str = "/opt/cni/bin";
/// What CNI plugins remember: addresses, results.
pub const CNI_STATE_DIR: &str = "/var/lib/cni";
/// CNI configuration.
pub const CNI_CONF_DIR: &str = "/etc/cni/net.d";
/// systemd units that Slipway installs.
pub const UNIT_DIR: &str = "/etc/systemd/system";
/// containerd's configuration.
pub const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
/// Drop-ins for containerd's configuration.
pub const CONTAINERD_DROP_IN_DIR: &str = "/etc/containerd/conf.d";
/// containerd's images and records.
pub const CONTAINERD_DIR: &str = "/var/lib/containerd";
/// containerd's state until the next boot.
pub const CONTAINERD_RUN_DIR: &str = "/run/containerd";
/// containerd's socket.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// Slipway's own folder, root only.
pub const STATE_DIR: &str = "/var/lib/slipway";
/// Agents, named by their digests.
pub const AGENT_DIR: &str = "/var/lib/slipway/bin";
/// The blob store.
pub const BLOB_DIR: &str = "/var/lib/slipway/blobs";
/// Journals of runs.
pub const RUN_DIR: &str = "/var/lib/slipway/runs";
/// The lock that a run holds on the host.
pub const LOCK_FILE: &str = "/var/lib/slipway/lock";
/// Keys whose certificates are being signed.
pub const PENDING_DIR: &str = "/var/lib/slipway/pending";
/// What a restore of etcd leaves and needs on this host.
pub const ETCD_STATE_DIR: &str = "/var/lib/slipway/etcd";
/// Manifests of static Pods that are stopped for a while.
pub const HELD_DIR: &str = "/var/lib/slipway/etcd/held";
/// Which restore etcd's data on this host comes from.
pub const RESTORED_MARKER: &str = "/var/lib/slipway/etcd/restored";
/// Names the recovery that makes this host's member of etcd a cluster of one, while it goes on.
pub const RECOVERING_MARKER: &str = "/var/lib/slipway/etcd/recovering";
/// Which recovery etcd's data on this host comes from.
pub const RECOVERED_MARKER: &str = "/var/lib/slipway/etcd/recovered";
/// etcdutl, while a restore goes on.
pub const ETCDUTL_DIR: &str = "/var/lib/slipway/etcd/bin";
/// Snapshots of etcd that a host takes by itself; they outlive `reset`.
pub const SNAPSHOT_DIR: &str = "/var/lib/slipway/snapshots";
/// The timer that takes them: it is the last of its files to go.
pub const SNAPSHOT_TIMER: &str = "/etc/systemd/system/slipway-etcd-snapshot.timer";
/// When timers last elapsed, for those that make up for what they missed.
pub const TIMER_STAMP_DIR: &str = "/var/lib/systemd/timers";
/// Kernel modules loaded at boot.
pub const MODULES_FILE: &str = "/etc/modules-load.d/slipway-kubernetes.conf";
/// Sysctls set at boot.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/99-slipway-kubernetes.conf";
/// The node-local balancer's folder.
pub const APISERVER_PROXY_DIR: &str = "/var/lib/slipway/apiserver-proxy";
/// The unit of the node-local balancer.
pub const APISERVER_PROXY_UNIT: &str = "/etc/systemd/system/slipway-apiserver-proxy.service";
/// The API servers that the node-local balancer begins with.
pub const APISERVER_PROXY_SEEDS: &str = "/var/lib/slipway/apiserver-proxy/seeds.json";
/// The API servers that it learned of.
pub const APISERVER_PROXY_MEMBERS: &str = "/var/lib/slipway/apiserver-proxy/members.json";
/// What it thinks of them, until it stops.
pub const APISERVER_PROXY_STATE: &str = "/run/slipway-apiserver-proxy/state.json";
/// Says which cluster this host belongs to, from the first step until `reset`.
pub const CLUSTER_MARKER: &str = "/var/lib/slipway/cluster";
/// The cluster file of a cluster that was made without one, by `slipway init`
/// on this very machine: read while its API server is down.
pub const CLUSTER_FILE: &str = "/var/lib/slipway/cluster.yaml";
/// Slipway's own state until the next boot.
pub const RUN_STATE_DIR: &str = "/run/slipway";
/// With which files units and static Pods were started, until the next boot.
pub const START_DIR: &str = "/run/slipway/started";
/// Which files of the user's Slipway brought onto this host.
pub const PLACED_FILES: &str = "/var/lib/slipway/placed.json";
/// Files as they were before an upgrade that goes on; they hold keys.
pub const KEPT_DIR: &str = "/var/lib/slipway/kept";
/// What was on this host before Slipway came.
pub const BEFORE_DIR: &str = "/var/lib/slipway/before";
/// Says that Slipway installed the container runtime, and so may remove it.
pub const RUNTIME_MARKER: &str = "/var/lib/slipway/runtime";
/// Registry mirrors, one folder a registry.
pub const CERTS_D: &str = "/etc/containerd/certs.d";
