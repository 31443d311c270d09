//! What `status` says of workers' balancers.

use crate::support::{bare_facts, spec};
use slipway_api::{BackendHealth, BalancerBackend, BalancerState, Facts, HostState};
use slipway_planner::{ClusterHealth, Seen};

/// Returns what is unhealthy and what is warned of, about balancers alone, where
/// w-1's says so of two API servers.
fn judged(state: Option<[BackendHealth; 2]>) -> (Vec<String>, Vec<String>) {
    let spec = spec();
    let backend = |(number, health): (u8, BackendHealth)| BalancerBackend {
        address: ([192, 0, 2, number], 6443).into(),
        health,
        reason: (health != BackendHealth::Ready).then(|| "it is silent".to_owned()),
    };
    let mut facts: Facts = bare_facts(&spec);
    let worker = facts.hosts.get_mut(&"w-1".parse().expect("a name"));
    let Some(HostState::Reached(host)) = worker else {
        panic!("w-1 is reached");
    };
    host.existing.balancer = true;
    host.existing.balancer_state = state.map(|health| BalancerState {
        listen: ([127, 0, 0, 1], 6443).into(),
        backends: (11..).zip(health).map(backend).collect(),
    });
    let seen = Seen {
        etcd: None,
        etcd_silent: None,
        self_signed: &[],
        now: 0,
    };
    let health = ClusterHealth::of(&spec, &facts, seen);
    let about_them = |list: Vec<slipway_api::Failure>| {
        let messages = list.into_iter().map(|it| it.message);
        messages.filter(|it| it.contains("balancer")).collect()
    };
    (about_them(health.unhealthy), about_them(health.warnings))
}

#[test]
fn a_balancer_is_judged_by_what_it_reaches() {
    use BackendHealth::{Ready, Unreachable};
    assert_eq!(judged(Some([Ready, Ready])), (Vec::new(), Vec::new()));
    let (unhealthy, warnings) = judged(Some([Ready, Unreachable]));
    assert!(unhealthy.is_empty());
    assert_eq!(
        warnings,
        ["the balancer on w-1 leaves out 192.0.2.12:6443: it is silent"]
    );
    let (unhealthy, warnings) = judged(Some([Unreachable; 2]));
    assert_eq!(
        unhealthy,
        ["the balancer on w-1 reaches no API server that is ready"]
    );
    assert!(warnings.is_empty());
    let (unhealthy, _) = judged(None);
    assert_eq!(unhealthy, ["the balancer on w-1 does not run"]);
}
