//! A cluster file, facts and a bundle's manifest for tests, all made up.

use slipway_api::{
    Architecture, ArchiveMember, Artifact, Blob, BundleManifest, CNI_PLUGINS_VERSION,
    CONTAINERD_VERSION, ClusterFile, ClusterSpec, DiscoveredCluster, Disk, EtcdFacts, EtcdMember,
    EtcdMemberFacts, EtcdMemberId, EtcdMemberStatus, ExistingCluster, Facts, Failure, HostFacts,
    HostState, Image, ImageBlob, ImageReference, KERNEL_OPTIONS, KubernetesVersion, Link, Listener,
    RUNC_VERSION, Release, ResolverFacts, Route, Sha256Digest, SoftwareFacts,
};
use slipway_planner::JoiningNode;

/// Returns the cluster `harbour`: one control-plane host and two workers.
pub fn spec() -> ClusterSpec {
    spec_of(
        "  hosts:\n\
        \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
        \x20   - { name: w-1, address: 192.0.2.21, role: worker, labels: { disk: ssd } }\n\
        \x20   - { name: w-2, address: 192.0.2.22, role: worker }\n",
    )
}

/// Returns the cluster `harbour` with `rest` below its version.
pub fn spec_of(rest: &str) -> ClusterSpec {
    let text = format!(
        "apiVersion: slipway.dev/v1alpha1\n\
        kind: Cluster\n\
        metadata: {{ name: harbour }}\n\
        spec:\n\
        \x20 kubernetesVersion: 1.36.3\n{rest}"
    );
    ClusterFile::parse(&text, "harbour.yaml")
        .expect("the file is right")
        .spec
}

/// Returns the cluster `harbour` with five control-plane hosts.
pub fn five_control_planes() -> ClusterSpec {
    let host = |number| {
        format!(
            "\x20   - {{ name: cp-{number}, address: 192.0.2.1{number}, role: control-plane }}\n"
        )
    };
    let hosts: String = (1..=5).map(host).collect();
    spec_of(&format!("  hosts:\n{hosts}"))
}

/// Returns etcd of those five as it looks while these members answer, at these raft indexes.
pub fn etcd_of_five(answering: &[(u64, u64)]) -> EtcdFacts {
    let member = |number: u64| {
        let id = EtcdMemberId::new(number);
        let index = answering.iter().find(|it| it.0 == number).map(|it| it.1);
        EtcdMemberFacts {
            member: EtcdMember {
                id,
                name: format!("cp-{number}"),
                peer_urls: vec![format!("https://192.0.2.1{number}:2380")],
                client_urls: vec![format!("https://192.0.2.1{number}:2379")],
                is_learner: false,
            },
            status: index.map(|raft_index| EtcdMemberStatus {
                id,
                version: "3.6.8".to_owned(),
                leader: None,
                is_learner: false,
                revision: 5000,
                raft_term: 7,
                raft_index,
                raft_applied_index: raft_index,
                db_size: 0,
                db_in_use: 0,
                db_quota: None,
                errors: Vec::new(),
            }),
            failure: Some(Failure::because("no leader")),
        }
    };
    EtcdFacts {
        members: (1..=5).map(member).collect(),
        alarms: Vec::new(),
    }
}

/// Returns the facts of bare hosts, all reached.
pub fn bare_facts(spec: &ClusterSpec) -> Facts {
    let hosts = spec.hosts.iter().map(|host| {
        let facts = bare_host(host.name.as_str(), host.node_ip);
        (host.name.clone(), HostState::Reached(Box::new(facts)))
    });
    Facts {
        hosts: hosts.collect(),
        ..Facts::default()
    }
}

