//! Files that are either the old ones or the new ones, whole.

use std::io;
use std::path::Path;

/// Writes `text` to `path` by way of a file beside it.
///
/// # Errors
/// The folder is missing or full.
pub(crate) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
