//! What workstation and agent say to each other: newline-delimited JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Arrival, Blob, Check, ClusterFacts, DiscoveredCluster, Discovery, Entry, EtcdFacts,
    EtcdSnapshotKept, Event, Failure, FileContent, FoundCluster, HostFacts, HostName,
    KubernetesVersion, ListenerState, Probe, ProbeListener, ProbeOutcome, PublicFile, RunId,
    SecretText, Sha256Digest, Step, StepId, UpgradeFacts, UserCertificate,
};

/// The protocol's number. Both ends are the same build, so it never has to differ.
pub const PROTOCOL: u32 = 1;

/// The longest line that either end accepts, in bytes.
pub const MAX_LINE: usize = 64 << 20;

/// The first line on a channel, from the workstation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "kebab-case")]
pub enum Channel {
    /// Requests and replies follow.
    Control,
    /// `size` raw bytes follow; the agent answers with one [`BlobReceived`].
    Blob(Blob),
    /// The agent sends a snapshot of this host's etcd, in pieces: a line of
    /// [`crate::EtcdSnapshotLine`] before each.
    EtcdSnapshot,
}

/// The agent's first line on every channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The agent's version.
    pub version: String,
    /// The protocol's number.
    pub protocol: u32,
}

/// The agent's answer after a blob's bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlobReceived {
    /// Why the blob was not taken, if so.
    pub failure: Option<Failure>,
}

/// A request on a control channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToAgent {
    /// Tells apart requests in flight.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// What a user's certificate is to say, and the request that its holder made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRequest {
    /// The user's name.
    pub name: String,
    /// The groups it belongs to.
    pub organizations: Vec<String>,
    /// For how long it is valid, in seconds.
    pub validity_seconds: u64,
    /// The request, PEM.
    pub request_pem: String,
}

