//! The kernel's build options that kubeadm's `SystemVerification` asks for.

/// A build option of the kernel that Kubernetes needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelOption {
    /// Its name without `CONFIG_`.
    pub name: &'static str,
    /// The name that older kernels have for it.
    pub alias: Option<&'static str>,
    /// The cgroup version that needs it; none for both.
    pub cgroup_version: Option<u8>,
}

/// All of them. Source: `validators/types_unix.go` of k8s.io/system-validators
/// v1.12.1, the version in Kubernetes 1.36; `VXLAN` is for flannel.
pub const KERNEL_OPTIONS: [KernelOption; 22] = [
    of("NAMESPACES"),
    of("NET_NS"),
    of("PID_NS"),
    of("IPC_NS"),
    of("UTS_NS"),
    of("CPUSETS"),
    of("MEMCG"),
    of("INET"),
    of("EXT4_FS"),
    of("PROC_FS"),
    KernelOption {
        alias: Some("IP_NF_TARGET_REDIRECT"),
        ..of("NETFILTER_XT_TARGET_REDIRECT")
    },
    of("NETFILTER_XT_MATCH_COMMENT"),
    of("FAIR_GROUP_SCHED"),
    of("CGROUPS"),
    of("CGROUP_PIDS"),
    of("CGROUP_SCHED"),
    of_cgroup(1, "CGROUP_CPUACCT"),
    of_cgroup(1, "CGROUP_DEVICE"),
    of_cgroup(1, "CGROUP_FREEZER"),
    of_cgroup(2, "CGROUP_BPF"),
    of("OVERLAY_FS"),
    of("VXLAN"),
];

const fn of(name: &'static str) -> KernelOption {
    KernelOption {
        name,
        alias: None,
        cgroup_version: None,
    }
}

const fn of_cgroup(version: u8, name: &'static str) -> KernelOption {
    KernelOption {
        cgroup_version: Some(version),
        ..of(name)
    }
}
