//! Findings that need more than one changed fact, and what is no finding.

use slipway_api::{
    Architecture, ClusterFacts, ClusterSpec, HostFacts, NodeFacts, Severity, Sha256Digest,
};
use slipway_planner::{Scope, plan_cluster, plan_fixes, preflight};

use super::*;
use crate::plans::lose;
use crate::support::{bare_facts, manifest, spec};

#[test]
fn good_hosts_have_no_findings() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn a_host_that_is_not_reached_is_told_with_the_reason() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    lose(&mut facts, "w-1");
    let found = preflight::check(&spec, &facts, None, &Scope::All);
    let [finding] = &found[..] else {
        panic!("{found:?}")
    };
    let host = finding.host.as_ref().map(ToString::to_string);
    assert_eq!(
        (finding.id.as_str(), host.as_deref()),
        ("Reachable", Some("w-1"))
    );
    assert!(finding.seen.contains("w-1: no route"), "{}", finding.seen);
}

#[test]
fn hosts_of_this_very_cluster_may_listen_and_hold_data() {
    let found = found(|host| {
        host.existing.slipway_cluster = Some("harbour".into());
        host.existing.etcd_data = true;
        host.existing.manifests = vec!["etcd.yaml".into()];
        host.listening.push(listener(6443, "kube-apiserver"));
    });
    assert_eq!(found, []);
}

#[test]
fn what_a_living_cluster_has_settled_is_not_changed() {
    let spec = spec();
    let facts = |configuration: serde_json::Value| {
        let mut facts = crate::removals::cluster_facts();
        let cluster = facts.cluster.as_mut().expect("there is one");
        cluster.configuration = Some(configuration);
        facts
    };
    let same = serde_json::json!({
        "networking": {
            "podSubnet": "10.244.0.0/16",
            "serviceSubnet": "10.96.0.0/12",
            "dnsDomain": "cluster.local",
        },
        "etcd": { "local": { "dataDir": "/var/lib/etcd" } },
    });
    let told = |configuration: &serde_json::Value| -> Vec<String> {
        let found = preflight::check(&spec, &facts(configuration.clone()), None, &Scope::All);
        let found = found.into_iter().filter(|it| it.id == "ClusterSettings");
        found.map(|finding| finding.seen).collect()
    };
    assert_eq!(told(&same), [""; 0]);
    for (pointer, value, seen) in [
        (
            "/networking/podSubnet",
            "10.1.0.0/16",
            "`podSubnet` is 10.1.0.0/16 in the cluster and 10.244.0.0/16 in the file",
        ),
        (
            "/etcd/local/dataDir",
            "/srv/etcd",
            "`etcd.local.dataDir` is /srv/etcd in the cluster and /var/lib/etcd in the file",
        ),
    ] {
        let mut other = same.clone();
        *other.pointer_mut(pointer).expect("it is there") = value.into();
        assert_eq!(told(&other), [seen]);
    }
    let mut none = same.clone();
    none["networking"] = serde_json::json!({
        "serviceSubnet": "10.96.0.0/12", "dnsDomain": "cluster.local",
    });
    assert_eq!(told(&none), [""; 0], "kubeadm made it without a pod subnet");
    let external = serde_json::json!({
        "networking": same["networking"],
        "etcd": { "external": { "endpoints": ["https://a:2379"] } },
    });
    assert_eq!(told(&external).len(), 2);
}

#[test]
fn a_node_keeps_its_name() {
    let spec = spec();
    let mut facts = crate::removals::cluster_facts();
    change(&mut facts, "w-1", |host| {
        host.existing.node_name = Some("w-1".into());
    });
    let named = |facts: &slipway_api::Facts| {
        let found = preflight::check(&spec, facts, None, &Scope::All);
        found.into_iter().filter(|it| it.id == "NodeName").count()
    };
    assert_eq!(named(&facts), 0);
    change(&mut facts, "w-1", |host| {
        host.existing.node_name = Some("old".into());
    });
    assert_eq!(named(&facts), 1);
}

#[test]
fn cgroup_v1_is_a_warning_where_the_kubelet_is_told_to_bear_it() {
    let mut spec = spec();
    spec.kubelet_configuration = Some(serde_json::json!({ "failCgroupV1": false }));
    let mut facts = bare_facts(&spec);
    change(&mut facts, "w-1", cgroup_v1);
    assert_eq!(
        ids(&spec, &facts),
        [(Severity::Warning, "SystemVerification".to_owned())]
    );
}

#[test]
fn an_ignored_error_is_a_warning_whatever_its_case() {
    let mut spec = spec();
    spec.ignore_preflight_errors = vec!["numcpu".into()];
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", |host| host.cpus = 1);
    assert_eq!(
        ids(&spec, &facts),
        [(Severity::Warning, "NumCPU".to_owned())]
    );
}

