//! The place where one component is built: scratch space, a stage for results, and the finished mirror to read from.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slipway_api::{Architecture, ImageReference};

use super::file_tree::{FileTree, Packed, digest_of};
use super::image::Image;
use super::shell::Shell;
use crate::error::Error;

/// The mirror's own folder, for what is not part of any official site.
pub const PRIVATE: &str = ".slipway-mirror";

/// The layers that images are put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Users, certificate authorities, `/tmp`.
    Common,
    /// iptables, nftables, conntrack, ipset, kmod and a shell.
    Network,
}

/// One component's place of work.
pub struct Workbench<'a> {
    /// Runs programs and tells about it.
    pub shell: Shell,
    /// Scratch space, empty at the start and removed at the end.
    pub scratch: PathBuf,
    /// Results, laid out like the mirror; published together at the end.
    pub stage: PathBuf,
    /// The mirror with the components built before.
    pub mirror: &'a Path,
    /// The architecture of this machine and so of the mirror.
    pub architecture: Architecture,
}

/// How a staged image is started.
#[derive(Default)]
pub struct Start {
    /// What is always started.
    pub entrypoint: Vec<&'static str>,
    /// The arguments when the Pod names none.
    pub command: Vec<&'static str>,
    /// The user that runs it; empty is root.
    pub user: &'static str,
}

impl Start {
    /// Starts one program as root.
    pub fn program(entrypoint: &'static str) -> Self {
        Self {
            entrypoint: vec![entrypoint],
            ..Self::default()
        }
    }
}

impl Base {
    fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Network => "network",
        }
    }
}

impl Workbench<'_> {
    /// Returns a new folder in the scratch space.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.scratch.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        Ok(folder)
    }

    /// Returns the path of a result, its folder made.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn staged(&self, path: &str) -> Result<PathBuf, Error> {
        let path = self.stage.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        Ok(path)
    }

    /// Stages a small text, such as a checksum file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn stage_text(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.staged(path)?;
        std::fs::write(&path, text).map_err(Error::file("write", &path))
    }

    /// Stages a program by moving it from where it was built.
    ///
    /// # Errors
    /// It cannot be moved or read.
    pub fn stage_program(&self, program: &Path, path: &str) -> Result<(), Error> {
        let to = self.staged(path)?;
        std::fs::rename(program, &to).map_err(Error::file("move", program))
    }

    /// Stages a tree as a gzip-compressed tar and returns its line for a checksum list.
    ///
    /// # Errors
    /// It cannot be packed.
    pub fn stage_archive(
        &self,
        tree: &FileTree,
        folder: &str,
        name: &str,
    ) -> Result<String, Error> {
        self.shell.say(&format!("packing {name}"));
        let packed = tree.pack(&self.staged(&format!("{folder}/{name}"))?)?;
        Ok(format!("{}  {name}\n", packed.digest))
    }

    /// Stages the layer `base` for the images of other components.
    ///
    /// # Errors
    /// It cannot be packed.
    pub fn stage_base(&self, base: Base, tree: &FileTree) -> Result<(), Error> {
        self.shell
            .say(&format!("packing the {} layer", base.name()));
        let packed = tree.pack(&self.staged(&layer_path(base))?)?;
        let note = json!({
            "digest": packed.digest,
            "diff_id": packed.diff_id,
            "size": packed.size,
        });
        self.stage_text(&note_path(base), &note.to_string())
    }

    /// Stages an image: `tree` on top of the common layer and, if wanted, the network layer.
    ///
    /// # Errors
    /// A layer cannot be read or written.
    pub fn stage_image(
        &self,
        reference: &ImageReference,
        base: Base,
        tree: &FileTree,
        start: Start,
    ) -> Result<(), Error> {
        self.shell.say(&format!("packing {reference}"));
        let mut layers = vec![self.base_layer(Base::Common)?];
        if base == Base::Network {
            layers.push(self.base_layer(Base::Network)?);
        }
        let layer = self.scratch.join("layer.tar.gz");
        let packed = tree.pack(&layer)?;
        layers.push((layer.clone(), packed));
        let image = Image {
            reference: reference.clone(),
            architecture: self.architecture,
            layers,
            entrypoint: start.entrypoint,
            command: start.command,
            user: start.user,
        };
        image.write_layout(&self.staged(&image_path(reference))?)?;
        // The layout shares the file by a hard link: the next image needs a new one.
        std::fs::remove_file(&layer).map_err(Error::file("remove", &layer))
    }

    /// Returns the checksum of a staged file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn staged_digest(&self, path: &str) -> Result<String, Error> {
        Ok(digest_of(&self.stage.join(path))?.to_string())
    }

    fn base_layer(&self, base: Base) -> Result<(PathBuf, Packed), Error> {
        let note_file = self.mirror.join(note_path(base));
        let text = std::fs::read_to_string(&note_file).map_err(Error::file("read", &note_file))?;
        let packed = parse_note(&text).ok_or_else(|| Error::Answer {
            program: "xtask mirror",
            what: format!("{} is not a layer's note", note_file.display()),
        })?;
        Ok((self.mirror.join(layer_path(base)), packed))
    }
}

/// Returns an image's folder in a mirror.
pub fn image_path(reference: &ImageReference) -> String {
    format!(
        "images/{}/{}/{}",
        reference.registry(),
        reference.repository(),
        reference.tag()
    )
}

fn layer_path(base: Base) -> String {
    format!("{PRIVATE}/base/{}.tar.gz", base.name())
}

fn note_path(base: Base) -> String {
    format!("{PRIVATE}/base/{}.json", base.name())
}

fn parse_note(text: &str) -> Option<Packed> {
    let note: Value = serde_json::from_str(text).ok()?;
    Some(Packed {
        digest: note["digest"].as_str()?.parse().ok()?,
        diff_id: note["diff_id"].as_str()?.parse().ok()?,
        size: note["size"].as_u64()?,
    })
}
