//! A private key on disk.

use std::path::{Path, PathBuf};

use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use zeroize::Zeroizing;

use super::passphrase::PassphraseSource;

/// The largest file that can be a private key, in bytes.
const MAX_KEY_FILE: u64 = 1 << 20;

/// An identity file that was read, perhaps still encrypted.
pub(super) struct Identity {
    /// Where it was read.
    pub(super) path: PathBuf,
    /// Its public half, where the format shows it without a passphrase.
    pub(super) public_key: Option<PublicKey>,
    text: Zeroizing<String>,
}

/// Reads the identity file at `path`.
///
/// # Errors
/// Why it cannot be a key, in words.
pub(super) async fn load_identity(path: &Path) -> Result<Identity, String> {
    let metadata = tokio::fs::metadata(path)
        .await
        .map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > MAX_KEY_FILE {
        return Err("not a key file".into());
    }
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|error| error.to_string())?;
    let text = Zeroizing::new(text);
    if !text.contains("PRIVATE KEY-----") && !text.starts_with("PuTTY-User-Key-File-") {
        return Err("not a private key".into());
    }
    let public_key = PrivateKey::from_openssh(text.as_bytes())
        .ok()
        .map(|key| PublicKey::new(key.public_key().key_data().clone(), ""));
    Ok(Identity {
        path: path.to_owned(),
        public_key,
        text,
    })
}

/// Returns the private key, decrypted with the passphrase that `source` has for it if need be.
///
/// # Errors
/// Why there is no key, in words.
pub(super) async fn unlock(
    identity: Identity,
    source: &PassphraseSource,
) -> Result<PrivateKey, String> {
    let source = source.clone();
    // Key derivation takes a good part of a second on purpose.
    let decoded = tokio::task::spawn_blocking(move || {
        if let Ok(key) = decode_secret_key(&identity.text, None)
            && !key.is_encrypted()
        {
            return Ok(key);
        }
        let Some(passphrase) = source.passphrase_of(&identity.path) else {
            return Err("encrypted, and there is no passphrase".to_owned());
        };
        decode_secret_key(&identity.text, Some(passphrase.reveal()))
            .map_err(|_| "damaged, or the passphrase is wrong".to_owned())
    });
    decoded.await.unwrap_or_else(|_| Err("damaged".into()))
}
