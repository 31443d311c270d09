//! The user's own manifests: read through [`LocalFiles`], and looked through
//! before anything is planned with them.

use std::path::PathBuf;

use serde_json::Value;

use super::problems::{Located, Problems, excerpt};
use crate::spec::{LocalContent, LocalFiles, LocalText};

/// How many bytes one path of manifests may have in all: the largest network
/// addons have two million.
const MAX_BYTES: u64 = 8 << 20;
/// Which files of a folder are manifests, as for kubectl.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// Reads what is at the path and reports what is no manifest.
pub(super) fn read_manifests(
    path: Located<PathBuf>,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> LocalText {
    let text = files.and_then(|files| {
        let found = files.read(&path.value, MAX_BYTES).and_then(text_of);
        match found {
            Ok(text) => Some(text),
            Err(reason) => {
                let shown = path.value.display().to_string();
                problems.report(
                    &path.place,
                    format!("`{}`: {reason}", excerpt(&shown)),
                    "name a manifest, or a folder of manifests, beside this file",
                );
                None
            }
        }
    });
    LocalText {
        path: path.value,
        text,
    }
}

/// Returns the manifests as one text of several documents.
fn text_of(content: LocalContent) -> Result<String, String> {
    let files = match content {
        LocalContent::File(bytes) => vec![(String::new(), bytes)],
        LocalContent::Folder(mut files) => {
            files.retain(|(name, _)| ENDINGS.iter().any(|ending| name.ends_with(ending)));
            if files.is_empty() {
                return Err("the folder holds no manifest".to_owned());
            }
            files
        }
    };
    let mut all = String::new();
    for (name, bytes) in files {
        let place = |reason: String| match name.as_str() {
            "" => reason,
            name => format!("{name}: {reason}"),
        };
        let text =
            String::from_utf8(bytes).map_err(|_| place("it is not UTF-8 text".to_owned()))?;
        check(&text).map_err(place)?;
        let text = text.trim_start_matches('\u{feff}');
        if !all.is_empty() {
            all.push_str("---\n");
        }
        all.push_str(text);
        if !text.ends_with('\n') {
            all.push('\n');
        }
    }
    Ok(all)
}

/// Says what is wrong with a manifest, quoting nothing of it but names.
fn check(text: &str) -> Result<(), String> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        budget: serde_saphyr::budget! { max_depth: 256, max_nodes: 2_000_000 },
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            match error.location() {
                Some(place) => format!("line {} is not valid YAML", place.line()),
                None => "it is not valid YAML".to_owned(),
            }
        })?;
    let mut count = 0;
    for (index, document) in documents.iter().enumerate() {
        if document.is_null() {
            continue;
        }
        let is_list = document["kind"] == "List";
        let objects = match document["items"].as_array() {
            Some(items) if is_list => items.as_slice(),
            Some(_) | None => std::slice::from_ref(document),
        };
        for object in objects {
            check_object(object).map_err(|reason| format!("document {}: {reason}", index + 1))?;
            count += 1;
        }
    }
    if count == 0 {
        return Err("it holds no object".to_owned());
    }
    Ok(())
}

fn check_object(object: &Value) -> Result<(), String> {
    for (pointer, field) in [
        ("/apiVersion", "apiVersion"),
        ("/kind", "kind"),
        ("/metadata/name", "metadata.name"),
    ] {
        let found = object.pointer(pointer).and_then(Value::as_str);
        if found.is_none_or(str::is_empty) {
            return Err(format!("`{field}` is missing"));
        }
    }
    let holds = |field: &str| {
        let fields = object[field].as_object();
        fields.is_some_and(|fields| !fields.is_empty())
    };
    if object["kind"] == "Secret" && (holds("data") || holds("stringData")) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        return Err(format!(
            "the Secret `{}` holds data, and plans hold no secrets: apply it yourself with kubectl",
            excerpt(name)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: LocalContent) -> Result<String, String> {
        text_of(content)
    }

    #[test]
    fn a_folder_s_manifests_become_one_text_and_other_files_are_left_out() {
        let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        let object =
            |name: &str| format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}");
        let text = read(LocalContent::Folder(vec![
            file("1.yaml", &object("a")),
            file(
                "2.json",
                "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"b\"}}\n",
            ),
            file("README.md", "# how this came here"),
        ]));
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text.unwrap()).unwrap();
        let names: Vec<_> = documents
            .iter()
            .map(|object| &object["metadata"]["name"])
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        for (text, reason) in [
            ("", "it holds no object"),
            ("# nothing\n---\n", "it holds no object"),
            ("a: [", "line 1 is not valid YAML"),
            ("a: b", "document 1: `apiVersion` is missing"),
            (
                "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod}]}",
                "document 1: `metadata.name` is missing",
            ),
            (
                "{apiVersion: v1, kind: Secret, metadata: {name: ca}, data: {key: aHVudGVy}}",
                "document 1: the Secret `ca` holds data, and plans hold no secrets: apply it yourself with kubectl",
            ),
        ] {
            assert_eq!(
                read(LocalContent::File(text.into())),
                Err(reason.to_owned())
            );
        }
        assert!(read(LocalContent::File(vec![0xff])).is_err());
        assert!(read(LocalContent::Folder(Vec::new())).is_err());
    }
}
