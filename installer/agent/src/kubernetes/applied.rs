//! Server-side apply of whole manifests.

use std::fmt;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::manifest_object::{ManifestObject, Stage, write_object_name};
use super::object_difference::{CONCURRENCY, differing_fields};
use super::retry::retry;
use super::{ApiClient, KubernetesError};

/// How long an object is tried while the API server is starting or a
/// definition is not served yet.
const APPLY_BOUND: Duration = Duration::from_secs(60);

/// An object that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The object's kind.
    pub kind: String,
    /// Its namespace, if its kind has namespaces.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether anything changed.
    pub changed: bool,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_object_name(f, &self.kind, self.namespace.as_deref(), &self.name)?;
        f.write_str(if self.changed {
            " changed"
        } else {
            " unchanged"
        })
    }
}

impl ApiClient {
    /// Applies every object of the multi-document YAML `manifest` on behalf of
    /// `field_manager`: Namespaces first, then definitions of further kinds,
    /// then what pods refer to, then the rest, webhooks and API services last.
    ///
    /// `force` takes fields over from other managers; without it they conflict.
    /// What may pass by itself is tried again for up to a minute.
    ///
    /// # Errors
    /// The manifest is invalid, or the API server refuses an object.
    pub async fn apply_objects(
        &self,
        manifest: &str,
        field_manager: &str,
        force: bool,
    ) -> Result<Vec<Applied>, KubernetesError> {
        let objects = ManifestObject::parse_all(manifest)?;
        let has_definitions = objects
            .iter()
            .any(|object| object.stage() == Stage::Definitions);
        // A definition is served a moment after it was accepted.
        let is_worth_it = |error: &KubernetesError| {
            let is_unknown = matches!(error, KubernetesError::UnknownKind { .. });
            error.is_transient() || (has_definitions && is_unknown)
        };
        let mut applied = Vec::new();
        for stage in Stage::ALL {
            // Owned: a future that borrows here would not be general enough to be spawned.
            let mut members = objects.clone();
            members.retain(|object| object.stage() == stage);
            let acts = futures::stream::iter(members).map(|object| {
                retry(APPLY_BOUND, is_worth_it, move || {
                    self.apply_object(object.clone(), field_manager, force)
                })
            });
            let done: Vec<_> = acts.buffered(CONCURRENCY).try_collect().await?;
            applied.extend(done);
        }
        Ok(applied)
    }

    async fn apply_object(
        &self,
        mut object: ManifestObject,
        field_manager: &str,
        force: bool,
    ) -> Result<Applied, KubernetesError> {
        let kind = self
            .resource_kind(&object.api_version, &object.kind)
            .await?;
        object.settle(&kind);
        let path = object.path(&kind);
        let before = self.live_object(&object, &path).await?;
        let after = self
            .apply_patch(&object, &path, field_manager, force, false)
            .await?;
        // The resource version alone would also count what controllers did in between.
        let changed =
            before.is_none_or(|before: Value| !differing_fields(&before, &after).is_empty());
        Ok(Applied {
            kind: object.kind,
            namespace: object.namespace,
            name: object.name,
            changed,
        })
    }
}
