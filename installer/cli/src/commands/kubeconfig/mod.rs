//! `kubeconfig`: the administrator's credentials, when asked for.

mod own_file;
mod proxy;
mod readiness;
mod user;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use slipway_api::protocol::{Reply, Request};

use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::kubeconfig_args::{KubeconfigArgs, KubeconfigCommand};

pub(crate) async fn run(args: KubeconfigArgs, output: Output) -> Result<ExitCode, CliError> {
    if let Some(KubeconfigCommand::User(args)) = args.command {
        return user::run(args).await;
    }
    if let (true, Some(out)) = (args.proxy, &args.out) {
        return proxy::run(&args.cluster, args.proxy_port, out, output).await;
    }
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

/// Reads `admin.conf` from the first control-plane host that has it.
pub(crate) async fn read_admin_kubeconfig(
    cluster: &Cluster,
    args: &ClusterArgs,
) -> Result<String, CliError> {
    let reply = cluster.ask_control_plane(args, Request::ReadAdminKubeconfig);
    match reply.await {
        Ok(Reply::Text { text }) => Ok(text),
        Ok(_) => Err(CliError::bad_input(
            "the agent answered something else",
            "run it again",
        )),
        Err(error) if error.code == ExitCode::Failed => {
            let help = "bring the cluster up first: `slipway init -f cluster.yaml`".to_owned();
            Err(error.with_help(Some(help)))
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that must not be there yet, readable by its owner alone.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        CliError::bad_input(
            format!("cannot write {}: {error}", path.display()),
            "name another file",
        )
    })
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
