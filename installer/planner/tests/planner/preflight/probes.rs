//! Which probes are planned, and what is made of what came of them.

use std::collections::{BTreeMap, BTreeSet};

use slipway_api::{
    Arrival, ClockOffset, ClusterSpec, Disk, Endpoint, Etcd, ExternalEtcd, Facts, Finding,
    HostFacts, HostFile, HostName, HostProbes, ListenerState, LocalEtcd, Probe, ProbeOutcome, Role,
    Severity, SyncLatency, Transport,
};
use slipway_planner::preflight::{plan_listeners, plan_probes};
use slipway_planner::{Scope, preflight};

use super::change;
use crate::support::{bare_facts, five_control_planes, spec};

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

/// Returns the probes of `facts` as they come out where everything is well:
/// every port opens, everything is reached, every size arrives.
fn good_probes(spec: &ClusterSpec, facts: &Facts) -> BTreeMap<HostName, HostProbes> {
    let mut found: BTreeMap<HostName, HostProbes> = spec
        .hosts
        .iter()
        .map(|host| (host.name.clone(), HostProbes::default()))
        .collect();
    for (host, listeners) in plan_listeners(spec, facts, &Scope::All) {
        let open = listeners.into_iter().map(|it| (it, ListenerState::Open));
        found.get_mut(&host).unwrap().listeners = open.collect();
    }
    for (from, probes) in plan_probes(spec, facts, &Scope::All, &found) {
        for probe in &probes {
            if let Probe::SendDatagrams { to, sizes, .. } = probe {
                let arrivals = sizes.iter().map(|size| Arrival {
                    from: from.clone(),
                    size: *size,
                });
                found.get_mut(to).unwrap().arrivals.extend(arrivals);
            }
        }
        let good = |probe: Probe| {
            let outcome = match &probe {
                Probe::Connect { .. } => ProbeOutcome::Reached,
                Probe::SendDatagrams { .. } => ProbeOutcome::Sent { failures: vec![] },
                Probe::ResolveName { .. } => ProbeOutcome::Resolved {
                    addresses: vec!["192.0.2.11".parse().unwrap()],
                },
                Probe::AskNameServer { .. } => ProbeOutcome::Answered,
                Probe::LookAtFolder { .. } => ProbeOutcome::Folder {
                    has_content: false,
                    disk: None,
                },
                Probe::FindFiles { .. } => ProbeOutcome::Missing { paths: vec![] },
                Probe::JudgeGiven { .. } => ProbeOutcome::Unfit { files: vec![] },
                Probe::AskEtcdVersion { .. } => ProbeOutcome::EtcdVersion {
                    version: "3.6.8".into(),
                },
                Probe::SyncFile { .. } => ProbeOutcome::Synced(latency(2_000)),
            };
            (probe, outcome)
        };
        let probes_of_host = found.get_mut(&from).unwrap();
        probes_of_host.outcomes = probes.into_iter().map(good).collect();
        probes_of_host.clock = Some(clock(3, 10));
    }
    found
}

fn latency(p99_micros: u64) -> SyncLatency {
    SyncLatency {
        writes: 200,
        median_micros: 900,
        p99_micros,
    }
}

fn clock(ahead_millis: i64, round_trip_millis: u64) -> ClockOffset {
    ClockOffset {
        ahead_millis,
        round_trip_millis,
    }
}

/// Returns the findings after a change to good probes.
fn findings(change: impl FnOnce(&mut BTreeMap<HostName, HostProbes>)) -> Vec<Finding> {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    facts.probes = good_probes(&spec, &facts);
    change(&mut facts.probes);
    preflight::check(&spec, &facts, None, &Scope::All)
}

/// Returns severity, ID and host of each finding.
fn told(findings: &[Finding]) -> Vec<(Severity, &str, Option<&str>)> {
    findings
        .iter()
        .map(|finding| {
            let host = finding.host.as_ref().map(HostName::as_str);
            (finding.severity, finding.id.as_str(), host)
        })
        .collect()
}

fn outcome_of<'a>(
    probes: &'a mut BTreeMap<HostName, HostProbes>,
    from: &str,
    is_it: impl Fn(&Probe) -> bool,
) -> &'a mut ProbeOutcome {
    let outcomes = &mut probes.get_mut(&name(from)).unwrap().outcomes;
    let found = outcomes.iter_mut().find(|(probe, _)| is_it(probe));
    &mut found.expect("the probe is planned").1
}

