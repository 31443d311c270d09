//! The executables that can be an agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use slipway_api::{Architecture, Blob, Sha256Digest};
use tokio::io::AsyncReadExt;

use crate::HostError;

/// This process's own executable, even if the file was replaced meanwhile; proc(5).
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// The `slipway` executable for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentBinary {
    /// Its digest and size.
    pub blob: Blob,
    /// Where its bytes are.
    pub path: PathBuf,
}

impl AgentBinary {
    /// Returns the executable at `path`, after reading it for its digest.
    pub async fn of_file(path: &Path) -> Result<Self, HostError> {
        let blob = digest_file(path)
            .await
            .map_err(|source| HostError::AgentFile {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            blob,
            path: path.to_owned(),
        })
    }
}

/// The `slipway` executables at hand, by architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentBinaries(BTreeMap<Architecture, AgentBinary>);

impl AgentBinaries {
    /// Returns this process's own executable for this machine's architecture.
    pub async fn own() -> Result<Self, HostError> {
        let own = AgentBinary::of_file(Path::new(OWN_EXECUTABLE)).await?;
        Ok(match own_architecture() {
            Some(architecture) => Self::default().with(architecture, own),
            None => Self::default(),
        })
    }

    /// Returns the same with `binary` for `architecture`.
    pub fn with(mut self, architecture: Architecture, binary: AgentBinary) -> Self {
        self.0.insert(architecture, binary);
        self
    }

    /// Returns the executable for `architecture`.
    pub fn get(&self, architecture: Architecture) -> Option<&AgentBinary> {
        self.0.get(&architecture)
    }

    /// Returns the likeliest executable for a host not yet seen: our own architecture's.
    pub(super) fn likeliest(&self) -> Option<(Architecture, &AgentBinary)> {
        let own = own_architecture().and_then(|own| self.0.get_key_value(&own));
        own.or_else(|| self.0.iter().next())
            .map(|(architecture, binary)| (*architecture, binary))
    }
}

fn own_architecture() -> Option<Architecture> {
    std::env::consts::ARCH.parse().ok()
}

async fn digest_file(path: &Path) -> std::io::Result<Blob> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        context.update(&buffer[..count]);
        size += count as u64;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    Ok(Blob {
        sha256: Sha256Digest::from_bytes(sha256),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_named_by_its_digest() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "slipway").expect("written");
        let binary = AgentBinary::of_file(file.path()).await.expect("readable");
        assert_eq!(
            binary.blob,
            Blob {
                sha256: Sha256Digest::of("slipway"),
                size: 7
            }
        );
    }
}
