//! What `up` reports while it works.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::{Engine, HostState};

/// One thing that happened on the way to a lab.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// This machine's limit of file watches was raised, until it boots again.
    WatchesRaised {
        /// How many sets of watches root could have before.
        before: u64,
    },
    /// The root file system is being made; it takes about a minute, once per machine.
    RootFileSystemStarted,
    /// The root file system is ready and cached.
    RootFileSystemReady {
        /// The cached archive.
        archive: PathBuf,
        /// How long it took.
        took: Duration,
    },
    /// The archive is being imported into the engine's image store.
    ImageImportStarted {
        /// The image's name.
        image: String,
    },
    /// An engine is being tried by booting a host.
    EngineTrial {
        /// The engine.
        engine: Engine,
    },
    /// The engine could not boot a host; the next one is tried.
    EngineRefused {
        /// The engine.
        engine: Engine,
        /// Why, on one line.
        reason: String,
    },
    /// The engine that runs the hosts.
    EngineChosen {
        /// The engine.
        engine: Engine,
    },
    /// The lab's network exists and is closed to the outside.
    NetworkReady {
        /// The lab's subnet.
        subnet: Ipv4Net,
        /// The bridge on this machine.
        bridge: String,
    },
    /// A host's container was started.
    HostStarted {
        /// The host's name.
        host: String,
    },
    /// A host has booted and answers on SSH.
    HostReady {
        /// The host's name.
        host: String,
        /// Its address.
        address: std::net::Ipv4Addr,
        /// What systemd says of itself.
        state: HostState,
        /// Seconds since the container was started.
        took: Duration,
    },
    /// The lab was already there, with the shape asked for.
    Reused {
        /// The lab's name.
        lab: String,
    },
    /// Something failed and what had been made is being removed.
    CleaningUp {
        /// The lab's name.
        lab: String,
    },
    /// The cluster file is written: the lab is complete.
    ClusterFileWritten {
        /// Its path.
        path: PathBuf,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WatchesRaised { before } => write!(
                f,
                "fs.inotify.max_user_instances was {before}, too few for several hosts: raised until the next boot"
            ),
            Self::RootFileSystemStarted => {
                write!(
                    f,
                    "making the Debian root file system (once; about a minute)"
                )
            }
            Self::RootFileSystemReady { archive, took } => write!(
                f,
                "root file system ready after {:.0} s: {}",
                took.as_secs_f32(),
                archive.display()
            ),
            Self::ImageImportStarted { image } => write!(f, "importing image {image}"),
            Self::EngineTrial { engine } => write!(f, "trying {engine}: booting a host"),
            Self::EngineRefused { engine, reason } => {
                write!(f, "{engine} cannot boot a host here: {reason}")
            }
            Self::EngineChosen { engine } => write!(f, "hosts run in {engine}"),
            Self::NetworkReady { subnet, bridge } => {
                write!(f, "network {subnet} on {bridge}, closed to the outside")
            }
            Self::HostStarted { host } => write!(f, "{host}: started"),
            Self::HostReady {
                host,
                address,
                state,
                took,
            } => write!(
                f,
                "{host}: {state}, ssh answers at {address} after {:.1} s",
                took.as_secs_f32()
            ),
            Self::Reused { lab } => write!(f, "lab {lab} is already up with this shape"),
            Self::CleaningUp { lab } => write!(f, "removing what was made of lab {lab}"),
            Self::ClusterFileWritten { path } => {
                write!(f, "cluster file written: {}", path.display())
            }
        }
    }
}