fn is_connect(to: &'static str, wanted: u16) -> impl Fn(&Probe) -> bool {
    move |probe| matches!(probe, Probe::Connect { to: target, port, .. } if target.as_str() == to && *port == wanted)
}

#[test]
fn good_probes_cause_no_finding() {
    assert_eq!(findings(|_| {}), []);
}

#[test]
fn each_outcome_has_its_finding() {
    type Change = Box<dyn FnOnce(&mut BTreeMap<HostName, HostProbes>)>;
    let connect = |outcome: ProbeOutcome| -> Change {
        Box::new(move |probes| *outcome_of(probes, "w-1", is_connect("cp-1", 6443)) = outcome)
    };
    let sync = |micros: u64| -> Change {
        Box::new(move |probes| {
            let is_sync = |probe: &Probe| matches!(probe, Probe::SyncFile { .. });
            *outcome_of(probes, "cp-1", is_sync) = ProbeOutcome::Synced(latency(micros));
        })
    };
    let clock_of_w_1 = |offset: ClockOffset| -> Change {
        Box::new(move |probes| probes.get_mut(&name("w-1")).unwrap().clock = Some(offset))
    };
    let (error, warning) = (Severity::Error, Severity::Warning);
    let reach = "PortReachable-6443";
    let cases: Vec<(Severity, &str, &str, Change)> = vec![
        (error, reach, "cp-1", connect(ProbeOutcome::Refused)),
        (error, reach, "cp-1", connect(ProbeOutcome::TimedOut)),
        (error, reach, "cp-1", connect(ProbeOutcome::Stranger)),
        (
            error,
            reach,
            "cp-1",
            connect(ProbeOutcome::Failed {
                reason: "no route to host".into(),
            }),
        ),
        (
            error,
            "PortReachable-10250",
            "w-2",
            Box::new(|probes| {
                *outcome_of(probes, "cp-1", is_connect("w-2", 10250)) = ProbeOutcome::TimedOut;
            }),
        ),
        (
            error,
            "PortReachable-8472-udp",
            "w-1",
            Box::new(|probes| {
                let arrivals = &mut probes.get_mut(&name("w-1")).unwrap().arrivals;
                arrivals.retain(|arrival| arrival.from != name("w-2"));
            }),
        ),
        (
            error,
            "PathMTU",
            "w-2",
            Box::new(|probes| {
                let arrivals = &mut probes.get_mut(&name("cp-1")).unwrap().arrivals;
                arrivals.retain(|arrival| arrival.from != name("w-2") || arrival.size <= 1400);
            }),
        ),
        (warning, "EtcdFsync", "cp-1", sync(12_000)),
        (error, "EtcdFsync", "cp-1", sync(1_500_000)),
        (
            warning,
            "ClockOffset",
            "w-1",
            clock_of_w_1(clock(-1_100, 20)),
        ),
        (error, "ClockOffset", "w-1", clock_of_w_1(clock(6_000, 20))),
        (
            warning,
            "Hostname",
            "w-1",
            Box::new(|probes| {
                let is_name = |probe: &Probe| matches!(probe, Probe::ResolveName { .. });
                *outcome_of(probes, "w-1", is_name) = ProbeOutcome::Resolved { addresses: vec![] };
            }),
        ),
        (
            warning,
            "DNS",
            "w-1",
            Box::new(|probes| {
                let is_server = |probe: &Probe| matches!(probe, Probe::AskNameServer { .. });
                *outcome_of(probes, "w-1", is_server) = ProbeOutcome::TimedOut;
            }),
        ),
        (
            warning,
            "Probes",
            "w-1",
            Box::new(|probes| {
                let failure = slipway_api::Failure::because("no answer within 15 s");
                probes.get_mut(&name("w-1")).unwrap().failure = Some(failure);
            }),
        ),
    ];
    for (severity, id, host, change) in cases {
        let found = findings(change);
        assert_eq!(told(&found), [(severity, id, Some(host))], "{found:?}");
    }
}

#[test]
fn control_plane_hosts_that_miss_each_other_s_etcd_are_told() {
    let spec = five_control_planes();
    let facts = bare_facts(&spec);
    for (port, id) in [(2379, "PortReachable-2379"), (2380, "PortReachable-2380")] {
        let mut facts = facts.clone();
        facts.probes = good_probes(&spec, &facts);
        let outcome = outcome_of(&mut facts.probes, "cp-1", is_connect("cp-5", port));
        *outcome = ProbeOutcome::TimedOut;
        let found = preflight::check(&spec, &facts, None, &Scope::All);
        assert_eq!(told(&found), [(Severity::Error, id, Some("cp-5"))]);
    }
}

