//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use slipway_api::{Architecture, HostName, KubernetesVersion, paths};

use crate::kubeconfig_args::KubeconfigArgs;
use crate::local_args::{InitArgs, JoinArgs, NodeArgs, ShapeArgs};
use crate::upgrade_args::UpgradeCommand;

/// Kubernetes on your own machines: a plan you can read first, one command for all hosts.
#[derive(Debug, Parser)]
#[command(
    name = "slipway",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    /// How results are printed; commands that run print events as JSON lines with `json`.
    #[arg(short, long, value_enum, default_value_t = Output::Text, global = true)]
    pub output: Output,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring up the cluster that the file describes; without a file, one of this machine alone.
    Init(Box<InitArgs>),
    /// Add hosts that are in the file and not yet in the cluster; with an endpoint and
    /// a token, this machine by itself.
    Join(Box<JoinArgs>),
    /// Show what differs between the file and the hosts; exits 2 if anything does.
    Plan(PlanArgs),
    /// Make the hosts as the file says.
    Apply(RunArgs),
    /// Check the hosts without changing them.
    Preflight(PreflightArgs),
    /// Bring the nodes to another version, or to what the file says, one after the other.
    #[command(subcommand)]
    Upgrade(UpgradeCommand),
    /// Show nodes, versions, certificates and what is unhealthy.
    Status(ClusterArgs),
    /// Look after etcd: its members, snapshots, space.
    #[command(subcommand)]
    Etcd(EtcdCommand),
    /// Take hosts out of the cluster and Kubernetes off them.
    Reset(ResetArgs),
    /// Show the journal of a run.
    Logs(LogsArgs),
    /// Manage bootstrap tokens.
    Token(TokenArgs),
    /// Print the administrator's kubeconfig, or make one for somebody else.
    Kubeconfig(KubeconfigArgs),
    /// Look after certificates: when they expire, new ones, requests for those issued elsewhere.
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Look at cluster files.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make and check bundles for air-gapped installs.
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Throwaway hosts in containers on this machine, with a real cluster on them.
    #[command(subcommand)]
    Lab(LabCommand),
    /// Print the version, and the Kubernetes versions this build installs.
    Version,
    /// Print a script that completes commands in your shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Pass connections on to an API server that is ready; a unit on workers.
    #[command(hide = true)]
    ApiserverProxy(ApiserverProxyArgs),
    /// Take a snapshot of etcd where this machine's member leads; a unit on control-plane hosts.
    #[command(hide = true)]
    EtcdSnapshotHere(EtcdSnapshotHereArgs),
    /// Serve requests on stdin and stdout; started by Slipway on hosts.
    #[command(hide = true)]
    Agent {
        /// Required: there is no other way to talk to the agent.
        #[arg(long, required = true)]
        stdio: bool,
    },
}

/// The node-local balancer; the defaults are what Slipway installs.
#[derive(Debug, Args)]
pub(crate) struct ApiserverProxyArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The file with the API servers to begin with.
    #[arg(long, default_value = paths::APISERVER_PROXY_SEEDS, value_name = "FILE")]
    pub seeds: PathBuf,
    /// Where to keep the API servers learned of.
    #[arg(long, default_value = paths::APISERVER_PROXY_MEMBERS, value_name = "FILE")]
    pub members: PathBuf,
    /// Where to write what is thought of each.
    #[arg(long, default_value = paths::APISERVER_PROXY_STATE, value_name = "FILE")]
    pub state: PathBuf,
    /// The cluster's CA certificates.
    #[arg(long, default_value = paths::CLUSTER_CA, value_name = "FILE")]
    pub certificate_authority: PathBuf,
    /// The kubelet's client certificate and key.
    #[arg(long, default_value = paths::KUBELET_CLIENT, value_name = "FILE")]
    pub client_certificate: PathBuf,
}

/// What the timer of `spec.etcdSnapshots` runs.
#[derive(Debug, Args)]
pub(crate) struct EtcdSnapshotHereArgs {
    /// The cluster's name, with which the files' names begin.
    #[arg(long, value_name = "NAME")]
    pub cluster: String,
    /// The folder.
    #[arg(long, default_value = paths::SNAPSHOT_DIR, value_name = "DIR")]
    pub dir: PathBuf,
    /// How many are kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,
}

/// What every command about a cluster takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The cluster file; without one, the command is about this machine.
    #[arg(
        short = 'f',
        long = "config",
        visible_alias = "file",
        env = "SLIPWAY_CONFIG",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// Trust and record the keys of hosts seen for the first time.
    #[arg(long)]
    pub accept_new_host_keys: bool,
}