/// What is asked of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// What the host is like. Answered with [`Reply::Facts`].
    GatherFacts,
    /// What the cluster is like, from this control-plane host. Answered with
    /// [`Reply::ClusterFacts`].
    GatherClusterFacts,
    /// How etcd's members are, seen from this control-plane host. Answered with
    /// [`Reply::EtcdFacts`].
    GatherEtcdFacts,
    /// Signs a user's certificate. Answered with [`Reply::UserCertificate`].
    SignUser(UserRequest),
    /// The cluster as it describes itself, whoever made it. Answered with
    /// [`Reply::FoundCluster`].
    ReadFoundCluster,
    /// What an upgrade meets in the cluster, seen from this control-plane host. Answered with
    /// [`Reply::UpgradeFacts`].
    GatherUpgradeFacts,
    /// Takes a snapshot of this host's etcd into a folder here, and deletes the oldest that
    /// are too many. Answered with [`Reply::SnapshotKept`].
    KeepEtcdSnapshot {
        /// The cluster, with whose name the files' names begin.
        cluster: String,
        /// The folder.
        dir: String,
        /// How many are kept.
        keep: u16,
    },
    /// Whether steps have anything to do. Answered with [`Reply::Checks`].
    CheckSteps {
        /// The steps.
        steps: Vec<(StepId, Step)>,
    },
    /// Which blobs the host lacks. Answered with [`Reply::MissingBlobs`].
    MissingBlobs {
        /// The blobs to look for.
        blobs: Vec<Blob>,
    },
    /// Runs a step; journalled on the host before it acts. Answered with [`Reply::Done`].
    RunStep {
        /// The run.
        run: RunId,
        /// The step's name.
        id: StepId,
        /// The step.
        step: Box<Step>,
        /// What it needs beside the plan.
        attachment: Attachment,
    },
    /// Makes a key and a certificate request for a step with a signer.
    /// Answered with [`Reply::CertificateRequest`].
    PrepareCertificate {
        /// The step.
        step: Box<Step>,
    },
    /// Signs a request with the cluster's CA. Answered with [`Reply::Certificate`].
    SignCertificate {
        /// The step whose recipe decides what is signed.
        step: Box<Step>,
        /// The request, PEM.
        request_pem: String,
    },
    /// Reads a file without secrets. Answered with [`Reply::Text`].
    ReadPublicFile {
        /// Which.
        file: PublicFile,
    },
    /// Reads authorities with their keys, secrets, for another control-plane
    /// host. Answered with [`Reply::Authorities`].
    ReadAuthorities {
        /// Which: kubeadm's phase names, and `sa`.
        names: Vec<String>,
    },
    /// Reads what a cluster cannot be made again without, secrets: its authorities and service
    /// account keys as far as they are there, and the API server's encryption configuration,
    /// by their absolute paths. Answered with [`Reply::Authorities`].
    ReadRecoveryFiles,
    /// Reads the administrator's kubeconfig, a secret. Answered with [`Reply::Text`].
    ReadAdminKubeconfig,
    /// Reads the file of the cluster that this host is a control-plane node of.
    /// Answered with [`Reply::StoredCluster`].
    ReadStoredCluster,
    /// Reads journals: of one run, or the newest. Answered with [`Reply::Journal`].
    ReadJournal {
        /// The run; the newest one where none is named.
        run: Option<RunId>,
    },
    /// What time it is. Answered with [`Reply::Clock`].
    ReadClock,
    /// Opens ports that other hosts try to reach, until [`Request::CloseListeners`],
    /// the channel's end or the bound. Answered with [`Reply::Listeners`].
    OpenListeners {
        /// Tells this probe's messages apart from all others'.
        nonce: String,
        /// The ports.
        listeners: Vec<ProbeListener>,
        /// The bound.
        seconds: u64,
    },
    /// Tries things, all at once. Answered with [`Reply::Probes`].
    RunProbes {
        /// Tells this probe's messages apart from all others'.
        nonce: String,
        /// This host's name, which its datagrams carry.
        from: HostName,
        /// What to try.
        probes: Vec<Probe>,
    },
    /// Closes the ports that were opened. Answered with [`Reply::Arrivals`].
    CloseListeners,
    /// Opens etcd's ports, with its certificates and its clients' only, until
    /// [`Request::CloseEtcdPorts`], the channel's end or the bound. Answered
    /// with [`Reply::Done`].
    OpenEtcdPorts {
        /// The node's address.
        address: IpAddr,
        /// The bound.
        seconds: u64,
    },
    /// Closes etcd's ports. Answered with [`Reply::Done`].
    CloseEtcdPorts,
    /// Tries etcd's ports of another control-plane host with the certificates
    /// of this one. Answered with [`Reply::EtcdPorts`].
    TryEtcdPorts {
        /// The other node's address.
        address: IpAddr,
    },
    /// Writes down that a run begins or is over. Answered with [`Reply::Done`].
    NoteRun {
        /// The run.
        run: RunId,
        /// [`Event::RunStarted`] with this host's steps, or [`Event::RunFinished`].
        event: Box<Event>,
    },
    /// Takes the host's lock until the channel closes. Answered with [`Reply::Done`], or with
    /// [`Reply::Held`] where another run has it.
    Lock {
        /// Who holds it: user@host/pid/run.
        holder: String,
    },
    /// Removes blobs that neither this version nor the one before needs, and agents older than
    /// the one before this. The host must be locked. Answered with [`Reply::Done`].
    Tidy {
        /// The version that is in use from now on.
        version: KubernetesVersion,
        /// The blobs it needs on this host.
        blobs: BTreeSet<Sha256Digest>,
    },
    /// Looks for kubelets that serve with certificates of their own making.
    /// Answered with [`Reply::SelfSigned`].
    FindSelfSigned,
    /// Finds the cluster that this machine is to join, and keeps the token until
    /// the channel closes. Answered with [`Reply::Discovered`].
    Discover(Discovery),
    /// Forgets the token, and takes away the file that holds it. Answered with
    /// [`Reply::Done`].
    ForgetToken,
    /// Lists, makes or deletes bootstrap tokens. Answered with [`Reply::Tokens`].
    Token(TokenRequest),
    /// Encrypts the authorities with a new key and stores them in the cluster, for control-plane
    /// nodes that kubeadm joins. Answered with [`Reply::CertificateKey`].
    UploadCertificates,
}