#[test]
fn an_etcd_that_ends_again_and_again_on_a_host_that_comes_back_stops_nobody() {
    let judged = |has_data, state: ListenerState| {
        let spec = five_control_planes();
        let mut facts = bare_facts(&spec);
        facts.probes = good_probes(&spec, &facts);
        change(&mut facts, "cp-4", |host| {
            host.existing.etcd_data = has_data
        });
        let target = facts.probes.get_mut(&name("cp-4")).unwrap();
        for (listener, found) in &mut target.listeners {
            if listener.port == 2380 {
                *found = state.clone();
            }
        }
        let outcome = outcome_of(&mut facts.probes, "cp-1", is_connect("cp-4", 2380));
        *outcome = ProbeOutcome::Refused;
        let found = preflight::check(&spec, &facts, None, &Scope::All);
        let mut ports = found.iter().filter(|it| it.id == "PortReachable-2380");
        ports.next().expect("it is told").severity
    };
    assert_eq!(judged(true, ListenerState::Taken), Severity::Warning);
    // Somebody else's program, and a port that was open a moment ago.
    assert_eq!(judged(false, ListenerState::Taken), Severity::Error);
    assert_eq!(judged(true, ListenerState::Open), Severity::Error);
}

#[test]
fn hosts_with_the_same_trouble_are_told_in_one_line() {
    let found = findings(|probes| {
        for from in ["w-1", "w-2"] {
            *outcome_of(probes, from, is_connect("cp-1", 6443)) = ProbeOutcome::TimedOut;
        }
    });
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].seen,
        "TCP port 6443 is not reached from w-1, w-2: nothing comes back"
    );
}

#[test]
fn the_help_names_the_firewall_s_own_command() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    facts.probes = good_probes(&spec, &facts);
    *outcome_of(&mut facts.probes, "w-1", is_connect("cp-1", 6443)) = ProbeOutcome::TimedOut;
    change(&mut facts, "cp-1", |host| {
        host.software.firewall = Some("firewalld".into());
    });
    let found = preflight::check(&spec, &facts, None, &Scope::All);
    let reach = found.iter().find(|it| it.id == "PortReachable-6443");
    assert_eq!(
        reach.unwrap().help,
        "on cp-1: `firewall-cmd --permanent --add-port=6443/tcp && firewall-cmd --reload`"
    );
}

#[test]
fn what_a_long_round_trip_may_hide_is_no_offset() {
    let found = findings(|probes| {
        probes.get_mut(&name("w-1")).unwrap().clock = Some(clock(1_500, 1_200));
    });
    assert_eq!(found, []);
}

#[test]
fn hosts_that_differ_from_each_other_more_than_from_here_are_told() {
    let found = findings(|probes| {
        probes.get_mut(&name("w-1")).unwrap().clock = Some(clock(700, 10));
        probes.get_mut(&name("w-2")).unwrap().clock = Some(clock(-700, 10));
    });
    assert_eq!(told(&found), [(Severity::Warning, "ClockOffset", None)]);
    assert_eq!(
        found[0].seen,
        "the clock of w-1 is 1.4 s ahead of that of w-2"
    );
}

#[test]
fn a_wrong_clock_here_is_told_once_and_stops_nothing() {
    let found = findings(|probes| {
        for probes in probes.values_mut() {
            probes.clock = Some(clock(-3_600_000, 10));
        }
    });
    assert_eq!(told(&found), [(Severity::Warning, "ClockOffset", None)]);
}

#[test]
fn an_endpoint_that_resolves_to_nothing_is_an_error() {
    let mut spec = spec();
    spec.control_plane_endpoint = Some(Endpoint {
        host: "api.example".to_owned(),
        port: 6443,
    });
    let mut facts = bare_facts(&spec);
    facts.probes = good_probes(&spec, &facts);
    let is_it =
        |probe: &Probe| matches!(probe, Probe::ResolveName { name } if name == "api.example");
    *outcome_of(&mut facts.probes, "w-2", is_it) = ProbeOutcome::Resolved { addresses: vec![] };
    let found = preflight::check(&spec, &facts, None, &Scope::All);
    assert_eq!(
        told(&found),
        [(Severity::Error, "ControlPlaneEndpoint", Some("w-2"))]
    );
}

