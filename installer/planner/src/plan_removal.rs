//! Plans the removal of nodes: out of the cluster first, off the host then.

use std::collections::BTreeSet;

use slipway_api::step::{
    DeleteNode, DrainNode, RemoveLinks, RemovePath, RemovePods, RemoveRules, StopUnit, UnmountBelow,
};
use slipway_api::{
    ClusterSpec, Etcd, Facts, HostName, HostSpec, LeftOut, Phase, Plan, Role, Step, StepId, paths,
};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::leftovers::{POD_NETWORK_LINKS, POD_NETWORK_PATHS};

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

/// Files and folders that go, in order. The runtime and its images go too
/// where Slipway installed it; an adopted one stays.
const PATHS: [&str; 11] = [
    paths::KUBERNETES_DIR,
    "/etc/systemd/system/kubelet.service",
    "/etc/systemd/system/kubelet.service.d",
    "/usr/local/bin/kubelet",
    paths::MODULES_FILE,
    paths::SYSCTL_FILE,
    "/var/log/pods",
    "/var/log/containers",
    paths::PENDING_DIR,
    paths::CLUSTER_FILE,
    paths::BLOB_DIR,
];

/// What only a control-plane node has.
const CONTROL_PLANE_PATHS: [&str; 2] = ["/usr/local/bin/kubeadm", "/usr/local/bin/kubectl"];

/// Folders that may be mount points: their content goes, they stay.
const FOLDERS: [&str; 2] = [paths::ETCD_DIR, paths::KUBELET_DIR];

/// What goes with a runtime that Slipway installed.
const RUNTIME_PATHS: [&str; 10] = [
    paths::CNI_BIN_DIR,
    paths::CNI_CONF_DIR,
    "/etc/systemd/system/containerd.service",
    "/usr/local/bin/containerd",
    "/usr/local/bin/containerd-shim-runc-v2",
    "/usr/local/bin/ctr",
    "/usr/local/bin/runc",
    "/etc/containerd",
    "/var/lib/containerd",
    "/run/containerd",
];

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
    if removal.hosts.contains(&first.name) && !whole_cluster {
        return Err(PlanError::LastControlPlane {
            host: first.name.clone(),
        });
    }
    if !whole_cluster && facts.host(&first.name).is_none() {
        return Err(PlanError::HostNotReached {
            host: first.name.clone(),
        });
    }
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
                add_node_removal(&mut builder, &first.name, host, removal, is_reached)
            }
            Role::Worker if has_control_plane(facts, first) => {
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
            unit: "kubelet.service".to_owned(),
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
        Some(other) if *other != spec.name => {
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
    let runtime_is_ours = existing.runtime_is_ours;
    let socket = host_facts.runtime.as_ref().map_or_else(
        || paths::CONTAINERD_SOCKET.to_owned(),
        |runtime| runtime.socket.clone(),
    );
    let remove = |path: &str, keep_folder| {
        Step::RemovePath(RemovePath {
            path: path.to_owned(),
            keep_folder,
        })
    };
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
    let mut steps = vec![
        stop("kubelet.service"),
        Step::RemovePods(RemovePods { socket }),
        unmount(paths::KUBELET_DIR),
    ];
    if runtime_is_ours {
        steps.push(stop("containerd.service"));
        steps.push(unmount("/run/containerd"));
        steps.push(unmount("/var/lib/containerd"));
    }
    let links = POD_NETWORK_LINKS
        .into_iter()
        .chain(["kube-ipvs0", "nodelocaldns"]);
    steps.push(Step::RemoveLinks(RemoveLinks {
        links: links.map(str::to_owned).collect(),
    }));
    let prefixes = ["KUBE-", "CNI-", "FLANNEL-"].map(str::to_owned);
    steps.push(Step::RemoveRules(RemoveRules {
        chain_prefixes: prefixes.to_vec(),
    }));
    steps.extend(FOLDERS.iter().map(|path| remove(path, true)));
    let paths = PATHS.iter().chain(&POD_NETWORK_PATHS);
    steps.extend(paths.map(|path| remove(path, false)));
    if let (Role::ControlPlane, Etcd::Local(etcd)) = (host.role, &spec.cluster_configuration.etcd)
        && etcd.data_dir != paths::ETCD_DIR
    {
        steps.push(remove(&etcd.data_dir, true));
    }
    if host.role == Role::ControlPlane {
        steps.extend(CONTROL_PLANE_PATHS.iter().map(|path| remove(path, false)));
    }
    if runtime_is_ours {
        steps.extend(RUNTIME_PATHS.iter().map(|path| remove(path, false)));
        steps.push(remove(paths::RUNTIME_MARKER, false));
    }
    // Last: until then the host still counts as this cluster's.
    steps.push(remove(paths::CLUSTER_MARKER, false));

    let mut needs = needs.to_vec();
    for step in steps {
        needs = vec![builder.add(name, Phase::CleanupNode, step, &needs)];
    }
    Ok(needs.pop())
}
