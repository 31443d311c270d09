//! The command line of `init` and `join` on this machine, in kubeadm's words.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use slipway_api::{KubernetesVersion, Subnets};

use crate::args::RunArgs;
use crate::cli_error::CliError;

/// The heading under which flags stand that have no meaning beside a file.
const HERE: &str = "This machine (without a file)";

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Then store the authorities in the cluster, encrypted, for two hours, and print the
    /// command with which kubeadm joins further control-plane nodes, the key in it.
    #[arg(long)]
    pub upload_certs: bool,
    #[command(flatten)]
    pub shape: ShapeArgs,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The API server of the cluster that this machine joins by itself; without
    /// it, hosts of the cluster file join.
    #[arg(value_name = "HOST[:PORT]")]
    pub endpoint: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub discovery: DiscoveryArgs,
    #[command(flatten)]
    pub node: NodeArgs,
}

/// How this machine knows its cluster.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = HERE)]
pub(crate) struct DiscoveryArgs {
    /// The bootstrap token; `-` reads it from stdin. Others can see what stands
    /// on a command line: SLIPWAY_TOKEN and `--token-file` hide it.
    #[arg(long, value_name = "TOKEN|-")]
    pub token: Option<String>,
    /// A file that holds the bootstrap token; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// The pin of the cluster's CA, `sha256:` and 64 hexadecimal digits; may be
    /// given several times.
    #[arg(long, value_delimiter = ',', value_name = "HASH")]
    pub discovery_token_ca_cert_hash: Vec<String>,
    /// Join without a pin: the token alone tells the cluster from another.
    #[arg(long)]
    pub discovery_token_unsafe_skip_ca_verification: bool,
}

impl std::fmt::Debug for DiscoveryArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiscoveryArgs([redacted])")
    }
}

/// What a cluster file would say about the cluster.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = HERE)]
pub(crate) struct ShapeArgs {
    /// The Kubernetes version; by default the newest in the bundle, or else
    /// the newest that this build was tested with.
    #[arg(long, value_name = "V")]
    pub kubernetes_version: Option<KubernetesVersion>,
    /// The address that the API server advertises; by default the one of the
    /// default route's interface.
    #[arg(long, value_name = "IP")]
    pub apiserver_advertise_address: Option<IpAddr>,
    /// A DNS name or load balancer of your own for the API.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub control_plane_endpoint: Option<String>,
    /// The pods' subnet [default: 10.244.0.0/16].
    #[arg(long, value_name = "CIDR")]
    pub pod_network_cidr: Option<Subnets>,
    /// The Services' subnet [default: 10.96.0.0/12].
    #[arg(long, value_name = "CIDR")]
    pub service_cidr: Option<Subnets>,
    /// The cluster's DNS domain [default: cluster.local].
    #[arg(long, value_name = "NAME")]
    pub service_dns_domain: Option<String>,
}

/// What a cluster file would say about the host.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = HERE)]
pub(crate) struct NodeArgs {
    /// The node's name; by default the host name.
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// The socket of a container runtime that runs already; by default the one
    /// that is found, and else containerd is installed.
    #[arg(long, value_name = "PATH")]
    pub cri_socket: Option<PathBuf>,
}

impl JoinArgs {
    /// Refuses flags that have no meaning beside a file.
    ///
    /// # Errors
    /// The first such flag that is given.
    pub fn refuse_beside_file(&self) -> Result<(), CliError> {
        let DiscoveryArgs {
            token,
            token_file,
            discovery_token_ca_cert_hash: pins,
            discovery_token_unsafe_skip_ca_verification: skips,
        } = &self.discovery;
        let given = [
            (self.endpoint.is_some(), "ENDPOINT"),
            (token.is_some(), "--token"),
            (token_file.is_some(), "--token-file"),
            (!pins.is_empty(), "--discovery-token-ca-cert-hash"),
            (*skips, "--discovery-token-unsafe-skip-ca-verification"),
            (self.node.node_name.is_some(), "--node-name"),
            (self.node.cri_socket.is_some(), "--cri-socket"),
        ];
        match given.into_iter().find(|(is_given, _)| *is_given) {
            None => Ok(()),
            Some((_, flag)) => Err(CliError::bad_input(
                format!("`{flag}` is for this machine alone, and a cluster file is given"),
                "a file's hosts join without tokens; leave `-f` and SLIPWAY_CONFIG out to join this machine",
            )),
        }
    }
}

impl ShapeArgs {
    /// Refuses these flags, and the host's, which a file would contradict.
    ///
    /// # Errors
    /// The first such flag that is given.
    pub fn refuse_beside_file(&self, node: &NodeArgs) -> Result<(), CliError> {
        let ShapeArgs {
            kubernetes_version,
            apiserver_advertise_address,
            control_plane_endpoint,
            pod_network_cidr,
            service_cidr,
            service_dns_domain,
        } = self;
        let given = [
            (
                kubernetes_version.is_some(),
                "--kubernetes-version",
                "kubernetesVersion",
            ),
            (
                apiserver_advertise_address.is_some(),
                "--apiserver-advertise-address",
                "hosts[].internalAddress",
            ),
            (
                control_plane_endpoint.is_some(),
                "--control-plane-endpoint",
                "controlPlaneEndpoint",
            ),
            (
                pod_network_cidr.is_some(),
                "--pod-network-cidr",
                "networking.podSubnet",
            ),
            (
                service_cidr.is_some(),
                "--service-cidr",
                "networking.serviceSubnet",
            ),
            (
                service_dns_domain.is_some(),
                "--service-dns-domain",
                "networking.dnsDomain",
            ),
            (node.node_name.is_some(), "--node-name", "hosts[].name"),
            (node.cri_socket.is_some(), "--cri-socket", "runtime.socket"),
        ];
        match given.into_iter().find(|(is_given, ..)| *is_given) {
            None => Ok(()),
            Some((_, flag, field)) => Err(CliError::bad_input(
                format!("`{flag}` is for this machine alone, and a cluster file is given"),
                format!("write `{field}` into the file, or leave `-f` and SLIPWAY_CONFIG out"),
            )),
        }
    }
}
