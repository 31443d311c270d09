//! Plans the removal of nodes: out of the cluster first, off the host then.

use std::collections::BTreeSet;
use std::path::Path;

use slipway_api::step::{
    DeleteNode, DrainNode, EndContainers, ForgetUnits, RemovalScope, RemoveCgroups, RemovePods,
    StopUnit, UnmountBelow,
};
use slipway_api::{
    ClusterSpec, Facts, HostFacts, HostName, HostSpec, LeftOut, Phase, Plan, Role, Step, StepId,
    paths,
};

use crate::PlanError;
use crate::balancer::{BALANCER_UNIT, has_balancer};
use crate::builder::PlanBuilder;
use crate::control_plane_hosts::ControlPlaneHosts;
use crate::footprint::{self, CONTAINERD_UNIT, KUBELET_UNIT};
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
}

/// Returns what takes the hosts of `removal` out of the cluster and Kubernetes off them.
///
/// A host that was not reached leaves the cluster all the same, and is left out
/// of the cleaning.
///
/// # Errors
/// A host is not in the file, the control-plane host is needed and was not
/// reached, or the only control-plane node would leave workers behind.
pub fn plan_removal(
    spec: &ClusterSpec,
    facts: &Facts,
    removal: &Removal,
) -> Result<Plan, PlanError> {
    if let Some(host) = removal.hosts.iter().find(|host| spec.host(host).is_none()) {
        return Err(PlanError::UnknownHost { host: host.clone() });
    }
    let first = spec.first_control_plane();
    let whole_cluster = spec
        .hosts
        .iter()
        .all(|host| removal.hosts.contains(&host.name));
    if !whole_cluster {
        refuse_control_planes(spec, removal)?;
    }
    let control_plane = ControlPlaneHosts::speaker(spec, facts);
    if !whole_cluster && control_plane.is_none() {
        return Err(PlanError::HostNotReached {
            host: first.name.clone(),
        });
    }
    let control_plane = control_plane.unwrap_or(first);
    let mut builder = PlanBuilder::default();
    let mut workers_gone = Vec::new();
    // Workers first: the control plane is needed to let them go.
    let workers = spec.hosts_with_role(Role::Worker);
    for host in workers.chain(spec.hosts_with_role(Role::ControlPlane)) {
        if !removal.hosts.contains(&host.name) {
            continue;
        }
        let needs = match host.role {
            // With the whole cluster going there is nowhere to move pods to.
            Role::Worker if whole_cluster => Vec::new(),
            Role::Worker if facts.cluster.is_some() => {
                let is_reached = facts.host(&host.name).is_some();
                let name = &control_plane.name;
                add_node_removal(&mut builder, name, host, removal, is_reached)
            }
            Role::Worker if has_control_plane(facts, control_plane) => {
                return Err(PlanError::ApiDown {
                    host: host.name.clone(),
                });
            }
            Role::Worker => Vec::new(),
            Role::ControlPlane => workers_gone.clone(),
        };
        workers_gone.extend(add_host_cleanup(&mut builder, spec, facts, host, &needs)?);
    }
    let is_wanted = |it: &LeftOut| removal.hosts.contains(&it.host);
    let left_out = facts.unreached().filter(is_wanted).collect();
    Ok(asked_for(builder.finish(&spec.name, left_out)))
}

