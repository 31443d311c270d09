//! Plans the removal of nodes: out of the cluster first, off the host then.

use std::collections::BTreeSet;
use std::path::Path;

use slipway_api::step::{
    EndContainers, ForgetUnits, RemovalScope, RemoveCgroups, RemovePods, StopUnit, UnmountBelow,
};
use slipway_api::{
    ClusterSpec, EtcdFacts, Facts, HostFacts, HostName, HostSpec, LeftOut, Phase, Plan, Role, Step,
    StepId, paths,
};

use crate::PlanError;
use crate::balancer::{self, has_balancer};
use crate::builder::PlanBuilder;
use crate::control_plane_hosts::{ControlPlaneHosts, has_control_plane};
use crate::departures::add_departures;
use crate::etcd_snapshots;
use crate::footprint::{self, CONTAINERD_UNIT, KUBELET_UNIT};
use crate::install::found_socket;
use crate::membership::belongs_to_cluster;
use crate::own_files;
use crate::plan_fixes::ROUTE_UNIT;

/// The unit and control group of all pods, where systemd is the cgroup driver.
const POD_SLICE: &str = "kubepods.slice";
/// The control group of all pods, where it is not.
const POD_CGROUP: &str = "kubepods";

/// Where containerd mounts what pods need.
const POD_MOUNTS: [&str; 2] = [
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io",
    "/run/containerd/io.containerd.grpc.v1.cri",
];

/// What is removed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The hosts.
    pub hosts: BTreeSet<HostName>,
    /// How long a drain may take, in seconds.
    pub drain_timeout_seconds: u64,
    /// Whether pods with emptyDir volumes may be evicted.
    pub delete_empty_dir_data: bool,
    /// Whether control-plane hosts go even if etcd loses its quorum with them.
    pub force_quorum_loss: bool,
}

/// Returns what takes the hosts of `removal` out of the cluster and Kubernetes off them.
///
/// A host that was not reached leaves the cluster all the same, and is left out
/// of the cleaning. `etcd` is as a member on a host that stays sees it.
///
/// # Errors
/// A host is not in the file, a control-plane host that stays is needed and was
/// not reached, the last control-plane node would leave workers behind, or etcd
/// would lose its quorum.
pub fn plan_removal(
    spec: &ClusterSpec,
    facts: &Facts,
    etcd: Option<&EtcdFacts>,
    removal: &Removal,
) -> Result<Plan, PlanError> {
    if let Some(host) = removal.hosts.iter().find(|host| spec.host(host).is_none()) {
        return Err(PlanError::UnknownHost { host: host.clone() });
    }
    let whole_cluster = spec
        .hosts
        .iter()
        .all(|host| removal.hosts.contains(&host.name));
    let mut builder = PlanBuilder::default();
    if whole_cluster {
        add_end(&mut builder, spec, facts)?;
    } else {
        let speaker = speaker(spec, facts, removal)?;
        add_departures(&mut builder, spec, facts, speaker, etcd, removal, &[])?;
    }
    let is_wanted = |it: &LeftOut| removal.hosts.contains(&it.host);
    let left_out = facts.unreached().filter(is_wanted).collect();
    Ok(asked_for(builder.finish(&spec.name, left_out)))
}

/// Adds the end of a whole cluster: with all of it going there is nowhere to
/// move pods to, and nobody to be asked.
fn add_end(builder: &mut PlanBuilder, spec: &ClusterSpec, facts: &Facts) -> Result<(), PlanError> {
    let mut workers_gone = Vec::new();
    for host in spec.hosts_with_role(Role::Worker) {
        workers_gone.extend(add_host_cleanup(builder, spec, facts, host, &[])?);
    }
    for host in spec.hosts_with_role(Role::ControlPlane) {
        add_host_cleanup(builder, spec, facts, host, &workers_gone)?;
    }
    Ok(())
}

