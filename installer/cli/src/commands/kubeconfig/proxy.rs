//! `kubeconfig --proxy`: the API on a loopback port here, over SSH.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use rustls::pki_types::ServerName;
use slipway_hosts::ssh::{SshConfiguration, SshSettings, SshTarget};
use slipway_hosts::{Forward, ForwardChange, HostError};
use slipway_pki::Kubeconfig;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::own_file::OwnFile;
use super::{read_admin_kubeconfig, readiness};
use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::terminal::{self, Stream};

/// This machine's side: nobody else's machine reaches it.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The API server as a control-plane host sees its own.
const API_SERVER: SocketAddr = SocketAddr::new(LOOPBACK, 6443);

/// Serves until it is stopped, and takes the kubeconfig away then.
pub(super) async fn run(
    args: &ClusterArgs,
    port: u16,
    out: &Path,
    output: Output,
) -> Result<ExitCode, CliError> {
    if args.config.is_none() {
        return Err(CliError::bad_input(
            "`--proxy` leads to the hosts of a cluster file, and none is given",
            "name it with `-f` or in SLIPWAY_CONFIG; on a control-plane node \
             /etc/kubernetes/admin.conf needs no proxy",
        ));
    }
    let out = std::path::absolute(out).map_err(|error| CliError::failed(&error))?;
    OwnFile::check(&out)?;
    let cluster = Cluster::find(args).await?;
    let listener = listen(port).await?;
    let port = listener
        .local_addr()
        .map_err(|e| CliError::failed(&e))?
        .port();
    let targets = targets(&cluster, args).await?;
    let text = zeroize::Zeroizing::new(read_admin_kubeconfig(&cluster, args).await?);
    let mut kubeconfig = Kubeconfig::parse(&text).map_err(|error| CliError::failed(&error))?;
    let probe = readiness::probe(&kubeconfig.ca_pem, ServerName::from(LOOPBACK))?;
    kubeconfig.server = format!("https://{LOOPBACK}:{port}");

    let forward = Forward::start(targets, API_SERVER, probe, show_change);
    let mut stopped = Stop::listen().map_err(|error| CliError::failed(&error))?;
    tokio::select! {
        ready = forward.ready() => ready.map_err(nobody_serves)?,
        () = stopped.wait() => return Ok(ExitCode::Done),
    }
    let text = kubeconfig
        .to_yaml()
        .map_err(|error| CliError::failed(&error))?;
    let file = OwnFile::write(out.clone(), &text, kubeconfig.server.clone())?;
    if announce(&kubeconfig.server, port, &out, output) {
        tokio::select! {
            () = forward.serve(listener) => {}
            () = stopped.wait() => {}
        }
        file.remove();
        return Ok(ExitCode::Done);
    }
    file.remove();
    terminal::leave_quietly()
}

/// Says something on stderr; whether anybody reads it must not end the proxy,
/// which has a file to remove.
pub(super) fn tell(line: &str) {
    terminal::is_read(Stream::Note, &format!("{line}\n"));
}

async fn listen(port: u16) -> Result<TcpListener, CliError> {
    let address = SocketAddr::new(LOOPBACK, port);
    TcpListener::bind(address).await.map_err(|error| {
        CliError::bad_input(
            format!("cannot listen on {address}: {error}"),
            "name another port with `--proxy-port`, or none for any free one",
        )
    })
}

/// Returns how each control-plane host is reached.
async fn targets(cluster: &Cluster, args: &ClusterArgs) -> Result<Vec<SshTarget>, CliError> {
    let configuration = SshConfiguration::detect().await;
    let mut targets = Vec::new();
    for host in cluster.control_planes() {
        let settings = SshSettings::of(host, &cluster.spec.ssh, args.accept_new_host_keys);
        let target = settings.complete(&configuration).await;
        targets.push(target.map_err(|error| CliError {
            code: ExitCode::BadInput,
            failure: HostError::from(error).to_failure(),
        })?);
    }
    Ok(targets)
}

fn nobody_serves(failures: Vec<(String, String)>) -> CliError {
    let lines = failures.iter().map(|(host, why)| format!("{host}: {why}"));
    let lines: Vec<String> = lines.collect();
    CliError {
        code: ExitCode::Unreachable,
        failure: slipway_api::Failure::because(format!(
            "no control-plane host leads to an API server that is ready\n       {}",
            lines.join("\n       ")
        ))
        .with_help("`slipway status -f FILE` shows what is wrong with the cluster"),
    }
}

fn show_change(change: ForwardChange) {
    match change {
        ForwardChange::Through { host } => tell(&format!("connections go through {host}")),
        ForwardChange::Failed { host, reason } => tell(&format!("{host} does not serve: {reason}")),
        ForwardChange::Nowhere => tell("no control-plane host serves; trying on"),
    }
}

/// Says how the proxy is used; returns whether anybody heard it.
fn announce(server: &str, port: u16, file: &Path, output: Output) -> bool {
    match output {
        Output::Json => {
            let line = serde_json::json!({ "server": server, "port": port, "file": file });
            terminal::is_json_read(&line.to_string())
        }
        Output::Text => {
            tell(&format!(
                "the API is at {server} until Ctrl-C; use it with: export KUBECONFIG={}",
                file.display()
            ));
            true
        }
    }
}

/// What ends the proxy: Ctrl-C, SIGTERM, the end of the terminal.
struct Stop {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
