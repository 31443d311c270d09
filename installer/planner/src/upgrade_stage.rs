//! Which part of an upgrade a step belongs to.
//!
//! A plan that makes a node anew starts its kubelet first and everything else with it. A node
//! that serves changes in another order: one component after the other while the old kubelet
//! runs, the kubelet last, so that it is never newer than its API server.

use slipway_api::step::Condition;
use slipway_api::{Phase, PlannedStep, Step, paths};

/// Which part of an upgrade a step belongs to, in the order of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// What interrupts nothing: images, kernel settings, blobs. On all hosts before anything else.
    Staging,
    /// What must be in the cluster before the first API server is new.
    Before,
    /// A part of one node's change.
    Node(NodeStage),
    /// What the cluster has once all API servers are new.
    Cluster,
}

/// A part of one node's change, in the order of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeStage {
    /// Files are kept as they are.
    Keep,
    /// Pods go elsewhere.
    Drain,
    /// The container runtime and the user's own files.
    Runtime,
    /// Certificates and kubeconfigs.
    Certificates,
    /// etcd's manifest.
    Etcd,
    /// etcd runs by it.
    EtcdRuns,
    /// The API server's manifest.
    ApiServer,
    /// The API server runs by it.
    ApiServerRuns,
    /// The controller manager's manifest.
    ControllerManager,
    /// The controller manager runs by it.
    ControllerManagerRuns,
    /// The scheduler's manifest.
    Scheduler,
    /// The scheduler runs by it.
    SchedulerRuns,
    /// The kubelet, its files, and the balancer it goes through.
    Kubelet,
    /// A control plane runs as its new kubelet wants it.
    Settled,
    /// Labels and taints.
    Marks,
    /// The node is Ready with its new kubelet.
    Ready,
    /// Pods come back.
    Uncordon,
    /// What is looked after beside Kubernetes.
    After,
}

impl NodeStage {
    /// Returns whether a node is between two states while this stage goes on.
    pub fn is_guarded(self) -> bool {
        (Self::Drain..=Self::Uncordon).contains(&self)
    }
}

/// What must be there before the first new API server, by the names of the steps: from 1.36 on
/// its client certificate for kubelets has no rights but those of a binding of its own.
const BEFORE: [&str; 2] = ["cluster administrators", "roles for joining"];

/// Returns the stage of a step that makes a cluster.
pub(crate) fn stage_of(planned: &PlannedStep) -> Stage {
    use NodeStage as Node;
    match planned.phase {
        Phase::PrepareUpgrade | Phase::Images => Stage::Staging,
        Phase::CleanupNode => match is_record(&planned.step) {
            true => Stage::Staging,
            false => Stage::Node(Node::Runtime),
        },
        Phase::Install => install_stage(&planned.step),
        Phase::Certs | Phase::Kubeconfig => Stage::Node(Node::Certificates),
        Phase::Etcd => Stage::Node(etcd_stage(&planned.step)),
        Phase::ControlPlane => Stage::Node(manifest_stage(&planned.step)),
        Phase::WaitControlPlane => Stage::Node(component_stage(&planned.step)),
        Phase::KubeletStart | Phase::KubeletWaitBootstrap => Stage::Node(Node::Kubelet),
        Phase::UploadConfig | Phase::BootstrapToken | Phase::Addon => {
            let is_before = matches!(&planned.step, Step::ApplyObjects(step) if BEFORE.contains(&step.name.as_str()));
            if is_before {
                Stage::Before
            } else {
                Stage::Cluster
            }
        }
        Phase::MarkControlPlane | Phase::NodeReady => Stage::Node(node_stage(&planned.step)),
        Phase::DrainNode => Stage::Node(Node::Drain),
        Phase::RemoveNode | Phase::PutBack => Stage::Node(Node::After),
    }
}

/// Returns whether a step takes away what an earlier cluster remembered: it comes before this
/// one remembers anything.
fn is_record(step: &Step) -> bool {
    matches!(step, Step::RemovePath(step) if step.path == paths::BEFORE_DIR)
}

