//! A mirror of tiny files with everything a Kubernetes version needs.

use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use slipway_api::{Architecture, ImageReference, KubernetesVersion, Release, Sha256Digest};
use slipway_bundle::{DownloadKind, downloads};

/// Writes the mirror of `versions` for amd64 below `root`.
pub fn write_mirror(root: &Path, versions: &[KubernetesVersion]) {
    for version in versions {
        let release = Release::of(version).expect("tests use supported versions");
        for file in downloads(&release, Architecture::Amd64) {
            let bytes = match file.kind {
                DownloadKind::Executable => content(&file.title(), 3000),
                DownloadKind::TarGz => archive(&file.title()),
            };
            let line = format!("{}  {}\n", Sha256Digest::of(&bytes), file.file_name());
            write(root, below(&file.url), &bytes);
            write(root, below(&file.checksum_url), line.as_bytes());
        }
        for image in release
            .control_plane_images()
            .iter()
            .chain(&release.node_images())
        {
            write_image(root, image);
        }
    }
}

/// Returns the path of an upstream URL in a mirror.
pub fn below(url: &str) -> &str {
    url.strip_prefix("https://")
        .expect("upstream URLs are https")
}

/// Returns `size` bytes that depend on `seed` only.
fn content(seed: &str, size: usize) -> Vec<u8> {
    let digest = Sha256Digest::of(seed);
    digest
        .as_bytes()
        .iter()
        .copied()
        .cycle()
        .take(size)
        .collect()
}

fn archive(seed: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let bytes = content(seed, 700);
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(bytes.len() as u64);
    builder
        .append_data(&mut header, "bin/program", &bytes[..])
        .expect("memory takes it");
    builder
        .into_inner()
        .and_then(GzEncoder::finish)
        .expect("memory takes it")
}

fn write_image(root: &Path, image: &ImageReference) {
    let folder = format!(
        "images/{}/{}/{}",
        image.registry(),
        image.repository(),
        image.tag()
    );
    let blob = |bytes: &[u8], media_type: &str| {
        let digest = Sha256Digest::of(bytes);
        write(root, &format!("{folder}/blobs/sha256/{digest}"), bytes);
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{media_type}","digest":"sha256:{digest}","size":{},"platform":{{"os":"linux","architecture":"amd64"}}}}"#,
            bytes.len()
        )
    };
    let base = blob(b"base", "layer.v1.tar+gzip");
    let own = blob(&content(&image.to_string(), 900), "layer.v1.tar+gzip");
    let config = format!(r#"{{"os":"linux","architecture":"amd64","name":"{image}"}}"#);
    let config = blob(config.as_bytes(), "config.v1+json");
    let manifest = format!(r#"{{"config":{config},"layers":[{base},{own}]}}"#);
    let manifest = blob(manifest.as_bytes(), "manifest.v1+json");
    let index = format!(r#"{{"manifests":[{manifest}]}}"#);
    write(root, &format!("{folder}/index.json"), index.as_bytes());
}

fn write(root: &Path, below: &str, bytes: &[u8]) {
    let path = root.join(below);
    std::fs::create_dir_all(path.parent().expect("files lie in folders")).expect("writable");
    std::fs::write(path, bytes).expect("writable");
}
