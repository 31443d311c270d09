//! Plans the restore of a whole cluster's etcd from a snapshot.

use slipway_api::step::{
    Condition, EnsureUnit, HoldStaticPods, ReleaseStaticPods, RestoreEtcd, StopUnit, WaitFor,
};
use slipway_api::{
    Blob, BundleManifest, ClusterSpec, Etcd, EtcdMember, Facts, HostFacts, HostSpec, Phase, Plan,
    Release, Role, Step, StepId, paths,
};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::components::startup_timeout;
use crate::control_plane_hosts::ControlPlaneHosts;
use crate::footprint::KUBELET_UNIT;
use crate::install::{archive, runtime_socket};
use crate::plan_cluster::HostInput;
use crate::supply::Supply;

/// etcd's tool, as the archive's member is called.
const PROGRAM: &str = "etcdutl";

/// What is stopped, in this order, and starts again in the opposite one. The controller
/// manager and the scheduler hold what they have read: with their memory of another past one
/// would give a Pod subnet to two nodes, and the other would bind Pods that are not there.
const HELD: [&str; 4] = [
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
];

/// What is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Names the restore.
    pub id: String,
    /// The snapshot.
    pub snapshot: Blob,
    /// The newest revision in it.
    pub revision: u64,
}

/// Returns the steps that make a new etcd cluster of all control-plane hosts from one
/// snapshot: the whole control plane stops before any data is touched, and all data is in
/// place before any member starts.
///
/// # Errors
/// A control-plane host was not reached: its member would go on with the old data. Or
/// somebody else runs etcd, or the bundle lacks etcdutl.
pub fn plan_restore(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: &BundleManifest,
    restore: &Restore,
) -> Result<Plan, PlanError> {
    let Etcd::Local(etcd) = &spec.cluster_configuration.etcd else {
        return Err(PlanError::ExternalEtcd);
    };
    let release = Release::of(&spec.kubernetes_version)?;
    let hosts: Vec<&HostSpec> = spec.hosts_with_role(Role::ControlPlane).collect();
    let control_plane = ControlPlaneHosts::of(spec, facts)?;
    let mut inputs = Vec::new();
    for host in &hosts {
        let facts = facts.host(&host.name);
        let facts = facts.ok_or_else(|| PlanError::HostNotReached {
            host: host.name.clone(),
        })?;
        inputs.push(HostInput {
            spec,
            host,
            facts,
            pod_subnet: None,
            control_plane: &control_plane,
            release: &release,
            supply: Supply::Bundle(manifest),
        });
    }
    let member = |host: &HostSpec| format!("{}={}", host.node_name(), peer_url(host));
    let initial_cluster: Vec<String> = hosts.iter().map(|host| member(host)).collect();
    let timeout_seconds = u64::from(startup_timeout(spec));

    let mut builder = PlanBuilder::default();
    let mut stopped: Vec<StepId> = Vec::new();
    for input in &inputs {
        let host = &input.host.name;
        let tool = archive(
            input,
            PROGRAM,
            release.etcd_version(),
            paths::ETCDUTL_DIR,
            1,
            |path| path.rsplit('/').next() == Some(PROGRAM),
        )?;
        let tool = tool.map(|step| builder.add(host, Phase::Etcd, step, &[]));
        let hold = Step::HoldStaticPods(HoldStaticPods {
            names: HELD.map(str::to_owned).to_vec(),
            socket: runtime_socket(input),
            timeout_seconds,
        });
        let needs: Vec<StepId> = tool.into_iter().collect();
        stopped.push(builder.add(host, Phase::Etcd, hold, &needs));
    }
    let mut restored: Vec<StepId> = Vec::new();
    for input in &inputs {
        let step = Step::RestoreEtcd(RestoreEtcd {
            restore: restore.id.clone(),
            snapshot: restore.snapshot,
            revision: restore.revision,
            program: format!("{}/{PROGRAM}", paths::ETCDUTL_DIR),
            member: input.host.node_name().to_owned(),
            peer_url: peer_url(input.host),
            initial_cluster: initial_cluster.clone(),
            data_dir: etcd.data_dir.clone(),
        });
        restored.push(builder.add(&input.host.name, Phase::Etcd, step, &stopped));
    }
    let (mut started, mut ready) = (Vec::new(), Vec::new());
    for input in &inputs {
        let host = &input.host.name;
        let start = Step::ReleaseStaticPods(ReleaseStaticPods {
            names: HELD.map(str::to_owned).into_iter().rev().collect(),
            socket: runtime_socket(input),
            timeout_seconds,
        });
        let start = builder.add_rerun(host, Phase::WaitControlPlane, start, &[], &restored);
        let answers = Step::WaitFor(WaitFor {
            condition: Condition::ApiServerReady,
            timeout_seconds,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        });
        let after = std::slice::from_ref(&start);
        ready.push(builder.add_rerun(host, Phase::WaitControlPlane, answers, &[], after));
        started.push(start);
    }
    for host in &spec.hosts {
        add_registration(&mut builder, facts, host, &ready, &started);
    }
    Ok(builder.finish(&spec.name, facts.unreached().collect()))
}

/// Adds the restart of a host's kubelet once the API answers: a kubelet registers
/// its node when it starts and never again, and the snapshot may be older than
/// the node. Source: `registerWithAPIServer` in
/// `pkg/kubelet/kubelet_node_status.go`.
///
/// It is stopped first: nothing that it reads is new, so that one which runs would be left
/// alone.
fn add_registration(
    builder: &mut PlanBuilder,
    facts: &Facts,
    host: &HostSpec,
    ready: &[StepId],
    started: &[StepId],
) {
    let is_node = |facts: &HostFacts| facts.existing.kubelet_conf;
    if facts.host(&host.name).is_some_and(is_node) {
        let phase = Phase::KubeletStart;
        let unit = KUBELET_UNIT.to_owned();
        let stop = Step::StopUnit(StopUnit { unit: unit.clone() });
        let stop = builder.add_rerun(&host.name, phase, stop, ready, started);
        let files = Vec::new();
        let start = Step::EnsureUnit(EnsureUnit { unit, files });
        builder.add_rerun(&host.name, phase, start, &[], &[stop]);
    }
}

fn peer_url(host: &HostSpec) -> String {
    EtcdMember::peer_url(host.node_ip)
}
