//! `etcd snapshot --to-host`: a snapshot that stays on a control-plane host.

use slipway_api::EtcdSnapshots;
use slipway_api::paths;
use slipway_api::protocol::{Reply, Request};

use super::connect;
use super::snapshot::choose;
use crate::args::{EtcdSnapshotArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show;
use crate::this_machine::{host_error, unexpected};

/// Takes it now, as the timer would.
pub(super) async fn run(
    cluster: &Cluster,
    args: &EtcdSnapshotArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let request = request(&cluster.spec.name, cluster.spec.etcd_snapshots.as_ref());
    let fleet = connect(cluster, &args.cluster).await?;
    let taken = async {
        let (host, _) = choose(&fleet, cluster, args).await?;
        match host.request(request, &|_| {}).await {
            Ok(Reply::SnapshotKept(kept)) => Ok((host.name().clone(), kept)),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(host_error(error)),
        }
    };
    let taken = taken.await;
    fleet.close().await;
    let (host, kept) = taken?;
    match output {
        Output::Text => {
            outln!(
                "{}: revision {}, {} bytes, sha256 {} checked; on {host}",
                kept.path,
                kept.revision,
                kept.size,
                kept.database_sha256,
            );
            for path in &kept.deleted {
                outln!("deleted {path}");
            }
        }
        Output::Json => show::json(&serde_json::json!({
            "file": kept.path,
            "revision": kept.revision,
            "size": kept.size,
            "databaseSha256": kept.database_sha256,
            "sha256": kept.sha256,
            "host": host,
            "deleted": kept.deleted,
        })),
    }
    Ok(ExitCode::Done)
}

/// Returns what is asked of the host. Nothing is deleted where the file does not say
/// how many are kept.
fn request(cluster: &str, snapshots: Option<&EtcdSnapshots>) -> Request {
    Request::KeepEtcdSnapshot {
        cluster: cluster.to_owned(),
        dir: snapshots
            .map_or(paths::SNAPSHOT_DIR, |it| &it.dir)
            .to_owned(),
        keep: snapshots.map_or(u16::MAX, |it| it.keep),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_schedule_nothing_is_deleted() {
        let Request::KeepEtcdSnapshot { dir, keep, .. } = request("harbour", None) else {
            panic!("a snapshot is asked for");
        };
        assert_eq!((dir.as_str(), keep), (paths::SNAPSHOT_DIR, u16::MAX));
    }
}