#[test]
fn a_name_of_no_check_among_those_to_ignore_is_told() {
    let mut spec = spec();
    spec.ignore_preflight_errors = vec!["NumCPUs".into(), "all".into()];
    assert_eq!(
        ids(&spec, &bare_facts(&spec)),
        [(Severity::Warning, "IgnorePreflightErrors".to_owned())]
    );
}

#[test]
fn what_is_as_it_should_be_is_not_told() {
    type Change = Box<dyn FnOnce(&mut HostFacts)>;
    let cases: Vec<(&str, Change)> = vec![
        (
            "selinux permissive",
            Box::new(|host| host.software.selinux = selinux(false, false)),
        ),
        (
            "held",
            Box::new(|host| host.software.packages = vec![package("kubelet", true)]),
        ),
        (
            "not used",
            Box::new(|host| host.software.packages = vec![package("runc", false)]),
        ),
        (
            "modprobe not needed",
            Box::new(|host| host.missing_programs = vec!["modprobe".into()]),
        ),
        (
            "a wider route",
            Box::new(|host| host.routes.push(route("10.0.0.0/8", "eth0"))),
        ),
        (
            "ours, stopped",
            Box::new(|host| {
                host.existing.runtime_is_ours = true;
                host.software.runtime_programs = vec!["/usr/local/bin/containerd".into()];
            }),
        ),
        (
            "docker alone",
            Box::new(|host| host.software.runtime_programs = vec!["/usr/bin/dockerd".into()]),
        ),
        (
            "a manifest of the user's",
            Box::new(|host| host.existing.manifests = vec!["haproxy.yaml".into()]),
        ),
    ];
    for (case, change) in cases {
        assert_eq!(findings(|_| {}, change), [], "{case}");
    }
}

#[test]
fn a_worker_must_not_have_another_cluster_s_ca() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "w-1", |host| {
        host.existing.ca_sha256 = Some(Sha256Digest::of("other"));
    });
    let id = "FileAvailable--etc-kubernetes-pki-ca.crt";
    assert_eq!(ids(&spec, &facts), [(Severity::Error, id.to_owned())]);
}

#[test]
fn every_host_of_a_pods_subnet_s_neighbours_is_warned_of() {
    let found = findings(
        |_| {},
        |host| {
            host.links.push(link("eth1", "10.1.2.3"));
            host.routes.push(route("10.0.0.0/8", "eth1"));
        },
    );
    let ids: Vec<_> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["NetworkOverlap", "NetworkOverlap"]);
    assert!(
        found
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
}

#[test]
fn a_proxy_without_exceptions_is_told_for_the_api_and_each_subnet() {
    let found = findings(
        |_| {},
        |host| {
            let proxies = [
                ("HTTPS_PROXY", "http://proxy:3128"),
                ("NO_PROXY", "10.96.0.0/12"),
            ];
            host.software.proxies = proxies
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        },
    );
    let ids: Vec<_> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["HTTPProxy", "HTTPProxyCIDR"]);
    assert!(found[1].seen.contains("10.244.0.0/16"), "{}", found[1].seen);
}

#[test]
fn a_full_disk_is_told_with_what_goes_there() {
    let few = |available: u64| {
        move |host: &mut HostFacts| {
            host.disks
                .values_mut()
                .for_each(|disk| disk.available = available);
        }
    };
    let found = findings(|_| {}, few(3 << 30));
    assert_eq!(found[0].id, "DiskSpace");
    for part in [
        "3.0 GiB of 100.0 GiB",
        "1.0 GiB of blobs",
        "2.0 GiB of images",
    ] {
        assert!(found[0].seen.contains(part), "{part} in {}", found[0].seen);
    }
    // It fits, and leaves too little for the kubelet.
    let found = findings(|_| {}, few(15 << 30));
    assert!(found[0].severity == Severity::Error && found[0].why.contains("imagefs.available"));
    let found = findings(|_| {}, few(22 << 30));
    assert!(found[0].severity == Severity::Warning && found[0].id == "DiskSpace");
    let of_its_own = |spec: &mut ClusterSpec| {
        spec.kubelet_configuration =
            Some(serde_json::json!({ "evictionHard": { "nodefs.available": "1Gi" } }));
    };
    assert_eq!(findings(of_its_own, few(15 << 30)), []);
}

#[test]
fn images_that_the_bundle_lacks_are_named() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "w-1", |host| {
        host.architecture = Architecture::Arm64
    });
    let whole = manifest(&spec.kubernetes_version);
    let found = preflight::check(&spec, &facts, Some(&whole), &Scope::All);
    let [finding] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(finding.id, "ImagePull");
    assert!(
        finding.seen.contains("arm64: registry.k8s.io/pause:3.10.2"),
        "{}",
        finding.seen
    );
}

