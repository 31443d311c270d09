//! Writes a bundle file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::tar_layout::{
    BLOCK, MANIFEST, MANIFEST_CHECKSUM, TRAILER, blob_path, header, manifest_checksum, padding,
};
use crate::{BlobStore, BundleError, Transfer, TransferSink};

/// How many bytes are copied at once.
const CHUNK: usize = 1 << 20;

/// Writes everything in `store` to the bundle file `out`: beside it first, then renamed, so
/// that `out` is complete whenever it exists.
pub(crate) async fn write_bundle(
    store: &dyn BlobStore,
    out: &Path,
    sink: &TransferSink,
) -> Result<(), BundleError> {
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cannot_write = |source| BundleError::file("write", out)(source);
    let temporary = tempfile::Builder::new()
        .prefix(".slipway-bundle-")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(BundleError::file("create a file in", folder))?;
    let mut file = File::from_std(temporary.as_file().try_clone().map_err(cannot_write)?);
    write_entries(store, &mut file, out, sink).await?;
    file.flush().await.map_err(cannot_write)?;
    file.sync_all().await.map_err(cannot_write)?;
    temporary
        .persist(out)
        .map_err(|error| cannot_write(error.error))?;
    Ok(())
}

async fn write_entries(
    store: &dyn BlobStore,
    file: &mut File,
    out: &Path,
    sink: &TransferSink,
) -> Result<(), BundleError> {
    let cannot_write = |source| BundleError::file("write", out)(source);
    let manifest = serde_json::to_vec_pretty(store.manifest())
        .expect("a manifest consists of strings and numbers only");
    let checksum = manifest_checksum(&manifest);
    for (path, bytes) in [
        (MANIFEST, &manifest[..]),
        (MANIFEST_CHECKSUM, checksum.as_bytes()),
    ] {
        file.write_all(&header(path, bytes.len() as u64))
            .await
            .map_err(cannot_write)?;
        file.write_all(bytes).await.map_err(cannot_write)?;
        write_zeros(file, padding(bytes.len() as u64))
            .await
            .map_err(cannot_write)?;
    }
    let blobs = store.manifest().blobs();
    let total = blobs.iter().map(|blob| blob.size).sum();
    let name = out
        .file_name()
        .unwrap_or(out.as_os_str())
        .to_string_lossy()
        .into_owned();
    let mut done = 0;
    let mut buffer = vec![0; CHUNK];
    for blob in blobs {
        let head = header(&blob_path(&blob.sha256), blob.size);
        file.write_all(&head).await.map_err(cannot_write)?;
        let mut reader = store.open(&blob).await?;
        loop {
            let read = reader
                .read(&mut buffer)
                .await
                .map_err(BundleError::file("read", out))?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read])
                .await
                .map_err(cannot_write)?;
            done += read as u64;
            sink(Transfer {
                name: name.clone(),
                done,
                total: Some(total),
            });
        }
        write_zeros(file, padding(blob.size))
            .await
            .map_err(cannot_write)?;
    }
    write_zeros(file, TRAILER).await.map_err(cannot_write)
}

async fn write_zeros(file: &mut File, count: u64) -> std::io::Result<()> {
    let zeros = [0; 2 * BLOCK as usize];
    file.write_all(&zeros[..count as usize]).await
}