/// Returns the control-plane host that stays and speaks for the cluster.
fn speaker<'a>(
    spec: &'a ClusterSpec,
    facts: &Facts,
    removal: &Removal,
) -> Result<&'a HostSpec, PlanError> {
    let stays = |host: &HostName| !removal.hosts.contains(host);
    let speaker = ControlPlaneHosts::speaker(spec, facts, stays);
    let mut staying = spec.hosts_with_role(Role::ControlPlane);
    let Some(first) = staying.find(|host| stays(&host.name)) else {
        return Err(PlanError::LastControlPlane {
            host: spec.first_control_plane().name.clone(),
        });
    };
    let speaker = speaker.ok_or_else(|| PlanError::HostNotReached {
        host: first.name.clone(),
    })?;
    let last = spec
        .hosts_with_role(Role::ControlPlane)
        .find(|host| !stays(&host.name) && has_control_plane(facts, host));
    match last {
        // Whoever stays and was reached has no control plane.
        Some(last) if !has_control_plane(facts, speaker) => {
            let is_lost = |host: &&HostSpec| stays(&host.name) && facts.host(&host.name).is_none();
            let lost = spec.hosts_with_role(Role::ControlPlane).find(is_lost);
            Err(match lost {
                Some(lost) => PlanError::HostNotReached {
                    host: lost.name.clone(),
                },
                None => PlanError::LastControlPlane {
                    host: last.name.clone(),
                },
            })
        }
        Some(_) | None => Ok(speaker),
    }
}

/// Returns what takes Kubernetes off `host` alone: nobody is asked to let the
/// node go, as where a worker is reset on itself, or a cluster of one node ends.
///
/// # Errors
/// The host was not reached, or belongs to another cluster.
pub fn plan_cleanup(spec: &ClusterSpec, facts: &Facts, host: &HostSpec) -> Result<Plan, PlanError> {
    if facts.host(&host.name).is_none() {
        return Err(PlanError::HostNotReached {
            host: host.name.clone(),
        });
    }
    let mut builder = PlanBuilder::default();
    add_host_cleanup(&mut builder, spec, facts, host, &[])?;
    Ok(asked_for(builder.finish(&spec.name, Vec::new())))
}

fn asked_for(mut plan: Plan) -> Plan {
    for step in &mut plan.steps {
        "asked for by reset".clone_into(&mut step.because);
    }
    plan
}

/// Adds the steps that clean one host, each after the other; returns the last, or
/// none where there is nothing of a cluster on the host or it was not reached.
pub(crate) fn add_host_cleanup(
    builder: &mut PlanBuilder,
    spec: &ClusterSpec,
    facts: &Facts,
    host: &HostSpec,
    needs: &[StepId],
) -> Result<Option<StepId>, PlanError> {
    let name = &host.name;
    let Some(host_facts) = facts.host(name) else {
        return Ok(None);
    };
    let existing = &host_facts.existing;
    match &existing.slipway_cluster {
        Some(other) if !belongs_to_cluster(spec, facts, name, existing) => {
            return Err(PlanError::OtherCluster {
                host: name.clone(),
                other: other.clone(),
                cluster: spec.name.clone(),
            });
        }
        // Nothing of Slipway's and no node: whatever is there is the user's, but what a reset
        // deletes last and one that was cut off did not.
        None if !existing.kubelet_conf && !existing.bootstrap_conf => {
            let last = existing.is_remembered.then_some(paths::BEFORE_DIR);
            let last = last.map(footprint::everything);
            return Ok(last.map(|step| builder.add(name, Phase::CleanupNode, step, needs)));
        }
        Some(_) | None => {}
    }
    let mut needs = needs.to_vec();
    let mut removals: Vec<(StepId, Vec<String>)> = Vec::new();
    // A kubelet that runs, as on a host that has just started, makes more of all that while
    // the plan is read and its node is drained.
    let mut kubelet_stopped: Option<StepId> = None;
    for step in cleanup(spec, host, host_facts) {
        let mut after: Vec<StepId> = match looked_at_again(&step) {
            None => Vec::new(),
            Some(folder) => {
                let is_below = |path: &String| Path::new(path).starts_with(folder);
                let touching = removals
                    .iter()
                    .filter(|(_, paths)| paths.iter().any(is_below));
                touching.map(|(id, _)| id.clone()).collect()
            }
        };
        if is_made_by_kubelet(&step) {
            after.extend(kubelet_stopped.clone());
        }
        let paths = removed_paths(&step);
        let id = builder.add_rerun(name, Phase::CleanupNode, step, &needs, &after);
        kubelet_stopped.get_or_insert_with(|| id.clone());
        removals.push((id.clone(), paths));
        needs = vec![id];
    }
    Ok(needs.pop())
}

