//! Probes: what one host tries so that its network, clock and disk show what they can do.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::step::{EnsureCertificate, EnsureKubeconfig};
use crate::{Disk, Failure, HostName};

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// A port that a host listens on while others try to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProbeListener {
    /// The node's address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// TCP or UDP.
    pub transport: Transport,
}

/// What became of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "listener", rename_all = "kebab-case")]
pub enum ListenerState {
    /// It listens.
    Open,
    /// The port has an owner already, which is probed instead.
    Taken,
    /// It cannot listen for another reason.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One thing that a host tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case")]
pub enum Probe {
    /// Connects to a TCP port.
    Connect {
        /// The host that has the address.
        to: HostName,
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Whether a listener of the same probe must answer, not the port's owner.
        expects_listener: bool,
    },
    /// Sends datagrams that routers must not take apart.
    SendDatagrams {
        /// The host that has the address.
        to: HostName,
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// The datagrams' sizes, headers of IP and UDP included.
        sizes: Vec<u32>,
    },
    /// Resolves a name as the host's own programs do.
    ResolveName {
        /// The name.
        name: String,
    },
    /// Asks a name server for anything at all.
    AskNameServer {
        /// Its address.
        address: IpAddr,
    },
    /// Looks at a folder that facts do not tell of: etcd's, where the file moves it.
    LookAtFolder {
        /// The folder.
        folder: String,
    },
    /// Looks for files.
    FindFiles {
        /// Their absolute paths.
        paths: Vec<String>,
    },
    /// Judges certificates and kubeconfigs that somebody else issued.
    JudgeGiven {
        /// The certificates below /etc/kubernetes/pki.
        certificates: Vec<EnsureCertificate>,
        /// The kubeconfigs in /etc/kubernetes.
        kubeconfigs: Vec<EnsureKubeconfig>,
        /// The pin of the cluster CA, for hosts that do not have it yet.
        ca_pin: Option<String>,
    },
    /// Asks somebody else's etcd for its version.
    AskEtcdVersion {
        /// The URL.
        endpoint: String,
        /// The CA of its certificate, a file on the host; empty for none.
        ca_file: String,
        /// The client certificate; empty for none.
        cert_file: String,
        /// Its key; empty for none.
        key_file: String,
    },
    /// Writes a file piece by piece, each synced to disk, as etcd writes its
    /// log. The file has no name by the time it is written.
    SyncFile {
        /// The folder whose file system is tried; its nearest ancestor if it is not there.
        folder: String,
    },
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ProbeOutcome {
    /// The port was reached, and the right one answered.
    Reached,
    /// The port was reached, and a stranger answered.
    Stranger,
    /// The connection was refused.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// The datagrams were sent; what arrived, their target knows.
    Sent {
        /// Sizes that the host itself did not send, and why.
        failures: Vec<(u32, String)>,
    },
    /// The name has these addresses; none if it is unknown.
    Resolved {
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// The name server answered.
    Answered,
    /// What a folder is like.
    Folder {
        /// Whether anything is in it.
        has_content: bool,
        /// Its file system's space.
        disk: Option<Disk>,
    },
    /// The files that are not there.
    Missing {
        /// Their paths.
        paths: Vec<String>,
    },
    /// What is wrong with files that somebody else issued.
    Unfit {
        /// The files.
        files: Vec<UnfitFile>,
    },
    /// The version that etcd tells.
    EtcdVersion {
        /// The version: `3.5.24`.
        version: String,
    },
    /// How long writes took to be on disk.
    Synced(SyncLatency),
    /// It could not be tried.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A file that somebody else issued and that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnfitFile {
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
    /// Whether it serves all the same.
    pub is_usable: bool,
}

/// How long small writes took to be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncLatency {
    /// How many writes there were.
    pub writes: u32,
    /// What half of them took at most, in microseconds.
    pub median_micros: u64,
    /// What 99 of 100 took at most, in microseconds.
    pub p99_micros: u64,
}

/// A datagram of a probe that arrived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arrival {
    /// The host that sent it.
    pub from: HostName,
    /// Its size, headers of IP and UDP included.
    pub size: u32,
}

/// A host's clock against the one of the machine that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockOffset {
    /// How far it is ahead, in milliseconds; negative if it is behind.
    pub ahead_millis: i64,
    /// How long question and answer took. The offset is right to half of it.
    pub round_trip_millis: u64,
}

/// Everything that a host tried, and what others' probes did there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostProbes {
    /// Its clock.
    pub clock: Option<ClockOffset>,
    /// The ports it was to listen on.
    pub listeners: Vec<(ProbeListener, ListenerState)>,
    /// What it tried, and what came of it.
    pub outcomes: Vec<(Probe, ProbeOutcome)>,
    /// The datagrams of others that arrived, each size once.
    pub arrivals: Vec<Arrival>,
    /// Why it did not answer, if it did not.
    pub failure: Option<Failure>,
}
