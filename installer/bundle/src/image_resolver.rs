//! From an image's name to everything that its manifest names, for one architecture.

use slipway_api::{Architecture, Blob, Image, ImageBlob, ImageReference, Sha256Digest};

use crate::BundleError;
use crate::depot::{Depot, ImageBlobKind};
use crate::image_manifest::{
    ImageDocument, IndexEntry, Manifest, config_platform, parse_image_document,
};

/// How deep an index may stand in an index.
const MAX_NESTING: usize = 3;

/// Returns what belongs to `reference` for `architecture`; layers are not fetched yet.
pub(crate) async fn resolve_image(
    depot: &Depot,
    reference: &ImageReference,
    architecture: Architecture,
) -> Result<Image, BundleError> {
    let invalid = |reason: String| BundleError::Image {
        reference: reference.clone(),
        reason,
    };
    let mut bytes = depot.image_top(reference).await?;
    for _ in 0..MAX_NESTING {
        let document = parse_image_document(&bytes).map_err(invalid)?;
        let entries = match document {
            ImageDocument::Index(entries) => entries,
            ImageDocument::Manifest(manifest) => {
                let blob = Blob {
                    sha256: Sha256Digest::of(&bytes),
                    size: bytes.len() as u64,
                };
                return finish(depot, reference, architecture, blob, manifest).await;
            }
        };
        let entry = choose(&entries, architecture).ok_or_else(|| BundleError::NoSuchPlatform {
            reference: reference.clone(),
            architecture,
            offered: offered(&entries),
        })?;
        bytes = read_blob(depot, reference, &entry.blob, ImageBlobKind::Manifest).await?;
    }
    Err(invalid(format!(
        "its index leads through more than {MAX_NESTING} others"
    )))
}

async fn finish(
    depot: &Depot,
    reference: &ImageReference,
    architecture: Architecture,
    blob: Blob,
    manifest: Manifest,
) -> Result<Image, BundleError> {
    let Manifest {
        media_type,
        config,
        layers,
    } = manifest;
    // From a tag that leads straight to a manifest, its bytes were not stored yet.
    depot
        .image_blob(reference, &blob, ImageBlobKind::Manifest)
        .await?;
    let bytes = read_blob(depot, reference, &config, ImageBlobKind::Content).await?;
    let platform = config_platform(&bytes).unwrap_or_else(|| "an unknown platform".to_owned());
    if platform != wanted_platform(architecture) {
        return Err(BundleError::NoSuchPlatform {
            reference: reference.clone(),
            architecture,
            offered: platform,
        });
    }
    let manifest = ImageBlob { media_type, blob };
    Ok(Image {
        reference: reference.clone(),
        architecture,
        manifest,
        config,
        layers,
    })
}

async fn read_blob(
    depot: &Depot,
    reference: &ImageReference,
    part: &ImageBlob,
    kind: ImageBlobKind,
) -> Result<Vec<u8>, BundleError> {
    let path = depot.image_blob(reference, &part.blob, kind).await?;
    tokio::fs::read(&path)
        .await
        .map_err(BundleError::file("read", &path))
}

/// Returns the entry for `architecture`; one that names no platform may be it.
fn choose(entries: &[IndexEntry], architecture: Architecture) -> Option<&IndexEntry> {
    let wanted = wanted_platform(architecture);
    entries
        .iter()
        .find(|entry| entry.platform.as_deref() == Some(wanted.as_str()))
        .or_else(|| entries.iter().find(|entry| entry.platform.is_none()))
}

fn wanted_platform(architecture: Architecture) -> String {
    format!("linux/{architecture}")
}

fn offered(entries: &[IndexEntry]) -> String {
    let platforms: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry.platform.as_deref())
        .collect();
    match platforms.is_empty() {
        true => "nothing".to_owned(),
        false => platforms.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_server::{Answer, Asked, serve};
    use crate::{FetchOptions, Source};
    use std::sync::{Arc, Mutex};

    /// Answers as a registry does that has one image and gives tokens to everybody.
    fn registry(asked: &Asked, documents: &[(String, String)]) -> Answer {
        let host = &asked.headers["host"];
        if asked
            .path
            .starts_with("/token?service=test&scope=repository%3Apause%3Apull")
        {
            return Answer::ok(r#"{"token":"open-sesame"}"#);
        }
        if asked.headers.get("authorization").map(String::as_str) != Some("Bearer open-sesame") {
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="test""#);
            let headers = vec![("WWW-Authenticate", challenge)];
            return Answer {
                headers,
                ..Answer::status(401)
            };
        }
        match documents.iter().find(|(path, _)| *path == asked.path) {
            Some((_, document)) => Answer::ok(document.as_str()),
            None => Answer::status(404),
        }
    }

    fn descriptor(text: &str, platform: &str) -> String {
        let digest = Sha256Digest::of(text);
        let size = text.len();
        format!(r#"{{"mediaType":"x","digest":"sha256:{digest}","size":{size}{platform}}}"#)
    }

    fn path_of(kind: &str, text: &str) -> (String, String) {
        (
            format!("/v2/pause/{kind}/sha256:{}", Sha256Digest::of(text)),
            text.to_owned(),
        )
    }

    #[tokio::test]
    async fn an_image_is_found_in_a_registry_that_wants_a_token() {
        let config = r#"{"os":"linux","architecture":"arm64"}"#;
        let manifest = format!(
            r#"{{"config":{},"layers":[{}]}}"#,
            descriptor(config, ""),
            descriptor("layer", "")
        );
        let platform = r#","platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#;
        let index = format!(r#"{{"manifests":[{}]}}"#, descriptor(&manifest, platform));
        let documents = vec![
            ("/v2/pause/manifests/3.10".to_owned(), index),
            path_of("manifests", &manifest),
            path_of("blobs", config),
            path_of("blobs", "layer"),
        ];
        let log = Arc::new(Mutex::new(Vec::new()));
        let our_log = Arc::clone(&log);
        let address = serve(None, move |asked| {
            our_log.lock().unwrap().push(asked.path.clone());
            registry(asked, &documents)
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let options = FetchOptions::default();
        let sink: crate::TransferSink = Arc::new(|_| {});
        let depot = Depot::new(Source::Official, &options, folder.path(), sink).unwrap();
        let reference = ImageReference::new(&address.to_string(), "pause", "3.10");

        let image = resolve_image(&depot, &reference, Architecture::Arm64)
            .await
            .unwrap();
        assert_eq!(image.manifest.blob.sha256, Sha256Digest::of(&manifest));
        assert_eq!(image.config.blob.sha256, Sha256Digest::of(config));
        let layer = image.layers[0].blob;
        let path = depot
            .image_blob(&reference, &layer, ImageBlobKind::Content)
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "layer");
        let is_token = |path: &&String| path.starts_with("/token");
        assert_eq!(log.lock().unwrap().iter().filter(is_token).count(), 1);

        let error = resolve_image(&depot, &reference, Architecture::Amd64)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("not offered for amd64, only for linux/arm64"),
            "{error}"
        );
    }
}
