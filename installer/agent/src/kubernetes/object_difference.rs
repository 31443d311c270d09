//! What a server-side apply would change about an object.

use std::fmt;

use futures::{StreamExt, TryStreamExt};
use http::Request;
use serde_json::Value;

use super::api_client::build;
use super::manifest_object::{ManifestObject, write_object_name};
use super::{ApiClient, FIELD_MANAGER, KubernetesError};

/// How many objects are handled at the same time.
pub(super) const CONCURRENCY: usize = 16;
/// How many differing fields of one object are named.
const NAMED_FIELDS: usize = 8;

/// An object that is not as its manifest wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectDifference {
    /// The object's kind.
    pub kind: String,
    /// Its namespace, if its kind has namespaces.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The fields that differ, without their values, which may be secret;
    /// empty when the object does not exist.
    pub fields: Vec<String>,
}

impl fmt::Display for ObjectDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_object_name(f, &self.kind, self.namespace.as_deref(), &self.name)?;
        if self.fields.is_empty() {
            f.write_str(" does not exist")
        } else {
            write!(f, " differs in {}", self.fields.join(", "))
        }
    }
}

impl ApiClient {
    /// Returns which objects of `manifest` a server-side apply would change,
    /// in the manifest's order; none means that the cluster is as it should be.
    ///
    /// Each object is applied as a dry run and the result compared with the
    /// live object, so fields that somebody else changed by hand are seen,
    /// and fields that others own are not.
    ///
    /// # Errors
    /// The manifest is invalid or the API server refuses the dry run.
    pub async fn objects_differ(
        &self,
        manifest: &str,
    ) -> Result<Vec<ObjectDifference>, KubernetesError> {
        let objects = ManifestObject::parse_all(manifest)?;
        let compared = futures::stream::iter(objects).map(|object| self.difference(object));
        let found: Vec<_> = compared.buffered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn difference(
        &self,
        mut object: ManifestObject,
    ) -> Result<Option<ObjectDifference>, KubernetesError> {
        let kind = match self.resource_kind(&object.api_version, &object.kind).await {
            // Its definition is part of the same manifest and not there either.
            Err(KubernetesError::UnknownKind { .. }) => {
                return Ok(Some(different(object, Vec::new())));
            }
            answer => answer?,
        };
        object.settle(&kind);
        let path = object.path(&kind);
        let Some(live) = self.live_object(&object, &path).await? else {
            return Ok(Some(different(object, Vec::new())));
        };
        let wanted = self
            .apply_patch(&object, &path, FIELD_MANAGER, true, true)
            .await?;
        let fields = differing_fields(&live, &wanted);
        Ok((!fields.is_empty()).then(|| different(object, fields)))
    }

    /// Returns the object as it is, if it exists.
    pub(super) async fn live_object(
        &self,
        object: &ManifestObject,
        path: &str,
    ) -> Result<Option<Value>, KubernetesError> {
        let request = build(Request::get(path), Vec::new());
        match self.send(&format!("read {object}"), request).await {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Applies the object and returns it as it is then, or, as a dry run, as it would be.
    pub(super) async fn apply_patch(
        &self,
        object: &ManifestObject,
        path: &str,
        field_manager: &str,
        force: bool,
        dry_run: bool,
    ) -> Result<Value, KubernetesError> {
        let dry = if dry_run { "&dryRun=All" } else { "" };
        // Strict: a field that the API server does not know is an error, as with kubectl.
        let query = format!("fieldManager={field_manager}&force={force}&fieldValidation=Strict");
        let builder = Request::patch(format!("{path}?{query}{dry}"))
            .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml");
        let body = serde_json::to_vec(&object.body).expect("JSON values can be written");
        let verb = if dry_run { "compare" } else { "apply" };
        self.send(&format!("{verb} {object}"), build(builder, body))
            .await
    }
}

fn different(object: ManifestObject, fields: Vec<String>) -> ObjectDifference {
    ObjectDifference {
        kind: object.kind,
        namespace: object.namespace,
        name: object.name,
        fields,
    }
}

/// Returns the paths of fields in which two states of an object differ; what
/// the API server and controllers keep for themselves does not count.
pub(super) fn differing_fields(live: &Value, wanted: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    compare("", live, wanted, &mut fields);
    fields.truncate(NAMED_FIELDS);
    fields
}

/// Bookkeeping that changes without anybody's wish.
const BOOKKEEPING: &[&str] = &[
    "status",
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
];

fn compare(path: &str, live: &Value, wanted: &Value, fields: &mut Vec<String>) {
    if fields.len() >= NAMED_FIELDS || BOOKKEEPING.contains(&path) {
        return;
    }
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            let added = wanted.keys().filter(|key| !live.contains_key(*key));
            for key in live.keys().chain(added) {
                let below = join(path, key);
                let of = |side: &serde_json::Map<String, Value>| {
                    side.get(key).cloned().unwrap_or(Value::Null)
                };
                compare(&below, &of(live), &of(wanted), fields);
            }
        }
        (Value::Array(live), Value::Array(wanted)) if live.len() == wanted.len() => {
            for (index, (live, wanted)) in live.iter().zip(wanted).enumerate() {
                compare(&format!("{path}[{index}]"), live, wanted, fields);
            }
        }
        (live, wanted) => {
            if live != wanted {
                fields.push(path.to_owned());
            }
        }
    }
}

/// Returns the path of `key` below `path`; keys with dots stand in brackets.
fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), key.contains('.')) {
        (true, _) => key.to_owned(),
        (false, true) => format!("{path}[{key}]"),
        (false, false) => format!("{path}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bookkeeping_is_no_difference() {
        let live = json!({
            "metadata": { "name": "a", "resourceVersion": "1", "generation": 1 },
            "status": { "replicas": 1 },
        });
        let wanted = json!({
            "metadata": { "name": "a", "resourceVersion": "2", "managedFields": [1] },
        });
        assert!(differing_fields(&live, &wanted).is_empty());
    }

    #[test]
    fn differences_are_named_without_values() {
        let live = json!({
            "data": { "ca.crt": "secret", "gone": "x" },
            "spec": { "containers": [ { "image": "a" } ], "taints": [1] },
        });
        let wanted = json!({
            "data": { "ca.crt": "other" },
            "spec": { "containers": [ { "image": "b" } ], "taints": [1, 2] },
        });
        assert_eq!(
            differing_fields(&live, &wanted),
            [
                "data[ca.crt]",
                "data.gone",
                "spec.containers[0].image",
                "spec.taints"
            ]
        );
    }

    #[test]
    fn a_difference_is_a_sentence() {
        let mut difference = ObjectDifference {
            kind: "ConfigMap".to_owned(),
            namespace: Some("kube-system".to_owned()),
            name: "coredns".to_owned(),
            fields: Vec::new(),
        };
        assert_eq!(
            difference.to_string(),
            "ConfigMap kube-system/coredns does not exist"
        );
        difference.fields = vec!["data.Corefile".to_owned()];
        assert_eq!(
            difference.to_string(),
            "ConfigMap kube-system/coredns differs in data.Corefile"
        );
    }
}
