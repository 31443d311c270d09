//! What can go wrong in a chore.

use std::path::{Path, PathBuf};

/// The reason why a chore failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file or directory could not be handled.
    #[error("could not {act} `{}`", path.display())]
    File {
        /// What was tried, for example `write`.
        act: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("could not start `{program}`")]
    Start {
        /// The program's name.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A program failed; its output is in a log file.
    #[error("`{command}` failed ({status}); the end of {}:\n{tail}", log.display())]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Where all of its output is.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
    /// A program answered with something that was not expected.
    #[error("did not understand the answer of `{program}`: {what}")]
    Answer {
        /// The program's name.
        program: &'static str,
        /// What was wrong.
        what: String,
    },
    /// Programs or libraries that builds need are absent.
    #[error(
        "missing: {}\nhelp: apt-get install --yes {}",
        missing.join(", "),
        packages.join(" ")
    )]
    MissingTools {
        /// What is absent.
        missing: Vec<String>,
        /// The Debian packages that bring it.
        packages: Vec<&'static str>,
    },
    /// The machine's processor is not one that the mirror can be built on.
    #[error("the mirror cannot be built on this machine")]
    Architecture(#[from] slipway_api::UnknownArchitecture),
    /// A program extracted from a package lacks a library.
    #[error("`{program}` lacks a shared library in the base image:\n{report}")]
    MissingLibrary {
        /// The program's path in the image.
        program: &'static str,
        /// What the dynamic loader said.
        report: String,
    },
    /// The workspace breaks its own rules; they were printed one by one.
    #[error("{0} rule(s) broken")]
    Violations(usize),
}

impl Error {
    /// Returns a function that wraps an I/O error, naming the act and the path.
    pub fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { act, path, source }
    }
}
