//! Cuts, stalls, lies, redirects and errors.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slipway_api::{Architecture, KubernetesVersion, Sha256Digest};
use slipway_bundle::{BlobStore, FetchOptions, Transfer, TransferSink};
use tokio::io::AsyncReadExt;

use crate::scene::{CHECKSUM, Fault, KUBELET, KUBELET_SIZE, Scene, options, resolve};

#[tokio::test]
async fn a_mirror_gives_every_file_and_image_with_progress() {
    let scene = Scene::new().await;
    let news = Arc::new(Mutex::new(Vec::<Transfer>::new()));
    let ours = Arc::clone(&news);
    let sink: TransferSink = Arc::new(move |transfer| ours.lock().unwrap().push(transfer));
    let set = resolve(&scene.url, scene.cache(), options(), sink)
        .await
        .unwrap();
    set.fetch_all().await.unwrap();
    let manifest = set.manifest();
    slipway_bundle::require_release(
        manifest,
        &KubernetesVersion::new(36, 3),
        Architecture::Amd64,
    )
    .unwrap();
    assert_eq!(
        manifest
            .artifact("containerd", "2.4.2", Architecture::Amd64)
            .unwrap()
            .members
            .len(),
        1
    );
    for blob in manifest.blobs() {
        let mut bytes = Vec::new();
        set.open(&blob)
            .await
            .unwrap()
            .read_to_end(&mut bytes)
            .await
            .unwrap();
        assert_eq!(Sha256Digest::of(&bytes), blob.sha256);
    }
    let news = news.lock().unwrap();
    let kubelet = |transfer: &&Transfer| transfer.name == "kubelet v1.36.3 (amd64)";
    let last = news.iter().rfind(kubelet).unwrap();
    assert_eq!(
        (last.done, last.total),
        (KUBELET_SIZE as u64, Some(KUBELET_SIZE as u64))
    );
}

#[tokio::test]
async fn a_second_resolve_takes_files_from_the_cache() {
    let scene = Scene::new().await;
    scene.resolve().await.unwrap();
    scene.resolve().await.unwrap();
    assert_eq!(scene.ranges(KUBELET).len(), 1);
}

#[tokio::test]
async fn a_damaged_cached_file_is_fetched_again() {
    let scene = Scene::new().await;
    let set = scene.resolve().await.unwrap();
    let kubelet = set
        .manifest()
        .any_artifact("kubelet", Architecture::Amd64)
        .unwrap()
        .blob;
    let path = scene
        .cache()
        .join("sha256")
        .join(kubelet.sha256.to_string());
    std::fs::write(path, "rot").unwrap();
    scene.resolve().await.unwrap();
    assert_eq!(scene.ranges(KUBELET).len(), 2);
}

#[tokio::test]
async fn cut_connections_resume_where_they_stopped() {
    let scene = Scene::new().await;
    scene.fault(KUBELET, [Fault::Cut(1000), Fault::Cut(500)]);
    scene.resolve().await.unwrap();
    let ranges: Vec<_> = scene.ranges(KUBELET);
    assert_eq!(
        ranges,
        [
            None,
            Some("bytes=1000-".to_owned()),
            Some("bytes=1500-".to_owned())
        ]
    );
}

#[tokio::test]
async fn an_interrupted_run_is_resumed_by_the_next_one() {
    let scene = Scene::new().await;
    scene.fault(KUBELET, [Fault::Cut(1000)]);
    scene
        .failure(FetchOptions {
            tries: 1,
            ..options()
        })
        .await;
    scene.resolve().await.unwrap();
    assert_eq!(
        scene.ranges(KUBELET),
        [None, Some("bytes=1000-".to_owned())]
    );
}

