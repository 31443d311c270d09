//! `kubeconfig`: the administrator's credentials, when asked for.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use slipway_api::protocol::{Reply, Request};
use slipway_engine::EngineError;

use crate::args::{ClusterArgs, KubeconfigArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;

pub(crate) async fn run(args: KubeconfigArgs) -> Result<ExitCode, CliError> {
    let cluster = Cluster::find(&args.cluster).await?;
    let text = read_admin_kubeconfig(&cluster, &args.cluster).await?;
    match &args.out {
        None => out!("{text}"),
        Some(path) => {
            write_private(path, &text)?;
            noteln!(
                "wrote {}; use it with: export KUBECONFIG={}",
                path.display(),
                path.display()
            );
        }
    }
    Ok(ExitCode::Done)
}

/// Reads `admin.conf` from the first control-plane host.
pub(crate) async fn read_admin_kubeconfig(
    cluster: &Cluster,
    args: &ClusterArgs,
) -> Result<String, CliError> {
    let control_plane = cluster.control_plane();
    let fleet = cluster.connect([control_plane], args).await?;
    let Some(host) = fleet.host(&control_plane.name) else {
        return Err(EngineError::Unreachable(fleet.unreachable()).into());
    };
    let reply = host.request(Request::ReadAdminKubeconfig, &|_| {}).await;
    fleet.close().await;
    match reply {
        Ok(Reply::Text { text }) => Ok(text),
        Ok(_) => Err(CliError::bad_input(
            "the agent answered something else",
            "run it again",
        )),
        Err(error) => {
            let failure = error.to_failure();
            let help = "bring the cluster up first: `slipway init -f cluster.yaml`".to_owned();
            Err(CliError {
                code: ExitCode::Failed,
                failure,
            }
            .with_help(Some(help)))
        }
    }
}

/// Writes a file that only its owner can read, from the first byte on.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let write = || {
        let temporary = path.with_extension("slipway-new");
        let _ = std::fs::remove_file(&temporary);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error: std::io::Error| {
        CliError::bad_input(
            format!("cannot write {}: {error}", path.display()),
            "name another file",
        )
    })
}
