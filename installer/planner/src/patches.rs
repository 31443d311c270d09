//! The user's patches over what is rendered.

use slipway_api::{ClusterSpec, Patch, PatchKind, PatchTarget};
use slipway_templates::{DocumentPatch, patched};

use crate::PlanError;

/// Returns the rendered text with the file's patches of `target` applied.
pub(crate) fn with_patches(
    spec: &ClusterSpec,
    target: PatchTarget,
    text: String,
) -> Result<String, PlanError> {
    let Some(section) = &spec.patches else {
        return Ok(text);
    };
    let all = section
        .patches
        .as_ref()
        .ok_or_else(|| PlanError::NotRead(section.directory.clone()))?;
    let patches: Vec<&Patch> = all.iter().filter(|patch| patch.target == target).collect();
    let documents: Vec<DocumentPatch<'_>> = patches
        .iter()
        .map(|patch| match patch.kind {
            PatchKind::Json => DocumentPatch::Json(&patch.document),
            PatchKind::Merge => DocumentPatch::Merge(&patch.document),
        })
        .collect();
    let kind = match target {
        PatchTarget::Etcd
        | PatchTarget::KubeApiserver
        | PatchTarget::KubeControllerManager
        | PatchTarget::KubeScheduler => "Pod",
        PatchTarget::KubeletConfiguration => "KubeletConfiguration",
        PatchTarget::CoreDnsDeployment => "Deployment",
    };
    patched(&text, kind, &documents).map_err(|(index, source)| PlanError::Patch {
        file: section.directory.join(&patches[index].file),
        target,
        source,
    })
}
