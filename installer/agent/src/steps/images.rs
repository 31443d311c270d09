//! Container images, imported and pinned.

use std::path::Path;

use slipway_api::step::ImportImage;
use slipway_api::{Check, ImageReference};

use super::needed;
use crate::containerd::ContainerdClient;
use crate::context::Context;
use crate::cri::CriClient;
use crate::{AgentError, command};

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
    if !found {
        return Ok(needed(Some("it is not there")));
    }
    let missing = sandbox_name(step).await?;
    Ok(needed(missing.map(|name| {
        format!("the runtime's own name for it, {name}, is not there")
    })))
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
    let path = |blob: &slipway_api::Blob| context.blob_path(blob);
    client
        .import_image(&step.image, &path, &mut progress)
        .await
        .map_err(failed)?;
    if let Some(name) = sandbox_name(step).await? {
        let mut image = step.image.clone();
        image.reference = name;
        client
            .import_image(&image, &path, &mut progress)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Returns the name that a runtime of somebody else's has for the image of its
/// sandboxes, while no image has that name.
async fn sandbox_name(step: &ImportImage) -> Result<Option<ImageReference>, AgentError> {
    if !step.is_sandbox {
        return Ok(None);
    }
    // One that lies in a folder of its own keeps its configuration to itself.
    let text = match command::run("containerd", &["config", "dump"]).await {
        Err(error) if error.is_missing_program() => return Ok(None),
        text => text?,
    };
    let Some(name) = configured_sandbox(&text).and_then(|name| name.parse().ok()) else {
        return Ok(None);
    };
    let failed = |error: crate::cri::CriError| AgentError::Runtime {
        doing: format!("look for image {name}"),
        source: Box::new(error),
    };
    let client = CriClient::connect(Path::new(&step.socket))
        .await
        .map_err(failed)?;
    let is_there = client.image_present(&name).await.map_err(failed)?;
    Ok((!is_there).then_some(name))
}

/// Returns the image of sandboxes in containerd's configuration: `sandbox_image`
/// up to 1.7, `sandbox` among the pinned images since 2.0.
fn configured_sandbox(configuration: &str) -> Option<&str> {
    configuration.lines().find_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        let is_sandbox = matches!(key.trim(), "sandbox_image" | "sandbox");
        let value = value.trim().trim_matches(['"', '\'']);
        (is_sandbox && value.contains('/')).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::configured_sandbox;

    #[test]
    fn the_sandbox_image_is_found_in_both_forms() {
        let old = "version = 2\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    sandbox_image = \"registry.k8s.io/pause:3.8\"\n";
        assert_eq!(configured_sandbox(old), Some("registry.k8s.io/pause:3.8"));
        let new = "version = 3\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\n  sandbox = 'registry.k8s.io/pause:3.10.1'\n[x]\n  sandboxer = 'podsandbox'\n";
        assert_eq!(
            configured_sandbox(new),
            Some("registry.k8s.io/pause:3.10.1")
        );
        assert_eq!(configured_sandbox("sandboxer = \"shim\"\n"), None);
    }
}