/// Returns who connects to whom, as `from → to:port`.
fn connects(spec: &ClusterSpec, facts: &Facts, scope: &Scope) -> BTreeSet<String> {
    let opened = good_probes(spec, facts);
    let mut found = BTreeSet::new();
    for (from, probes) in plan_probes(spec, facts, scope, &opened) {
        for probe in probes {
            if let Probe::Connect { to, port, .. } = probe {
                found.insert(format!("{from} → {to}:{port}"));
            }
        }
    }
    found
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn ports_are_probed_from_those_who_use_them() {
    let mut spec = spec();
    spec.hosts[1].role = Role::ControlPlane;
    let facts = bare_facts(&spec);
    let expected = set(&[
        "cp-1 → w-1:6443",
        "cp-1 → w-1:10250",
        "cp-1 → w-1:2379",
        "cp-1 → w-1:2380",
        "cp-1 → w-2:10250",
        "w-1 → cp-1:6443",
        "w-1 → cp-1:10250",
        "w-1 → cp-1:2379",
        "w-1 → cp-1:2380",
        "w-1 → w-2:10250",
        "w-2 → cp-1:6443",
        "w-2 → w-1:6443",
    ]);
    assert_eq!(connects(&spec, &facts, &Scope::All), expected);
}

#[test]
fn hosts_out_of_scope_are_probed_only_with_those_in_it() {
    let spec = spec();
    let facts = bare_facts(&spec);
    let scope = Scope::Hosts([name("w-2")].into());
    let expected = set(&["cp-1 → w-2:10250", "w-2 → cp-1:6443"]);
    assert_eq!(connects(&spec, &facts, &scope), expected);
    let listeners = plan_listeners(&spec, &facts, &scope);
    assert!(
        listeners[&name("w-1")]
            .iter()
            .all(|it| it.transport == Transport::Udp)
    );
}

#[test]
fn a_thousand_hosts_are_probed_with_a_bounded_number_of_datagrams() {
    let mut spec = spec();
    let worker = spec.hosts[2].clone();
    for number in 3..1000_u32 {
        let mut host = worker.clone();
        host.name = name(&format!("w-{number}"));
        host.node_ip = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
        spec.hosts.push(host);
    }
    let facts = bare_facts(&spec);
    let opened = good_probes(&spec, &facts);
    let planned = plan_probes(&spec, &facts, &Scope::All, &opened);
    let is_sending = |probe: &&Probe| matches!(probe, Probe::SendDatagrams { .. });
    let is_sized =
        |probe: &&Probe| matches!(probe, Probe::SendDatagrams { sizes, .. } if sizes.len() > 1);
    for (host, probes) in &planned {
        let is_control_plane = host.as_str() == "cp-1";
        let sending = probes.iter().filter(is_sending).count();
        assert!(is_control_plane || sending <= 65, "{host}: {sending}");
        assert!(probes.iter().filter(is_sized).count() <= 2, "{host}");
    }
    // Everybody hears from somebody.
    let heard: BTreeSet<&HostName> = planned
        .values()
        .flatten()
        .filter_map(|probe| {
            if let Probe::SendDatagrams { to, .. } = probe {
                Some(to)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(heard.len(), spec.hosts.len());
}

#[test]
fn a_disk_is_not_written_where_etcd_has_its_data() {
    let spec = spec();
    let synced = |change_host: fn(&mut HostFacts)| {
        let mut facts = bare_facts(&spec);
        change(&mut facts, "cp-1", change_host);
        let planned = plan_probes(&spec, &facts, &Scope::All, &BTreeMap::new());
        let is_sync = |probe: &&Probe| matches!(probe, Probe::SyncFile { .. });
        planned.values().flatten().filter(is_sync).count()
    };
    assert_eq!(synced(|_| {}), 1);
    assert_eq!(synced(|host| host.existing.etcd_data = true), 0);
    assert_eq!(
        synced(|host| host.existing.manifests = vec!["etcd.yaml".into()]),
        0
    );
}

/// Returns the findings of a cluster with somebody else's etcd, after a change
/// to what came of the probes of `cp-1`.
fn somebody_s_etcd() -> Etcd {
    Etcd::External(ExternalEtcd {
        endpoints: vec!["https://etcd.example:2379".to_owned()],
        http_endpoints: Vec::new(),
        ca_file: "/etc/etcd/ca.crt".to_owned(),
        cert_file: "/etc/etcd/client.crt".to_owned(),
        key_file: "/etc/etcd/client.key".to_owned(),
    })
}

fn with_external_etcd(change: impl FnOnce(&mut BTreeMap<HostName, HostProbes>)) -> Vec<Finding> {
    let mut spec = spec();
    spec.cluster_configuration.etcd = somebody_s_etcd();
    let mut facts = bare_facts(&spec);
    facts.probes = good_probes(&spec, &facts);
    change(&mut facts.probes);
    preflight::check(&spec, &facts, None, &Scope::All)
}

#[test]
fn somebody_else_s_etcd_is_asked_for_its_version_with_the_files_of_the_api_server() {
    assert_eq!(with_external_etcd(|_| {}), []);
    let is_asking = |probe: &Probe| matches!(probe, Probe::AskEtcdVersion { .. });
    let versions = [
        ("3.5.24", 0),
        ("3.6.0-rc.1", 0),
        ("3.10.1", 0),
        ("3.5.9", 1),
        ("3.4.37", 1),
    ];
    for (version, expected) in versions {
        let found = with_external_etcd(|probes| {
            let version = version.to_owned();
            *outcome_of(probes, "cp-1", is_asking) = ProbeOutcome::EtcdVersion { version };
        });
        let is_it = |finding: &&Finding| finding.id == "ExternalEtcdVersion";
        assert_eq!(found.iter().filter(is_it).count(), expected, "{version}");
    }
    let found = with_external_etcd(|probes| {
        *outcome_of(probes, "cp-1", is_asking) = ProbeOutcome::TimedOut;
        let is_looking = |probe: &Probe| matches!(probe, Probe::FindFiles { .. });
        *outcome_of(probes, "cp-1", is_looking) = ProbeOutcome::Missing {
            paths: vec!["/etc/etcd/client.key".to_owned()],
        };
    });
    let error = Severity::Error;
    assert_eq!(
        told(&found),
        [
            (error, "ExternalEtcdClientCertificates", Some("cp-1")),
            (error, "ExternalEtcdVersion", Some("cp-1")),
        ]
    );
}

#[test]
fn files_that_the_cluster_file_brings_are_not_asked_for_before() {
    let mut spec = spec();
    spec.cluster_configuration.etcd = somebody_s_etcd();
    let host = &mut spec.hosts[0];
    let brought = |dest: &str| HostFile {
        src: "client.key".into(),
        dest: dest.to_owned(),
        mode: 0o600,
        content: None,
    };
    host.files = vec![brought("/etc/etcd/client.key")];
    let facts = bare_facts(&spec);
    let planned = plan_probes(&spec, &facts, &Scope::All, &BTreeMap::new());
    let of_first: Vec<&Probe> = planned[&spec.hosts[0].name].iter().collect();
    let looked = of_first.iter().find_map(|probe| {
        if let Probe::FindFiles { paths } = probe {
            Some(paths.as_slice())
        } else {
            None
        }
    });
    assert_eq!(
        looked,
        Some(
            ["/etc/etcd/ca.crt", "/etc/etcd/client.crt"]
                .map(str::to_owned)
                .as_slice()
        )
    );
    let is_asking = |probe: &&&Probe| matches!(probe, Probe::AskEtcdVersion { .. });
    assert_eq!(of_first.iter().filter(is_asking).count(), 0);
}

#[test]
fn an_etcd_in_another_folder_is_looked_for_there() {
    let mut spec = spec();
    let data_dir = "/data/etcd".to_owned();
    spec.cluster_configuration.etcd = Etcd::Local(LocalEtcd {
        data_dir,
        ..LocalEtcd::default()
    });
    let mut facts = bare_facts(&spec);
    // What lies in the usual folder is none of this cluster's business.
    change(&mut facts, "cp-1", |host| host.existing.etcd_data = true);
    facts.probes = good_probes(&spec, &facts);
    let is_it = |probe: &Probe| matches!(probe, Probe::LookAtFolder { .. });
    for (has_content, total, expected) in [
        (false, 100_u64, &[][..]),
        (true, 100, &["DirAvailable--data-etcd"]),
        (false, 1, &["DiskSpace"]),
    ] {
        *outcome_of(&mut facts.probes, "cp-1", is_it) = ProbeOutcome::Folder {
            has_content,
            disk: Some(Disk {
                file_system: "8:17".to_owned(),
                total: total << 30,
                available: total << 30,
                inodes: 0,
                available_inodes: 0,
            }),
        };
        let found = preflight::check(&spec, &facts, None, &Scope::All);
        let ids: Vec<_> = found.iter().map(|finding| finding.id.as_str()).collect();
        assert_eq!(ids, expected, "{has_content} {total}");
    }
}
