//! A mirror behind a server whose answers a test can spoil.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slipway_api::{Architecture, KubernetesVersion, Sha256Digest};
use slipway_bundle::{BundleError, FetchOptions, SourceRequest, SourceSet, TransferSink};
use tokio_rustls::TlsAcceptor;

use crate::http_server::{Answer, Asked, serve};
use crate::mirror::write_mirror;

pub const KUBELET: &str = "/dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet";
pub const CHECKSUM: &str = "/dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet.sha256";
pub const KUBELET_SIZE: usize = 3000;

/// How the server treats one request for a path; afterwards it serves properly.
pub enum Fault {
    Cut(usize),
    HangAfter(usize),
    NoRange(Option<usize>),
    OtherTag,
    Status(u16),
    Redirect(String),
    Bytes(Vec<u8>),
}

pub type Faults = Arc<Mutex<BTreeMap<String, VecDeque<Fault>>>>;

/// A path that was asked for, and the range.
type AskedFor = (String, Option<String>);

/// A mirror behind the server, a cache, and what was asked for.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub faults: Faults,
    asked: Arc<Mutex<Vec<AskedFor>>>,
    pub url: String,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with_tls(None).await
    }

    pub async fn with_tls(tls: Option<TlsAcceptor>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mirror");
        write_mirror(&root, &[KubernetesVersion::new(36, 3)]);
        let faults = Faults::default();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (our_faults, our_asked) = (Arc::clone(&faults), Arc::clone(&asked));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = serve(tls, move |request| {
            let range = request.headers.get("range").cloned();
            our_asked
                .lock()
                .unwrap()
                .push((request.path.clone(), range));
            let fault = our_faults
                .lock()
                .unwrap()
                .get_mut(&request.path)
                .and_then(VecDeque::pop_front);
            answer(&root, request, fault)
        })
        .await;
        Self {
            folder,
            faults,
            asked,
            url: format!("{scheme}://{address}/"),
        }
    }

    pub fn fault(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.faults
            .lock()
            .unwrap()
            .insert(path.to_owned(), faults.into_iter().collect());
    }

    /// Returns the ranges asked for of `path`, in order.
    pub fn ranges(&self, path: &str) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(known, _)| known == path)
            .map(|(_, range)| range.clone())
            .collect()
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub async fn resolve(&self) -> Result<SourceSet, BundleError> {
        self.resolve_with(options()).await
    }

    pub async fn resolve_with(&self, fetch: FetchOptions) -> Result<SourceSet, BundleError> {
        resolve(&self.url, self.cache(), fetch, Arc::new(|_| {})).await
    }

    /// Returns the error of an attempt that must fail.
    pub async fn failure(&self, fetch: FetchOptions) -> BundleError {
        match self.resolve_with(fetch).await {
            Ok(_) => panic!("it should have failed"),
            Err(error) => error,
        }
    }

    pub fn cached_files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["sha256", "partial"] {
            let Ok(entries) = std::fs::read_dir(self.cache().join(folder)) else {
                continue;
            };
            names.extend(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
        }
        names
    }
}

pub fn options() -> FetchOptions {
    FetchOptions {
        first_backoff: Duration::from_millis(1),
        stall_timeout: Duration::from_millis(300),
        ..FetchOptions::default()
    }
}

pub async fn resolve(
    url: &str,
    cache: PathBuf,
    fetch: FetchOptions,
    sink: TransferSink,
) -> Result<SourceSet, BundleError> {
    let request = SourceRequest {
        versions: vec![KubernetesVersion::new(36, 3)],
        architectures: vec![Architecture::Amd64],
        source: url.parse()?,
        images: Vec::new(),
        standard_images: true,
        slipway: BTreeMap::new(),
        cache,
        fetch,
    };
    SourceSet::resolve(request, sink).await
}

fn answer(root: &Path, request: &Asked, fault: Option<Fault>) -> Answer {
    let path = request
        .path
        .split('?')
        .next()
        .expect("a split has a first part");
    let Ok(body) = std::fs::read(root.join(path.trim_start_matches('/'))) else {
        return Answer::status(404);
    };
    let mut tag = format!("\"{}\"", Sha256Digest::of(&body).short());
    let mut takes_ranges = true;
    let mut cut_after = None;
    let mut hang_after = None;
    match fault {
        None => {}
        Some(Fault::Cut(bytes)) => cut_after = Some(bytes),
        Some(Fault::HangAfter(bytes)) => hang_after = Some(bytes),
        Some(Fault::NoRange(cut)) => {
            takes_ranges = false;
            cut_after = cut;
        }
        Some(Fault::OtherTag) => tag = "\"other\"".to_owned(),
        Some(Fault::Status(status)) => return Answer::status(status),
        Some(Fault::Redirect(to)) => {
            return Answer {
                headers: vec![("Location", to)],
                ..Answer::status(302)
            };
        }
        Some(Fault::Bytes(bytes)) => return Answer::ok(bytes),
    }
    let headers = vec![("ETag", tag.clone())];
    let is_same = request
        .headers
        .get("if-range")
        .is_none_or(|known| *known == tag);
    let start = request
        .headers
        .get("range")
        .filter(|_| takes_ranges && is_same)
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
    match start {
        None => Answer {
            headers,
            cut_after,
            hang_after,
            ..Answer::ok(body)
        },
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
            Answer {
                status: 206,
                headers: [headers, vec![("Content-Range", range)]].concat(),
                body: body[start..].to_vec(),
                cut_after,
                hang_after,
            }
        }
    }
}