/// What is asked about bootstrap tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "token", rename_all = "kebab-case")]
pub enum TokenRequest {
    /// Lists all tokens; their secrets included, as `kubeadm token list` does.
    List,
    /// Makes a token.
    Create {
        /// How long it lives, in seconds; none means for ever.
        ttl_seconds: Option<u64>,
        /// What it is for.
        description: Option<String>,
    },
    /// Asks where machines join and by what they know the cluster. Answered
    /// with [`Reply::JoinTarget`].
    JoinTarget,
    /// Deletes a token by its ID.
    Delete {
        /// The six characters before the dot.
        id: String,
    },
}

/// What a step needs and its plan does not hold: public data from other hosts,
/// and a user's file, which may be a secret. Nothing of it is journalled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// A signed certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// The CA's certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_pem: Option<String>,
    /// A file's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A user's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<FileContent>,
    /// Authorities and keys, by their paths below kubeadm's folder of certificates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorities: BTreeMap<String, SecretText>,
}

/// A line from the agent on a control channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FromAgent {
    /// The request it belongs to.
    pub id: u64,
    /// What it says.
    pub message: AgentMessage,
}

/// What an agent says about a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AgentMessage {
    /// Something happened meanwhile.
    Event(StepEvent),
    /// The request is done.
    Reply(Box<Reply>),
    /// The request failed.
    Failed(Failure),
}

/// What a step tells while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum StepEvent {
    /// It advances.
    Progress {
        /// What is done.
        done: u64,
        /// Out of how much.
        total: u64,
        /// What is being done now.
        doing: String,
    },
    /// It says something.
    Log {
        /// One line.
        line: String,
    },
}

/// The answer to a request.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The host's facts.
    Facts(Box<HostFacts>),
    /// The cluster's facts; none where there is no cluster here.
    ClusterFacts {
        /// The facts.
        facts: Option<ClusterFacts>,
    },
    /// How etcd's members are.
    EtcdFacts(Box<EtcdFacts>),
    /// A user's certificate.
    UserCertificate(UserCertificate),
    /// The cluster as it describes itself.
    FoundCluster {
        /// It; none where this host has no cluster that kubeadm or Slipway made.
        found: Option<Box<FoundCluster>>,
    },
    /// What an upgrade meets.
    UpgradeFacts(Box<UpgradeFacts>),
    /// A snapshot lies on the host.
    SnapshotKept(EtcdSnapshotKept),
    /// What the checks say.
    Checks {
        /// By step.
        checks: BTreeMap<StepId, Check>,
    },
    /// The blobs that are missing.
    MissingBlobs {
        /// Their digests.
        missing: Vec<Sha256Digest>,
    },
    /// It is done.
    Done {
        /// Whether anything changed.
        changed: bool,
    },
    /// Another run holds the host.
    Held {
        /// Who: user@host/pid/run.
        holder: String,
    },
    /// A certificate request.
    CertificateRequest {
        /// PEM.
        request_pem: String,
    },
    /// A signed certificate.
    Certificate {
        /// PEM.
        certificate_pem: String,
        /// The CA's certificate, PEM.
        authority_pem: String,
    },
    /// A file's text.
    Text {
        /// The text.
        text: String,
    },
    /// Authorities with their keys, or everything that a recovery needs.
    Authorities {
        /// By their paths below kubeadm's folder of certificates; for a recovery absolute.
        files: BTreeMap<String, SecretText>,
    },
    /// A cluster file.
    StoredCluster {
        /// Its text; none where the cluster was not made by Slipway.
        text: Option<String>,
        /// Whether this host keeps a copy, since nobody else has the file.
        is_kept_here: bool,
    },
    /// A journal.
    Journal {
        /// Its lines, oldest first.
        entries: Vec<Entry>,
    },
    /// Kubelets that serve with certificates of their own making.
    SelfSigned {
        /// Their nodes.
        nodes: Vec<String>,
    },
    /// The cluster that was found.
    Discovered(Box<DiscoveredCluster>),
    /// Where machines join.
    JoinTarget {
        /// The API server, `host:port`.
        endpoint: String,
        /// The pins of the cluster's CA certificates: `sha256:…`.
        ca_pins: Vec<String>,
        /// Whether its nodes reach the API through balancers of their own, which kubeadm's joins
        /// do not bring.
        is_balanced: bool,
    },
    /// The host's time.
    Clock {
        /// Now.
        now: Timestamp,
    },
    /// What became of the ports to open.
    Listeners {
        /// In the request's order.
        states: Vec<ListenerState>,
    },
    /// What came of probes.
    Probes {
        /// In the request's order.
        outcomes: Vec<ProbeOutcome>,
    },
    /// What came of trying etcd's ports.
    EtcdPorts {
        /// Those that are not reached, each with why not.
        unreached: Vec<(u16, String)>,
    },
    /// The datagrams that came while ports were open.
    Arrivals {
        /// Each sender and size once.
        arrivals: Vec<Arrival>,
    },
    /// What opens the authorities that were stored.
    CertificateKey {
        /// The key, as kubeadm takes it.
        key: SecretText,
    },
    /// Bootstrap tokens.
    Tokens {
        /// All of them, or the one just made.
        tokens: Vec<TokenSummary>,
    },
}

