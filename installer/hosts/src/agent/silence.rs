//! How long an agent may be silent about a request before its host counts as hanging.
//!
//! SSH's own keepalive finds hosts and connections that are gone within a minute; this is for
//! those that live and get stuck: on a dead network file system, a broken disk, a frozen agent.

use std::time::Duration;

use slipway_api::Step;
use slipway_api::protocol::Request;
use slipway_api::step::{HoldStaticPods, ReleaseStaticPods};

use crate::HostError;

/// For requests that read a little.
const READING: Duration = Duration::from_secs(60);

/// For requests that may wait in line behind blobs on a slow connection.
const IN_LINE: Duration = Duration::from_secs(180);

/// For steps: several of the host's programs one after the other, each of which the agent ends
/// after three minutes, or the removal of a stubborn pod.
const STEP: Duration = Duration::from_secs(600);

/// For the import of an image: containerd may take ten minutes to unpack a layer.
const IMPORT: Duration = Duration::from_secs(900);

/// What a step that waits by itself gets beyond its own bound.
const MARGIN: Duration = Duration::from_secs(120);

/// Returns how long the agent may say nothing about `request`, neither event nor reply.
pub(super) fn limit(request: &Request) -> Duration {
    match request {
        Request::GatherFacts
        | Request::GatherClusterFacts
        | Request::GatherEtcdFacts
        | Request::GatherUpgradeFacts
        | Request::ReadFoundCluster
        | Request::SignUser(_)
        | Request::MissingBlobs { .. }
        | Request::ReadAdminKubeconfig
        | Request::ReadStoredCluster
        | Request::ForgetToken
        | Request::FindSelfSigned
        | Request::ReadJournal { .. }
        | Request::ReadClock
        | Request::OpenListeners { .. }
        | Request::RunProbes { .. }
        | Request::CloseListeners
        | Request::OpenEtcdPorts { .. }
        | Request::CloseEtcdPorts
        | Request::TryEtcdPorts { .. }
        | Request::NoteRun { .. }
        | Request::Lock { .. }
        | Request::Tidy { .. }
        | Request::Token(_)
        | Request::UploadCertificates => READING,
        Request::Discover(_)
        | Request::CheckSteps { .. }
        | Request::PrepareCertificate { .. }
        | Request::SignCertificate { .. }
        | Request::ReadAuthorities { .. }
        | Request::ReadRecoveryFiles
        | Request::ReadPublicFile { .. } => IN_LINE,
        // The whole database is written and read again, eight gigabytes on a slow disk.
        Request::KeepEtcdSnapshot { .. } => IMPORT,
        Request::RunStep { step, .. } => step_limit(step),
    }
}

fn step_limit(step: &Step) -> Duration {
    if let Step::WaitFor(step) = step {
        return Duration::from_secs(step.timeout_seconds).saturating_add(MARGIN);
    }
    if let Step::DrainNode(step) = step {
        return Duration::from_secs(step.timeout_seconds).saturating_add(MARGIN);
    }
    if let Step::EnsureStaticPod(step) = step {
        return Duration::from_secs(step.timeout_seconds).saturating_add(MARGIN);
    }
    if let Step::JoinEtcd(step) = step {
        // Its etcd starts, and then catches up.
        let bound = Duration::from_secs(step.timeout_seconds);
        return bound.saturating_mul(2).saturating_add(MARGIN);
    }
    if let Step::RecoverEtcd(step) = step {
        // It is stopped, its data is copied, it starts and is stopped again.
        let bound = Duration::from_secs(step.timeout_seconds);
        return bound.saturating_mul(3).saturating_add(IMPORT);
    }
    if let Step::HoldStaticPods(HoldStaticPods {
        timeout_seconds, ..
    })
    | Step::ReleaseStaticPods(ReleaseStaticPods {
        timeout_seconds, ..
    }) = step
    {
        return Duration::from_secs(*timeout_seconds).saturating_add(MARGIN);
    }
    if let Step::ImportImage(_)
    | Step::DefragmentEtcd(_)
    | Step::RestoreEtcd(_)
    | Step::SnapshotEtcd(_) = step
    {
        return IMPORT;
    }
    STEP
}

