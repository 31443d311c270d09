//! What a member left here that etcd's other members have removed.

use std::path::PathBuf;

use slipway_api::paths;
use slipway_api::step::JoinEtcd;

use crate::context::Context;
use crate::cri::{CriClient, CriError, PodSandbox};
use crate::{AgentError, command, files};

const KUBELET: &str = "kubelet.service";

/// Takes away the Pod and the data of a member that is none any more: etcd
/// refuses to start with them. A quorum of the others has said that it is none.
///
/// The kubelet is stopped meanwhile and forgets the Pod: once started it removes
/// no Pod until its API server has answered, which is the one beside this very
/// etcd, so it would wait for ever to put a new manifest in the old one's place.
/// Source: `syncLoop` and `deletePod` in `pkg/kubelet/kubelet.go`.
pub(super) async fn forget(step: &JoinEtcd, context: &Context) -> Result<(), AgentError> {
    let manifest = context.at(&format!("{}/etcd.yaml", paths::MANIFESTS_DIR));
    let data = data(step, context);
    if !manifest.exists() && !data.exists() {
        return Ok(());
    }
    context.log("what an earlier member left here goes: the others have removed it");
    command::run("systemctl", &["stop", KUBELET]).await?;
    files::delete(&manifest)?;
    remove_pod(step, context).await?;
    files::delete(&data)?;
    command::run("systemctl", &["start", KUBELET])
        .await
        .map(drop)
}

/// Returns where a member keeps what it must not forget.
pub(super) fn data(step: &JoinEtcd, context: &Context) -> PathBuf {
    context.at(&step.data_dir).join("member")
}

async fn remove_pod(step: &JoinEtcd, context: &Context) -> Result<(), AgentError> {
    let failed = |error: CriError| AgentError::Runtime {
        doing: "remove etcd's old Pod".to_owned(),
        source: Box::new(error),
    };
    let name = format!("etcd-{}", step.member_name);
    let is_meant =
        |pod: &PodSandbox| pod.is_kubelets && pod.namespace == "kube-system" && pod.name == name;
    let client = CriClient::connect(&context.at(&step.socket)).await;
    let client = client.map_err(failed)?;
    let mut progress = |done, total, doing: &str| context.progress(done, total, doing);
    let removed = client.stop_and_remove_pods(&is_meant, &mut progress).await;
    removed.map(drop).map_err(failed)
}
