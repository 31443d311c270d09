//! The paths on a host that a rendered document names.

use serde_json::Value;

use crate::{TemplateError, yaml};

/// What messages call the document.
const DOCUMENT: &str = "the rendered document";

/// Returns the host's files and folders that a Pod mounts.
///
/// # Errors
///
/// Fails for a text that is not YAML.
pub fn mounted_host_paths(pod: &str) -> Result<Vec<String>, TemplateError> {
    let pod = yaml::read(DOCUMENT, pod)?;
    let volumes = pod["spec"]["volumes"].as_array();
    let path = |volume: &Value| volume["hostPath"]["path"].as_str().map(str::to_owned);
    Ok(volumes.into_iter().flatten().filter_map(path).collect())
}

/// Returns every absolute path that a document has as a value.
///
/// # Errors
///
/// Fails for a text that is not YAML.
pub fn named_paths(document: &str) -> Result<Vec<String>, TemplateError> {
    let mut found = Vec::new();
    collect(&yaml::read(DOCUMENT, document)?, &mut found);
    Ok(found)
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with('/') => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_s_side_of_a_mount_counts() {
        let pod = "\
spec:
  containers: [{ name: a, volumeMounts: [{ name: x, mountPath: /inside }] }]
  volumes:
  - { name: x, hostPath: { path: /etc/kubernetes/audit, type: Directory } }
  - { name: y, emptyDir: {} }
";
        let found = mounted_host_paths(pod).expect("it is YAML");
        assert_eq!(found, ["/etc/kubernetes/audit"]);
        let none = mounted_host_paths("spec: { containers: [] }").expect("it is YAML");
        assert!(none.is_empty());
    }

    #[test]
    fn paths_are_found_at_any_depth() {
        let text = "a: [{ b: /etc/x }, 1, text]\nc: { d: /y/z }\ne: 1/2\n";
        assert_eq!(named_paths(text).expect("it is YAML"), ["/etc/x", "/y/z"]);
    }
}
