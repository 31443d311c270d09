//! One table: a change to a good host, and the finding it causes.

use slipway_api::{HostFacts, KubeletFacts, RuntimeFacts, Severity};

use super::*;

#[test]
fn each_trouble_has_its_finding() {
    type Change = Box<dyn FnOnce(&mut HostFacts)>;
    let cases: Vec<(&str, Severity, Change)> = vec![
        ("NumCPU", Severity::Error, Box::new(|host| host.cpus = 1)),
        (
            "Mem",
            Severity::Error,
            Box::new(|host| host.memory_bytes = 1 << 30),
        ),
        (
            "Swap",
            Severity::Error,
            Box::new(|host| host.swap = vec!["/dev/sda2".into()]),
        ),
        (
            "Module-overlay",
            Severity::Warning,
            Box::new(|host| host.overlay = false),
        ),
        (
            "Module-br_netfilter",
            Severity::Warning,
            Box::new(|host| host.bridge_netfilter = false),
        ),
        (
            "FileContent--proc-sys-net-ipv4-ip_forward",
            Severity::Warning,
            Box::new(|host| {
                drop(
                    host.sysctls
                        .insert("net.ipv4.ip_forward".into(), "0".into()),
                )
            }),
        ),
        (
            "Port-6443",
            Severity::Error,
            Box::new(|host| host.listening.push(listener(6443, "nginx"))),
        ),
        ("SystemVerification", Severity::Error, Box::new(cgroup_v1)),
        (
            "SystemVerification",
            Severity::Error,
            Box::new(|host| host.cgroup_controllers.retain(|name| name != "memory")),
        ),
        (
            "ServiceRoute",
            Severity::Error,
            Box::new(|host| host.routes = vec![route("192.0.2.0/24", "eth0")]),
        ),
        (
            "NoExec",
            Severity::Error,
            Box::new(|host| host.noexec = vec!["/usr/local/bin".into()]),
        ),
        (
            "FileExisting-mount",
            Severity::Error,
            Box::new(|host| host.missing_programs = vec!["mount".into()]),
        ),
        (
            "IsPrivilegedUser",
            Severity::Error,
            Box::new(|host| host.is_root = false),
        ),
        (
            "CapSysResource",
            Severity::Warning,
            Box::new(|host| host.can_raise_limits = false),
        ),
        (
            "NodeAddress",
            Severity::Error,
            Box::new(|host| host.links[0].addresses = vec!["10.0.2.15".parse().unwrap()]),
        ),
        (
            "Hostname",
            Severity::Error,
            Box::new(|host| host.hostname = "w-1".into()),
        ),
        (
            "MachineID",
            Severity::Error,
            Box::new(|host| host.machine_id = Some("id-of-w-1".into())),
        ),
        (
            "ProductUUID",
            Severity::Error,
            Box::new(|host| host.product_uuid = Some("uuid-of-w-1".into())),
        ),
        (
            "MACAddress",
            Severity::Error,
            Box::new(|host| host.links[0].mac = Some("mac-of-w-1".into())),
        ),
        (
            "OtherCluster",
            Severity::Error,
            Box::new(|host| host.existing.slipway_cluster = Some("other".into())),
        ),
        (
            "DirAvailable--var-lib-etcd",
            Severity::Error,
            Box::new(|host| host.existing.etcd_data = true),
        ),
        (
            "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
            Severity::Error,
            Box::new(|host| host.existing.manifests = vec!["etcd.yaml".into()]),
        ),
        (
            "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
            Severity::Error,
            Box::new(|host| host.existing.bootstrap_conf = true),
        ),
        (
            "InitSystem",
            Severity::Error,
            Box::new(|host| host.software.has_systemd = false),
        ),
        (
            "FileExisting-ip",
            Severity::Warning,
            Box::new(|host| host.missing_programs = vec!["ip".into()]),
        ),
        (
            "SELinux",
            Severity::Error,
            Box::new(|host| host.software.selinux = selinux(true, false)),
        ),
        (
            "SELinux",
            Severity::Warning,
            Box::new(|host| host.software.selinux = selinux(true, true)),
        ),
        (
            "SystemVerification",
            Severity::Warning,
            Box::new(|host| host.kernel = "4.18.0-553.el8.x86_64".into()),
        ),
        (
            "SystemVerification",
            Severity::Warning,
            Box::new(|host| host.kernel_options = None),
        ),
        (
            "SystemVerification",
            Severity::Error,
            Box::new(|host| {
                host.kernel_options.as_mut().unwrap().remove("CGROUP_BPF");
            }),
        ),
        (
            "SystemVerification",
            Severity::Warning,
            Box::new(|host| host.cgroup_controllers.retain(|name| name != "hugetlb")),
        ),
        (
            "Module-vxlan",
            Severity::Error,
            Box::new(|host| host.absent_modules = vec!["vxlan".into()]),
        ),
        (
            "NetworkOverlap",
            Severity::Error,
            Box::new(|host| host.routes.push(route("10.244.7.0/24", "tun0"))),
        ),
        (
            "NetworkOverlap",
            Severity::Error,
            Box::new(|host| host.resolver.nameservers = vec!["10.96.0.53".into()]),
        ),
        (
            "Firewalld",
            Severity::Warning,
            Box::new(|host| host.software.firewall = Some("ufw".into())),
        ),
        (
            "DNS",
            Severity::Warning,
            Box::new(|host| host.resolver.nameservers.clear()),
        ),
        (
            "DNS",
            Severity::Error,
            Box::new(|host| host.resolver.nameservers = vec!["127.0.0.1".into()]),
        ),
        (
            "DNS",
            Severity::Warning,
            Box::new(|host| host.resolver.nameservers = vec!["192.0.2.53".into(); 4]),
        ),
        (
            "CRI",
            Severity::Error,
            Box::new(|host| host.software.runtime_programs = vec!["/usr/bin/containerd".into()]),
        ),
        (
            "CRI",
            Severity::Error,
            Box::new(|host| {
                host.runtime = Some(RuntimeFacts {
                    name: String::new(),
                    ready: false,
                    ..foreign_runtime(Some("systemd"))
                });
            }),
        ),
        (
            "CRI",
            Severity::Warning,
            Box::new(|host| {
                host.runtime = Some(foreign_runtime(Some("systemd")));
                host.software.runtime_sockets = [CONTAINERD, CRIO].map(str::to_owned).into();
            }),
        ),
        (
            "ImagePull",
            Severity::Error,
            Box::new(|host| {
                host.runtime = Some(RuntimeFacts {
                    name: "cri-o".into(),
                    socket: CRIO.into(),
                    ..foreign_runtime(Some("systemd"))
                });
            }),
        ),
        (
            "Service-kubelet",
            Severity::Error,
            Box::new(|host| host.software.masked_units = vec!["kubelet.service".into()]),
        ),
        (
            "PackageHold",
            Severity::Warning,
            Box::new(|host| host.software.packages = vec![package("kubelet", false)]),
        ),
        (
            "KubeletVersion",
            Severity::Error,
            Box::new(|host| {
                host.kubelet = Some(KubeletFacts {
                    path: "/usr/bin/kubelet".into(),
                    version: Some("v1.37.0".into()),
                    cgroup_driver: None,
                    active: false,
                });
            }),
        ),
        (
            "DiskSpace",
            Severity::Error,
            Box::new(|host| {
                host.disks
                    .values_mut()
                    .for_each(|disk| disk.available = 1 << 30)
            }),
        ),
        (
            "DiskInodes",
            Severity::Error,
            Box::new(|host| {
                host.disks
                    .values_mut()
                    .for_each(|disk| disk.available_inodes = 1000);
            }),
        ),
        (
            "Leftovers",
            Severity::Warning,
            Box::new(|host| host.links.push(link("cni0", "10.42.3.1"))),
        ),
        (
            "Leftovers",
            Severity::Warning,
            Box::new(|host| {
                host.existing.leftovers.flannel_network = "10.42.0.0/16".parse().ok();
            }),
        ),
        (
            "Leftovers",
            Severity::Warning,
            Box::new(|host| host.links.push(link("cni0", "10.244.3.1"))),
        ),
        (
            "Leftovers",
            Severity::Warning,
            Box::new(|host| host.existing.leftovers.chains = 12),
        ),
        (
            "CgroupDriver",
            Severity::Error,
            Box::new(|host| host.runtime = Some(foreign_runtime(Some("cgroupfs")))),
        ),
        (
            "ContainerRuntimeVersion",
            Severity::Warning,
            Box::new(|host| host.runtime = Some(foreign_runtime(None))),
        ),
    ];
    for (id, severity, change_host) in cases {
        let found = found(change_host);
        assert_eq!(found, [(severity, id.to_owned())], "{id}");
    }
}
