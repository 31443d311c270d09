//! `spec.patches`: a folder of patches, its files named as for kubeadm:
//! `TARGET[SUFFIX][+TYPE].yaml` or `.json`.
//!
//! Source: kubeadm's `util/patches/patches.go`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::build::build_documents;
use super::json::to_json;
use super::problems::{Located, Place, Problems, excerpt};
use super::schema::{PATCHES, closest, list};
use super::value::Value;
use crate::spec::{LocalContent, LocalFiles, Patch, PatchKind, PatchTarget, Patches};

/// How many bytes the folder may have in all.
const MAX_BYTES: u64 = 1 << 20;

const HELP: &str = "write `patches: { directory: FOLDER }`, the folder beside this file";

/// Reads the section and the folder that it names.
pub(super) fn read_patches(
    section: &Value<'_>,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Option<Patches> {
    let fields = section.fields(&PATCHES, problems)?;
    let directory = fields.required("directory", HELP, problems)?;
    let directory = directory.located(directory.path(problems)?);
    let patches = files.and_then(|files| read_folder(&directory, files, problems));
    Some(Patches {
        directory: directory.value,
        patches,
    })
}

fn read_folder(
    directory: &Located<PathBuf>,
    files: &dyn LocalFiles,
    problems: &mut Problems,
) -> Option<Vec<Patch>> {
    let place = &directory.place;
    let shown = excerpt(&directory.value.display().to_string());
    let files = match files.read(&directory.value, MAX_BYTES) {
        Ok(LocalContent::Folder(files)) => files,
        Ok(LocalContent::File(_)) => {
            problems.report(place, format!("`{shown}` is a file, not a folder"), HELP);
            return None;
        }
        Err(reason) => {
            problems.report(place, format!("`{shown}`: {reason}"), HELP);
            return None;
        }
    };
    let mut patches = Vec::new();
    for (name, bytes) in files {
        match read_file(&name, bytes) {
            Ok(found) => patches.extend(found),
            Err((message, help)) => {
                let message = format!("`{shown}/{}`: {message}", excerpt(&name));
                problems.report(place, message, help);
            }
        }
    }
    Some(patches)
}

/// Returns the patches of one file; none of a file that is something else.
fn read_file(name: &str, bytes: Vec<u8>) -> Result<Vec<Patch>, (String, String)> {
    let Some((target, kind)) = parse_name(name)? else {
        return Ok(Vec::new());
    };
    let fail = |message: String, help: &str| (message, help.to_owned());
    let text = String::from_utf8(bytes)
        .map_err(|_| fail("it is not UTF-8 text".to_owned(), "save it as UTF-8 text"))?;
    let mut found = Problems::default();
    let nodes = build_documents(&text, &mut found);
    let documents: Vec<Json> = nodes
        .iter()
        .map(|node| to_json(node, &Place::document(node.mark), &mut found))
        .collect();
    if let Some((line, message, help)) = found.first() {
        return Err((format!("line {line}: {message}"), help.to_owned()));
    }
    let patch = |document: Json| {
        let fits = match kind {
            PatchKind::Json => document.is_array(),
            PatchKind::Merge => document.is_object(),
        };
        if !fits {
            return Err(match kind {
                PatchKind::Json => fail(
                    "a JSON Patch is a list of operations".to_owned(),
                    "write `- { op: add, path: /metadata/labels/a, value: b }`",
                ),
                PatchKind::Merge => fail(
                    "a merge patch is a mapping".to_owned(),
                    "write the part of the object that is to change",
                ),
            });
        }
        Ok(Patch {
            file: name.to_owned(),
            target,
            kind,
            document,
        })
    };
    documents.into_iter().map(patch).collect()
}

