//! One file per command.

mod agreed_run;
mod apiserver_proxy;
mod bundle;
mod certs;
mod cluster_look;
mod cluster_run;
mod config;
mod config_import;
mod confirm;
mod control_plane_join;
mod etcd;
mod etcd_snapshot_here;
mod execution;
mod init;
mod join;
mod kubeconfig;
mod lab;
mod logs;
mod plan;
mod preflight;
mod reset;
mod reset_here;
mod status;
mod token;
mod upgrade;

use clap::CommandFactory;
use slipway_api::SUPPORTED_MINORS;

use crate::args::{Cli, Command, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::{show, terminal};
pub(crate) use init::endpoint;

/// Runs the command and returns how it ended.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let output = cli.output;
    match cli.command {
        Command::Init(args) => init::run(*args, output).await,
        Command::Join(args) => join::run(*args, output).await,
        Command::Apply(args) => cluster_run::run(cluster_look::Intent::Apply, args, output).await,
        Command::Plan(args) => plan::run(args, output).await,
        Command::Preflight(args) => preflight::run(args, output).await,
        Command::Upgrade(command) => upgrade::run(command, output).await,
        Command::Status(args) => status::run(args, output).await,
        Command::Etcd(command) => etcd::run(command, output).await,
        Command::Reset(args) => reset::run(args, output).await,
        Command::Logs(args) => logs::run(args, output).await,
        Command::Token(args) => token::run(args.command, output).await,
        Command::Kubeconfig(args) => kubeconfig::run(args, output).await,
        Command::Certs(command) => certs::run(command, output).await,
        Command::Config(command) => config::run(command, output).await,
        Command::Bundle(command) => bundle::run(command, output).await,
        Command::Lab(command) => lab::run(command, output).await,
        Command::Version => Ok(version(output)),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "slipway", &mut script);
            terminal::print_raw(&String::from_utf8_lossy(&script));
            Ok(ExitCode::Done)
        }
        Command::ApiserverProxy(args) => apiserver_proxy::run(args).await,
        Command::EtcdSnapshotHere(args) => etcd_snapshot_here::run(args).await,
        Command::Agent { .. } => {
            let served =
                slipway_agent::serve(tokio::io::stdin(), tokio::io::stdout(), "/".into()).await;
            served
                .map(|()| ExitCode::Done)
                .map_err(|error| CliError::failed(&error))
        }
    }
}

fn version(output: Output) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    let (first, last) = (SUPPORTED_MINORS.start(), SUPPORTED_MINORS.end());
    match output {
        Output::Text => outln!("slipway {version}\ninstalls Kubernetes 1.{first} to 1.{last}"),
        Output::Json => show::json_line(
            &serde_json::json!({ "version": version, "kubernetesMinors": [first, last] }),
        ),
    }
    ExitCode::Done
}