#[tokio::test]
async fn a_server_without_ranges_is_asked_for_the_whole_file() {
    let scene = Scene::new().await;
    scene.fault(
        KUBELET,
        [
            Fault::NoRange(Some(1000)),
            Fault::NoRange(Some(2000)),
            Fault::NoRange(None),
        ],
    );
    scene.resolve().await.unwrap();
    assert_eq!(scene.ranges(KUBELET).len(), 3);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_started_over() {
    let scene = Scene::new().await;
    scene.fault(KUBELET, [Fault::Cut(1000), Fault::OtherTag]);
    scene.resolve().await.unwrap();
    assert_eq!(scene.ranges(KUBELET).len(), 2);
}

#[tokio::test]
async fn a_part_of_something_else_is_thrown_away_once() {
    let scene = Scene::new().await;
    let set = scene.resolve().await.unwrap();
    let digest = set
        .manifest()
        .any_artifact("kubelet", Architecture::Amd64)
        .unwrap()
        .blob
        .sha256;
    let cache = scene.cache();
    std::fs::remove_file(cache.join("sha256").join(digest.to_string())).unwrap();
    std::fs::write(
        cache.join("partial").join(format!("{digest}.part")),
        vec![7; 1000],
    )
    .unwrap();
    scene.resolve().await.unwrap();
    assert_eq!(
        scene.ranges(KUBELET),
        [None, Some("bytes=1000-".to_owned()), None]
    );
}

#[tokio::test]
async fn a_wrong_checksum_names_url_and_digests_and_keeps_nothing() {
    let scene = Scene::new().await;
    let other = vec![0; KUBELET_SIZE];
    scene.fault(KUBELET, [Fault::Bytes(other.clone())]);
    let right = std::fs::read(scene.folder.path().join(format!("mirror{KUBELET}"))).unwrap();
    let error = scene.failure(options()).await;
    let text = error.to_string();
    assert!(text.contains(KUBELET), "{text}");
    assert!(
        text.contains(&Sha256Digest::of(&right).to_string()),
        "{text}"
    );
    assert!(
        text.contains(&Sha256Digest::of(&other).to_string()),
        "{text}"
    );
    let digest = Sha256Digest::of(&right).to_string();
    assert!(
        !scene
            .cached_files()
            .iter()
            .any(|name| name.starts_with(&digest))
    );
}

#[tokio::test]
async fn a_missing_file_names_its_url_and_what_to_check() {
    let scene = Scene::new().await;
    scene.fault(KUBELET, [Fault::Status(404)]);
    let error = scene.failure(options()).await;
    assert!(
        error
            .to_string()
            .ends_with(&format!("{KUBELET} answered 404 Not Found")),
        "{error}"
    );
    assert!(error.help_text().unwrap().contains("holds this version"));
    assert_eq!(scene.ranges(KUBELET).len(), 1);
}

#[tokio::test]
async fn a_missing_or_foreign_checksum_is_an_error() {
    for fault in [Fault::Status(404), Fault::Bytes(b"<html>".to_vec())] {
        let scene = Scene::new().await;
        scene.fault(CHECKSUM, [fault]);
        let error = scene.failure(options()).await;
        assert!(
            error
                .to_string()
                .ends_with("kubelet.sha256 names no checksum of `kubelet`"),
            "{error}"
        );
        assert!(scene.ranges(KUBELET).is_empty());
    }
}

#[tokio::test]
async fn a_hanging_answer_is_given_up_and_resumed() {
    let scene = Scene::new().await;
    scene.fault(KUBELET, [Fault::HangAfter(1000)]);
    scene.resolve().await.unwrap();
    assert_eq!(
        scene.ranges(KUBELET),
        [None, Some("bytes=1000-".to_owned())]
    );

    let scene = Scene::new().await;
    scene.fault(CHECKSUM, [Fault::HangAfter(0), Fault::HangAfter(0)]);
    let start = Instant::now();
    let error = scene
        .failure(FetchOptions {
            tries: 2,
            ..options()
        })
        .await;
    assert!(
        error.to_string().contains("kubelet.sha256 after 2 tries"),
        "{error}"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("sent no byte for 0.3 s"), "{cause}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn redirects_are_followed_but_not_in_circles() {
    let scene = Scene::new().await;
    scene.fault(
        KUBELET,
        [Fault::Redirect(format!("{KUBELET}?signature=secret"))],
    );
    scene.resolve().await.unwrap();

    let scene = Scene::new().await;
    scene.fault(
        KUBELET,
        (0..20).map(|_| Fault::Redirect(KUBELET.to_owned())),
    );
    let error = scene.failure(options()).await.to_string();
    assert!(
        error.contains(KUBELET) && error.contains("redirected more than 10 times"),
        "{error}"
    );
    assert_eq!(scene.ranges(KUBELET).len(), 11);
}

#[tokio::test]
async fn a_failing_server_is_tried_again_up_to_the_limit() {
    let scene = Scene::new().await;
    scene.fault(KUBELET, [Fault::Status(500), Fault::Status(503)]);
    scene.fault(CHECKSUM, [Fault::Status(502)]);
    scene.resolve().await.unwrap();

    let scene = Scene::new().await;
    scene.fault(KUBELET, (0..9).map(|_| Fault::Status(500)));
    let error = scene.failure(options()).await;
    assert_eq!(scene.ranges(KUBELET).len(), 5);
    assert!(error.to_string().contains("after 5 tries"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.ends_with("answered 500 Internal Server Error"),
        "{cause}"
    );
}
