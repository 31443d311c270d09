//! Plans a change of nodes that serve: one after the other, each with its way back.

use std::collections::{BTreeMap, BTreeSet};

use slipway_api::step::{
    Condition, DrainNode, ForgetKept, KeepNode, SnapshotEtcd, StageBlobs, UncordonNode, WaitFor,
    WriteFile,
};
use slipway_api::{
    BundleManifest, ClusterSpec, Etcd, Facts, HostName, HostSpec, LeftOut, Phase, Plan,
    PlannedStep, Role, Sha256Digest, Step, StepId, paths,
};

use crate::PlanError;
use crate::addons::shown_file;
use crate::builder::PlanBuilder;
use crate::components::startup_timeout;
use crate::control_plane::COMPONENT_TIMEOUT;
use crate::control_plane_hosts::{ControlPlaneHosts, is_established};
use crate::plan_cluster::{Scope, add_cluster};
use crate::supply::Supply;
use crate::upgrade_stage::{NodeStage, Stage, stage_of};
use crate::way_back::way_back;
use crate::written_paths::written_paths;

/// How nodes are taken out of service and changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeOptions {
    /// Whether workers change too, or the control plane alone.
    pub workers: bool,
    /// How many workers are away at a time.
    pub max_unavailable: usize,
    /// Whether certificates are renewed on nodes that get another version.
    pub renews_certificates: bool,
    /// How long the drain of one node may take, in seconds.
    pub drain_timeout_seconds: u64,
    /// Whether pods with emptyDir volumes may be evicted.
    pub delete_empty_dir_data: bool,
    /// The host that keeps the only cluster file there is, where no other is.
    pub kept_file_on: Option<HostName>,
}

impl Default for UpgradeOptions {
    fn default() -> Self {
        Self {
            workers: true,
            max_unavailable: 1,
            renews_certificates: true,
            drain_timeout_seconds: 300,
            delete_empty_dir_data: false,
            kept_file_on: None,
        }
    }
}

/// How many snapshots of etcd from before upgrades are kept.
const SNAPSHOTS: u16 = 3;
/// How old the one from before an upgrade may be, in seconds: a run that goes on takes no other.
const FRESH: u64 = 3600;

/// Returns the steps that bring every node that is there to what the file says, while the
/// cluster serves: everything is on the hosts before the first interruption, and etcd's data in
/// a snapshot; then the control-plane nodes change one by one, what lives in the cluster after
/// the last of them, and the workers at last. Hosts that are no nodes yet are not touched.
///
/// # Errors
/// As [`plan_cluster`](crate::plan_cluster).
pub fn plan_upgrade(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: &BundleManifest,
    options: &UpgradeOptions,
) -> Result<Plan, PlanError> {
    let nodes = nodes_of(spec, facts, options);
    let names: BTreeSet<HostName> = nodes.iter().map(|host| host.name.clone()).collect();
    let speaker = ControlPlaneHosts::of(spec, facts)?.lead.name.clone();
    let mut builder = PlanBuilder::default();
    let supply = Supply::Upgrade {
        manifest,
        renews: options.renews_certificates,
    };
    let mut all_names = names.clone();
    all_names.insert(speaker.clone());
    let scope = Scope::Hosts(all_names);
    let (_, left_out) = add_cluster(&mut builder, spec, facts, supply, &scope, &[])?;
    let desired = builder.finish(&spec.name, Vec::new());
    let mut upgrade = Upgrade {
        spec,
        facts,
        options,
        speaker,
        parts: sorted(desired.steps, spec),
        plan: Plan {
            cluster: spec.name.clone(),
            left_out: all_left_out(left_out, facts, spec, options),
            ..Plan::default()
        },
    };
    upgrade.add_all(&nodes);
    Ok(upgrade.plan)
}

/// Returns the hosts that are nodes, in the order in which they change.
fn nodes_of<'a>(
    spec: &'a ClusterSpec,
    facts: &Facts,
    options: &UpgradeOptions,
) -> Vec<&'a HostSpec> {
    let is_worker = |host: &&HostSpec| {
        options.workers
            && facts
                .host(&host.name)
                .is_some_and(|it| it.existing.kubelet_conf)
    };
    let control_planes = spec.hosts_with_role(Role::ControlPlane);
    let workers = spec.hosts_with_role(Role::Worker).filter(is_worker);
    control_planes
        .filter(|host| is_established(facts, &host.name))
        .chain(workers)
        .collect()
}

