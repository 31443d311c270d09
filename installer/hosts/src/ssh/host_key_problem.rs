//! Why a host key is not trusted, and what to type next.

use std::path::PathBuf;

use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::host_key_name::HostKeyName;

/// A key that a file records.
#[derive(Clone, Debug)]
pub struct RecordedKey {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The key.
    pub key: PublicKey,
}

/// A host key or certificate that is not trusted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HostKeyProblem {
    /// No file knows the host.
    #[error(
        "the host key of `{name}`, {}, is not known (looked in {})",
        describe(presented),
        list(files)
    )]
    Unknown {
        /// The name looked up.
        name: HostKeyName,
        /// The key the host presented.
        presented: PublicKey,
        /// The files searched.
        files: Vec<PathBuf>,
    },
    /// The files record other keys for the host.
    #[error(
        "the host key of `{name}` HAS CHANGED: it presented {}, but {}; \
         either the host was installed anew or somebody is between you and it",
        describe(presented),
        list_recorded(recorded)
    )]
    Changed {
        /// The name looked up.
        name: HostKeyName,
        /// The key the host presented.
        presented: PublicKey,
        /// Every key recorded for the name.
        recorded: Vec<RecordedKey>,
    },
    /// A file revokes the key.
    #[error(
        "the host key of `{name}`, {}, is revoked by {}:{line}",
        describe(presented),
        file.display()
    )]
    Revoked {
        /// The name looked up.
        name: HostKeyName,
        /// The key the host presented, or that signed its certificate.
        presented: PublicKey,
        /// The file that revokes it.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The certificate does not prove who the host is.
    #[error(
        "the host certificate `{key_id}` of `{name}`, signed by {}, is not accepted: {reason}",
        describe(authority)
    )]
    Certificate {
        /// The name looked up.
        name: HostKeyName,
        /// The certificate's own name.
        key_id: String,
        /// The key that signed it.
        authority: PublicKey,
        /// What is wrong with it.
        reason: String,
    },
}

impl HostKeyProblem {
    /// Returns what the user can do, with the commands to type.
    pub fn help(&self) -> String {
        match self {
            Self::Unknown {
                name,
                presented,
                files,
            } => {
                let kind = scan_type(&presented.algorithm());
                let file = files.first().map_or_else(
                    || "~/.ssh/known_hosts".to_owned(),
                    |file| file.display().to_string(),
                );
                format!(
                    "compare the fingerprint on the host's console (`ssh-keygen -lf \
                     /etc/ssh/ssh_host_{kind}_key.pub`), then record the key with \
                     `ssh-keyscan -t {kind} -p {} {} >> {file}`, or trust it at first contact \
                     with `--accept-new-host-keys`",
                    name.port(),
                    name.host()
                )
            }
            Self::Changed { name, recorded, .. } => {
                let mut files: Vec<_> = recorded.iter().map(|key| &key.file).collect();
                files.dedup();
                let removals: Vec<_> = files
                    .iter()
                    .map(|file| format!("`ssh-keygen -R '{name}' -f {}`", file.display()))
                    .collect();
                format!(
                    "if you know why the key changed, forget the old one with {}, then run again \
                     with `--accept-new-host-keys`; otherwise stop and find out",
                    removals.join(" and ")
                )
            }
            Self::Revoked { file, line, .. } => format!(
                "give the host a new key (`ssh-keygen -A` after removing the old ones); only if \
                 the revocation is a mistake, remove line {line} of {}",
                file.display()
            ),
            Self::Certificate { name, .. } => format!(
                "look at it with `ssh-keyscan -c -p {} {} | ssh-keygen -Lf -`, and sign the \
                 host's key again or correct the `@cert-authority` line",
                name.port(),
                name.host()
            ),
        }
    }
}

/// Returns type and fingerprint, as `ssh-keygen -l` shows them.
pub(super) fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

fn list(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return "no file".into();
    }
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    names.join(", ")
}

fn list_recorded(keys: &[RecordedKey]) -> String {
    let lines: Vec<_> = keys
        .iter()
        .map(|key| {
            format!(
                "{}:{} records {}",
                key.file.display(),
                key.line,
                describe(&key.key)
            )
        })
        .collect();
    lines.join(", ")
}

/// Returns the name of a key type for `ssh-keyscan -t` and for the files in `/etc/ssh`.
fn scan_type(algorithm: &Algorithm) -> &'static str {
    if algorithm.clone().is_rsa() {
        "rsa"
    } else if algorithm.clone().is_ecdsa() {
        "ecdsa"
    } else {
        "ed25519"
    }
}
