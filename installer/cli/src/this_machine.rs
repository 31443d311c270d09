//! This machine, where no cluster file is given.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    ClusterFile, ClusterSpec, Failure, HostFacts, HostName, KubernetesVersion, Release, paths,
};
use slipway_hosts::{Host, HostError, LocalHost};

use crate::cli_error::CliError;
use crate::cluster::{Cluster, Here};
use crate::exit_code::ExitCode;

/// What a cluster is called that nobody named: kubeadm's `clusterName`.
pub(crate) const CLUSTER_NAME: &str = "kubernetes";

/// Stands for the address of a machine without any: a cluster needs one, and
/// resetting such a machine does not (RFC 5737, never anybody's).
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// This machine with the agent in this process, and what it is like.
pub(crate) struct ThisMachine {
    /// Its agent.
    pub host: Arc<dyn Host>,
    /// Its facts.
    pub facts: HostFacts,
}

impl ThisMachine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// The user is not root, or the agent fails.
    pub async fn look() -> Result<Self, CliError> {
        require_root()?;
        let name: HostName = "this-machine".parse().expect("it is a host name");
        let host = start_agent(&name).await?;
        let reply = host.request(Request::GatherFacts, &|_| {}).await;
        let reply = reply.map_err(host_error)?;
        let Reply::Facts(facts) = reply else {
            return Err(unexpected(&reply));
        };
        Ok(Self {
            host,
            facts: *facts,
        })
    }

    /// Looks at this machine, which must be a control-plane node.
    ///
    /// # Errors
    /// It is none, and no file is given; or as [`Self::look`].
    pub async fn of_control_plane() -> Result<Self, CliError> {
        if !Path::new(paths::ADMIN_CONF).exists() {
            return Err(CliError::bad_input(
                "no cluster file is given, and this machine is no control-plane node",
                "name the file with `-f cluster.yaml` or in SLIPWAY_CONFIG, or run this on a control-plane node",
            ));
        }
        Self::look().await
    }

    /// Returns the name of the node that this machine is or will be.
    ///
    /// # Errors
    /// The host name is not one that Kubernetes takes.
    pub fn node_name(&self) -> Result<HostName, CliError> {
        let existing = self.facts.existing.node_name.as_deref();
        let name = existing.unwrap_or(&self.facts.hostname).to_lowercase();
        name.parse().map_err(|error| {
            CliError::bad_input(
                format!("this machine cannot be a node: {error}"),
                "name the node with `--node-name`, or change the name: `hostnamectl set-hostname NAME`",
            )
        })
    }

    /// Returns the name that the node is to have: `wanted`, as kubeadm takes it
    /// in lower case, or else its own.
    ///
    /// # Errors
    /// The name is not one that Kubernetes takes.
    pub fn node_name_or(&self, wanted: Option<&str>) -> Result<HostName, CliError> {
        let Some(name) = wanted else {
            return self.node_name();
        };
        name.trim().to_lowercase().parse().map_err(|error| {
            CliError::bad_input(format!("--node-name: {error}"), "name the node otherwise")
        })
    }

    /// Returns an address of this machine, the default route's if there is one.
    fn any_address(&self) -> IpAddr {
        let linked = || self.facts.links.iter().flat_map(|link| &link.addresses);
        let default = self.facts.default_address;
        default
            .or_else(|| linked().find(|address| address.is_ipv4()).copied())
            .unwrap_or(NO_ADDRESS)
    }

    /// Returns the cluster that this control-plane machine belongs to.
    ///
    /// # Errors
    /// Its settings cannot be read, or nobody ever wrote them down.
    pub async fn cluster(&self) -> Result<Cluster, CliError> {
        self.stored_cluster().await?.ok_or_else(|| {
            CliError::bad_input(
                "Slipway did not make this machine's cluster, so there is nothing to compare it with",
                "describe the cluster in a file and name it with `-f` or in SLIPWAY_CONFIG",
            )
        })
    }

    /// Returns the cluster as its control plane has stored it; none where it
    /// has not.
    ///
    /// # Errors
    /// The API server does not answer and this machine has no copy, or the
    /// stored file is from another build and cannot be read.
    pub async fn stored_cluster(&self) -> Result<Option<Cluster>, CliError> {
        let reply = self.host.request(Request::ReadStoredCluster, &|_| {}).await;
        let reply = reply.map_err(host_error)?;
        let Reply::StoredCluster { text, is_kept_here } = reply else {
            return Err(unexpected(&reply));
        };
        let Some(text) = text else {
            return Ok(None);
        };
        let parsed = ClusterFile::parse(&text, "kube-system/slipway-cluster");
        let spec = parsed
            .map_err(|errors| CliError::bad_input(errors.to_string().trim_end(), FILE_HELP))?
            .spec;
        let name = self.find_in(&spec)?;
        let here = Some(Here {
            name,
            keeps_file: is_kept_here,
        });
        Ok(Some(Cluster { spec, here }))
    }

    /// Returns the cluster as far as this machine's files tell: its name, and
    /// this machine as its control plane.
    pub fn known_cluster(&self) -> Result<Cluster, CliError> {
        let name = self.node_name()?;
        let installed = self
            .facts
            .kubelet
            .as_ref()
            .and_then(|it| it.version.as_deref());
        let version = installed
            .and_then(|text| text.parse::<KubernetesVersion>().ok())
            .filter(|version| Release::of(version).is_ok())
            .unwrap_or_else(Release::newest_tested);
        let spec = plain_spec(self.cluster_name(), &version, &name, self.any_address())?;
        let here = Some(Here {
            name,
            keeps_file: false,
        });
        Ok(Cluster { spec, here })
    }

    /// Returns what the cluster is called that this machine belongs to.
    pub fn cluster_name(&self) -> &str {
        let marked = self.facts.existing.slipway_cluster.as_deref();
        marked.unwrap_or(CLUSTER_NAME)
    }

    /// Returns the host of `spec` that this machine is.
    fn find_in(&self, spec: &ClusterSpec) -> Result<HostName, CliError> {
        let name = self.node_name()?;
        let has = |address: &IpAddr| {
            let mut links = self.facts.links.iter();
            links.any(|link| link.addresses.contains(address))
        };
        let by_name = spec.hosts.iter().find(|it| it.node_name() == name.as_str());
        let found = by_name.or_else(|| spec.hosts.iter().find(|it| has(&it.node_ip)));
        found.map(|host| host.name.clone()).ok_or_else(|| {
            CliError::bad_input(
                format!(
                    "the file of the cluster {} does not name this machine ({name})",
                    spec.name
                ),
                FILE_HELP,
            )
        })
    }
}