impl std::fmt::Debug for Reply {
    /// Prints the kind only: a reply can carry a kubeconfig or a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Facts(_) => "Facts",
            Self::ClusterFacts { .. } => "ClusterFacts",
            Self::EtcdFacts(_) => "EtcdFacts",
            Self::UserCertificate(_) => "UserCertificate",
            Self::FoundCluster { .. } => "FoundCluster",
            Self::UpgradeFacts(_) => "UpgradeFacts",
            Self::SnapshotKept(_) => "SnapshotKept",
            Self::Checks { .. } => "Checks",
            Self::MissingBlobs { .. } => "MissingBlobs",
            Self::Done { .. } => "Done",
            Self::Held { .. } => "Held",
            Self::CertificateRequest { .. } => "CertificateRequest",
            Self::Certificate { .. } => "Certificate",
            Self::Text { .. } => "Text",
            Self::Authorities { .. } => "Authorities",
            Self::StoredCluster { .. } => "StoredCluster",
            Self::Journal { .. } => "Journal",
            Self::SelfSigned { .. } => "SelfSigned",
            Self::Discovered(_) => "Discovered",
            Self::JoinTarget { .. } => "JoinTarget",
            Self::Clock { .. } => "Clock",
            Self::Listeners { .. } => "Listeners",
            Self::Probes { .. } => "Probes",
            Self::EtcdPorts { .. } => "EtcdPorts",
            Self::Arrivals { .. } => "Arrivals",
            Self::CertificateKey { .. } => "CertificateKey",
            Self::Tokens { .. } => "Tokens",
        })
    }
}

/// A bootstrap token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenSummary {
    /// The whole token, a secret.
    pub token: String,
    /// When it expires; none means never.
    pub expires: Option<String>,
    /// What it may be used for.
    pub usages: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The groups it gives.
    pub groups: Vec<String>,
}

impl std::fmt::Debug for TokenSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSummary([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_survive_the_way_over_the_wire() {
        let cluster = Reply::ClusterFacts { facts: None };
        let missing = Reply::MissingBlobs {
            missing: vec![Sha256Digest::of("x")],
        };
        let failed = AgentMessage::Failed(Failure::because("no").with_help("yes"));
        let replies = [cluster, missing].map(|reply| AgentMessage::Reply(Box::new(reply)));
        for message in replies.into_iter().chain([failed]) {
            let line = serde_json::to_string(&FromAgent {
                id: u64::MAX,
                message: message.clone(),
            })
            .unwrap();
            let read: FromAgent = serde_json::from_str(&line).unwrap();
            assert_eq!(read.message, message);
        }
    }
}