/// Where binaries and images come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct SourceArgs {
    /// Install from this bundle; nothing is downloaded then.
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub bundle: Option<PathBuf>,
    /// Install from `official`, the URL of a mirror, or a folder laid out like one.
    #[arg(long, value_name = "URL|DIR")]
    pub source: Option<String>,
    /// Further CA certificates for downloads, PEM.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Only these hosts; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<HostName>,
    /// Do not ask before anything changes.
    #[arg(short, long)]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// IDs of preflight checks whose errors become warnings; `all` for every one.
    #[arg(long, value_delimiter = ',', value_name = "ID[,ID]")]
    pub ignore_preflight_errors: Vec<String>,
    /// Phases to leave out, or parts of them: `preflight`, `addon/kube-proxy`.
    #[arg(long, value_delimiter = ',', value_name = "PHASE[,PHASE]")]
    pub skip_phases: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Only these hosts; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<HostName>,
}

#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Only these hosts; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<HostName>,
    /// Mend what is safe to mend: kernel modules, sysctls, a missing route to Services.
    #[arg(long)]
    pub fix: bool,
    /// IDs of checks whose errors become warnings; `all` for every one.
    #[arg(long, value_delimiter = ',', value_name = "ID[,ID]")]
    pub ignore_preflight_errors: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Take out this host; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub host: Vec<HostName>,
    /// Take out all hosts: the cluster ends.
    #[arg(long)]
    pub all: bool,
    /// Do not ask before anything changes.
    #[arg(short, long, visible_alias = "force")]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// How long a drain may take, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub drain_timeout: u64,
    /// Evict pods with emptyDir volumes too; their data is lost.
    #[arg(long)]
    pub delete_emptydir_data: bool,
    /// Take control-plane hosts out even if etcd loses its quorum: the API is
    /// gone then until `slipway etcd recover`.
    #[arg(long)]
    pub force_quorum_loss: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Read the newest journal that this host has, instead of this machine's.
    #[arg(long, value_name = "NAME")]
    pub host: Option<HostName>,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it.
    Create {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// How long it lives: `24h`, `90m`, `0` for ever.
        #[arg(long, default_value = "24h", value_name = "DURATION")]
        ttl: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        /// Print the whole command that joins a machine, the token in it.
        #[arg(long)]
        print_join_command: bool,
        /// Store the authorities in the cluster, encrypted, for two hours, and print the
        /// command with which kubeadm joins a control-plane node, the key in it.
        #[arg(long, requires = "print_join_command")]
        upload_certs: bool,
    },
    /// List all tokens.
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Delete a token by its ID, the six characters before the dot.
    Delete {
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The ID.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EtcdCommand {
    /// Show the members: health, leader, revisions, size, alarms; exits 1 if anything is wrong.
    Members(ClusterArgs),
    /// Take a snapshot of all that the cluster has stored, checked, into a file on this machine.
    Snapshot(EtcdSnapshotArgs),
    /// Open the authorities that were written beside a snapshot.
    OpenAuthorities(EtcdAuthoritiesArgs),
    /// Give back what etcd's databases do not need, one member after the other.
    Defrag(EtcdDefragArgs),
    /// Make the whole cluster's etcd anew from a snapshot: what was written since is gone.
    Restore(EtcdRestoreArgs),
    /// After most members were lost for good: make a survivor a cluster of one, with its data.
    Recover(EtcdRecoverArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EtcdSnapshotArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The file to write, readable by you only; by default one named after cluster and time.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Take it from this host's member; by default from a healthy one that does not lead.
    #[arg(long, value_name = "NAME")]
    pub host: Option<HostName>,
    /// Leave it on the host, in the folder of `spec.etcdSnapshots`.
    #[arg(long, conflicts_with = "file")]
    pub to_host: bool,
    /// Write the authorities, and the API server's encryption configuration, into a file beside
    /// it, encrypted; the key that opens it is printed once.
    #[arg(long, conflicts_with = "to_host")]
    pub with_authorities: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdAuthoritiesArgs {
    /// The file that `etcd snapshot --with-authorities` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where they go: laid out as below `/`, each closed to others.
    #[arg(long, value_name = "DIR")]
    pub out_dir: PathBuf,
    /// The file with the key; `-` or none for standard input.
    #[arg(
        long,
        value_name = "FILE|-",
        default_value = "-",
        hide_default_value = true
    )]
    pub key_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdRestoreArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// The snapshot.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Do not ask before anything changes.
    #[arg(short, long)]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdRecoverArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Go on with the member on this host; by default with the one that has most.
    #[arg(long, value_name = "NAME")]
    pub host: Option<HostName>,
    /// Do not ask before anything changes.
    #[arg(short, long)]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdDefragArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Do not ask before anything changes.
    #[arg(short, long)]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Show when the certificates of all hosts expire; exits 2 if any does within 90 days.
    ///
    /// A kubelet renews its own client certificate, kubelet.conf, which is told in its last week.
    CheckExpiration(ClusterArgs),
    /// Renew certificates, node by node, and restart what reads them.
    ///
    /// Works while the API server is down, as when everything has expired. New certificates have
    /// the names that the cluster file asks for now. Authorities stay.
    Renew(RenewArgs),
    /// Write keys and certificate signing requests for a control plane whose CA's
    /// key is elsewhere, as kubeadm does.
    ///
    /// Each certificate's request stands beside its key, each kubeconfig's beside
    /// the file, which has a key inside and neither certificate nor CA yet.
    GenerateCsr(Box<GenerateCsrArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// The certificates, as `certs check-expiration` names them; `all` for all.
    #[arg(value_name = "NAME", default_value = "all")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only on these hosts; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<HostName>,
    /// Do not ask before anything changes.
    #[arg(short, long)]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateCsrArgs {
    /// The cluster file; without one, this machine's cluster to be.
    #[arg(
        short = 'f',
        long = "config",
        visible_alias = "file",
        env = "SLIPWAY_CONFIG",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// The host of the file; by default its first control-plane host. For a worker
    /// there is kubelet.conf alone.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub host: Option<HostName>,
    /// Where keys and requests of certificates go.
    #[arg(long, value_name = "DIR", default_value = slipway_api::paths::PKI_DIR)]
    pub cert_dir: PathBuf,
    /// Where kubeconfigs and their requests go.
    #[arg(long, value_name = "DIR", default_value = slipway_api::paths::KUBERNETES_DIR)]
    pub kubeconfig_dir: PathBuf,
    #[command(flatten)]
    pub shape: ShapeArgs,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the file with all defaults filled in, or an example without a file.
    Print {
        /// The cluster file.
        #[arg(
            short = 'f',
            long = "config",
            env = "SLIPWAY_CONFIG",
            value_name = "FILE"
        )]
        config: Option<PathBuf>,
    },
    /// Write the cluster file of a cluster that is there, as kubeadm made it.
    Import(ImportArgs),
    /// Check a file and report every error in it.
    Validate {
        /// The cluster file.
        #[arg(
            short = 'f',
            long = "config",
            env = "SLIPWAY_CONFIG",
            value_name = "FILE"
        )]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A control-plane host of the cluster, as SSH reaches it.
    #[arg(long, value_name = "ADDRESS")]
    pub from_cluster: String,
    /// What the cluster is called in the file; by default as kubeadm calls it.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The user to log in as, on all hosts.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// SSH's port, on all hosts.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The private key to log in with.
    #[arg(long, value_name = "FILE")]
    pub identity_file: Option<PathBuf>,
    /// The known_hosts file.
    #[arg(long, value_name = "FILE")]
    pub known_hosts_file: Option<PathBuf>,
    /// Trust and record the keys of hosts seen for the first time.
    #[arg(long)]
    pub accept_new_host_keys: bool,
    /// Write it to this file, which must not be there, instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Put everything that Kubernetes versions need into one file.
    Create {
        /// The Kubernetes versions.
        #[arg(long, required = true, value_delimiter = ',', value_name = "V[,V]")]
        kubernetes_version: Vec<KubernetesVersion>,
        /// `official`, the URL of a mirror, or a folder laid out like one.
        #[arg(long, default_value = "official", value_name = "URL|DIR")]
        source: String,
        /// The architectures.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "amd64",
            value_name = "ARCH[,ARCH]"
        )]
        arch: Vec<Architecture>,
        /// Further images to put in.
        #[arg(long, value_name = "REFERENCE")]
        image: Vec<slipway_api::ImageReference>,
        /// Further CA certificates for downloads, PEM.
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// The file to write.
        #[arg(long, value_name = "FILE", visible_alias = "out", short_alias = 'O')]
        out_file: PathBuf,
    },
    /// List what is in a bundle.
    Inspect {
        /// The bundle.
        file: PathBuf,
    },
    /// Read all of a bundle and compare it with its manifest.
    Verify {
        /// The bundle.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Start hosts and bring up a cluster on them.
    Up(LabUpArgs),
    /// Remove a lab and everything that belongs to it.
    Down {
        /// The lab's name.
        #[arg(long, default_value = "lab")]
        name: String,
    },
    /// List labs.
    List,
    /// Open a shell on a host, or run a command there.
    Ssh {
        /// The lab's name.
        #[arg(long, default_value = "lab")]
        name: String,
        /// The host.
        host: String,
        /// The command; a shell without one.
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LabUpArgs {
    /// The lab's name.
    #[arg(long, default_value = "lab")]
    pub name: String,
    /// How many control-plane hosts.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub control_planes: u8,
    /// How many worker hosts.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub workers: u8,
    /// The Kubernetes version; by default the newest in the bundle.
    #[arg(long, value_name = "V")]
    pub kubernetes_version: Option<KubernetesVersion>,
    /// Install from this bundle.
    #[arg(long, value_name = "FILE", required_unless_present = "hosts_only")]
    pub bundle: Option<PathBuf>,
    /// Start the hosts and leave them bare.
    #[arg(long)]
    pub hosts_only: bool,
}
