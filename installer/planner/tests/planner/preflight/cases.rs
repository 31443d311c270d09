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
            "Service-containerd",
            Severity::Error,
            Box::new(|host| host.software.masked_units = vec!["containerd.service".into()]),
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

/// Changes of one kind, each with its own ID.
#[test]
fn each_file_port_program_and_setting_has_its_finding() {
    type Change = fn(&mut HostFacts, String);
    let families: [(&[&str], &str, Severity, Change); 4] = [
        (
            &[
                "Port-6443",
                "Port-10250",
                "Port-10257",
                "Port-10259",
                "Port-2379",
                "Port-2380",
            ],
            "Port-",
            Severity::Error,
            |host, port| {
                let port = port.parse().expect("a port");
                host.listening.push(listener(port, "nginx"));
            },
        ),
        (
            &[
                "FileExisting-losetup",
                "FileExisting-mount",
                "FileExisting-cp",
            ],
            "FileExisting-",
            Severity::Error,
            |host, program| host.missing_programs = vec![program],
        ),
        (
            &[
                "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
                "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
                "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
                "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
            ],
            "FileAvailable--etc-kubernetes-manifests-",
            Severity::Error,
            |host, name| host.existing.manifests = vec![name],
        ),
        (
            &[
                "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
                "FileContent--proc-sys-net-bridge-bridge-nf-call-ip6tables",
            ],
            "FileContent--proc-sys-net-bridge-",
            Severity::Warning,
            |host, setting| {
                let key = format!("net.bridge.{setting}");
                host.sysctls.insert(key, "0".to_owned());
            },
        ),
    ];
    for (ids, start, severity, change_host) in families {
        for id in ids {
            let what = id.strip_prefix(start).expect("they are of one kind");
            let found = found(|host| change_host(host, what.to_owned()));
            assert_eq!(found, [(severity, (*id).to_owned())]);
        }
    }
}

#[test]
fn a_kubelet_s_configuration_that_kubeadm_left_is_told() {
    let found = found(|host| host.existing.kubelet_conf = true);
    let id = "FileAvailable--etc-kubernetes-kubelet.conf";
    assert_eq!(found, [(Severity::Error, id.to_owned())]);
}

#[test]
fn modprobe_is_missed_where_modules_are() {
    let found = found(|host| {
        host.overlay = false;
        host.missing_programs = vec!["modprobe".into()];
    });
    let both = [
        (Severity::Error, "FileExisting-modprobe".to_owned()),
        (Severity::Warning, "Module-overlay".to_owned()),
    ];
    assert_eq!(found.len(), both.len());
    assert!(both.iter().all(|it| found.contains(it)), "{found:?}");
}

/// A check that nobody provokes may have stopped working: each ID stands in some test's text.
#[test]
fn every_check_has_a_test() {
    let tests = [
        include_str!("cases.rs"),
        include_str!("probes.rs"),
        include_str!("stories.rs"),
        include_str!("versions.rs"),
        include_str!("../external_ca.rs"),
    ];
    for id in IDS {
        let quoted = format!("\"{id}\"");
        let is_tested = tests.iter().any(|text| text.contains(&quoted));
        assert!(is_tested, "{id}");
    }
}