/// Returns the hosts that are not reached and would change.
fn all_left_out(
    found: Vec<LeftOut>,
    facts: &Facts,
    spec: &ClusterSpec,
    options: &UpgradeOptions,
) -> Vec<LeftOut> {
    let mut all = found;
    let is_meant = |host: &HostName| {
        let role = spec.host(host).map(|host| host.role);
        role == Some(Role::ControlPlane) || (options.workers && role == Some(Role::Worker))
    };
    for left in facts.unreached().filter(|it| is_meant(&it.host)) {
        if all.iter().all(|it| it.host != left.host) {
            all.push(left);
        }
    }
    all
}

/// Steps by stage, and of a node's stages by node.
type Parts = BTreeMap<(Option<HostName>, Stage), Vec<PlannedStep>>;

fn sorted(steps: Vec<PlannedStep>, spec: &ClusterSpec) -> Parts {
    let mut parts = Parts::new();
    for planned in steps {
        let stage = stage_of(&planned);
        let node = match stage {
            Stage::Node(_) => Some(node_of(&planned, spec)),
            Stage::Staging | Stage::Before | Stage::Cluster => None,
        };
        parts.entry((node, stage)).or_default().push(planned);
    }
    parts
}

/// Returns the host whose node a step is about, which may run elsewhere.
fn node_of(planned: &PlannedStep, spec: &ClusterSpec) -> HostName {
    let name = if let Step::MarkNode(step) = &planned.step {
        Some(&step.node_name)
    } else if let Step::WaitFor(step) = &planned.step
        && let Condition::NodeRegistered { node } | Condition::NodeReady { node } = &step.condition
    {
        Some(node)
    } else {
        None
    };
    let host = name.and_then(|name| spec.hosts.iter().find(|it| it.node_name() == name));
    host.map_or_else(|| planned.host.clone(), |host| host.name.clone())
}

/// An upgrade that is being planned.
struct Upgrade<'a> {
    spec: &'a ClusterSpec,
    facts: &'a Facts,
    options: &'a UpgradeOptions,
    speaker: HostName,
    parts: Parts,
    plan: Plan,
}

