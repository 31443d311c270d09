//! Makes a bundle.

use std::path::Path;

use slipway_api::BundleManifest;

use crate::bundle_writer::write_bundle;
use crate::{BlobStore, BundleError, SourceRequest, SourceSet, TransferSink};

/// Fetches what `request` asks for and writes it to the bundle file `out`; the same contents
/// always give the same bytes. Returns the manifest.
///
/// # Errors
/// Something is missing at the source, wrong or out of reach, or the file cannot be written;
/// then `out` is as it was, and what was downloaded stays in the cache for the next attempt.
pub async fn create(
    request: SourceRequest,
    out: &Path,
    sink: TransferSink,
) -> Result<BundleManifest, BundleError> {
    let set = SourceSet::resolve(request, sink.clone()).await?;
    set.fetch_all().await?;
    write_bundle(&set, out, &sink).await?;
    Ok(set.manifest().clone())
}
