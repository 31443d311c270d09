//! `etcd snapshot`: all that the cluster has stored, in a file that is checked.

use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slipway_agent::etcd::SnapshotFile;
use slipway_api::{EtcdFacts, Failure};
use slipway_engine::{EngineError, Fleet};
use slipway_hosts::Host;
use tokio::io::AsyncWriteExt;

use super::{authorities, connect, look, to_host};
use crate::args::{EtcdSnapshotArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::this_machine::host_error;
use crate::{show, terminal};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(args: EtcdSnapshotArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::find(&args.cluster).await?;
    if args.to_host {
        return to_host::run(&cluster, &args, output).await;
    }
    let path = match &args.file {
        Some(path) => path.clone(),
        None => default_path(&cluster.spec.name),
    };
    if path.exists() {
        return Err(CliError::bad_input(
            format!("{} is there already", path.display()),
            "name another file; a snapshot overwrites none",
        ));
    }
    let fleet = connect(&cluster, &args.cluster).await?;
    let taken = take(&fleet, &cluster, &args, &path).await;
    let authorities = authorities::path_beside(&path);
    let taken = match taken {
        Ok((host, snapshot)) if args.with_authorities => {
            let key = authorities::write(host.as_ref(), &authorities).await;
            key.map(|key| (host, snapshot, Some(key)))
        }
        taken => taken.map(|(host, snapshot)| (host, snapshot, None)),
    };
    fleet.close().await;
    let (host, snapshot, key) = taken?;
    let host = host.name();
    match output {
        Output::Text => outln!(
            "{}: revision {}, {} bytes, sha256 {} checked; taken from {host}",
            path.display(),
            snapshot.revision,
            snapshot.size,
            snapshot.database_sha256,
        ),
        Output::Json => show::json(&serde_json::json!({
            "file": path,
            "revision": snapshot.revision,
            "size": snapshot.size,
            "databaseSha256": snapshot.database_sha256,
            "sha256": snapshot.sha256,
            "host": host,
            "authorities": key.as_ref().map(|key| serde_json::json!({
                "file": authorities,
                "key": key.as_str(),
            })),
        })),
    }
    if let Some(key) = key {
        if output == Output::Text {
            outln!(
                "{}: the authorities, encrypted; the key:\n{}",
                authorities.display(),
                *key
            );
        }
        noteln!(
            "The snapshot holds every Secret of the cluster, readable by you only. The key is printed\n\
             this once and stored nowhere: keep it away from the file that it opens\n\
             (`slipway etcd open-authorities`)."
        );
        return Ok(ExitCode::Done);
    }
    noteln!(
        "It holds every Secret of the cluster, readable by you only. The cluster's CAs and an\n\
         encryption configuration are not in it: keep /etc/kubernetes/pki of a control-plane\n\
         host, and that file, as safely elsewhere, or let `--with-authorities` write them."
    );
    Ok(ExitCode::Done)
}

fn default_path(cluster: &str) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    PathBuf::from(format!("{cluster}-{now}.db"))
}

/// Takes the snapshot and returns it with the host that it came from.
async fn take(
    fleet: &Fleet,
    cluster: &Cluster,
    args: &EtcdSnapshotArgs,
    path: &Path,
) -> Result<(Arc<dyn Host>, SnapshotFile), CliError> {
    let (host, facts) = choose(fleet, cluster, args).await?;
    let temporary = path.with_extension("slipway-part");
    let written = write(host.as_ref(), &temporary).await;
    let checked = written.and_then(|()| check(&temporary, &facts));
    let kept = checked.and_then(|snapshot| {
        let renamed = std::fs::rename(&temporary, path);
        renamed.map_err(|error| cannot_write(path, &error))?;
        Ok(snapshot)
    });
    if kept.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    Ok((host, kept?))
}

/// Returns the host whose member gives the snapshot, and how all members are.
pub(super) async fn choose(
    fleet: &Fleet,
    cluster: &Cluster,
    args: &EtcdSnapshotArgs,
) -> Result<(Arc<dyn Host>, Box<EtcdFacts>), CliError> {
    let (answering, facts) = look(fleet, cluster).await?;
    let host = match &args.host {
        Some(name) => {
            cluster.chosen_hosts(std::slice::from_ref(name))?;
            let found = fleet.host(name).map(Arc::clone);
            found.ok_or_else(|| CliError::from(EngineError::Unreachable(fleet.unreachable())))?
        }
        None => follower(fleet, cluster, &facts).unwrap_or(answering),
    };
    Ok((host, facts))
}

/// Returns the host of a healthy member that does not lead: the leader has enough to do.
fn follower(fleet: &Fleet, cluster: &Cluster, facts: &EtcdFacts) -> Option<Arc<dyn Host>> {
    let healthy = facts.voters().filter(|it| it.failure.is_none());
    let mut followers = healthy.filter(|it| !it.is_leader());
    followers.find_map(|it| {
        fleet
            .host(&cluster.spec.host_of(&it.member)?.name)
            .map(Arc::clone)
    })
}

async fn write(host: &dyn Host, path: &Path) -> Result<(), CliError> {
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    let file = opened.map_err(|error| cannot_write(path, &error))?;
    let mut file = tokio::fs::File::from_std(file);
    let shown = std::sync::Mutex::new(Instant::now());
    let is_shown = std::io::stderr().is_terminal();
    let progress = |received: u64, total: u64| {
        let mut last = shown.lock().expect("nobody panics while holding it");
        if is_shown && last.elapsed() >= SHOWN_EVERY {
            *last = Instant::now();
            let (received, total) = (received >> 20, total >> 20);
            terminal::show_progress(&format!("snapshot: {received} of {total} MB"));
        }
    };
    let received = host.receive_snapshot(&mut file, &progress).await;
    terminal::show_progress("");
    received.map_err(host_error)?;
    let synced = async {
        file.flush().await?;
        file.sync_all().await
    };
    synced.await.map_err(|error| cannot_write(path, &error))
}

/// Reads the file again, as a restore will: digest and revision must be right.
fn check(path: &Path, facts: &EtcdFacts) -> Result<SnapshotFile, CliError> {
    let snapshot = SnapshotFile::read(path).map_err(|error| CliError::failed(&error))?;
    // It was taken after a quorum had the revision that was seen before; a member
    // that is cut off may have less.
    let seen = facts.members.iter().filter(|it| it.failure.is_none());
    let statuses = seen.filter_map(|it| it.status.as_ref());
    let expected = statuses.map(|it| it.revision.unsigned_abs()).min();
    if let Some(expected) = expected
        && snapshot.revision < expected
    {
        return Err(CliError {
            code: ExitCode::Failed,
            failure: Failure::because(format!(
                "the snapshot ends at revision {}, and etcd was at {expected} before it was taken",
                snapshot.revision
            ))
            .with_help("take it from another member: `--host NAME`"),
        });
    }
    Ok(snapshot)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::bad_input(
        format!("cannot write {}: {error}", path.display()),
        "name another file",
    )
}
