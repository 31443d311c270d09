//! The containerd client against a real containerd.

use std::path::PathBuf;

use slipway_agent::containerd::{ContainerdClient, ContainerdError};
use slipway_api::Blob;

use crate::oci_layout::LaidOut;
use crate::runtime::Runtime;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_containerd_takes_and_keeps_images() {
    let (pause, etcd) = (
        LaidOut::any_tag("registry.k8s.io/pause"),
        LaidOut::any_tag("registry.k8s.io/etcd"),
    );
    let mut runtime = Runtime::start(&pause.image.reference.to_string()).await;
    let client = ContainerdClient::connect(&runtime.socket()).await.unwrap();

    an_image_is_imported_unpacked_and_pinned(&client, &pause, &runtime).await;
    a_second_import_reads_no_blob(&client, &pause).await;
    garbage_collection_leaves_it_alone(&client, &pause, &runtime).await;
    damaged_blobs_are_refused_and_leave_nothing(&client, &etcd, &runtime).await;
    a_cut_off_import_goes_on(&client, &etcd, &runtime).await;
    an_unpinned_image_is_pinned_again(&client, &etcd).await;

    runtime.stop().await;
    let error = client.list_images().await.unwrap_err();
    assert!(
        error.to_string().starts_with("could not list images"),
        "{error}"
    );
    let error = ContainerdClient::connect(&runtime.socket())
        .await
        .unwrap_err();
    assert!(matches!(error, ContainerdError::Connect { .. }));
}

/// Imports an image from where its blobs lie and returns what was heard.
async fn import(client: &ContainerdClient, from: &LaidOut) -> Vec<(u64, u64, String)> {
    let mut heard = Vec::new();
    client
        .import_image(
            &from.image,
            &|blob| from.path(blob),
            &mut |done, total, doing| {
                heard.push((done, total, doing.to_owned()));
            },
        )
        .await
        .unwrap();
    heard
}

async fn an_image_is_imported_unpacked_and_pinned(
    client: &ContainerdClient,
    pause: &LaidOut,
    runtime: &Runtime,
) {
    assert!(!client.has_image(&pause.image).await.unwrap());
    let heard = import(client, pause).await;
    assert!(client.has_image(&pause.image).await.unwrap());
    let (done, total, doing) = heard.last().unwrap();
    assert_eq!(done, total);
    assert!(doing.starts_with("unpack layer 2 of 2"), "{doing}");
    assert!(heard.is_sorted_by_key(|(done, ..)| *done));

    let images = client.list_images().await.unwrap();
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    let reference = pause.image.reference.to_string();
    let id = format!("sha256:{}", pause.image.config.blob.sha256);
    assert_eq!(names, [reference.as_str(), id.as_str()]);
    assert!(images.iter().all(|image| image.is_pinned));
    let checked = runtime.ctr(&["images", "check", &format!("name=={reference}")]);
    assert!(
        checked.contains("complete") && checked.contains("true"),
        "{checked}"
    );
}

async fn a_second_import_reads_no_blob(client: &ContainerdClient, pause: &LaidOut) {
    let nowhere = |_: &Blob| PathBuf::from("/nonexistent");
    client
        .import_image(&pause.image, &nowhere, &mut |_, _, _| {})
        .await
        .unwrap();
}

async fn garbage_collection_leaves_it_alone(
    client: &ContainerdClient,
    pause: &LaidOut,
    runtime: &Runtime,
) {
    let reference = pause.image.reference.to_string();
    runtime.ctr(&["images", "tag", &reference, "example.org/other:1"]);
    // Deleting an image synchronously runs the garbage collector.
    runtime.ctr(&["images", "rm", "--sync", "example.org/other:1"]);
    assert!(client.has_image(&pause.image).await.unwrap());
    let checked = runtime.ctr(&["images", "check", &format!("name=={reference}")]);
    assert!(
        checked.contains("complete") && checked.contains("true"),
        "{checked}"
    );
    let leases = runtime.ctr(&["leases", "list", "-q"]);
    assert!(!leases.contains("slipway"), "{leases}");
}

/// Not with the pause image: CRI pins its own sandbox image again at once.
async fn an_unpinned_image_is_pinned_again(client: &ContainerdClient, etcd: &LaidOut) {
    let reference = &etcd.image.reference;
    assert!(client.unpin(reference).await.unwrap());
    assert!(!client.unpin(reference).await.unwrap());
    assert!(!client.has_image(&etcd.image).await.unwrap());
    let names = [
        reference.to_string(),
        format!("sha256:{}", etcd.image.config.blob.sha256),
    ];
    let images = client.list_images().await.unwrap();
    let pinned = images.iter().filter(|image| image.is_pinned);
    assert!(pinned.into_iter().all(|image| !names.contains(&image.name)));
    import(client, etcd).await;
    assert!(client.has_image(&etcd.image).await.unwrap());
    let absent = "registry.k8s.io/no-such:1".parse().unwrap();
    assert!(!client.unpin(&absent).await.unwrap());
}

async fn damaged_blobs_are_refused_and_leave_nothing(
    client: &ContainerdClient,
    etcd: &LaidOut,
    runtime: &Runtime,
) {
    let largest = etcd.largest();
    let mut bytes = std::fs::read(etcd.path(&largest)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = runtime.folder().join("damaged");
    std::fs::write(&damaged, bytes).unwrap();
    let path = |blob: &Blob| {
        if *blob == largest {
            damaged.clone()
        } else {
            etcd.path(blob)
        }
    };
    let error = client
        .import_image(&etcd.image, &path, &mut |_, _, _| {})
        .await
        .unwrap_err();
    let digest = largest.sha256.to_string();
    assert!(error.to_string().contains(&digest), "{error}");
    assert!(!client.has_image(&etcd.image).await.unwrap());
    let unfinished = runtime.ctr(&["content", "active"]);
    assert!(!unfinished.contains(&digest), "{unfinished}");
}

async fn a_cut_off_import_goes_on(client: &ContainerdClient, etcd: &LaidOut, runtime: &Runtime) {
    let largest = etcd.largest();
    let bytes = std::fs::read(etcd.path(&largest)).unwrap();
    let half = bytes.len() as u64 / 2;
    let short = runtime.folder().join("short");
    std::fs::write(&short, &bytes[..bytes.len() / 2]).unwrap();
    let path = |blob: &Blob| {
        if *blob == largest {
            short.clone()
        } else {
            etcd.path(blob)
        }
    };
    let error = client
        .import_image(&etcd.image, &path, &mut |_, _, _| {})
        .await
        .unwrap_err();
    assert!(matches!(error, ContainerdError::ShortBlob { found, .. } if found == half));

    let heard = import(client, etcd).await;
    assert!(client.has_image(&etcd.image).await.unwrap());
    // No step is longer than a chunk but the one over what was there already.
    let steps = heard.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(steps.max().unwrap() >= half, "{heard:?}");
}