/// Returns whether a step takes away what a kubelet and its pods make as long as they run.
fn is_made_by_kubelet(step: &Step) -> bool {
    matches!(step, Step::StopUnit(step) if step.unit == POD_SLICE)
        || matches!(
            step,
            Step::RemovePods(_)
                | Step::EndContainers(_)
                | Step::UnmountBelow(_)
                | Step::RemoveCgroups(_)
                | Step::RemoveNamespaces(_)
                | Step::RemoveLinks(_)
                | Step::RemoveRules(_)
        )
}

/// Returns the folder below which files must be gone before a step can tell
/// whether it has anything to do.
fn looked_at_again(step: &Step) -> Option<&str> {
    if let Step::ForgetUnits(_) = step {
        return Some(paths::UNIT_DIR);
    }
    let Step::RemovePath(step) = step else {
        return None;
    };
    (step.scope == RemovalScope::EmptyFolders).then_some(&step.path)
}

fn removed_paths(step: &Step) -> Vec<String> {
    if let Step::RemovePath(step) = step {
        return vec![step.path.clone()];
    }
    let Step::RemoveFiles(step) = step else {
        return Vec::new();
    };
    let path = |name: &String| format!("{}/{name}", step.folder);
    step.names.iter().map(path).collect()
}

/// Returns everything that a host loses, in order.
fn cleanup(spec: &ClusterSpec, host: &HostSpec, facts: &HostFacts) -> Vec<Step> {
    let existing = &facts.existing;
    let stop = |unit: &str| {
        Step::StopUnit(StopUnit {
            unit: unit.to_owned(),
        })
    };
    let unmount = |path: &str| {
        Step::UnmountBelow(UnmountBelow {
            path: path.to_owned(),
        })
    };
    let socket = found_socket(facts);
    let mut steps = vec![
        stop(KUBELET_UNIT),
        Step::RemovePods(RemovePods {
            socket: socket.clone(),
            unit: existing.runtime_is_ours.then(|| CONTAINERD_UNIT.to_owned()),
            keeps_static: false,
        }),
        unmount(paths::KUBELET_DIR),
    ];
    if existing.runtime_is_ours {
        steps.push(stop(CONTAINERD_UNIT));
        steps.push(Step::EndContainers(EndContainers { socket }));
        steps.push(unmount(paths::CONTAINERD_RUN_DIR));
        steps.push(unmount(paths::CONTAINERD_DIR));
    } else if facts.runtime.is_none() {
        // Somebody took the runtime away and left its pods.
        steps.extend(POD_MOUNTS.map(unmount));
    }
    steps.push(stop(POD_SLICE));
    steps.push(Step::RemoveCgroups(RemoveCgroups {
        names: [POD_SLICE, POD_CGROUP].map(str::to_owned).to_vec(),
    }));
    steps.extend(footprint::network_state());
    let placed = existing.placed_files.iter();
    steps.extend(placed.map(|path| own_files::withdrawal(path)));
    steps.extend(footprint::node_files(spec, host.role, existing));
    steps.extend(footprint::network_files());
    // The file may have changed since: what is there goes, and what it says.
    if existing.balancer || has_balancer(spec, host.role) {
        steps.extend(balancer::removal());
    }
    if existing.snapshot_timer {
        steps.extend(etcd_snapshots::removal());
    }
    // The route that `preflight --fix` may have added goes with its unit.
    steps.push(stop(ROUTE_UNIT));
    if existing.slipway_cluster.is_some() {
        steps.extend(footprint::installed_files(spec, host.role, existing));
    }
    steps.extend(footprint::network_folders());
    let mut units = vec![KUBELET_UNIT.to_owned()];
    if existing.runtime_is_ours {
        units.push(CONTAINERD_UNIT.to_owned());
    }
    units.push(ROUTE_UNIT.to_owned());
    steps.push(Step::ForgetUnits(ForgetUnits { units }));
    steps.extend(footprint::node_marks());
    // The marker goes after everything that it answers for: until then the host
    // still counts as this cluster's. The record of what was before goes last,
    // for without it files that were put back would look like Slipway's.
    let last = [
        paths::RUN_STATE_DIR,
        paths::KEPT_DIR,
        paths::PENDING_DIR,
        paths::ETCD_STATE_DIR,
        paths::CLUSTER_FILE,
        paths::BLOB_DIR,
        paths::PLACED_FILES,
        paths::RUNTIME_MARKER,
        paths::CLUSTER_MARKER,
        paths::BEFORE_DIR,
    ];
    steps.extend(last.map(footprint::everything));
    steps
}
