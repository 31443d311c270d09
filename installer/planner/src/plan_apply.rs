//! Plans a changed file: hosts that it has more join, those that it has no more leave.

use std::collections::BTreeSet;

use slipway_api::step::ApplyObjects;
use slipway_api::{
    BundleManifest, ClusterSpec, EtcdFacts, EtcdMember, EtcdMemberFacts, EtcdMemberId, Facts,
    HostSpec, Phase, Plan, Role, Step, StepId,
};

use crate::PlanError;
use crate::addons::CLUSTER_FILE_OBJECT;
use crate::builder::PlanBuilder;
use crate::control_plane_hosts::{ControlPlaneHosts, is_established};
use crate::departures::add_departures;
use crate::plan_cluster::{Scope, add_cluster, plan_cluster};
use crate::plan_removal::Removal;
use crate::supply::Supply;

/// Hosts that the file last applied has and the new one has not.
#[derive(Clone, Copy, Debug)]
pub struct Departure<'a> {
    /// The hosts, as the file last applied describes them.
    pub hosts: &'a [HostSpec],
    /// etcd as a member on a host that stays sees it.
    pub etcd: Option<&'a EtcdFacts>,
}

/// How long a drain may take, in seconds: `slipway reset`'s default.
const DRAIN_TIMEOUT: u64 = 300;

/// Returns everything that must hold for the hosts in `scope`, and what takes
/// those of `departure` out of the cluster and Kubernetes off them.
///
/// Control-plane hosts whose etcd is not healthy leave before others join, since
/// etcd takes no member while one is sick; all others leave once the new ones are
/// Ready. The cluster keeps its old file until they are gone, so that a run that
/// was cut off finds them again.
///
/// # Errors
/// As [`plan_cluster`](crate::plan_cluster) and
/// [`plan_removal`](crate::plan_removal).
pub fn plan_apply(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: &BundleManifest,
    scope: &Scope,
    departure: Departure<'_>,
) -> Result<Plan, PlanError> {
    if departure.hosts.is_empty() {
        return plan_cluster(spec, facts, manifest, scope);
    }
    let mut both = spec.clone();
    both.hosts.extend(departure.hosts.iter().cloned());
    let speaker = ControlPlaneHosts::of(spec, facts)?.lead;
    let (sick, well): (Vec<&HostSpec>, Vec<&HostSpec>) = departure
        .hosts
        .iter()
        .partition(|host| host.role == Role::ControlPlane && !is_healthy(host, departure.etcd));

    let mut builder = PlanBuilder::default();
    let gone = add_departures(
        &mut builder,
        &both,
        facts,
        speaker,
        departure.etcd,
        &removal_of(&sick),
        &[],
    )?;
    let supply = Supply::Bundle(manifest);
    let (ready, left_out) = add_cluster(&mut builder, spec, facts, supply, scope, &gone)?;
    let later = departure.etcd.map(|etcd| later(spec, facts, etcd, &sick));
    let also_gone = add_departures(
        &mut builder,
        &both,
        facts,
        speaker,
        later.as_ref(),
        &removal_of(&well),
        &ready,
    )?;
    let mut plan = builder.finish(&spec.name, left_out);
    for step in &mut plan.steps {
        if let Phase::RemoveNode | Phase::CleanupNode = step.phase {
            "its host is no longer in the file".clone_into(&mut step.because);
        }
    }
    keep_old_file(&mut plan, gone.into_iter().chain(also_gone));
    Ok(plan)
}

fn is_healthy(host: &HostSpec, etcd: Option<&EtcdFacts>) -> bool {
    let members = etcd.iter().flat_map(|etcd| &etcd.members);
    let mut own = members.filter(|it| it.member.is_of(host.node_name(), host.node_ip));
    own.all(|it| it.failure.is_none())
}

fn removal_of(hosts: &[&HostSpec]) -> Removal {
    Removal {
        hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        drain_timeout_seconds: DRAIN_TIMEOUT,
        delete_empty_dir_data: false,
        force_quorum_loss: false,
    }
}

/// Returns etcd as it will be once the sick are out and the new ones in.
fn later(spec: &ClusterSpec, facts: &Facts, etcd: &EtcdFacts, sick: &[&HostSpec]) -> EtcdFacts {
    let is_of =
        |it: &EtcdMemberFacts, host: &HostSpec| it.member.is_of(host.node_name(), host.node_ip);
    let mut later = etcd.clone();
    later
        .members
        .retain(|it| !sick.iter().any(|host| is_of(it, host)));
    let joining = spec.hosts_with_role(Role::ControlPlane).filter(|host| {
        facts.host(&host.name).is_some()
            && !is_established(facts, &host.name)
            && !etcd.members.iter().any(|it| is_of(it, host))
    });
    for host in joining {
        later.members.push(EtcdMemberFacts {
            member: EtcdMember {
                id: EtcdMemberId::new(0),
                name: host.node_name().to_owned(),
                peer_urls: vec![EtcdMember::peer_url(host.node_ip)],
                client_urls: Vec::new(),
                is_learner: false,
            },
            status: None,
            failure: None,
        });
    }
    later
}

/// Lets the new file be stored after `gone`.
fn keep_old_file(plan: &mut Plan, gone: impl Iterator<Item = StepId>) {
    let is_file = |step: &Step| matches!(step, Step::ApplyObjects(ApplyObjects { name, .. }) if name == CLUSTER_FILE_OBJECT);
    let Some(position) = plan.steps.iter().position(|it| is_file(&it.step)) else {
        return;
    };
    let mut file = plan.steps.remove(position);
    let mut needs: BTreeSet<StepId> = file.needs.drain(..).collect();
    needs.extend(gone);
    file.needs = needs.into_iter().collect();
    plan.steps.push(file);
}
