//! OCI and Docker image documents: an index of manifests, or one manifest.

use serde::Deserialize;
use slipway_api::{Blob, ImageBlob, Sha256Digest};

/// The media types asked for, in the order of preference.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";
/// The media type of a manifest that names none, as OCI allows.
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a tag leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageDocument {
    /// One manifest per platform.
    Index(Vec<IndexEntry>),
    /// The manifest of one platform.
    Manifest(Manifest),
}

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// The manifest or nested index.
    pub blob: ImageBlob,
    /// `linux/amd64`, where the entry says so.
    pub platform: Option<String>,
}

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Its own media type.
    pub media_type: String,
    /// The configuration.
    pub config: ImageBlob,
    /// The layers, lowest first.
    pub layers: Vec<ImageBlob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Sha256Digest,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

/// Parses an index or manifest.
///
/// # Errors
/// Returns what is wrong with it, for people.
pub(crate) fn parse_image_document(bytes: &[u8]) -> Result<ImageDocument, String> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| format!("its manifest is damaged: {error}"))?;
    if let Some(manifests) = document.manifests {
        return Ok(ImageDocument::Index(
            manifests.into_iter().map(index_entry).collect(),
        ));
    }
    let (Some(config), Some(layers)) = (document.config, document.layers) else {
        return Err("its manifest has neither `manifests` nor `config` and `layers`".to_owned());
    };
    let layers: Vec<ImageBlob> = layers.into_iter().map(image_blob).collect();
    // Such layers are not in the registry but at URLs of their own (old Windows images).
    let elsewhere = |layer: &&ImageBlob| {
        layer.media_type.contains("foreign") || layer.media_type.contains("nondistributable")
    };
    if let Some(layer) = layers.iter().find(elsewhere) {
        return Err(format!(
            "layer {} may not be distributed",
            layer.blob.sha256
        ));
    }
    Ok(ImageDocument::Manifest(Manifest {
        media_type: document
            .media_type
            .unwrap_or_else(|| OCI_MANIFEST.to_owned()),
        config: image_blob(config),
        layers,
    }))
}

/// Returns the architecture and system that an image configuration names: `linux/amd64`.
pub(crate) fn config_platform(bytes: &[u8]) -> Option<String> {
    let platform: Platform = serde_json::from_slice(bytes).ok()?;
    Some(format!("{}/{}", platform.os, platform.architecture))
}

fn index_entry(descriptor: Descriptor) -> IndexEntry {
    let platform = descriptor
        .platform
        .as_ref()
        .map(|platform| format!("{}/{}", platform.os, platform.architecture));
    IndexEntry {
        blob: image_blob(descriptor),
        platform,
    }
}

fn image_blob(descriptor: Descriptor) -> ImageBlob {
    ImageBlob {
        media_type: descriptor.media_type,
        blob: Blob {
            sha256: descriptor.digest,
            size: descriptor.size,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_are_neither_index_nor_manifest_are_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"config":{"digest":"sha256:1","size":1},"layers":[]}"#,
        ] {
            assert!(parse_image_document(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_without_platform_has_none() {
        let digest = Sha256Digest::of("x");
        let text = format!(r#"{{"manifests":[{{"digest":"sha256:{digest}","size":1}}]}}"#);
        let ImageDocument::Index(entries) = parse_image_document(text.as_bytes()).unwrap() else {
            panic!("an index was expected");
        };
        assert_eq!(entries[0].platform, None);
    }
}
