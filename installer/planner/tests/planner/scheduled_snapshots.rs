//! Snapshots of etcd on a schedule, as a plan: they come and go with the file's section.

use std::collections::BTreeSet;

use slipway_api::{ClusterSpec, Facts, HostState, Plan, Step};
use slipway_planner::{Removal, Scope, plan_cluster, plan_removal};

use crate::support::{bare_facts, manifest, spec_of};

const HOSTS: &str = "  hosts:\n\
    \x20   - { name: cp-1, address: 192.0.2.11, role: control-plane }\n\
    \x20   - { name: cp-2, address: 192.0.2.12, role: control-plane }\n\
    \x20   - { name: w-1, address: 192.0.2.21, role: worker }\n";

fn with_section() -> ClusterSpec {
    spec_of(&format!(
        "  etcdSnapshots: {{ schedule: hourly, keep: 3, dir: /srv/snapshots }}\n{HOSTS}"
    ))
}

fn planned(spec: &ClusterSpec, facts: &Facts) -> Plan {
    let manifest = manifest(&spec.kubernetes_version);
    plan_cluster(spec, facts, &manifest, &Scope::All).unwrap()
}

/// Returns what a host does about them, in order.
fn about_them(plan: &Plan, host: &str) -> Vec<String> {
    let steps = plan.steps.iter().filter(|it| it.host.as_str() == host);
    let lines = steps.map(|it| it.step.describe());
    lines
        .filter(|line| line.contains("snapshot") || line.ends_with("/usr/local/bin/slipway"))
        .collect()
}

/// Returns facts of hosts on which the timer is.
fn with_timer(spec: &ClusterSpec) -> Facts {
    let mut facts = bare_facts(spec);
    for (name, state) in &mut facts.hosts {
        if let HostState::Reached(facts) = state {
            facts.existing.slipway_cluster = Some("harbour".to_owned());
            facts.existing.snapshot_timer = name.as_str().starts_with("cp");
        }
    }
    facts
}

#[test]
fn every_control_plane_host_has_the_timer_and_no_worker() {
    let spec = with_section();
    let plan = planned(&spec, &bare_facts(&spec));
    for host in ["cp-1", "cp-2"] {
        assert_eq!(
            about_them(&plan, host),
            [
                "make folder /srv/snapshots",
                "install slipway itself as /usr/local/bin/slipway",
                "write /etc/systemd/system/slipway-etcd-snapshot.service",
                "write /etc/systemd/system/slipway-etcd-snapshot.timer",
                "start slipway-etcd-snapshot.timer",
            ]
        );
    }
    // The worker's program is the balancer's.
    assert_eq!(
        about_them(&plan, "w-1"),
        ["install slipway itself as /usr/local/bin/slipway"]
    );
}

#[test]
fn the_units_say_what_the_file_says() {
    let spec = with_section();
    let plan = planned(&spec, &bare_facts(&spec));
    let text = |ending: &str| {
        let mut files = plan.steps.iter().filter_map(|it| {
            let Step::WriteFile(file) = &it.step else {
                return None;
            };
            file.path.ends_with(ending).then(|| file.content.clone())
        });
        files.next().unwrap()
    };
    let service = text("slipway-etcd-snapshot.service");
    let command = "ExecStart=/usr/local/bin/slipway etcd-snapshot-here --cluster=harbour --dir=/srv/snapshots --keep=3\n";
    assert!(service.contains(command), "{service}");
    assert!(
        service.contains("ReadWritePaths=/srv/snapshots\n"),
        "{service}"
    );
    assert!(text("slipway-etcd-snapshot.timer").contains("OnCalendar=hourly\n"));
}

#[test]
fn without_the_section_there_is_nothing_of_it() {
    let spec = spec_of(HOSTS);
    let plan = planned(&spec, &bare_facts(&spec));
    assert_eq!(about_them(&plan, "cp-1"), Vec::<String>::new());
}

#[test]
fn a_section_that_is_gone_takes_units_and_program_with_it_and_no_snapshot() {
    let spec = spec_of(HOSTS);
    let plan = planned(&spec, &with_timer(&spec));
    let lines = about_them(&plan, "cp-1");
    assert_eq!(
        lines,
        [
            "stop and disable slipway-etcd-snapshot.timer",
            "stop and disable slipway-etcd-snapshot.service",
            "delete in /var/lib/systemd/timers: stamp-slipway-etcd-snapshot.timer",
            "delete in /etc/systemd/system: slipway-etcd-snapshot.service, timers.target.wants/slipway-etcd-snapshot.timer, slipway-etcd-snapshot.timer",
            "make systemd forget slipway-etcd-snapshot.timer, slipway-etcd-snapshot.service",
        ]
    );
    let all: Vec<String> = plan.steps.iter().map(|it| it.step.describe()).collect();
    assert!(all.contains(&"delete in /usr/local/bin: slipway".to_owned()));
    assert!(!all.iter().any(|line| line.contains("/snapshots")));
}

#[test]
fn a_reset_takes_the_units_away_whatever_the_file_says_by_now() {
    let spec = spec_of(HOSTS);
    let removal = Removal {
        hosts: ["cp-1", "cp-2", "w-1"]
            .map(|name| name.parse().unwrap())
            .into(),
        drain_timeout_seconds: 300,
        delete_empty_dir_data: false,
        force_quorum_loss: false,
    };
    let plan = plan_removal(&spec, &with_timer(&spec), None, &removal).unwrap();
    assert_eq!(about_them(&plan, "cp-2").len(), 5);
    let folders: BTreeSet<&str> = plan
        .steps
        .iter()
        .filter_map(|it| {
            let Step::RemovePath(step) = &it.step else {
                return None;
            };
            Some(step.path.as_str())
        })
        .collect();
    // They outlive it: nothing that holds them is deleted.
    let above = ["/var/lib/slipway/snapshots", "/var/lib/slipway"];
    assert!(above.iter().all(|path| !folders.contains(path)));
}
