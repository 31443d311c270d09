//! `etcd-snapshot-here`: a snapshot into a folder of this host, as its timer starts it.

use std::path::Path;

use slipway_agent::etcd::SnapshotFolder;

use crate::args::EtcdSnapshotHereArgs;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;

/// Takes it where this host's member leads.
pub(crate) async fn run(args: EtcdSnapshotHereArgs) -> Result<ExitCode, CliError> {
    let folder = SnapshotFolder {
        cluster: args.cluster,
        dir: args.dir,
        keep: usize::from(args.keep),
    };
    let taken = folder.take(Path::new("/"), true).await;
    let kept = taken.map_err(|error| CliError {
        code: ExitCode::Failed,
        failure: error.failure(),
    })?;
    let Some(kept) = kept else {
        outln!("another member leads, and takes the snapshot");
        return Ok(ExitCode::Done);
    };
    outln!(
        "{}: revision {}, {} bytes, sha256 {} checked",
        kept.path,
        kept.revision,
        kept.size,
        kept.database_sha256
    );
    for path in &kept.deleted {
        outln!("deleted {path}");
    }
    Ok(ExitCode::Done)
}