#[test]
fn a_worker_that_kubeadm_joined_belongs_to_the_cluster_whose_ca_it_has() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", |host| {
        host.existing.slipway_cluster = Some("harbour".into());
        host.existing.ca_sha256 = Some(Sha256Digest::of("ours"));
    });
    for (ca, expected) in [("ours", 0), ("another's", 2)] {
        change(&mut facts, "w-1", |host| {
            host.existing.kubelet_conf = true;
            host.existing.ca_sha256 = Some(Sha256Digest::of(ca));
        });
        assert_eq!(ids(&spec, &facts).len(), expected, "{ca}");
    }
}

#[test]
fn a_worker_that_took_kubeadm_s_cluster_name_belongs_to_the_cluster_whose_ca_it_has() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", |host| {
        host.existing.slipway_cluster = Some("harbour".into());
        host.existing.ca_sha256 = Some(Sha256Digest::of("ours"));
    });
    let other = vec![(Severity::Error, "OtherCluster".to_owned())];
    let cases = [
        ("kubernetes", "ours", vec![]),
        ("kubernetes", "another's", other.clone()),
        ("other", "ours", other),
    ];
    for (name, ca, expected) in cases {
        change(&mut facts, "w-1", |host| {
            host.existing.slipway_cluster = Some(name.into());
            host.existing.kubelet_conf = true;
            host.existing.ca_sha256 = Some(Sha256Digest::of(ca));
        });
        assert_eq!(ids(&spec, &facts), expected, "{name}, {ca}");
    }
    // The next `apply` writes the right name.
    let manifest = manifest(&spec.kubernetes_version);
    let plan = plan_cluster(&spec, &facts, &manifest, &Scope::All).unwrap();
    let marks = plan.steps.iter().any(|step| {
        step.host.as_str() == "w-1" && step.step.describe() == "write /var/lib/slipway/cluster"
    });
    assert!(marks);
}

#[test]
fn a_node_whose_bridge_has_another_node_s_addresses_is_told() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "w-1", |host| {
        host.existing.slipway_cluster = Some("harbour".into());
        host.existing.kubelet_conf = true;
        host.links.push(link("cni0", "10.244.3.1"));
    });
    let node = |pod_subnet: &str| NodeFacts {
        name: "w-1".to_owned(),
        ready: true,
        roles: Vec::new(),
        kubelet_version: "v1.36.3".to_owned(),
        internal_ip: None,
        unschedulable: false,
        pod_subnet: Some(pod_subnet.to_owned()),
    };
    for (subnet, expected) in [("10.244.3.0/24", 0), ("10.244.1.0/24", 1)] {
        facts.cluster = Some(ClusterFacts {
            api_server_version: "v1.36.3".to_owned(),
            nodes: vec![node(subnet)],
            unhealthy: Vec::new(),
            configuration: None,
        });
        assert_eq!(ids(&spec, &facts).len(), expected, "{subnet}");
        // The plan gives it links of its own part of the subnet.
        let moved = (Severity::Warning, "Leftovers".to_owned());
        assert_eq!(
            ids(&spec, &facts).contains(&moved),
            expected == 1,
            "{subnet}"
        );
    }
    // Outside the whole subnet it is nobody's, and nobody touches it.
    facts.cluster = None;
    change(&mut facts, "w-1", |host| {
        host.links.push(link("flannel.1", "10.42.3.0"));
    });
    let wrong = (Severity::Error, "Leftovers".to_owned());
    assert!(ids(&spec, &facts).contains(&wrong));
}

#[test]
fn ipv6_clusters_need_ipv6_forwarding_and_routes() {
    let mut spec = spec();
    spec.networking.pod_subnet = "fd00:1::/48".parse().unwrap();
    spec.networking.service_subnet = "fd00:2::/108".parse().unwrap();
    spec.networking.cni = slipway_api::Cni::None;
    let found = ids(&spec, &bare_facts(&spec));
    let forwarding = "FileContent--proc-sys-net-ipv6-conf-default-forwarding";
    for (severity, id) in [
        (Severity::Warning, forwarding),
        (Severity::Error, "ServiceRoute"),
    ] {
        let of_it = found
            .iter()
            .filter(|found| **found == (severity, id.to_owned()));
        assert_eq!(of_it.count(), 3, "{id} on each host");
    }
}

#[test]
fn only_hosts_without_a_route_to_services_get_one() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "w-1", |host| {
        host.routes = vec![route("192.0.2.0/24", "eth0")];
    });
    let found = preflight::check(&spec, &facts, None, &Scope::All);
    assert!(found.iter().all(|it| it.id == "ServiceRoute" && it.fixable));
    let plan = plan_fixes(&spec, &facts, &Scope::All);
    let of_route: Vec<String> = plan
        .steps
        .iter()
        .map(|it| format!("{}: {}", it.host, it.step.describe()))
        .filter(|line| line.contains("slipway-service-route"))
        .collect();
    assert_eq!(
        of_route,
        [
            "w-1: write /etc/systemd/system/slipway-service-route.service",
            "w-1: start slipway-service-route.service",
        ]
    );
}
