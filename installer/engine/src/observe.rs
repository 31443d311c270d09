//! Looks at hosts and cluster and gathers their facts.

use std::collections::BTreeMap;

use futures::future::join_all;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{ClusterFacts, ClusterSpec, Facts, Failure, HostName, HostState, Role};

use crate::Fleet;

/// Gathers the facts of all hosts at once, and the cluster's from the first
/// control-plane host whose API server answers. A host that does not give its facts is left out of the
/// fleet, and the facts say why.
pub async fn gather_facts(fleet: &mut Fleet, spec: &ClusterSpec) -> Facts {
    let gathering = fleet.iter().map(|(name, host)| async move {
        let state = match host {
            Err(failure) => HostState::Unreached {
                failure: failure.clone(),
            },
            Ok(host) => match host.request(Request::GatherFacts, &|_| {}).await {
                Ok(Reply::Facts(facts)) => HostState::Reached(facts),
                Ok(other) => HostState::Unreached {
                    failure: unexpected(&other),
                },
                Err(error) => HostState::Unreached {
                    failure: error.to_failure(),
                },
            },
        };
        (name.clone(), state)
    });
    let (hosts, cluster) = futures::join!(join_all(gathering), gather_cluster(fleet, spec));
    let facts = Facts {
        hosts: hosts.into_iter().collect(),
        cluster_from: cluster.as_ref().map(|(name, _)| name.clone()),
        cluster: cluster.map(|(_, cluster)| cluster),
        probes: BTreeMap::new(),
    };
    for lost in facts.unreached() {
        fleet.leave_out(lost.host, lost.failure);
    }
    facts
}

async fn gather_cluster(fleet: &Fleet, spec: &ClusterSpec) -> Option<(HostName, ClusterFacts)> {
    let hosts = spec.hosts_with_role(Role::ControlPlane);
    let asking = hosts.map(|host| async {
        let name = &host.name;
        let asked = fleet.host(name)?;
        // An API server that is down is no cluster fact: its host's facts tell.
        match asked.request(Request::GatherClusterFacts, &|_| {}).await {
            Ok(Reply::ClusterFacts { facts }) => Some((name.clone(), facts?)),
            Ok(_) | Err(_) => None,
        }
    });
    join_all(asking).await.into_iter().flatten().next()
}

/// Returns the failure of a reply that answers another question.
pub(crate) fn unexpected(reply: &Reply) -> Failure {
    Failure::because(format!(
        "the agent answered with {reply:?}, which was not asked"
    ))
}
