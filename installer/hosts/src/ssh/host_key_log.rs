//! Appends the key of a new host to a `known_hosts` file.

use std::io;
use std::path::Path;

use russh::keys::PublicKey;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::Mutex;

use super::host_key_name::HostKeyName;

/// Hosts are met in parallel and usually share one file.
static APPENDING: Mutex<()> = Mutex::const_new(());

/// Records `key` for `name` in `file`, made with mode 0600 in a directory of mode 0700 if absent.
pub(super) async fn record_host_key(
    file: &Path,
    name: &HostKeyName,
    key: &PublicKey,
) -> io::Result<()> {
    let _guard = APPENDING.lock().await;
    if let Some(parent) = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        tokio::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .await?;
    }
    let mut handle = tokio::fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .await?;
    let plain = PublicKey::new(key.key_data().clone(), "");
    let text = plain.to_openssh().map_err(io::Error::other)?;
    let mut line = format!("{name} {}\n", text.trim_end());
    if !ends_in_newline(&mut handle).await? {
        line.insert(0, '\n');
    }
    // One write, so that another process that appends cannot tear the line.
    handle.write_all(line.as_bytes()).await?;
    handle.flush().await
}

async fn ends_in_newline(file: &mut tokio::fs::File) -> io::Result<bool> {
    if file.seek(io::SeekFrom::End(0)).await? == 0 {
        return Ok(true);
    }
    file.seek(io::SeekFrom::End(-1)).await?;
    Ok(file.read_u8().await? == b'\n')
}