/// Refuses to take control-plane hosts away from a cluster that goes on.
fn refuse_control_planes(spec: &ClusterSpec, removal: &Removal) -> Result<(), PlanError> {
    let all: Vec<&HostName> = spec
        .hosts_with_role(Role::ControlPlane)
        .map(|host| &host.name)
        .collect();
    let leaving = all.iter().find(|host| removal.hosts.contains(**host));
    match leaving {
        None => Ok(()),
        Some(host) if all.iter().all(|host| removal.hosts.contains(*host)) => {
            Err(PlanError::LastControlPlane {
                host: (*host).clone(),
            })
        }
        // Wiped without leaving etcd first, it would take a vote with it.
        Some(host) => Err(PlanError::EtcdMember {
            host: (*host).clone(),
        }),
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

fn add_node_removal(
    builder: &mut PlanBuilder,
    control_plane: &HostName,
    host: &HostSpec,
    removal: &Removal,
    is_reached: bool,
) -> Vec<StepId> {
    let node_name = host.node_name().to_owned();
    let drain = Step::DrainNode(DrainNode {
        node_name: node_name.clone(),
        timeout_seconds: removal.drain_timeout_seconds,
        delete_empty_dir_data: removal.delete_empty_dir_data,
    });
    let mut before = builder.add(control_plane, Phase::RemoveNode, drain, &[]);
    if is_reached {
        // The kubelet must be silent first, or it registers its node again.
        let kubelet = Step::StopUnit(StopUnit {
            unit: KUBELET_UNIT.to_owned(),
        });
        before = builder.add(&host.name, Phase::RemoveNode, kubelet, &[before]);
    }
    let delete = Step::DeleteNode(DeleteNode { node_name });
    vec![builder.add(control_plane, Phase::RemoveNode, delete, &[before])]
}

/// Returns whether a host is a control-plane node, its API server up or down.
fn has_control_plane(facts: &Facts, host: &HostSpec) -> bool {
    facts
        .host(&host.name)
        .is_some_and(|facts| facts.existing.admin_conf)
}

/// Adds the steps that clean one host, each after the other; returns the last, or
/// none where there is nothing of a cluster on the host or it was not reached.
fn add_host_cleanup(
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
        // Nothing of Slipway's and no node: whatever is there is the user's.
        None if !existing.kubelet_conf => return Ok(None),
        Some(_) | None => {}
    }
    let mut needs = needs.to_vec();
    let mut removals: Vec<(StepId, Vec<String>)> = Vec::new();
    for step in cleanup(spec, host, host_facts) {
        let after: Vec<StepId> = match looked_at_again(&step) {
            None => Vec::new(),
            Some(folder) => {
                let is_below = |path: &String| Path::new(path).starts_with(folder);
                let touching = removals
                    .iter()
                    .filter(|(_, paths)| paths.iter().any(is_below));
                touching.map(|(id, _)| id.clone()).collect()
            }
        };
        let paths = removed_paths(&step);
        let id = builder.add_rerun(name, Phase::CleanupNode, step, &needs, &after);
        removals.push((id.clone(), paths));
        needs = vec![id];
    }
    Ok(needs.pop())
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
    let socket = facts.runtime.as_ref().map_or_else(
        || paths::CONTAINERD_SOCKET.to_owned(),
        |runtime| runtime.socket.clone(),
    );
    let mut steps = vec![
        stop(KUBELET_UNIT),
        Step::RemovePods(RemovePods {
            socket: socket.clone(),
            unit: existing.runtime_is_ours.then(|| CONTAINERD_UNIT.to_owned()),
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
    steps.extend(footprint::node_files(spec, host.role));
    steps.extend(footprint::network_files());
    if has_balancer(spec, host.role) {
        steps.push(stop(BALANCER_UNIT));
        steps.push(footprint::everything(paths::APISERVER_PROXY_DIR));
    }
    // The route that `preflight --fix` may have added goes with its unit.
    steps.push(stop(ROUTE_UNIT));
    if existing.slipway_cluster.is_some() {
        let with_runtime = existing.runtime_is_ours;
        steps.extend(footprint::installed_files(spec, host.role, with_runtime));
    }
    steps.extend(footprint::network_folders());
    let mut units = vec![KUBELET_UNIT.to_owned()];
    if existing.runtime_is_ours {
        units.push(CONTAINERD_UNIT.to_owned());
    }
    units.push(ROUTE_UNIT.to_owned());
    if has_balancer(spec, host.role) {
        units.push(BALANCER_UNIT.to_owned());
    }
    steps.push(Step::ForgetUnits(ForgetUnits { units }));
    steps.extend(footprint::node_marks());
    // The marker goes after everything that it answers for: until then the host
    // still counts as this cluster's. The record of what was before goes last,
    // for without it files that were put back would look like Slipway's.
    let last = [
        paths::RUN_STATE_DIR,
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