impl Upgrade<'_> {
    fn add_all(&mut self, nodes: &[&HostSpec]) {
        let mut staging = self.take(None, Stage::Staging);
        staging.extend(self.staged_blobs());
        let staged = self.add_stage(staging, &[]);
        let mut before = self.take(None, Stage::Before);
        let snapshot = self.snapshot(nodes);
        before.extend(snapshot);
        let mut last = self.add_stage(before, &staged);
        let of_role = |role| nodes.iter().filter(move |host| host.role == role);
        for host in of_role(Role::ControlPlane) {
            last = self.add_node(host, &last);
        }
        let mut cluster = self.take(None, Stage::Cluster);
        // Addons run on workers too, which have neither come to this version nor have its images.
        cluster.retain(|it| self.options.workers || it.phase != Phase::Addon);
        if let Some(host) = &self.options.kept_file_on {
            let file = WriteFile::new(paths::CLUSTER_FILE, 0o600, shown_file(self.spec));
            let file = Step::WriteFile(file);
            cluster.push(self.new_step(host, Phase::UploadConfig, file));
        }
        last = self.add_stage(cluster, &last);
        // Each waits for the one that begins so many before it.
        let width = self.options.max_unavailable.max(1);
        let mut ends: Vec<Vec<StepId>> = Vec::new();
        for host in of_role(Role::Worker) {
            let gate = ends.len().checked_sub(width).map(|index| &ends[index]);
            let gate = gate.unwrap_or(&last).clone();
            let end = self.add_node(host, &gate);
            ends.push(end);
        }
    }

    fn take(&mut self, node: Option<&HostName>, stage: Stage) -> Vec<PlannedStep> {
        self.parts
            .remove(&(node.cloned(), stage))
            .unwrap_or_default()
    }

    /// Adds steps that begin once `before` is done; returns those that others wait for.
    fn add_stage(&mut self, steps: Vec<PlannedStep>, before: &[StepId]) -> Vec<StepId> {
        if steps.is_empty() {
            return before.to_vec();
        }
        let own: BTreeSet<StepId> = steps.iter().map(|it| it.id.clone()).collect();
        let placed: BTreeSet<StepId> = self.plan.steps.iter().map(|it| it.id.clone()).collect();
        let mut ends = own.clone();
        for mut planned in steps {
            let is_known = |id: &StepId| own.contains(id) || placed.contains(id);
            planned.reruns_after.retain(is_known);
            planned.needs.extend(planned.reruns_after.iter().cloned());
            planned.needs.retain(|id| own.contains(id));
            planned.needs.sort();
            planned.needs.dedup();
            if planned.needs.is_empty() {
                planned.needs = before.to_vec();
            }
            for id in &planned.needs {
                ends.remove(id);
            }
            self.plan.steps.push(planned);
        }
        ends.into_iter().collect()
    }

    /// Adds one node's change after `before`; returns what the next waits for.
    fn add_node(&mut self, host: &HostSpec, before: &[StepId]) -> Vec<StepId> {
        let mut stages = self.stages_of(host);
        let guarded: Vec<PlannedStep> = stages
            .iter()
            .filter(|(stage, _)| stage.is_guarded())
            .flat_map(|(_, steps)| steps.clone())
            .collect();
        let upgrade = name_of(self.spec, &guarded);
        let changing: Vec<StepId> = guarded
            .iter()
            .filter(|it| is_change(&it.step))
            .map(|it| it.id.clone())
            .collect();
        let keep = Step::KeepNode(KeepNode {
            upgrade: upgrade.clone(),
            paths: kept_paths(&guarded),
        });
        let mut keep = self.new_step(&host.name, Phase::PrepareUpgrade, keep);
        keep.only_with = changing;
        let after = stages.entry(NodeStage::After).or_default();
        let forget = Step::ForgetKept(ForgetKept {});
        let mut forget = self.new_step(&host.name, Phase::NodeReady, forget);
        // There is nothing to forget yet when the plan is made.
        forget.reruns_after = vec![keep.id.clone()];
        after.push(forget);
        stages.insert(NodeStage::Keep, vec![keep]);
        self.plan
            .ways_back
            .push(way_back(host, &upgrade, &self.speaker, &guarded));
        let mut last = before.to_vec();
        for steps in stages.into_values() {
            last = self.add_stage(steps, &last);
        }
        last
    }

    /// Returns the stages of a node's change, those that no plan has but an upgrade's among them.
    fn stages_of(&mut self, host: &HostSpec) -> BTreeMap<NodeStage, Vec<PlannedStep>> {
        let own = Some(host.name.clone());
        let is_own = |(node, stage): &(Option<HostName>, Stage)| match stage {
            Stage::Node(stage) if *node == own => Some(*stage),
            Stage::Node(_) | Stage::Staging | Stage::Before | Stage::Cluster => None,
        };
        let found: Vec<NodeStage> = self.parts.keys().filter_map(is_own).collect();
        let mut stages: BTreeMap<NodeStage, Vec<PlannedStep>> = BTreeMap::new();
        for stage in found {
            stages.insert(stage, self.take(Some(&host.name), Stage::Node(stage)));
        }
        let kubelet = stages.get(&NodeStage::Kubelet).into_iter().flatten();
        let runtime = stages.get(&NodeStage::Runtime).into_iter().flatten();
        let is_kubelet = |it: &&PlannedStep| matches!(&it.step, Step::InstallBlob(step) if step.name == "kubelet");
        let emptying: Vec<StepId> = kubelet
            .clone()
            .filter(is_kubelet)
            .chain(runtime.filter(|it| !matches!(it.step, Step::PlaceFile(_))))
            .map(|it| it.id.clone())
            .collect();
        let units: Vec<StepId> = kubelet
            .filter(|it| matches!(it.step, Step::EnsureUnit(_)))
            .map(|it| it.id.clone())
            .collect();
        if host.role == Role::ControlPlane {
            self.add_health(host, &mut stages);
            let mut settled = self.new_step(&host.name, Phase::WaitControlPlane, settled());
            settled.reruns_after.clone_from(&units);
            stages.insert(NodeStage::Settled, vec![settled]);
        }
        let node = host.node_name().to_owned();
        let speaker = self.speaker.clone();
        if self.has_room_beside(host) {
            let drain = Step::DrainNode(DrainNode {
                node_name: node.clone(),
                timeout_seconds: self.options.drain_timeout_seconds,
                delete_empty_dir_data: self.options.delete_empty_dir_data,
                comes_back: true,
            });
            let mut drain = self.new_step(&speaker, Phase::DrainNode, drain);
            drain.only_with = emptying;
            stages.insert(NodeStage::Drain, vec![drain]);
        }
        let upgraded = Step::WaitFor(WaitFor {
            condition: Condition::NodeUpgraded {
                node: node.clone(),
                version: self.spec.kubernetes_version.to_string(),
            },
            timeout_seconds: u64::from(startup_timeout(self.spec)),
            awaited: (speaker != host.name).then(|| host.name.clone()),
            fails_fast: false,
            steady_seconds: 0,
        });
        let mut upgraded = self.new_step(&speaker, Phase::NodeReady, upgraded);
        upgraded.reruns_after = units;
        stages.insert(NodeStage::Ready, vec![upgraded]);
        let uncordon = Step::UncordonNode(UncordonNode { node_name: node });
        let mut uncordon = self.new_step(&speaker, Phase::NodeReady, uncordon);
        // Nor is anything cordoned yet.
        let drains = stages.get(&NodeStage::Drain).into_iter().flatten();
        uncordon.reruns_after = drains.map(|it| it.id.clone()).collect();
        stages.insert(NodeStage::Uncordon, vec![uncordon]);
        stages
    }

    /// Adds the waits for each component that runs anew, and lets all of them tell at once when
    /// it does not come up.
    fn add_health(&self, host: &HostSpec, stages: &mut BTreeMap<NodeStage, Vec<PlannedStep>>) {
        for (stage, condition) in [
            (NodeStage::EtcdRuns, Condition::EtcdHealthy),
            (NodeStage::ApiServerRuns, Condition::ApiServerReady),
            (
                NodeStage::ControllerManagerRuns,
                Condition::ControllerManagerHealthy,
            ),
            (NodeStage::SchedulerRuns, Condition::SchedulerHealthy),
        ] {
            let Some(steps) = stages.get_mut(&stage) else {
                continue;
            };
            let is_pod = |it: &&PlannedStep| matches!(it.step, Step::EnsureStaticPod(_));
            let pods: Vec<StepId> = steps
                .iter()
                .filter(is_pod)
                .map(|it| it.id.clone())
                .collect();
            let wait = Step::WaitFor(WaitFor {
                condition: condition.clone(),
                timeout_seconds: u64::from(startup_timeout(self.spec)),
                awaited: None,
                fails_fast: true,
                steady_seconds: 0,
            });
            let mut wait = self.new_step(&host.name, Phase::WaitControlPlane, wait);
            wait.reruns_after = pods;
            steps.retain(|it| it.id != wait.id);
            steps.push(wait);
        }
    }

    /// Returns whether another node can take the pods of a host's.
    fn has_room_beside(&self, host: &HostSpec) -> bool {
        let nodes = self.facts.cluster.iter().flat_map(|it| &it.nodes);
        let mut others = nodes.filter(|it| it.name != host.node_name());
        others.any(|node| {
            let of_file = self
                .spec
                .hosts
                .iter()
                .find(|it| it.node_name() == node.name);
            let is_tainted = of_file.is_some_and(|it| match (&it.taints, it.role) {
                (Some(taints), _) => !taints.is_empty(),
                (None, role) => role == Role::ControlPlane,
            });
            // What runs on a control-plane node endures its taint.
            node.ready && (host.role == Role::ControlPlane || !is_tainted)
        })
    }

    /// Returns the steps that bring what is installed later, one for each host.
    fn staged_blobs(&self) -> Vec<PlannedStep> {
        let mut by_host: BTreeMap<&HostName, (StageBlobs, Vec<StepId>)> = BTreeMap::new();
        let node_steps = self.parts.iter().filter(|((node, _), _)| node.is_some());
        for planned in node_steps.flat_map(|(_, steps)| steps) {
            let name = if let Step::InstallBlob(step) = &planned.step {
                format!("{} {}", step.name, step.version)
            } else if let Step::UnpackArchive(step) = &planned.step {
                format!("{} {}", step.name, step.version)
            } else {
                continue;
            };
            let empty = || StageBlobs {
                names: Vec::new(),
                blobs: Vec::new(),
            };
            let entry = by_host.entry(&planned.host);
            let (stage, installs) = entry.or_insert_with(|| (empty(), Vec::new()));
            for blob in planned.step.blobs() {
                stage.names.push(name.clone());
                stage.blobs.push(blob);
            }
            installs.push(planned.id.clone());
        }
        let steps = by_host.into_iter().map(|(host, (stage, installs))| {
            let stage = Step::StageBlobs(stage);
            let mut planned = self.new_step(host, Phase::PrepareUpgrade, stage);
            planned.only_with = installs;
            planned
        });
        steps.collect()
    }

    /// Returns the snapshot of etcd before a control plane changes; none where etcd is somebody
    /// else's.
    fn snapshot(&self, nodes: &[&HostSpec]) -> Option<PlannedStep> {
        let Etcd::Local(_) = self.spec.cluster_configuration.etcd else {
            return None;
        };
        let speaker = nodes.iter().find(|host| host.name == self.speaker)?;
        let snapshot = Step::SnapshotEtcd(SnapshotEtcd {
            cluster: self.spec.name.clone(),
            dir: format!("{}/upgrades", paths::SNAPSHOT_DIR),
            keep: SNAPSHOTS,
            fresh_seconds: FRESH,
        });
        let mut planned = self.new_step(&speaker.name, Phase::PrepareUpgrade, snapshot);
        let control_plane = |host: &HostName| {
            let mut nodes = nodes.iter().filter(|it| it.role == Role::ControlPlane);
            nodes.any(|it| it.name == *host)
        };
        let changes = self.parts.values().flatten().filter(|it| {
            control_plane(&it.host) && matches!(stage_of(it), Stage::Node(_)) && is_change(&it.step)
        });
        planned.only_with = changes.map(|it| it.id.clone()).collect();
        Some(planned)
    }

    fn new_step(&self, host: &HostName, phase: Phase, step: Step) -> PlannedStep {
        PlannedStep {
            id: StepId::of(host, phase, &step),
            host: host.clone(),
            phase,
            step,
            needs: Vec::new(),
            reruns_after: Vec::new(),
            only_with: Vec::new(),
            because: "nodes are about to change".to_owned(),
        }
    }
}