/// Returns the facts of an ordinary server with nothing on it.
pub fn bare_host(name: &str, address: std::net::IpAddr) -> HostFacts {
    let disk = Disk {
        file_system: "8:1".to_owned(),
        total: 100 << 30,
        available: 60 << 30,
        inodes: 6_553_600,
        available_inodes: 6_000_000,
    };
    let route = |destination: &str| Route {
        destination: destination.parse().expect("a network"),
        link: "eth0".to_owned(),
    };
    HostFacts {
        observed_at: jiff::Timestamp::UNIX_EPOCH,
        hostname: name.to_owned(),
        architecture: Architecture::Amd64,
        os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        kernel: "6.1.0".to_owned(),
        cpus: 4,
        memory_bytes: 8 << 30,
        swap: Vec::new(),
        machine_id: Some(format!("id-of-{name}")),
        product_uuid: Some(format!("uuid-of-{name}")),
        links: vec![Link {
            name: "eth0".to_owned(),
            mac: Some(format!("mac-of-{name}")),
            addresses: vec![address],
            mtu: 1500,
            kind: None,
        }],
        default_route: Some("eth0".to_owned()),
        default_address: Some(address),
        routes: vec![route("0.0.0.0/0"), route("192.0.2.0/24")],
        cgroup_version: 2,
        cgroup_controllers: [
            "cpu", "cpuset", "devices", "freezer", "hugetlb", "io", "memory", "pids",
        ]
        .map(str::to_owned)
        .to_vec(),
        kernel_options: Some(
            KERNEL_OPTIONS
                .iter()
                .map(|option| option.name.to_owned())
                .collect(),
        ),
        absent_modules: Vec::new(),
        overlay: true,
        bridge_netfilter: true,
        sysctls: [
            ("net.bridge.bridge-nf-call-iptables", "1"),
            ("net.bridge.bridge-nf-call-ip6tables", "1"),
            ("net.ipv4.ip_forward", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        listening: vec![Listener {
            port: 22,
            program: Some("sshd".to_owned()),
        }],
        disks: [
            "/var/lib/kubelet",
            "/var/lib/containerd",
            "/var/lib/slipway",
        ]
        .map(|path| (path.to_owned(), disk.clone()))
        .into(),
        runtime: None,
        kubelet: None,
        existing: ExistingCluster::default(),
        missing_programs: Vec::new(),
        can_raise_limits: true,
        container: None,
        noexec: Vec::new(),
        is_root: true,
        resolv_conf: None,
        ca_certificate_dirs: vec![
            "/etc/ca-certificates".to_owned(),
            "/usr/share/ca-certificates".to_owned(),
        ],
        resolver: ResolverFacts {
            nameservers: vec!["192.0.2.53".to_owned()],
            searches: Vec::new(),
        },
        software: SoftwareFacts {
            has_systemd: true,
            ..SoftwareFacts::default()
        },
    }
}

/// Returns a cluster as a bootstrap token shows it.
pub fn discovered() -> DiscoveredCluster {
    DiscoveredCluster {
        name: "harbour".to_owned(),
        is_ours: true,
        kubeconfig_name: "kubernetes".to_owned(),
        server: "https://192.0.2.11:6443".to_owned(),
        api_address: "192.0.2.11:6443".parse().expect("it is right"),
        own_address: "192.0.2.21".parse().expect("it is right"),
        ca_pem: "the CA's certificate\n".to_owned(),
        ca_pins: vec!["sha256:aa".to_owned()],
        kubernetes_version: KubernetesVersion::new(36, 3),
        api_server_version: "v1.36.3".to_owned(),
        service_subnet: "10.97.0.0/16".parse().expect("it is right"),
        pod_subnet: None,
        dns_domain: "harbour.local".to_owned(),
        kubelet_configuration: serde_json::json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "clusterDNS": ["10.97.0.10"],
            "maxPods": 42,
        }),
        is_balanced: false,
        node_is_ready: false,
    }
}

/// Returns a machine that joins it with a token.
pub fn joining() -> JoiningNode {
    JoiningNode {
        name: "w-1".parse().expect("it is right"),
        address: "192.0.2.21".parse().expect("it is right"),
        api_address: "192.0.2.11:6443".parse().expect("it is right"),
        token_id: "abcdef".to_owned(),
        runtime_socket: None,
    }
}

/// Returns the manifest of a bundle with everything that `version` needs.
pub fn manifest(version: &KubernetesVersion) -> BundleManifest {
    let release = Release::of(version).expect("the version is supported");
    let images = release.control_plane_images().into_iter();
    manifest_with(version, images.chain(release.node_images()).collect())
}

/// Returns the manifest of a bundle with these images.
pub fn manifest_with(version: &KubernetesVersion, images: Vec<ImageReference>) -> BundleManifest {
    let kubernetes = version.to_string();
    let release = Release::of(version).expect("the version is supported");
    let artifacts = [
        (
            "etcdutl",
            release.etcd_version(),
            &["etcd-v3/etcd", "etcd-v3/etcdctl", "etcd-v3/etcdutl"][..],
        ),
        ("kubelet", kubernetes.as_str(), &[]),
        ("kubeadm", &kubernetes, &[]),
        ("kubectl", &kubernetes, &[]),
        ("runc", RUNC_VERSION, &[]),
        (
            "containerd",
            CONTAINERD_VERSION,
            &["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"],
        ),
        (
            "cni-plugins",
            CNI_PLUGINS_VERSION,
            &["bridge", "host-local", "loopback", "portmap"],
        ),
    ];
    let artifacts = artifacts.map(|(name, version, members)| Artifact {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: Architecture::Amd64,
        source: "made up".to_owned(),
        blob: blob(name),
        members: members
            .iter()
            .map(|path| ArchiveMember {
                path: (*path).to_owned(),
                mode: 0o755,
                sha256: Sha256Digest::of(path),
                size: 1,
            })
            .collect(),
    });
    let part = |name: String| ImageBlob {
        media_type: "application/octet-stream".to_owned(),
        blob: blob(&name),
    };
    BundleManifest {
        format: BundleManifest::FORMAT,
        created_by: "test".to_owned(),
        kubernetes_versions: vec![version.clone()],
        artifacts: artifacts.to_vec(),
        images: images
            .into_iter()
            .map(|reference| Image {
                manifest: part(format!("manifest of {reference}")),
                config: part(format!("config of {reference}")),
                layers: vec![
                    part("a layer that all share".to_owned()),
                    part(format!("layer of {reference}")),
                ],
                architecture: Architecture::Amd64,
                reference,
            })
            .collect(),
    }
}

fn blob(name: &str) -> Blob {
    Blob {
        sha256: Sha256Digest::of(name),
        size: name.len() as u64,
    }
}
