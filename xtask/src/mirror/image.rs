//! A container image for one architecture, written as an OCI layout.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slipway_api::{Architecture, ImageReference, Sha256Digest};

use super::file_tree::Packed;
use crate::error::Error;

/// Where programs are looked for inside an image.
const SEARCH_PATH: &str =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin";

/// What an image consists of.
pub struct Image {
    /// Its official name.
    pub reference: ImageReference,
    /// The architecture of its programs.
    pub architecture: Architecture,
    /// The packed layers, the lowest first.
    pub layers: Vec<(PathBuf, Packed)>,
    /// What is always started.
    pub entrypoint: Vec<&'static str>,
    /// The arguments when the Pod names none.
    pub command: Vec<&'static str>,
    /// The user that runs it; empty is root.
    pub user: &'static str,
}

impl Image {
    /// Writes the image into the directory `layout`.
    ///
    /// Layers are linked, not copied, where the file system allows it.
    ///
    /// # Errors
    /// A layer cannot be read or the directory cannot be written.
    pub fn write_layout(&self, layout: &Path) -> Result<(), Error> {
        let blobs = layout.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).map_err(Error::file("create", &blobs))?;
        for (file, packed) in &self.layers {
            let blob = blobs.join(packed.digest.to_string());
            if blob.exists() {
                continue;
            }
            std::fs::hard_link(file, &blob)
                .or_else(|_| std::fs::copy(file, &blob).map(drop))
                .map_err(Error::file("copy", file))?;
        }
        let config = self.write_blob(&blobs, &self.config())?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": self.layers.iter().map(|(_, packed)| descriptor(
                "application/vnd.oci.image.layer.v1.tar+gzip",
                &(packed.digest, packed.size),
            )).collect::<Vec<_>>(),
        });
        let manifest = self.write_blob(&blobs, &manifest)?;
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        entry["platform"] = json!({ "architecture": self.architecture.as_str(), "os": "linux" });
        // Tools differ in which annotation they take for the name.
        entry["annotations"] = json!({
            "org.opencontainers.image.ref.name": self.reference.to_string(),
            "io.containerd.image.name": self.reference.to_string(),
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        });
        write(&layout.join("index.json"), &index.to_string())?;
        write(
            &layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
    }

    fn config(&self) -> Value {
        let mut config = json!({ "Env": [SEARCH_PATH], "WorkingDir": "/" });
        if !self.entrypoint.is_empty() {
            config["Entrypoint"] = json!(self.entrypoint);
        }
        if !self.command.is_empty() {
            config["Cmd"] = json!(self.command);
        }
        if !self.user.is_empty() {
            config["User"] = json!(self.user);
        }
        json!({
            "architecture": self.architecture.as_str(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": config,
            "rootfs": {
                "type": "layers",
                "diff_ids": self.layers.iter()
                    .map(|(_, packed)| format!("sha256:{}", packed.diff_id))
                    .collect::<Vec<_>>(),
            },
        })
    }

    fn write_blob(&self, blobs: &Path, value: &Value) -> Result<(Sha256Digest, u64), Error> {
        let text = value.to_string();
        let digest = Sha256Digest::of(&text);
        write(&blobs.join(digest.to_string()), &text)?;
        Ok((digest, text.len() as u64))
    }
}

fn descriptor(media_type: &str, (digest, size): &(Sha256Digest, u64)) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::file_tree::FileTree;

    fn read(path: &Path) -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn every_descriptor_of_a_layout_leads_to_a_blob_of_that_size_and_digest() {
        let folder = tempfile::tempdir().unwrap();
        let layer = folder.path().join("layer");
        let packed = FileTree::default()
            .text("pause", "x", 0o755)
            .pack(&layer)
            .unwrap();
        let image = Image {
            reference: "registry.k8s.io/pause:3.10.2".parse().unwrap(),
            architecture: Architecture::Amd64,
            layers: vec![(layer, packed)],
            entrypoint: vec!["/pause"],
            command: vec![],
            user: "65535:65535",
        };
        let layout = folder.path().join("image");
        image.write_layout(&layout).unwrap();

        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let path = layout.join("blobs").join(digest.replace(':', "/"));
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, descriptor["size"].as_u64().unwrap());
            assert_eq!(format!("sha256:{}", Sha256Digest::of(&bytes)), digest);
            path
        };
        let index = read(&layout.join("index.json"));
        assert_eq!(
            index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"],
            "registry.k8s.io/pause:3.10.2"
        );
        let manifest = read(&blob(&index["manifests"][0]));
        blob(&manifest["layers"][0]);
        let config = read(&blob(&manifest["config"]));
        assert_eq!(config["config"]["User"], "65535:65535");
        assert_eq!(config["config"]["Entrypoint"], json!(["/pause"]));
    }
}
