//! What can go wrong with a lab.

use std::path::PathBuf;
use std::time::Duration;

use miette::Diagnostic;

/// A lab could not be made, found or removed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum LabError {
    /// Containers that boot systemd need root on this machine.
    #[error("labs need root on this machine")]
    #[diagnostic(
        code(lab::not_root),
        help("run the same command with `sudo`; the lab's files then belong to root")
    )]
    NotRoot,

    /// Neither `XDG_*` nor `HOME` says where files go.
    #[error("no folder for the lab's files: HOME is not set")]
    #[diagnostic(
        code(lab::no_home),
        help("set HOME, or XDG_DATA_HOME and SLIPWAY_CACHE")
    )]
    NoHome,

    /// The lab's description asks for something that cannot be.
    #[error("{reason}")]
    #[diagnostic(code(lab::invalid_spec))]
    InvalidSpec {
        /// What is wrong.
        reason: String,
    },

    /// A program that labs need is not installed.
    #[error("`{tool}` is not installed on this machine")]
    #[diagnostic(
        code(lab::tool_missing),
        help("install your distribution's package `{package}`")
    )]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// The package that usually has it.
        package: &'static str,
    },

    /// No engine could boot a host.
    #[error("no container engine on this machine can boot a host{tried}")]
    #[diagnostic(
        code(lab::no_engine),
        help("install `podman` and `runc`, the pair that works in most places")
    )]
    NoEngine {
        /// One line per engine that was tried, each beginning with a line break.
        tried: String,
    },

    /// A lab of that name is there, with another shape or half made.
    #[error("lab `{name}` already exists: {reason}")]
    #[diagnostic(
        code(lab::exists),
        help("remove it first: `slipway lab down --name {name}`")
    )]
    Exists {
        /// The lab's name.
        name: String,
        /// What differs.
        reason: String,
    },

    /// There is no lab of that name.
    #[error("there is no lab `{name}`")]
    #[diagnostic(
        code(lab::unknown),
        help("`slipway lab list` shows the labs, `slipway lab up --name {name}` makes one")
    )]
    UnknownLab {
        /// The name asked for.
        name: String,
    },

    /// The lab has no such host.
    #[error("lab `{lab}` has no host `{host}`")]
    #[diagnostic(code(lab::unknown_host), help("its hosts: {known}"))]
    UnknownHost {
        /// The lab's name.
        lab: String,
        /// The host asked for.
        host: String,
        /// The hosts it has.
        known: String,
    },

    /// Every subnet that labs may take is in use.
    #[error("no free /24 is left in {pool}")]
    #[diagnostic(
        code(lab::no_subnet),
        help("remove labs that are no longer needed: `slipway lab list`")
    )]
    NoFreeSubnet {
        /// The range that labs take their subnets from.
        pool: &'static str,
    },

    /// A host did not finish booting in time, or stopped.
    #[error("host `{host}` is not ready after {} s: {state}\n{journal}", waited.as_secs())]
    #[diagnostic(code(lab::not_ready))]
    NotReady {
        /// The host.
        host: String,
        /// How long was waited.
        waited: Duration,
        /// What it said last.
        state: String,
        /// The last lines of its journal.
        journal: String,
    },

    /// A program could not be started.
    #[error("cannot start `{program}`")]
    #[diagnostic(code(lab::spawn))]
    Spawn {
        /// The program.
        program: String,
        /// The system's answer.
        source: std::io::Error,
    },

    /// A program failed.
    #[error("`{command}` ended with {status}: {stderr}")]
    #[diagnostic(code(lab::command_failed))]
    CommandFailed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The end of what it said.
        stderr: String,
    },

    /// A program took too long and was ended.
    #[error("`{command}` did not end within {} s", limit.as_secs())]
    #[diagnostic(code(lab::command_timeout))]
    CommandTimeout {
        /// The command line.
        command: String,
        /// The limit.
        limit: Duration,
    },

    /// A file could not be read or written.
    #[error("cannot {act} {}", path.display())]
    #[diagnostic(code(lab::file))]
    File {
        /// What was tried: "read", "write", "create", "remove", "lock".
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// A program's or a record's text is not what was expected.
    #[error("cannot understand {what}")]
    #[diagnostic(code(lab::unreadable))]
    Unreadable {
        /// Whose text.
        what: String,
        /// Where it went wrong.
        source: serde_json::Error,
    },

    /// The table that drops and counts what would leave the lab is gone.
    #[error("the firewall table of lab `{name}` has no counter")]
    #[diagnostic(
        code(lab::no_counter),
        help("`slipway lab up --name {name}` puts it back; what left meanwhile was not counted")
    )]
    NoCounter {
        /// The lab's name.
        name: String,
    },
}

impl LabError {
    /// Returns a closure that turns an I/O error on `path` into [`LabError::File`].
    pub(crate) fn file(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }
}