/// Returns what a file's name says; nothing for files that are no patches.
fn parse_name(name: &str) -> Result<Option<(PatchTarget, PatchKind)>, (String, String)> {
    let ending = Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str());
    let stem = match ending {
        Some("yaml" | "json") => &name[..name.len() - 5],
        Some("yml") => {
            let better = format!("{}yaml", name.trim_end_matches("yml"));
            return Err((
                "kubeadm takes `.yaml` and `.json` only".to_owned(),
                format!("call it `{better}`"),
            ));
        }
        Some(_) | None => return Ok(None),
    };
    let target = PatchTarget::ALL
        .into_iter()
        .find(|target| stem.starts_with(target.as_str()));
    let Some(target) = target else {
        let names = PatchTarget::ALL.map(PatchTarget::as_str);
        let word = stem.split(['+', '.']).next().unwrap_or(stem);
        let help = match closest(word, names) {
            Some(meant) => format!("let its name begin with `{meant}`"),
            None => format!("let its name begin with one of {}", list(&names)),
        };
        return Err((
            "its name begins with nothing that can be patched".to_owned(),
            help,
        ));
    };
    let rest = &stem[target.as_str().len()..];
    let (suffix, kind) = match rest.split_once('+') {
        Some((suffix, kind)) => (suffix, Some(kind)),
        None => (rest, None),
    };
    if suffix.contains('.') {
        return Err((
            "its suffix has a dot".to_owned(),
            format!("write letters and digits between `{target}` and the type"),
        ));
    }
    match kind {
        Some("json") => Ok(Some((target, PatchKind::Json))),
        Some("merge") => Ok(Some((target, PatchKind::Merge))),
        // The kubelet's configuration has no lists that are merged by a key:
        // there the two kinds are one.
        None | Some("strategic") if target == PatchTarget::KubeletConfiguration => {
            Ok(Some((target, PatchKind::Merge)))
        }
        None | Some("strategic") => Err((
            "strategic merge patches are not supported, and a name without a type means one"
                .to_owned(),
            format!(
                "write it as a merge patch, which replaces lists as a whole, and call it `{target}{suffix}+merge.yaml`, or as a JSON Patch, `{target}{suffix}+json.yaml`"
            ),
        )),
        Some(other) => Err((
            format!("`{}` is not a type of patch", excerpt(other)),
            format!("call it `{target}{suffix}+merge.yaml` or `{target}{suffix}+json.yaml`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_target_and_type_as_for_kubeadm() {
        for (name, target, kind) in [
            ("etcd+json.yaml", PatchTarget::Etcd, PatchKind::Json),
            (
                "kube-apiserver0+merge.json",
                PatchTarget::KubeApiserver,
                PatchKind::Merge,
            ),
            (
                "kubeletconfiguration.yaml",
                PatchTarget::KubeletConfiguration,
                PatchKind::Merge,
            ),
            (
                "kubeletconfiguration1+strategic.yaml",
                PatchTarget::KubeletConfiguration,
                PatchKind::Merge,
            ),
            (
                "corednsdeployment-replicas+merge.yaml",
                PatchTarget::CoreDnsDeployment,
                PatchKind::Merge,
            ),
        ] {
            assert_eq!(parse_name(name), Ok(Some((target, kind))), "{name}");
        }
        for name in ["README.md", "notes", ".gitignore"] {
            assert_eq!(parse_name(name), Ok(None), "{name}");
        }
        for name in [
            "kube-apiserver.yaml",
            "kube-scheduler+strategic.yaml",
            "etcd+jsonpatch.yaml",
            "etcd+.yaml",
            "apiserver+merge.yaml",
            "etcd+merge.yml",
            "etcd.a+merge.yaml",
        ] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_file_may_hold_several_patches_of_its_type() {
        let read = |name: &str, text: &str| read_file(name, text.as_bytes().to_vec());
        assert_eq!(
            read("etcd+merge.yaml", "a: 1\n---\nb: 2\n").unwrap().len(),
            2
        );
        assert_eq!(read("etcd+json.yaml", "").unwrap(), []);
        assert!(read("etcd+json.yaml", "a: 1").is_err());
        assert!(read("etcd+merge.yaml", "- a").is_err());
        let (message, _) = read("etcd+merge.yaml", "a: [\n").unwrap_err();
        assert!(message.starts_with("line "), "{message}");
    }
}