/// Returns the wait for a control plane under a kubelet that has just started.
///
/// A kubelet of another minor takes static Pods for new ones, since a Pod's hash covers fields
/// that only one of the two knows (`applyDefaults` in `pkg/kubelet/config/common.go`): it ends
/// them all and starts them again, a second or two after it says that it is healthy.
pub(crate) fn settled() -> Step {
    Step::WaitFor(WaitFor {
        condition: Condition::ControlPlaneHealthy,
        timeout_seconds: COMPONENT_TIMEOUT,
        awaited: None,
        fails_fast: false,
        steady_seconds: STEADY,
    })
}

/// For how long a control plane must be healthy before it counts as settled, in seconds.
const STEADY: u64 = 8;

/// Returns whether a step changes its host, rather than waiting or looking.
fn is_change(step: &Step) -> bool {
    !written_paths(step).is_empty()
        || matches!(
            step,
            Step::EnsureUnit(_) | Step::EnsureStaticPod(_) | Step::UnpackArchive(_)
        )
}

/// Returns what names a node's change: the same for the same change, whatever its certificates'
/// serial numbers.
fn name_of(spec: &ClusterSpec, guarded: &[PlannedStep]) -> String {
    let mut text = String::new();
    for planned in guarded {
        let content = if let Step::WriteFile(step) = &planned.step {
            Sha256Digest::of(&step.content)
        } else if let Step::InstallBlob(step) = &planned.step {
            step.blob.sha256
        } else if let Step::JoinEtcd(step) = &planned.step {
            Sha256Digest::of(&step.manifest)
        } else {
            continue;
        };
        text.push_str(&format!("{} {content}\n", planned.id));
    }
    let digest = Sha256Digest::of(&text).to_string();
    format!("{}-{}", spec.kubernetes_version, &digest[..16])
}

fn kept_paths(guarded: &[PlannedStep]) -> Vec<String> {
    let paths = guarded.iter().flat_map(|it| written_paths(&it.step));
    let once: BTreeSet<String> = paths.collect();
    once.into_iter().collect()
}
