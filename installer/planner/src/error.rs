//! Why no plan can be made.

use std::path::PathBuf;

use slipway_api::{Architecture, HostName, KubernetesVersion, PatchTarget};

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A host that the plan needs was not reached.
    #[error("host {host} is needed and was not reached")]
    HostNotReached {
        /// The host.
        host: HostName,
    },
    /// A container runtime is there that images cannot be brought to.
    #[error("{host} has {runtime} at {socket}, and this build works with containerd")]
    UnsupportedRuntime {
        /// The host.
        host: HostName,
        /// The runtime's name, as it gives it.
        runtime: String,
        /// Its socket.
        socket: String,
    },
    /// A file that the cluster file names was not read.
    #[error("{path} is named in the cluster file and was not read", path = .0.display())]
    NotRead(PathBuf),
    /// The version is not one of this build's.
    #[error(transparent)]
    Unsupported(#[from] slipway_api::UnsupportedVersion),
    /// The bundle or source lacks something.
    #[error("{what} for {architecture} is not in the bundle")]
    NotInBundle {
        /// What is missing, with its version.
        what: String,
        /// For which architecture.
        architecture: Architecture,
    },
    /// A file could not be rendered.
    #[error("cannot render {what}")]
    Render {
        /// What.
        what: &'static str,
        /// Why.
        source: slipway_templates::TemplateError,
    },
    /// A patch does not fit what it is for.
    #[error("cannot apply {file} to {target}", file = file.display())]
    Patch {
        /// The file of the patch.
        file: PathBuf,
        /// What it is for.
        target: PatchTarget,
        /// Why.
        source: slipway_templates::TemplateError,
    },
    /// A host that is named is not in the file.
    #[error("host {host} is not in the cluster file")]
    UnknownHost {
        /// The name.
        host: HostName,
    },
    /// A host is to be cleaned that belongs to another cluster.
    #[error("{host} belongs to the cluster {other}, and the file describes {cluster}")]
    OtherCluster {
        /// The host.
        host: HostName,
        /// Its cluster.
        other: String,
        /// The file's cluster.
        cluster: String,
    },
    /// A node is to leave while nobody can drain and delete it.
    #[error("{host} cannot leave the cluster in good order: the API server does not answer")]
    ApiDown {
        /// The host.
        host: HostName,
    },
    /// A control-plane node is to join a cluster.
    #[error("{host} is a control-plane node already, and cannot join a cluster")]
    IsControlPlane {
        /// The host.
        host: HostName,
    },
    /// The host trusts another CA than the cluster has.
    #[error("{host} belongs to a cluster with another CA")]
    OtherAuthority {
        /// The host.
        host: HostName,
    },
    /// There is a living node of the same name.
    #[error("the cluster has a node {node} already, and it is Ready")]
    NodeExists {
        /// The node.
        node: HostName,
    },
    /// A kubelet would be too new or too old for the API server.
    #[error("a kubelet {kubelet} does not go with an API server {api_server}")]
    KubeletSkew {
        /// What would be installed.
        kubelet: KubernetesVersion,
        /// What the cluster runs.
        api_server: KubernetesVersion,
    },
    /// No member of etcd that stays tells who belongs to it.
    #[error(
        "nobody can take {host} out of etcd: no member on the control-plane hosts that stay answers"
    )]
    EtcdSilent {
        /// The host.
        host: HostName,
    },
    /// etcd has no quorum, so that it changes no members.
    #[error(
        "{host} cannot be taken out of etcd: {healthy} of {voters} members are healthy, and it changes its members only while {quorum} are"
    )]
    NoQuorum {
        /// The host.
        host: HostName,
        /// How many are healthy.
        healthy: usize,
        /// How many have a vote.
        voters: usize,
        /// How many must be healthy.
        quorum: usize,
    },
    /// What is to leave takes etcd's quorum with it.
    #[error(
        "without {host} etcd would lose its quorum: {healthy} of the {voters} members left would be healthy, and {quorum} must be"
    )]
    QuorumLoss {
        /// The host.
        host: HostName,
        /// How many would be healthy.
        healthy: usize,
        /// How many would have a vote.
        voters: usize,
        /// How many must be healthy.
        quorum: usize,
    },
    /// A member of etcd is to be stopped while another is not healthy.
    #[error(
        "{healthy} of {voters} etcd members are healthy, and one that is defragmented answers nobody"
    )]
    EtcdUnhealthy {
        /// How many are healthy.
        healthy: usize,
        /// How many have a vote.
        voters: usize,
    },
    /// etcd has its quorum, or has it again once its members reach each other.
    #[error(
        "etcd is not lost: {answering} of {voters} members answer, {healthy} are healthy, and the quorum is {quorum}"
    )]
    EtcdHasQuorum {
        /// How many answer.
        answering: usize,
        /// How many are healthy.
        healthy: usize,
        /// How many have a vote.
        voters: usize,
        /// How many must be healthy.
        quorum: usize,
    },
    /// A member answers whose host was not reached: nobody could stop it.
    #[error(
        "etcd member {member} answers, and its host was not reached: it would go on beside the recovered one"
    )]
    EtcdMemberAlive {
        /// The member.
        member: String,
    },
    /// No member that could go on answers.
    #[error("no etcd member answers on {}", host.as_ref().map_or("any control-plane host", |host| host.as_str()))]
    NoEtcdSurvivor {
        /// The host that was chosen, if one was.
        host: Option<HostName>,
    },
    /// A recovery was begun with another host.
    #[error("a recovery was begun with {host} and was cut off")]
    RecoveryUnderWay {
        /// The host.
        host: HostName,
    },
    /// No host has a certificate of this name.
    #[error("`{name}` is no certificate of these hosts")]
    UnknownCertificate {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Nobody here can renew a certificate: its authority's key is elsewhere.
    #[error("`{name}` is issued elsewhere: the key of its authority is not on these hosts")]
    IssuedElsewhere {
        /// The name.
        name: String,
    },
    /// Somebody else runs the cluster's etcd.
    #[error("somebody else runs the cluster's etcd")]
    ExternalEtcd,
    /// The last control-plane host cannot leave while workers stay.
    #[error(
        "{host} is the only control-plane node: without it the cluster ends; reset the whole cluster with --all"
    )]
    LastControlPlane {
        /// The host.
        host: HostName,
    },
}

