//! Every check's ID, in one list: what is not in it cannot be found.

/// The check that a cluster runs the version that the file names: what an upgrade is for.
pub const VERSION_CHANGE: &str = "VersionChange";

/// The IDs of all checks; kubeadm's where kubeadm has the check.
pub const IDS: &[&str] = &[
    "Reachable",
    "IsPrivilegedUser",
    "InitSystem",
    "Architecture",
    "NumCPU",
    "Mem",
    "DiskSpace",
    "DiskInodes",
    "NoExec",
    "SELinux",
    "Swap",
    "SystemVerification",
    "Module-overlay",
    "Module-br_netfilter",
    "Module-vxlan",
    "FileContent--proc-sys-net-ipv4-ip_forward",
    "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
    "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
    "FileContent--proc-sys-net-bridge-bridge-nf-call-ip6tables",
    "CapSysResource",
    "FileExisting-losetup",
    "FileExisting-mount",
    "FileExisting-cp",
    "FileExisting-ip",
    "FileExisting-modprobe",
    "NodeAddress",
    "ServiceRoute",
    "NetworkOverlap",
    "Port-6443",
    "Port-10250",
    "Port-10257",
    "Port-10259",
    "Port-2379",
    "Port-2380",
    "PortReachable-6443",
    "PortReachable-10250",
    "PortReachable-2379",
    "PortReachable-2380",
    "PortReachable-8472-udp",
    "PathMTU",
    "Firewalld",
    "HTTPProxy",
    "HTTPProxyCIDR",
    "DNS",
    "ControlPlaneEndpoint",
    "ClockOffset",
    "EtcdFsync",
    "Probes",
    "Hostname",
    "MachineID",
    "ProductUUID",
    "MACAddress",
    "CRI",
    "CgroupDriver",
    "ContainerRuntimeVersion",
    "ImagePull",
    "Service-kubelet",
    "Service-containerd",
    "KubeletVersion",
    "PackageHold",
    "OtherCluster",
    "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
    "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
    "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
    "FileAvailable--etc-kubernetes-kubelet.conf",
    "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
    "FileAvailable--etc-kubernetes-pki-ca.crt",
    "DirAvailable--var-lib-etcd",
    "CertificateAuthority",
    "ExternalCA",
    "Leftovers",
    "ExternalEtcdVersion",
    "ExternalEtcdClientCertificates",
    "NodeName",
    "ClusterSettings",
    "KubernetesVersion",
    VERSION_CHANGE,
    "VersionSkew",
    "IgnorePreflightErrors",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::IDS;

    const TABLE: &str = include_str!("../../../../docs/preflight.md");

    /// Returns the IDs in the first column of the document's tables.
    fn documented() -> BTreeSet<&'static str> {
        TABLE
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect()
    }

    #[test]
    fn every_check_is_documented_and_nothing_else_is() {
        let known: BTreeSet<&str> = IDS.iter().copied().collect();
        assert_eq!(known.len(), IDS.len(), "an ID is there twice");
        assert_eq!(documented(), known);
    }
}
