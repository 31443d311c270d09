//! Plans how a member of etcd that outlived its quorum becomes a cluster of one.

use slipway_api::step::{
    Condition, HoldStaticPods, RecoverEtcd, ReleaseStaticPods, SetEtcdAside, WaitFor, WriteFile,
};
use slipway_api::{ClusterSpec, Etcd, Facts, HostName, Phase, Plan, Role, Step, StepId, paths};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::components::startup_timeout;
use crate::etcd_survivors::{EtcdViews, choose_survivor};
use crate::footprint::everything;
use crate::install::socket_of;

/// Returns the steps after which one member is etcd, with its data and its API server: all
/// reached members and API servers stop before any data is touched, and no other data is where
/// a member would find it when the survivor starts alone.
///
/// A recovery that was cut off goes on with the host that it began with; otherwise the one on
/// `chosen` is taken, or the one that has most. `id` names a new one.
///
/// # Errors
/// As [`choose_survivor`]; or the host of one that was cut off is not reached or not the chosen
/// one, or somebody else runs etcd.
pub fn plan_recovery(
    spec: &ClusterSpec,
    facts: &Facts,
    views: &EtcdViews,
    chosen: Option<&HostName>,
    id: &str,
) -> Result<Plan, PlanError> {
    let Etcd::Local(etcd) = &spec.cluster_configuration.etcd else {
        return Err(PlanError::ExternalEtcd);
    };
    let (survivor, id) = match under_way(spec, facts) {
        Some((host, _)) if chosen.is_some_and(|chosen| *chosen != host) => {
            return Err(PlanError::RecoveryUnderWay { host });
        }
        Some(begun) => begun,
        None => (
            choose_survivor(spec, facts, views, chosen)?.host,
            id.to_owned(),
        ),
    };
    let timeout_seconds = u64::from(startup_timeout(spec));
    let names = ["kube-apiserver", "etcd"].map(str::to_owned).to_vec();
    let mut builder = PlanBuilder::default();
    let marker = WriteFile::new(paths::RECOVERING_MARKER, 0o600, format!("{id}\n"));
    let marker = builder.add(&survivor, Phase::Etcd, Step::WriteFile(marker), &[]);
    let reached = spec.hosts_with_role(Role::ControlPlane);
    let reached = reached.filter_map(|host| Some((host, facts.host(&host.name)?)));
    // A bare host has nothing to stop, and no runtime to ask.
    let reached: Vec<_> = reached
        .filter(|(_, facts)| {
            let existing = &facts.existing;
            existing.kubelet_conf || existing.etcd_data || !existing.manifests.is_empty()
        })
        .collect();
    let mut quiet: Vec<StepId> = Vec::new();
    for &(host, facts) in &reached {
        let hold = Step::HoldStaticPods(HoldStaticPods {
            names: names.clone(),
            socket: socket_of(spec, facts),
            timeout_seconds,
        });
        let mut last = builder.add(&host.name, Phase::Etcd, hold, std::slice::from_ref(&marker));
        if host.name != survivor {
            let aside = Step::SetEtcdAside(SetEtcdAside {
                recovery: id.clone(),
                data_dir: etcd.data_dir.clone(),
            });
            last = builder.add(&host.name, Phase::Etcd, aside, &[last]);
        }
        quiet.push(last);
    }
    let found = reached.iter().find(|(host, _)| host.name == survivor);
    let &(host, facts) = found.ok_or_else(|| PlanError::HostNotReached {
        host: survivor.clone(),
    })?;
    let socket = socket_of(spec, facts);
    let recover = Step::RecoverEtcd(RecoverEtcd {
        recovery: id,
        member: host.node_name().to_owned(),
        data_dir: etcd.data_dir.clone(),
        socket: socket.clone(),
        timeout_seconds,
    });
    let recovered = builder.add(&survivor, Phase::Etcd, recover, &quiet);
    let start = Step::ReleaseStaticPods(ReleaseStaticPods {
        names: ["etcd", "kube-apiserver"].map(str::to_owned).to_vec(),
        socket,
        timeout_seconds,
    });
    let phase = Phase::WaitControlPlane;
    let start = builder.add_rerun(&survivor, phase, start, &[], &[recovered]);
    let ready = Step::WaitFor(WaitFor {
        condition: Condition::ApiServerReady,
        timeout_seconds,
        awaited: None,
        fails_fast: false,
        steady_seconds: 0,
    });
    let ready = builder.add_rerun(&survivor, phase, ready, &[], &[start]);
    let done = everything(paths::RECOVERING_MARKER);
    builder.add_rerun(&survivor, phase, done, &[ready], &[marker]);
    Ok(builder.finish(&spec.name, Vec::new()))
}

/// Returns the host on which a recovery goes on, and the recovery.
fn under_way(spec: &ClusterSpec, facts: &Facts) -> Option<(HostName, String)> {
    let mut hosts = spec.hosts_with_role(Role::ControlPlane);
    hosts.find_map(|host| {
        let existing = &facts.host(&host.name)?.existing;
        Some((host.name.clone(), existing.etcd_recovery.clone()?))
    })
}
