//! The cluster that a command is about: the file's, or this machine's own.

use std::path::Path;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{ClusterSpec, HostName, HostSpec, Role};
use slipway_engine::{ConnectOptions, EngineError, Fleet};

use crate::args::ClusterArgs;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{Reading, load_spec};
use crate::terminal;
use crate::this_machine::{self, ThisMachine};

/// A cluster and how its hosts are reached.
pub(crate) struct Cluster {
    /// What the cluster should be.
    pub spec: ClusterSpec,
    /// This machine's place in it, where no file is given: then no other host
    /// is touched.
    pub here: Option<Here>,
}

/// This machine's place in a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    /// The host that this machine is.
    pub name: HostName,
    /// Whether this machine keeps the only cluster file there is.
    pub keeps_file: bool,
}

impl Cluster {
    /// Returns the cluster that a command changes or compares: the file's, or
    /// the one whose settings this machine's control plane has stored.
    ///
    /// # Errors
    /// The file is wrong; or there is none, and this machine is no
    /// control-plane node or does not know the cluster's settings.
    pub async fn load(args: &ClusterArgs) -> Result<Self, CliError> {
        let Some(file) = &args.config else {
            return ThisMachine::of_control_plane().await?.cluster().await;
        };
        Self::of_file(file, Reading::Whole)
    }

    /// Returns the cluster that a command takes away: as [`Cluster::load`],
    /// without the files that the cluster file names.
    ///
    /// # Errors
    /// As [`Cluster::load`].
    pub async fn load_to_remove(args: &ClusterArgs) -> Result<Self, CliError> {
        match &args.config {
            Some(file) => Self::of_file(file, Reading::Alone),
            None => Self::load(args).await,
        }
    }

    /// Returns the cluster that a command only asks: this machine's control
    /// plane answers for it, whoever made it.
    ///
    /// # Errors
    /// The file is wrong; or there is none, and this machine is no
    /// control-plane node.
    pub async fn find(args: &ClusterArgs) -> Result<Self, CliError> {
        let Some(file) = &args.config else {
            return ThisMachine::of_control_plane().await?.known_cluster();
        };
        Self::of_file(file, Reading::Alone)
    }

    fn of_file(file: &Path, reading: Reading) -> Result<Self, CliError> {
        Ok(Self {
            spec: load_spec(Some(file), reading)?,
            here: None,
        })
    }

    /// Returns the hosts that are named; all that may be touched where none is.
    ///
    /// # Errors
    /// A name is not in the file, or there is no file to look it up in.
    pub fn chosen_hosts(&self, names: &[HostName]) -> Result<Vec<&HostSpec>, CliError> {
        if let Some(here) = &self.here {
            if let Some(other) = names.iter().find(|name| **name != here.name) {
                return Err(CliError::bad_input(
                    format!("host {other} is not this machine"),
                    "name the cluster file with `-f` or in SLIPWAY_CONFIG to reach other hosts",
                ));
            }
            return Ok(self.spec.host(&here.name).into_iter().collect());
        }
        if names.is_empty() {
            return Ok(self.spec.hosts.iter().collect());
        }
        let find = |name: &HostName| {
            self.spec.host(name).ok_or_else(|| {
                let known: Vec<&str> = self.spec.hosts.iter().map(|it| it.name.as_str()).collect();
                CliError::bad_input(
                    format!("host {name} is not in the cluster file"),
                    format!("the file has: {}", known.join(", ")),
                )
            })
        };
        names.iter().map(find).collect()
    }

    /// Returns the host whose agent speaks for the control plane.
    pub fn control_plane(&self) -> &HostSpec {
        let here = self.here.as_ref();
        here.and_then(|here| self.spec.host(&here.name))
            .unwrap_or_else(|| self.spec.first_control_plane())
    }

    /// Returns the hosts any of which may speak for the control plane, in the
    /// file's order.
    pub fn control_planes(&self) -> Vec<&HostSpec> {
        match &self.here {
            Some(_) => vec![self.control_plane()],
            None => self.spec.hosts_with_role(Role::ControlPlane).collect(),
        }
    }

    /// Asks the control plane: the first of its hosts that has an answer.
    ///
    /// # Errors
    /// None can be reached, or all that were reached fail.
    pub async fn ask_control_plane(
        &self,
        args: &ClusterArgs,
        request: Request,
    ) -> Result<Reply, CliError> {
        let fleet = self.connect(self.control_planes(), args).await?;
        let mut failed = None;
        for host in self.control_planes() {
            let Some(host) = fleet.host(&host.name) else {
                continue;
            };
            match host.request(request.clone(), &|_| {}).await {
                Ok(reply) => {
                    fleet.close().await;
                    return Ok(reply);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        fleet.close().await;
        match failed {
            None => Err(EngineError::Unreachable(fleet.unreachable()).into()),
            Some(error) => Err(CliError {
                code: ExitCode::Failed,
                failure: error.to_failure(),
            }),
        }
    }

    /// Connects to `hosts`, telling on stderr what takes long. Without a file
    /// that is this machine alone.
    ///
    /// # Errors
    /// The agent on this machine does not start; what happens to other hosts
    /// is in the fleet.
    pub async fn connect(
        &self,
        hosts: impl IntoIterator<Item = &HostSpec>,
        args: &ClusterArgs,
    ) -> Result<Fleet, CliError> {
        if let Some(here) = &self.here {
            let host = this_machine::start_agent(&here.name).await?;
            return Ok(Fleet::of_hosts([host]));
        }
        let options = ConnectOptions {
            accept_new_host_keys: args.accept_new_host_keys,
        };
        let progress =
            |host: &HostName, what: &str| terminal::show_progress(&format!("{host}: {what}"));
        let fleet = Fleet::connect(&self.spec, hosts, &options, &progress).await;
        terminal::show_progress("");
        Ok(fleet)
    }

    /// Returns how a command about this cluster is typed: `slipway status -f FILE`.
    pub fn command(&self, verb: &str, args: &ClusterArgs) -> String {
        match (&args.config, &self.here) {
            (Some(file), None) => format!("slipway {verb} -f {}", file.display()),
            (_, Some(_)) | (None, None) => format!("slipway {verb}"),
        }
    }
}