fn install_stage(step: &Step) -> Stage {
    let runtime = Stage::Node(NodeStage::Runtime);
    let kubelet = Stage::Node(NodeStage::Kubelet);
    if let Step::WriteFile(step) = step {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|it| step.path.starts_with(it));
        let unit = |name: &str| format!("{}/{name}", paths::UNIT_DIR);
        return if begins(&[
            paths::CONTAINERD_CONFIG,
            paths::CONTAINERD_DROP_IN_DIR,
            &unit("containerd.service"),
        ]) {
            runtime
        } else if begins(&[
            &unit("kubelet.service"),
            paths::APISERVER_PROXY_DIR,
            paths::APISERVER_PROXY_UNIT,
        ]) {
            kubelet
        } else {
            Stage::Staging
        };
    }
    if let Step::InstallBlob(step) = step {
        return if step.name == "runc" {
            runtime
        } else {
            kubelet
        };
    }
    if let Step::UnpackArchive(step) = step {
        return if step.name == "containerd" {
            runtime
        } else {
            kubelet
        };
    }
    if let Step::EnsureUnit(step) = step {
        return if step.unit == CONTAINERD_UNIT {
            runtime
        } else {
            kubelet
        };
    }
    if matches!(step, Step::PlaceFile(_)) {
        runtime
    } else if matches!(step, Step::InstallSlipway(_)) {
        kubelet
    } else {
        Stage::Staging
    }
}

/// The container runtime's unit.
pub(crate) const CONTAINERD_UNIT: &str = "containerd.service";

fn etcd_stage(step: &Step) -> NodeStage {
    if let Step::WriteFile(step) = step {
        return match step.path.starts_with(paths::MANIFESTS_DIR) {
            true => NodeStage::Etcd,
            false => NodeStage::After,
        };
    }
    if matches!(step, Step::JoinEtcd(_) | Step::EnsureDirectory(_)) {
        return NodeStage::Etcd;
    }
    // The timer that takes snapshots.
    NodeStage::After
}

fn manifest_stage(step: &Step) -> NodeStage {
    let Step::WriteFile(step) = step else {
        return NodeStage::After;
    };
    let name = step.path.rsplit('/').next().unwrap_or_default();
    match name.trim_end_matches(".yaml") {
        "kube-apiserver" => NodeStage::ApiServer,
        "kube-controller-manager" => NodeStage::ControllerManager,
        _scheduler => NodeStage::Scheduler,
    }
}

fn component_stage(step: &Step) -> NodeStage {
    if let Step::EnsureStaticPod(step) = step {
        return match step.name.as_str() {
            "etcd" => NodeStage::EtcdRuns,
            "kube-apiserver" => NodeStage::ApiServerRuns,
            "kube-controller-manager" => NodeStage::ControllerManagerRuns,
            _scheduler => NodeStage::SchedulerRuns,
        };
    }
    let Step::WaitFor(step) = step else {
        return NodeStage::After;
    };
    match &step.condition {
        Condition::EtcdHealthy => NodeStage::EtcdRuns,
        Condition::ApiServerReady => NodeStage::ApiServerRuns,
        Condition::ControllerManagerHealthy => NodeStage::ControllerManagerRuns,
        Condition::SchedulerHealthy => NodeStage::SchedulerRuns,
        Condition::ControlPlaneHealthy => NodeStage::Settled,
        Condition::KubeletHealthy
        | Condition::NodeUpgraded { .. }
        | Condition::NodeRegistered { .. }
        | Condition::NodeReady { .. }
        | Condition::KubeletBootstrapped { .. }
        | Condition::OwnNodeReady { .. }
        | Condition::DeploymentAvailable { .. } => NodeStage::After,
    }
}

fn node_stage(step: &Step) -> NodeStage {
    if let Step::WaitFor(step) = step {
        let is_ready = matches!(
            step.condition,
            Condition::NodeReady { .. } | Condition::NodeUpgraded { .. }
        );
        return if is_ready {
            NodeStage::Ready
        } else {
            NodeStage::Marks
        };
    }
    if matches!(step, Step::MarkNode(_)) {
        return NodeStage::Marks;
    }
    // What the file no longer has, and the record of what was kept.
    NodeStage::After
}
