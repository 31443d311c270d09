//! What a sound bundle gives.

use slipway_api::{Architecture, KubernetesVersion, Sha256Digest};
use slipway_bundle::{BlobStore, Bundle, Inspection, create, require_release};
use tokio::io::AsyncReadExt;

use crate::mirror::write_mirror;
use crate::sample::{block_on, bundle_bytes, request, sample, sink, write_file};

#[test]
fn a_bundle_opens_verifies_and_gives_every_blob() {
    let (_folder, path) = write_file(sample());
    let bundle = Bundle::open(&path).unwrap();
    require_release(
        bundle.manifest(),
        &KubernetesVersion::new(36, 3),
        Architecture::Amd64,
    )
    .unwrap();
    block_on(async {
        bundle.verify(&sink()).await.unwrap();
        let blobs = bundle.manifest().blobs();
        let mut readers: Vec<_> = blobs
            .iter()
            .map(|blob| bundle.reader(blob).unwrap())
            .collect();
        for (blob, reader) in blobs.iter().zip(&mut readers).rev() {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(
                (Sha256Digest::of(&bytes), bytes.len() as u64),
                (blob.sha256, blob.size)
            );
        }
    });
}

#[test]
fn the_manifest_comes_first_and_tar_can_read_the_file() {
    let mut archive = tar::Archive::new(sample());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names[..2], ["manifest.json", "manifest.json.sha256"]);
    assert!(
        names[2..]
            .iter()
            .all(|name| name.starts_with("blobs/sha256/"))
    );
}

#[test]
fn equal_contents_give_equal_bytes_whatever_the_order_and_place() {
    assert_eq!(bundle_bytes(&[(36, 3)]), sample());
    assert_eq!(
        bundle_bytes(&[(35, 4), (36, 3)]),
        bundle_bytes(&[(36, 3), (35, 4), (36, 3)])
    );
}

#[test]
fn two_versions_share_equal_blobs() {
    let both = bundle_bytes(&[(35, 4), (36, 3)]);
    let alone = sample().len() + bundle_bytes(&[(35, 4)]).len();
    assert!(both.len() < alone);
    let (_folder, path) = write_file(&both);
    let bundle = Bundle::open(&path).unwrap();
    block_on(bundle.verify(&sink())).unwrap();
    let inspection = Inspection::of(bundle.manifest());
    let containerd = bundle
        .manifest()
        .any_artifact("containerd", Architecture::Amd64)
        .unwrap();
    assert!(inspection.shared_size > containerd.blob.size);
    assert_eq!(
        inspection
            .rows
            .iter()
            .filter(|row| row.name == "containerd")
            .count(),
        1
    );
    assert_eq!(
        inspection
            .rows
            .iter()
            .filter(|row| row.name == "kubelet")
            .count(),
        2
    );
    assert_eq!(inspection.blobs, bundle.manifest().blobs().len());
    for minor in [(35, 4), (36, 3)] {
        let version = KubernetesVersion::new(minor.0, minor.1);
        require_release(bundle.manifest(), &version, Architecture::Amd64).unwrap();
    }
    let other = KubernetesVersion::new(34, 4);
    let error = require_release(bundle.manifest(), &other, Architecture::Amd64).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kubelet v1.34.4 (amd64) is not in it: it holds Kubernetes v1.35.4 Kubernetes v1.36.3 for amd64"
    );
}

#[test]
fn slipway_goes_in_for_its_own_architecture_only() {
    let folder = tempfile::tempdir().unwrap();
    write_mirror(
        &folder.path().join("mirror"),
        &[KubernetesVersion::new(36, 3)],
    );
    let executable = folder.path().join("slipway");
    std::fs::write(
        &executable,
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0rest",
    )
    .unwrap();
    let out = folder.path().join("out.bundle");
    let mut wanted = request(folder.path(), &[(36, 3)]);
    wanted.slipway = [(Architecture::Arm64, executable.clone())].into();
    let error = block_on(create(wanted.clone(), &out, sink())).unwrap_err();
    assert!(
        error.to_string().contains("it is an executable for amd64"),
        "{error}"
    );
    assert!(!out.exists());

    wanted.slipway = [(Architecture::Amd64, executable)].into();
    let manifest = block_on(create(wanted, &out, sink())).unwrap();
    assert_eq!(
        manifest
            .any_artifact("slipway", Architecture::Amd64)
            .unwrap()
            .blob
            .size,
        24
    );
}

#[test]
fn a_failed_create_leaves_the_old_bundle_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror");
    write_mirror(&mirror, &[KubernetesVersion::new(36, 3)]);
    std::fs::create_dir(folder.path().join("out")).unwrap();
    let out = folder.path().join("out/x.bundle");
    std::fs::write(&out, "old").unwrap();
    let index = mirror.join("images/registry.k8s.io/pause/3.10.2/index.json");
    std::fs::remove_file(&index).unwrap();
    let error = block_on(create(request(folder.path(), &[(36, 3)]), &out, sink())).unwrap_err();
    assert!(
        error.to_string().contains("pause/3.10.2/index.json"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "old");
    assert_eq!(
        std::fs::read_dir(folder.path().join("out"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn a_bundle_replaced_while_open_stays_readable() {
    let (_folder, path) = write_file(sample());
    let bundle = Bundle::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "other").unwrap();
    block_on(bundle.verify(&sink())).unwrap();
}
