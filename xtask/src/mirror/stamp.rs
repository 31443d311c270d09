//! The note that a component is in the mirror, and how it gets there.

use std::path::Path;

use serde_json::{Value, json};
use slipway_api::Sha256Digest;

use super::workbench::PRIVATE;
use crate::error::Error;

/// What was built, by which recipe, and which paths of the mirror it brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The recipe's digest.
    pub recipe: Sha256Digest,
    /// How long it took in seconds.
    pub seconds: u64,
    /// Files and image folders, relative to the mirror.
    pub outputs: Vec<String>,
}

impl Stamp {
    /// Returns the stamp of the component `id`, or nothing where there is no readable one.
    pub fn read(mirror: &Path, id: &str) -> Option<Self> {
        let text = std::fs::read_to_string(mirror.join(path_of(id))).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let outputs = value["outputs"].as_array()?.iter();
        Some(Self {
            recipe: value["recipe"].as_str()?.parse().ok()?,
            seconds: value["seconds"].as_u64()?,
            outputs: outputs
                .map(|path| path.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        })
    }

    /// Writes the stamp, as the very last act of building a component.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, mirror: &Path, id: &str) -> Result<(), Error> {
        let text = json!({
            "recipe": self.recipe,
            "seconds": self.seconds,
            "outputs": self.outputs,
        });
        let path = mirror.join(path_of(id));
        let new = path.with_extension("new");
        std::fs::write(&new, format!("{text:#}\n")).map_err(Error::file("write", &new))?;
        std::fs::rename(&new, &path).map_err(Error::file("rename", &new))
    }

    /// Returns whether everything the component brought is still there.
    pub fn is_complete(&self, mirror: &Path) -> bool {
        self.outputs.iter().all(|path| mirror.join(path).exists())
    }
}

/// Moves everything staged to its place in the mirror and returns the paths.
///
/// Files and whole image folders appear by a rename, so a reader never sees half of one.
///
/// # Errors
/// Something cannot be moved.
pub fn publish(stage: &Path, mirror: &Path) -> Result<Vec<String>, Error> {
    let mut outputs = Vec::new();
    collect(stage, "", &mut outputs)?;
    outputs.sort();
    for path in &outputs {
        let (from, to) = (stage.join(path), mirror.join(path));
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        if to.is_dir() {
            std::fs::remove_dir_all(&to).map_err(Error::file("remove", &to))?;
        }
        std::fs::rename(&from, &to).map_err(Error::file("move", &from))?;
    }
    Ok(outputs)
}

fn collect(folder: &Path, inside: &str, outputs: &mut Vec<String>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let entry = entry.map_err(Error::file("read", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() {
            name
        } else {
            format!("{inside}/{name}")
        };
        let is_image = entry.path().join("oci-layout").exists();
        if entry.path().is_dir() && !is_image {
            collect(&entry.path(), &path, outputs)?;
        } else {
            outputs.push(path);
        }
    }
    Ok(())
}

fn path_of(id: &str) -> String {
    format!("{PRIVATE}/stamps/{id}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    #[test]
    fn files_and_whole_images_are_published_and_replace_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (stage, mirror) = (folder.path().join("stage"), folder.path().join("mirror"));
        touch(&stage.join("dl.k8s.io/release/kubelet"));
        touch(&stage.join("images/r/pause/1/oci-layout"));
        touch(&stage.join("images/r/pause/1/blobs/sha256/new"));
        touch(&mirror.join("images/r/pause/1/blobs/sha256/old"));
        let outputs = publish(&stage, &mirror).unwrap();
        assert_eq!(outputs, ["dl.k8s.io/release/kubelet", "images/r/pause/1"]);
        assert!(mirror.join("images/r/pause/1/blobs/sha256/new").exists());
        assert!(!mirror.join("images/r/pause/1/blobs/sha256/old").exists());
    }

    #[test]
    fn a_stamp_is_worth_nothing_once_an_output_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = folder.path();
        touch(&mirror.join(path_of("x")));
        touch(&mirror.join("a/b"));
        let stamp = Stamp {
            recipe: Sha256Digest::of("recipe"),
            seconds: 3,
            outputs: vec!["a/b".to_owned()],
        };
        assert_eq!(Stamp::read(mirror, "x"), None);
        stamp.write(mirror, "x").unwrap();
        let read = Stamp::read(mirror, "x").unwrap();
        assert_eq!(read, stamp);
        assert!(read.is_complete(mirror));
        std::fs::remove_file(mirror.join("a/b")).unwrap();
        assert!(!read.is_complete(mirror));
    }
}
