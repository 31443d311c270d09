//! Applies users' patches to rendered documents.

use serde_json::{Map, Value};

use crate::{TemplateError, json_patch, yaml};

/// A patch over a rendered document.
#[derive(Debug, Clone, Copy)]
pub enum DocumentPatch<'a> {
    /// A JSON Patch (RFC 6902): a list of operations.
    Json(&'a Value),
    /// A JSON Merge Patch (RFC 7386).
    Merge(&'a Value),
}

/// Returns the rendered YAML with the patches applied, one after the other, to
/// its document of this `kind`; other documents stay as they are.
///
/// # Errors
///
/// Fails for a JSON Patch that is none, or whose path or test does not fit; the
/// number of patches that were applied before it comes along.
pub fn patched(
    text: &str,
    kind: &str,
    patches: &[DocumentPatch<'_>],
) -> Result<String, (usize, TemplateError)> {
    const DOCUMENT: &str = "the patched document";
    if patches.is_empty() {
        return Ok(text.to_owned());
    }
    let parts: Vec<&str> = text.split("\n---\n").collect();
    let mut written = Vec::new();
    for part in parts {
        let part = part.strip_prefix("---\n").unwrap_or(part);
        let mut document = yaml::read(DOCUMENT, part).map_err(|error| (0, error))?;
        if document["kind"] != kind {
            written.push(format!("{}\n", part.trim_end()));
            continue;
        }
        for (index, patch) in patches.iter().enumerate() {
            apply(&mut document, *patch).map_err(|error| (index, error))?;
        }
        written.push(yaml::write(DOCUMENT, document).map_err(|error| (0, error))?);
    }
    Ok(written.join("---\n"))
}

fn apply(document: &mut Value, patch: DocumentPatch<'_>) -> Result<(), TemplateError> {
    match patch {
        DocumentPatch::Merge(patch) => {
            merge(document, patch);
            Ok(())
        }
        DocumentPatch::Json(patch) => {
            json_patch::apply(document, patch).map_err(|reason| TemplateError::Patch { reason })
        }
    }
}

/// Applies a JSON Merge Patch: maps merge key by key, null takes a key away,
/// anything else replaces what was there.
fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            document.as_object_mut().and_then(|map| map.remove(key));
        } else {
            merge(&mut document[key.as_str()], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POD: &str = "# a comment\nkind: Pod\nspec:\n  containers:\n  - name: a\n    image: b\n";

    fn patched_pod(patches: &[DocumentPatch<'_>]) -> Result<Value, (usize, TemplateError)> {
        let text = patched(POD, "Pod", patches)?;
        Ok(serde_saphyr::from_str(&text).expect("it is YAML"))
    }

    #[test]
    fn patches_are_applied_in_order() {
        let merge = json!({"metadata": {"labels": {"x": "1"}}, "spec": {"hostNetwork": true}});
        let json = json!([
            {"op": "test", "path": "/metadata/labels/x", "value": "1"},
            {"op": "replace", "path": "/spec/containers/0/image", "value": "c"},
            {"op": "remove", "path": "/spec/hostNetwork"},
        ]);
        let pod = patched_pod(&[DocumentPatch::Merge(&merge), DocumentPatch::Json(&json)]);
        let pod = pod.expect("the patches fit");
        assert_eq!(
            pod["spec"],
            json!({"containers": [{"name": "a", "image": "c"}]})
        );
        assert_eq!(pod["metadata"]["labels"]["x"], "1");
    }

    #[test]
    fn a_merge_patch_removes_with_null() {
        let merge = json!({"spec": {"containers": null, "a": {"b": null, "c": 1}, "gone": null}});
        let pod = patched_pod(&[DocumentPatch::Merge(&merge)]).expect("it fits");
        assert_eq!(pod["spec"], json!({"a": {"c": 1}}));
    }

    #[test]
    fn a_patch_that_does_not_fit_is_told_by_its_number() {
        let good = json!({"a": 1});
        for bad in [
            json!([{"op": "remove", "path": "/spec/volumes/0"}]),
            json!([{"op": "test", "path": "/kind", "value": "Node"}]),
            json!([{"op": "explode", "path": "/kind"}]),
            json!({"not": "a list"}),
        ] {
            let patches = [DocumentPatch::Merge(&good), DocumentPatch::Json(&bad)];
            let (index, error) = patched_pod(&patches).expect_err("it does not fit");
            assert_eq!(index, 1, "{error}");
        }
    }

    #[test]
    fn only_documents_of_the_kind_are_patched() {
        let text = format!("---\nkind: Service\nspec: {{}}\n---\n{POD}");
        let merge = json!({"spec": {"x": 1}});
        let text = patched(&text, "Pod", &[DocumentPatch::Merge(&merge)]).expect("it fits");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
        assert_eq!(documents[0]["spec"], json!({}));
        assert_eq!(documents[1]["spec"]["x"], 1);
    }
}
