//! What commands about a cluster share: the file, the hosts, the facts, the blobs.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use slipway_api::{
    Architecture, ClusterFile, ClusterSpec, KubernetesVersion, LocalFiles, Release, RunId,
    SpecErrors,
};
use slipway_bundle::{
    BlobStore, Bundle, BundleError, FetchOptions, LocalBlobs, Source, SourceRequest, SourceSet,
    TransferSink, default_download_cache,
};

use crate::args::SourceArgs;
use crate::beside::Beside;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::show::transfer_line;
use crate::terminal;

/// Reads and checks the cluster file; relative paths in it start at its folder.
pub(crate) fn load_spec(config: Option<&Path>, reading: Reading) -> Result<ClusterSpec, CliError> {
    let path = config.ok_or_else(|| {
        CliError::bad_input(
            "no cluster file is given",
            "name it with `-f cluster.yaml` or in SLIPWAY_CONFIG; `slipway config print` shows an example",
        )
    })?;
    let origin = path.display().to_string();
    let bytes = read_bounded(path, &origin)?;
    let beside = Beside::new(path);
    let files: Option<&dyn LocalFiles> = match reading {
        Reading::Whole => Some(&beside),
        Reading::Alone => None,
    };
    let mut spec = ClusterFile::parse_bytes(&bytes, &origin, files)
        .map_err(|errors| spec_error(&errors))?
        .spec;
    resolve_paths(&mut spec, &beside);
    Ok(spec)
}

/// What of a cluster file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The files that it names too, as planning needs them.
    Whole,
    /// The file alone, for commands that need no plan of it: its files may be gone.
    Alone,
}

fn read_bounded(path: &Path, origin: &str) -> Result<Vec<u8>, CliError> {
    let unreadable = |error: std::io::Error| spec_error(&SpecErrors::unreadable(origin, error));
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if found.is_dir() {
        return Err(spec_error(&SpecErrors::directory(origin)));
    }
    if found.len() > ClusterFile::MAX_BYTES as u64 {
        return Err(spec_error(&SpecErrors::too_large(origin, found.len())));
    }
    let mut bytes = Vec::new();
    // A pipe has no length: read one byte more than is allowed at most.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(ClusterFile::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > ClusterFile::MAX_BYTES {
        return Err(spec_error(&SpecErrors::too_large(
            origin,
            bytes.len() as u64,
        )));
    }
    Ok(bytes)
}

pub(crate) fn spec_error(errors: &SpecErrors) -> CliError {
    let failure = slipway_api::Failure::because(errors.to_string().trim_end().to_owned());
    CliError {
        code: ExitCode::BadInput,
        failure,
    }
}

fn resolve_paths(spec: &mut ClusterSpec, beside: &Beside) {
    let resolve = |path: &mut PathBuf| *path = beside.resolve(path);
    let shared = [
        &mut spec.ssh.identity_file,
        &mut spec.ssh.known_hosts_file,
        &mut spec.ssh.password_file,
    ];
    shared.into_iter().flatten().for_each(resolve);
    spec.bundle.iter_mut().for_each(resolve);
    for host in &mut spec.hosts {
        [&mut host.identity_file, &mut host.password_file]
            .into_iter()
            .flatten()
            .for_each(resolve);
        host.files
            .iter_mut()
            .for_each(|file| resolve(&mut file.src));
    }
}

/// Opens what binaries, images and the users' own files come from.
pub(crate) async fn open_blobs(
    spec: &ClusterSpec,
    args: &SourceArgs,
    architectures: Vec<Architecture>,
) -> Result<Arc<dyn BlobStore>, CliError> {
    let files = spec.hosts.iter().flat_map(|host| &host.files);
    let files = files.filter_map(|file| Some((file.content?.sha256, file.src.clone())));
    let others = open_source(spec, args, architectures).await?;
    Ok(Arc::new(LocalBlobs::beside(others, files)))
}

/// Opens what binaries and images come from: the bundle on the command line or
/// in the file, else a release source.
async fn open_source(
    spec: &ClusterSpec,
    args: &SourceArgs,
    architectures: Vec<Architecture>,
) -> Result<Arc<dyn BlobStore>, CliError> {
    let from_file = spec.bundle.as_ref().filter(|_| args.source.is_none());
    if let Some(path) = args.bundle.as_ref().or(from_file) {
        let bundle = Bundle::open(path).map_err(bundle_error)?;
        return Ok(Arc::new(bundle));
    }
    let source = args
        .source
        .as_deref()
        .unwrap_or("official")
        .parse::<Source>()
        .map_err(bundle_error)?;
    let release = Release::of(&spec.kubernetes_version)
        .map_err(|error| CliError::bad_input(error.to_string(), "choose another version"))?;
    let request = SourceRequest {
        versions: vec![spec.kubernetes_version.clone()],
        architectures,
        source,
        images: slipway_planner::cluster_images(spec, &release),
        standard_images: false,
        slipway: BTreeMap::new(),
        cache: default_download_cache(),
        fetch: fetch_options(args.ca_file.clone()),
    };
    let set = SourceSet::resolve(request, transfer_sink())
        .await
        .map_err(bundle_error)?;
    Ok(Arc::new(set))
}

/// Returns the newest Kubernetes version in a bundle.
pub(crate) fn newest_in_bundle(path: &Path) -> Result<Option<KubernetesVersion>, CliError> {
    let bundle = Bundle::open(path).map_err(bundle_error)?;
    Ok(bundle.manifest().kubernetes_versions.iter().max().cloned())
}

/// Returns the versions in the bundle that is named on the command line or in the file; none
/// where binaries and images come from elsewhere.
pub(crate) fn versions_in_bundle(
    spec: &ClusterSpec,
    args: &SourceArgs,
) -> Result<Option<Vec<KubernetesVersion>>, CliError> {
    let from_file = spec.bundle.as_ref().filter(|_| args.source.is_none());
    let Some(path) = args.bundle.as_ref().or(from_file) else {
        return Ok(None);
    };
    let bundle = Bundle::open(path).map_err(bundle_error)?;
    Ok(Some(bundle.manifest().kubernetes_versions.clone()))
}

/// Returns how downloads are made: names resolved without the C library.
pub(crate) fn fetch_options(ca_file: Option<PathBuf>) -> FetchOptions {
    let resolver: slipway_bundle::NameResolver = Arc::new(|name: String| {
        Box::pin(async move {
            let found = slipway_hosts::resolve::resolve_host(&name).await;
            found.map_err(|error| Box::new(error) as Box<dyn std::error::Error + Send + Sync>)
        })
    });
    FetchOptions {
        ca_file,
        resolver: Some(resolver),
        ..FetchOptions::default()
    }
}

/// Returns what shows downloads on stderr, if it is a terminal.
pub(crate) fn transfer_sink() -> TransferSink {
    Arc::new(|transfer| terminal::show_progress(&transfer_line(&transfer)))
}

/// Returns the error of a bundle or source, with its help.
pub(crate) fn bundle_error(error: BundleError) -> CliError {
    let help = error.help_text();
    CliError::failed(&error).with_help(help)
}

/// Returns where this machine keeps journals.
pub(crate) fn journal_folder() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        std::env::home_dir()
            .unwrap_or_default()
            .join(".local/state")
    };
    state.unwrap_or_else(home).join("slipway")
}

/// Returns the name of a run that starts now in this process.
pub(crate) fn new_run() -> RunId {
    RunId::new(Timestamp::now(), std::process::id())
}

/// Returns who a lock is held by: `user@host/pid/run`.
pub(crate) fn lock_holder(run: &str) -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    format!("{user}@{host}/{}/{run}", std::process::id())
}
