//! Lets hosts throw away what no plan needs any more.

use futures::future::join_all;
use slipway_api::protocol::Request;
use slipway_api::{KubernetesVersion, LeftOut};

use crate::{Fleet, Survey};

/// Lets every host that the survey planned for forget blobs and agents which
/// neither `version` nor the one before needs. To be called after a run that
/// succeeded, under its locks; returns the hosts that could not.
pub async fn tidy(fleet: &Fleet, survey: &Survey, version: &KubernetesVersion) -> Vec<LeftOut> {
    let tidying = survey.blobs.iter().map(|(name, blobs)| async move {
        let request = Request::Tidy {
            version: version.clone(),
            blobs: blobs.clone(),
        };
        let host = fleet.host(name)?;
        let failure = host.request(request, &|_| {}).await.err()?.to_failure();
        let host = name.clone();
        Some(LeftOut { host, failure })
    });
    join_all(tidying).await.into_iter().flatten().collect()
}
