//! Container images, imported and pinned.

use std::path::Path;

use slipway_api::Check;
use slipway_api::step::ImportImage;

use super::needed;
use crate::AgentError;
use crate::containerd::ContainerdClient;
use crate::context::Context;

pub(super) async fn check_image(step: &ImportImage) -> Result<Check, AgentError> {
    let Ok(client) = ContainerdClient::connect(Path::new(&step.socket)).await else {
        return Ok(needed(Some("the container runtime does not run yet")));
    };
    let found = client
        .has_image(&step.image)
        .await
        .map_err(|error| AgentError::Runtime {
            doing: format!("look for image {}", step.image.reference),
            source: Box::new(error),
        })?;
    Ok(needed((!found).then_some("it is not there")))
}

pub(super) async fn apply_image(step: &ImportImage, context: &Context) -> Result<(), AgentError> {
    let failed = |error: crate::containerd::ContainerdError| AgentError::Runtime {
        doing: format!("import image {}", step.image.reference),
        source: Box::new(error),
    };
    for blob in step.image.blobs() {
        context.blob(&blob)?;
    }
    let client = ContainerdClient::connect(Path::new(&step.socket))
        .await
        .map_err(failed)?;
    let mut progress = |done, total, doing: &str| context.progress(done, total, doing);
    client
        .import_image(&step.image, &|blob| context.blob_path(blob), &mut progress)
        .await
        .map_err(failed)
}