impl PlanError {
    /// Returns what to do about it, where there is something.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::HostNotReached { host } => {
                Some(format!("mend the connection to {host}, or take the host out of the file"))
            }
            Self::UnsupportedRuntime { .. } => Some(
                "write `runtime: { adopt: false }` below `spec`: containerd is installed beside it, and the kubelet uses that"
                    .to_owned(),
            ),
            Self::NotInBundle { .. } => Some(
                "make a bundle with this version: `slipway bundle create --kubernetes-version V -o FILE`"
                    .to_owned(),
            ),
            Self::UnknownHost { .. } => Some("`slipway config print` lists the hosts".to_owned()),
            Self::OtherCluster { .. } => Some("name the other cluster's file with `-f`".to_owned()),
            Self::ApiDown { .. } => Some(
                "mend the API server first (`slipway status` shows what is wrong), or end the whole cluster with `reset --all`"
                    .to_owned(),
            ),
            Self::Patch { .. } => Some(
                "correct the patch: paths of a JSON Patch must exist, and `slipway plan` shows what it is applied to"
                    .to_owned(),
            ),
            Self::IsControlPlane { .. } | Self::OtherAuthority { .. } => Some(
                "if nothing needs it any more: `slipway reset`, and then join".to_owned(),
            ),
            Self::NodeExists { node } => Some(format!(
                "name this one otherwise with `--node-name`, or delete the other: `kubectl delete node {node}`"
            )),
            Self::KubeletSkew { .. } => Some(
                "a kubelet may be up to three minors older than its API server, and never newer: finish the cluster's upgrade first"
                    .to_owned(),
            ),
            Self::NotRead(_) => Some(
                "run the command where the cluster file lies with what it names beside it, and name it with `-f`"
                    .to_owned(),
            ),
            Self::EtcdSilent { .. } => Some(
                "bring one of them up, `slipway status` shows what is wrong; or wipe the host all the same with `--force-quorum-loss`"
                    .to_owned(),
            ),
            Self::NoQuorum { .. } => Some(
                "bring members back, or make a new cluster of the one that is left with `slipway etcd recover`; `--force-quorum-loss` wipes the host all the same"
                    .to_owned(),
            ),
            Self::QuorumLoss { .. } => Some(
                "mend or take out first what is not healthy (`slipway etcd members`), or let another control-plane node join; `--force-quorum-loss` wipes the host all the same, and the API is gone until `slipway etcd recover`"
                    .to_owned(),
            ),
            Self::EtcdUnhealthy { .. } => Some(
                "`slipway etcd members` shows which is not and why; mend it first".to_owned(),
            ),
            Self::EtcdHasQuorum { healthy, quorum, .. } if healthy < quorum => Some(
                "most members run: mend what keeps them from each other, TCP port 2380 between their hosts first"
                    .to_owned(),
            ),
            Self::EtcdHasQuorum { .. } => Some(
                "`slipway etcd members` shows which member is not well; a lost one is replaced while the others go on"
                    .to_owned(),
            ),
            Self::EtcdMemberAlive { .. } => Some(
                "mend the connection to its host, or stop it there for good".to_owned(),
            ),
            Self::NoEtcdSurvivor { .. } => Some(
                "start etcd on a host whose data is whole (`crictl ps -a --name etcd` and `crictl logs ID` show why it does not run); where there is none, `slipway etcd restore` makes etcd anew from a snapshot"
                    .to_owned(),
            ),
            Self::RecoveryUnderWay { host } => Some(format!(
                "go on with it: the same command without `--host`, or with `--host {host}`"
            )),
            Self::UnknownCertificate { known, .. } => {
                Some(format!("there are: {}", known.join(", ")))
            }
            Self::IssuedElsewhere { .. } => Some(
                "have it issued anew with `slipway certs generate-csr`, and put it in its place"
                    .to_owned(),
            ),
            Self::ExternalEtcd => {
                Some("look after it with the tools that it was made with".to_owned())
            }
            Self::Unsupported(_)
            | Self::Render { .. }
            | Self::LastControlPlane { .. } => None,
        }
    }
}
