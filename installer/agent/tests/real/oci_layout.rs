//! Images in a folder of OCI layouts: `images/<registry>/<repository>/<tag>`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slipway_api::{Architecture, Blob, Image, ImageBlob};

/// An image with the folder that its blobs are in.
pub struct LaidOut {
    /// The image.
    pub image: Image,
    blobs: PathBuf,
}

impl LaidOut {
    /// Reads the image of a repository such as `registry.k8s.io/pause`, in
    /// whatever tag is there.
    pub fn any_tag(repository: &str) -> Self {
        let folder = std::env::var_os("SLIPWAY_TEST_BIN").expect("SLIPWAY_TEST_BIN is set");
        let folder = Path::new(&folder).join("images").join(repository);
        let tags = std::fs::read_dir(&folder);
        let tags = tags.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut tags: Vec<_> = tags
            .map(|tag| tag.expect("it is listed").file_name())
            .collect();
        tags.sort();
        let tag = tags.pop().expect("the repository has a tag");
        let folder = folder.join(&tag);
        let index = json(&folder.join("index.json"));
        let blobs = folder.join("blobs/sha256");
        let manifest = part(&index["manifests"][0]);
        let content = json(&blobs.join(manifest.blob.sha256.to_string()));
        let layers = content["layers"].as_array().expect("a manifest has layers");
        let reference = format!("{repository}:{}", tag.display());
        Self {
            image: Image {
                reference: reference
                    .parse()
                    .expect("folders are named like references"),
                architecture: Architecture::Amd64,
                config: part(&content["config"]),
                layers: layers.iter().map(part).collect(),
                manifest,
            },
            blobs,
        }
    }

    /// Returns where a blob is.
    pub fn path(&self, blob: &Blob) -> PathBuf {
        self.blobs.join(blob.sha256.to_string())
    }

    /// Returns the image's largest blob.
    pub fn largest(&self) -> Blob {
        let blobs = self.image.blobs();
        blobs
            .into_iter()
            .max_by_key(|blob| blob.size)
            .expect("images have blobs")
    }
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("layouts are JSON")
}

fn part(descriptor: &Value) -> ImageBlob {
    let text = |key: &str| descriptor[key].as_str().expect("descriptors are complete");
    ImageBlob {
        media_type: text("mediaType").to_owned(),
        blob: Blob {
            sha256: text("digest").parse().expect("digests are SHA-256"),
            size: descriptor["size"]
                .as_u64()
                .expect("descriptors are complete"),
        },
    }
}
