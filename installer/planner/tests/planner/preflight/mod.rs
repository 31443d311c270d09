//! Preflight's verdicts over facts, and what the tests of them share.

mod cases;
mod probes;
mod stories;
mod versions;

use crate::support::{bare_facts, spec};
use slipway_api::{
    ClusterSpec, Facts, Finding, HostFacts, HostState, Link, Listener, Package, Route,
    RuntimeFacts, SelinuxFacts, Severity,
};
use slipway_planner::Scope;
use slipway_planner::preflight::{self, IDS};

const CONTAINERD: &str = "/run/containerd/containerd.sock";
const CRIO: &str = "/run/crio/crio.sock";

fn change(facts: &mut Facts, host: &str, change: impl FnOnce(&mut HostFacts)) {
    match facts.hosts.get_mut(&host.parse().unwrap()) {
        Some(HostState::Reached(facts)) => change(facts),
        other => panic!("{host} is not reached: {other:?}"),
    }
}

/// Returns severity and ID of everything that is found after a change to `cp-1`.
fn found(change_host: impl FnOnce(&mut HostFacts)) -> Vec<(Severity, String)> {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", change_host);
    ids(&spec, &facts)
}

fn ids(spec: &ClusterSpec, facts: &Facts) -> Vec<(Severity, String)> {
    let findings = preflight::check(spec, facts, None, &Scope::All);
    for finding in &findings {
        assert!(!finding.seen.is_empty() && !finding.why.is_empty() && !finding.help.is_empty());
        assert!(IDS.contains(&finding.id.as_str()), "{}", finding.id);
    }
    findings
        .into_iter()
        .map(|finding| (finding.severity, finding.id))
        .collect()
}

fn listener(port: u16, program: &str) -> Listener {
    Listener {
        port,
        program: Some(program.to_owned()),
    }
}

fn cgroup_v1(host: &mut HostFacts) {
    host.cgroup_version = 1;
    let controllers = ["cpuacct", "blkio"].map(str::to_owned);
    host.cgroup_controllers.extend(controllers);
}

fn route(destination: &str, link: &str) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        link: link.to_owned(),
    }
}

fn link(name: &str, address: &str) -> Link {
    Link {
        name: name.to_owned(),
        mac: None,
        addresses: vec![address.parse().unwrap()],
        mtu: 1450,
        kind: None,
    }
}

fn package(name: &str, held: bool) -> Package {
    Package {
        name: name.to_owned(),
        version: "1.34.1-1.1".to_owned(),
        held,
        manager: "dpkg".to_owned(),
    }
}

fn selinux(is_enforcing: bool, has_container_policy: bool) -> Option<SelinuxFacts> {
    Some(SelinuxFacts {
        is_enforcing,
        has_container_policy,
    })
}

fn foreign_runtime(cgroup_driver: Option<&str>) -> RuntimeFacts {
    RuntimeFacts {
        socket: CONTAINERD.to_owned(),
        name: "containerd".to_owned(),
        version: "1.7.24".to_owned(),
        cgroup_driver: cgroup_driver.map(str::to_owned),
        ready: true,
        is_ours: false,
    }
}

/// Returns the findings after changes to the spec and to `cp-1`.
fn findings(
    change_spec: impl FnOnce(&mut ClusterSpec),
    change_host: impl FnOnce(&mut HostFacts),
) -> Vec<Finding> {
    let mut spec = spec();
    change_spec(&mut spec);
    let mut facts = bare_facts(&spec);
    change(&mut facts, "cp-1", change_host);
    preflight::check(&spec, &facts, None, &Scope::All)
}
