//! What the mirror is built with, asked for all at once before anything starts.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;

/// What is needed, the Debian package that brings it, and how to see that it is there.
const NEEDS: [(&str, &str, Probe); 9] = [
    ("go", "golang", Probe::Program("go")),
    ("gcc", "gcc", Probe::Program("gcc")),
    (
        "static C library",
        "libc6-dev",
        Probe::StaticLibrary("libc.a"),
    ),
    (
        "static libseccomp",
        "libseccomp-dev",
        Probe::StaticLibrary("libseccomp.a"),
    ),
    ("pkg-config", "pkg-config", Probe::Program("pkg-config")),
    ("apt-get", "apt", Probe::Program("apt-get")),
    ("apt-cache", "apt", Probe::Program("apt-cache")),
    ("dpkg-deb", "dpkg", Probe::Program("dpkg-deb")),
    ("tar", "tar", Probe::Program("tar")),
];

enum Probe {
    Program(&'static str),
    StaticLibrary(&'static str),
}

/// Makes sure that every tool is there.
///
/// # Errors
/// Some are not: the error names them all and the command that installs them.
pub fn check() -> Result<(), Error> {
    let absent: Vec<_> = NEEDS
        .iter()
        .filter(|(_, _, probe)| !probe.succeeds())
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = absent.iter().map(|(_, package, _)| *package).collect();
    packages.dedup();
    Err(Error::MissingTools {
        missing: absent
            .iter()
            .map(|(name, _, _)| (*name).to_owned())
            .collect(),
        packages,
    })
}

impl Probe {
    fn succeeds(&self) -> bool {
        match self {
            Self::Program(name) => is_in_path(name),
            // The compiler repeats a name that it cannot find.
            Self::StaticLibrary(name) => Command::new("gcc")
                .arg(format!("-print-file-name={name}"))
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.stdout.starts_with(b"/")),
        }
    }
}

fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
    })
}