const FILE_HELP: &str = "name the cluster file with `-f` or in SLIPWAY_CONFIG";

/// Returns a cluster of one control-plane host, all else left to the defaults.
///
/// # Errors
/// A cluster file would be refused for the same reasons.
pub(crate) fn plain_spec(
    cluster: &str,
    version: &KubernetesVersion,
    name: &HostName,
    address: IpAddr,
) -> Result<ClusterSpec, CliError> {
    // JSON is YAML: whatever the names hold, they stay names.
    let file = serde_json::json!({
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": { "name": cluster },
        "spec": {
            "kubernetesVersion": version.to_string(),
            "hosts": [ {
                "name": name,
                "address": address,
                "internalAddress": address,
                "role": "control-plane",
            } ],
        },
    });
    checked_spec(&file.to_string())
}

/// Parses a cluster file that the command line stands for: its errors have no
/// place in a file.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn checked_spec(text: &str) -> Result<ClusterSpec, CliError> {
    let errors = match ClusterFile::parse(text, "the command line") {
        Ok(file) => return Ok(file.spec),
        Err(errors) => errors,
    };
    let messages: Vec<&str> = errors.errors.iter().map(|it| it.message.as_str()).collect();
    let help = errors.errors.iter().map(|it| it.help.clone()).next();
    Err(CliError::bad_input(
        messages.join("\n       "),
        help.unwrap_or_else(|| "see `slipway init --help`".to_owned()),
    ))
}

/// Starts the agent in this process, as the host `name`.
///
/// # Errors
/// The agent does not answer.
pub(crate) async fn start_agent(name: &HostName) -> Result<Arc<dyn Host>, CliError> {
    let serve = |reader, writer| slipway_agent::serve(reader, writer, PathBuf::from("/"));
    let started = LocalHost::start(name.clone(), serve).await;
    Ok(Arc::new(started.map_err(host_error)?))
}

/// Refuses whoever is not root: nobody else may look into Kubernetes' folders.
///
/// # Errors
/// The user is not root.
pub(crate) fn require_root() -> Result<(), CliError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(CliError::bad_input(
        "without a cluster file the command is about this machine, and that takes root",
        "type `sudo` in front of it, or name a cluster file with `-f` or in SLIPWAY_CONFIG",
    ))
}

/// Returns the error of a request that failed.
pub(crate) fn host_error(error: HostError) -> CliError {
    CliError {
        code: ExitCode::Failed,
        failure: error.to_failure(),
    }
}

/// Returns the error of a reply that answers another question.
pub(crate) fn unexpected(reply: &Reply) -> CliError {
    CliError {
        code: ExitCode::Bug,
        failure: Failure::because(format!(
            "the agent answered with {reply:?}, which was not asked"
        )),
    }
}
