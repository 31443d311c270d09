//! Steps that put files and folders in place.

use serde::{Deserialize, Serialize};

use crate::{ArchiveMember, Blob, HostName, Sha256Digest};

/// Remembers what is at paths before Slipway writes there, with copies of the
/// files, so that a reset can put it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RememberPaths {
    /// The absolute paths; what is remembered once is not looked at again.
    pub paths: Vec<String>,
}

/// Makes a folder, owned by root, with exactly this mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsureDirectory {
    /// The absolute path.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
}

/// Writes a file without secrets, atomically, owned by root; missing parent
/// folders are made with mode 0755.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteFile {
    /// The absolute path.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// The whole content.
    pub content: String,
    /// The digest of the content, shown in plans.
    pub sha256: Sha256Digest,
}

impl WriteFile {
    /// Returns the step for `content` at `path`.
    pub fn new(path: impl Into<String>, mode: u32, content: String) -> Self {
        let sha256 = Sha256Digest::of(&content);
        Self {
            path: path.into(),
            mode,
            content,
            sha256,
        }
    }
}

/// Writes a file of the user's, atomically, owned by root; missing parent
/// folders are made with mode 0755.
///
/// The content may be a secret: the step has its digest, and the bytes come
/// with the request to run it, past the plan and the journals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceFile {
    /// The absolute path.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// The content's digest and size.
    pub content: Blob,
}

/// Takes a file of the user's away again, or puts back what was there before
/// it; empty folders that were made for it go too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WithdrawFile {
    /// The absolute path.
    pub path: String,
}

/// Installs an executable from the blob store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallBlob {
    /// What it is, for people.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// The bytes.
    pub blob: Blob,
    /// The absolute path to install to, mode 0755.
    pub path: String,
}

/// Installs the very program that the agent runs, for units that start it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallSlipway {
    /// The absolute path to install to, mode 0755.
    pub path: String,
}

/// Unpacks chosen members of a gzip-compressed tar archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnpackArchive {
    /// What it is, for people.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// The archive.
    pub blob: Blob,
    /// The folder to unpack into.
    pub folder: String,
    /// How many leading path components are dropped.
    pub strip: usize,
    /// The members to unpack; others are left out.
    pub members: Vec<ArchiveMember>,
}

/// Copies a public file from another host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FetchFile {
    /// The host that has the file.
    pub from: HostName,
    /// Which file; the path is the same on both hosts, mode 0644.
    pub file: PublicFile,
    /// The digest the file must have, where the plan knows it.
    pub sha256: Option<Sha256Digest>,
}

/// A file without secrets that one host may read from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicFile {
    /// The cluster CA's certificate.
    ClusterCa,
}

impl PublicFile {
    /// Returns the absolute path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ClusterCa => crate::paths::CLUSTER_CA,
        }
    }
}
