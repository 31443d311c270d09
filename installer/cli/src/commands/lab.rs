//! `lab`: hosts in containers on this machine, and a cluster on them.

use std::os::unix::process::CommandExt;
use std::time::Instant;

use miette::Diagnostic;
use slipway_api::{KubernetesVersion, SUPPORTED_MINORS};
use slipway_lab::{Lab, LabError, LabSpec};

use super::cluster_look::Intent;
use super::cluster_run::run as run_cluster;
use super::kubeconfig::{read_admin_kubeconfig, write_private};
use crate::args::{ClusterArgs, LabCommand, LabUpArgs, Output, RunArgs, SourceArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::session::newest_in_bundle;
use crate::show;

pub(crate) async fn run(command: LabCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        LabCommand::Up(args) => up(args, output).await,
        LabCommand::Down { name } => {
            Lab::down(&name).await.map_err(lab_error)?;
            noteln!("lab {name} is gone");
            Ok(ExitCode::Done)
        }
        LabCommand::List => {
            list(output).await?;
            Ok(ExitCode::Done)
        }
        LabCommand::Ssh {
            name,
            host,
            command,
        } => {
            let argv = Lab::ssh_command(&name, &host).map_err(lab_error)?;
            let mut argv = argv.into_iter().chain(command);
            let program = argv.next().unwrap_or_else(|| "ssh".to_owned());
            // Returns only if ssh could not take this process's place.
            let error = std::process::Command::new(program).args(argv).exec();
            Err(CliError::failed(&error))
        }
    }
}

async fn up(args: LabUpArgs, output: Output) -> Result<ExitCode, CliError> {
    let started = Instant::now();
    let version = match (&args.kubernetes_version, &args.bundle) {
        (Some(version), _) => version.clone(),
        (None, Some(path)) => newest_in_bundle(path)?
            .unwrap_or_else(|| KubernetesVersion::new(*SUPPORTED_MINORS.end(), 0)),
        (None, None) => KubernetesVersion::new(*SUPPORTED_MINORS.end(), 0),
    };
    let spec = LabSpec {
        name: args.name.clone(),
        control_planes: args.control_planes,
        workers: args.workers,
        kubernetes_version: version.number(),
    };
    let lab = Lab::up(&spec, &mut |progress| {
        noteln!("[{:6.1}s] {progress}", started.elapsed().as_secs_f32());
    })
    .await
    .map_err(lab_error)?;
    if args.hosts_only {
        outln!("{}", lab.cluster_file().display());
        return Ok(ExitCode::Done);
    }
    let cluster = ClusterArgs {
        config: Some(lab.cluster_file()),
        accept_new_host_keys: false,
    };
    let run = RunArgs {
        cluster: cluster.clone(),
        source: SourceArgs {
            bundle: args.bundle,
            source: None,
            ca_file: None,
        },
        host: Vec::new(),
        yes: true,
        dry_run: false,
        ignore_preflight_errors: Vec::new(),
        skip_phases: Vec::new(),
    };
    let code = run_cluster(Intent::Init, run, output).await?;
    if code == ExitCode::Done {
        let known = Cluster::find(&cluster).await?;
        let text = read_admin_kubeconfig(&known, &cluster).await?;
        write_private(&lab.kubeconfig(), &text)?;
        if output == Output::Text {
            next_steps(&lab, started);
        }
    }
    Ok(code)
}

fn next_steps(lab: &Lab, started: Instant) {
    let name = lab.name();
    outln!(
        "\nLab {name} is up after {:.0} s. What to do next:",
        started.elapsed().as_secs_f32()
    );
    outln!(
        "  slipway lab ssh --name {name} cp-1 sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A"
    );
    outln!("  slipway status -f {}", lab.cluster_file().display());
    outln!("  export KUBECONFIG={}", lab.kubeconfig().display());
    outln!("  slipway lab down --name {name}");
}

async fn list(output: Output) -> Result<(), CliError> {
    let labs = Lab::list().await.map_err(lab_error)?;
    match output {
        Output::Text => {
            outln!(
                "{:<16} {:<12} {:<18} {:<8} FOLDER",
                "NAME",
                "KUBERNETES",
                "SUBNET",
                "RUNNING"
            );
            for lab in &labs {
                let running = format!("{}/{}", lab.running, lab.hosts);
                outln!(
                    "{:<16} {:<12} {:<18} {running:<8} {}",
                    lab.name,
                    lab.kubernetes_version,
                    lab.subnet,
                    lab.directory.display()
                );
            }
        }
        Output::Json => {
            let mut rows = Vec::new();
            for lab in &labs {
                let escaped = Lab::escaped_packets(&lab.name).await.ok();
                rows.push(serde_json::json!({
                    "name": lab.name,
                    "kubernetesVersion": lab.kubernetes_version,
                    "subnet": lab.subnet,
                    "hosts": lab.hosts,
                    "running": lab.running,
                    "folder": lab.directory,
                    "escapedPackets": escaped,
                }));
            }
            show::json_line(&rows);
        }
    }
    Ok(())
}

fn lab_error(error: LabError) -> CliError {
    let help = error.help().map(|help| help.to_string());
    CliError::failed(&error).with_help(help)
}