/// Returns the error of a host that was silent about `request` for as long as it may be.
pub(crate) fn hanging(host: &str, request: &Request) -> HostError {
    HostError::Hangs {
        host: host.to_owned(),
        request: describe(request),
        limit: limit(request),
    }
}

/// Returns what was asked, for people.
fn describe(request: &Request) -> String {
    match request {
        Request::GatherFacts => "gather facts".to_owned(),
        Request::GatherClusterFacts => "gather the cluster's facts".to_owned(),
        Request::GatherEtcdFacts => "look at etcd's members".to_owned(),
        Request::GatherUpgradeFacts => "look at pods and budgets".to_owned(),
        Request::ReadFoundCluster => "read the cluster".to_owned(),
        Request::SignUser(request) => format!("sign a certificate for {}", request.name),
        Request::KeepEtcdSnapshot { dir, .. } => format!("take a snapshot of etcd into {dir}"),
        Request::CheckSteps { steps } => format!("check {} steps", steps.len()),
        Request::MissingBlobs { .. } => "look for blobs".to_owned(),
        Request::RunStep { step, .. } => step.describe(),
        Request::PrepareCertificate { .. } => "make a certificate request".to_owned(),
        Request::SignCertificate { .. } => "sign a certificate".to_owned(),
        Request::ReadPublicFile { file } => format!("read {}", file.path()),
        Request::ReadAuthorities { names } => format!("read {}", names.join(", ")),
        Request::ReadRecoveryFiles => "read the authorities".to_owned(),
        Request::ReadAdminKubeconfig => "read the administrator's kubeconfig".to_owned(),
        Request::Discover(_) => "find the cluster to join".to_owned(),
        Request::FindSelfSigned => "look at the kubelets' certificates".to_owned(),
        Request::ForgetToken => "forget the bootstrap token".to_owned(),
        Request::ReadStoredCluster => "read the cluster file that the cluster keeps".to_owned(),
        Request::ReadJournal { .. } => "read a journal".to_owned(),
        Request::ReadClock => "read the clock".to_owned(),
        Request::OpenListeners { .. } => "open ports for probes".to_owned(),
        Request::RunProbes { probes, .. } => format!("make {} probes", probes.len()),
        Request::CloseListeners => "close the ports of probes".to_owned(),
        Request::OpenEtcdPorts { .. } => "open etcd's ports".to_owned(),
        Request::CloseEtcdPorts => "close etcd's ports".to_owned(),
        Request::TryEtcdPorts { .. } => "try etcd's ports".to_owned(),
        Request::NoteRun { .. } => "write the journal".to_owned(),
        Request::Lock { .. } => "take the host's lock".to_owned(),
        Request::Tidy { .. } => "remove old blobs".to_owned(),
        Request::Token(_) => "work on bootstrap tokens".to_owned(),
        Request::UploadCertificates => "store the authorities encrypted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use slipway_api::step::{Condition, DrainNode, WaitFor};
    use slipway_api::{RunId, StepId};

    use super::*;

    fn run(step: Step) -> Request {
        let host = "cp-1".parse().expect("a host name");
        Request::RunStep {
            run: RunId::parse("run-1").expect("an ID"),
            id: StepId::of(&host, slipway_api::Phase::NodeReady, &step),
            step: Box::new(step),
            attachment: Default::default(),
        }
    }

    #[test]
    fn steps_that_wait_get_more_than_their_own_bound() {
        let wait = run(Step::WaitFor(WaitFor {
            condition: Condition::ApiServerReady,
            timeout_seconds: 240,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        }));
        assert!(limit(&wait) > Duration::from_secs(240));
        let drain = run(Step::DrainNode(DrainNode {
            node_name: "w-1".into(),
            timeout_seconds: 3600,
            delete_empty_dir_data: false,
            comes_back: false,
        }));
        assert!(limit(&drain) > Duration::from_secs(3600));
        assert_eq!(describe(&drain), "cordon and drain node w-1");
        let forever = run(Step::WaitFor(WaitFor {
            condition: Condition::ApiServerReady,
            timeout_seconds: u64::MAX,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        }));
        assert_eq!(limit(&forever).as_secs(), u64::MAX);
    }
}
