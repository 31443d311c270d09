//! One object of a multi-document manifest.

use std::fmt;

use serde_json::Value;

use super::KubernetesError;
use super::resource_kind::{ResourceKind, group_path};

/// An object as a manifest has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ManifestObject {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) body: Value,
}

impl fmt::Display for ManifestObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_object_name(f, &self.kind, self.namespace.as_deref(), &self.name)
    }
}

/// Writes `Kind namespace/name`.
pub(super) fn write_object_name(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
) -> fmt::Result {
    match namespace {
        Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
        None => write!(f, "{kind} {name}"),
    }
}

impl ManifestObject {
    /// Parses a manifest of any number of YAML documents; empty ones are
    /// skipped, and objects inside a `List` count as documents of their own.
    ///
    /// Numbers with a leading zero are octal and `yes` is true, as for
    /// kubectl, whose parser follows YAML 1.1 there.
    ///
    /// # Errors
    /// The text is not YAML, or a document is not an object with a name.
    pub(super) fn parse_all(manifest: &str) -> Result<Vec<Self>, KubernetesError> {
        let options = serde_saphyr::options! {
            legacy_octal_numbers: true,
            // CRD schemas are deep and long.
            budget: serde_saphyr::budget! { max_depth: 256, max_nodes: 2_000_000 },
        };
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(manifest, options)
            .map_err(|source| KubernetesError::ParseManifest {
                source: Box::new(source),
            })?;
        let mut objects = Vec::new();
        for (index, document) in documents.into_iter().enumerate() {
            let document_number = index + 1;
            if document.is_null() {
                continue;
            }
            let is_list = document.get("kind").and_then(Value::as_str) == Some("List");
            let items = document.get("items").and_then(Value::as_array);
            let bodies = match items {
                Some(items) if is_list => items.clone(),
                Some(_) | None => vec![document],
            };
            for body in bodies {
                objects.push(Self::parse(document_number, body)?);
            }
        }
        Ok(objects)
    }

    fn parse(document: usize, body: Value) -> Result<Self, KubernetesError> {
        let text = |pointer: &str| {
            let found = body.pointer(pointer).and_then(Value::as_str);
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let required = |pointer: &str, field: &str| {
            text(pointer).ok_or_else(|| KubernetesError::InvalidObject {
                document,
                reason: format!("{field} is missing"),
            })
        };
        let object = Self {
            api_version: required("/apiVersion", "apiVersion")?,
            kind: required("/kind", "kind")?,
            namespace: text("/metadata/namespace"),
            name: required("/metadata/name", "metadata.name")?,
            body: Value::Null,
        };
        // They become parts of a URL; only API versions have a slash.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let names = std::iter::once(&object.name).chain(&object.namespace);
        let version = object.api_version.split('/');
        let mut parts = names.map(String::as_str).chain(version);
        if let Some(odd) = parts.find(|part| !part.bytes().all(is_plain)) {
            return Err(KubernetesError::InvalidObject {
                document,
                reason: format!("`{odd}` cannot be part of a name"),
            });
        }
        Ok(Self { body, ..object })
    }

    /// Sets the namespace that an object of this kind must have: `default`
    /// where the manifest names none, and none for kinds without namespaces.
    pub(super) fn settle(&mut self, kind: &ResourceKind) {
        self.namespace = match (kind.is_namespaced, self.namespace.take()) {
            (true, given) => Some(given.unwrap_or_else(|| "default".to_owned())),
            (false, _) => None,
        };
    }

    /// Returns the object's URL path.
    pub(super) fn path(&self, kind: &ResourceKind) -> String {
        let group = group_path(&self.api_version);
        let (plural, name) = (&kind.plural, &self.name);
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}/{name}"),
            None => format!("{group}/{plural}/{name}"),
        }
    }

    /// Returns when the object's turn is: what others need comes first, and
    /// what can stop others from being accepted comes last.
    pub(super) fn stage(&self) -> Stage {
        match self.kind.as_str() {
            "Namespace" => Stage::Namespaces,
            "CustomResourceDefinition" => Stage::Definitions,
            "ServiceAccount" | "ConfigMap" | "Secret" | "Role" | "RoleBinding" | "ClusterRole"
            | "ClusterRoleBinding" | "PriorityClass" | "RuntimeClass" => Stage::Prerequisites,
            "APIService" | "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
                Stage::Hooks
            }
            _ => Stage::Others,
        }
    }
}

/// The order in which objects of a manifest are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Namespaces.
    Namespaces,
    /// Definitions of further kinds.
    Definitions,
    /// What pods refer to.
    Prerequisites,
    /// Everything else.
    Others,
    /// What the API server calls when it handles others.
    Hooks,
}

impl Stage {
    /// Every stage, in order.
    pub(super) const ALL: [Self; 5] = [
        Self::Namespaces,
        Self::Definitions,
        Self::Prerequisites,
        Self::Others,
        Self::Hooks,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
# a comment alone is no object
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: kube-proxy, namespace: kube-system }
spec: { template: { spec: { volumes: [ { configMap: { defaultMode: 0644 } } ] } } }
---
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Namespace, metadata: { name: kube-flannel } }
";

    #[test]
    fn documents_and_list_items_are_objects() {
        let objects = ManifestObject::parse_all(MANIFEST).unwrap();
        let names: Vec<String> = objects.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["DaemonSet kube-system/kube-proxy", "Namespace kube-flannel"]
        );
        assert!(objects[1].stage() < objects[0].stage());
    }

    #[test]
    fn modes_with_a_leading_zero_are_octal() {
        let objects = ManifestObject::parse_all(MANIFEST).unwrap();
        let mode = objects[0]
            .body
            .pointer("/spec/template/spec/volumes/0/configMap/defaultMode");
        assert_eq!(mode, Some(&Value::from(0o644)));
    }

    #[test]
    fn a_document_without_a_name_is_refused_with_its_number() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: { name: a }\n---\n\
                    apiVersion: v1\nkind: Secret\nmetadata: {}\n";
        let error = ManifestObject::parse_all(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "document 2 of the manifest is not a Kubernetes object: metadata.name is missing"
        );
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_url() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: { name: 'a?b' }\n";
        assert!(ManifestObject::parse_all(text).is_err());
    }

    #[test]
    fn namespaces_follow_the_kind() {
        let mut objects = ManifestObject::parse_all(
            "{apiVersion: v1, kind: Secret, metadata: {name: a}}\n---\n\
             {apiVersion: v1, kind: Namespace, metadata: {name: b, namespace: c}}\n",
        )
        .unwrap();
        let paths: Vec<String> = objects
            .iter_mut()
            .map(|object| {
                let kind = ResourceKind::built_in(&object.api_version, &object.kind).unwrap();
                object.settle(&kind);
                object.path(&kind)
            })
            .collect();
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/default/secrets/a",
                "/api/v1/namespaces/b"
            ]
        );
    }
}
