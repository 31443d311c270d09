//! Where the passphrase of an encrypted identity file comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::Secret;

/// The environment variable that holds the passphrase; arguments never do.
pub const PASSPHRASE_VARIABLE: &str = "SLIPWAY_SSH_PASSPHRASE";

type Ask = dyn Fn(&Path) -> Option<Secret> + Send + Sync;

/// Answers with the passphrase of an identity file, or nothing.
#[derive(Clone)]
pub struct PassphraseSource(Arc<Ask>);

impl PassphraseSource {
    /// Returns a source that reads [`PASSPHRASE_VARIABLE`].
    pub fn from_env() -> Self {
        Self::asking(|_| std::env::var(PASSPHRASE_VARIABLE).ok().map(Secret::new))
    }

    /// Returns a source that calls `ask` with the path of the encrypted file.
    pub fn asking(ask: impl Fn(&Path) -> Option<Secret> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Returns the passphrase of the file at `path`.
    pub fn passphrase_of(&self, path: &Path) -> Option<Secret> {
        (self.0)(path)
    }
}

impl fmt::Debug for PassphraseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassphraseSource")
    }
}
