//! The folder of finished and partial downloads, named by digest.

use std::path::{Path, PathBuf};

use slipway_api::Sha256Digest;

use crate::BundleError;
use crate::part_file::PartFile;
use crate::verified_reader::hash_file;

/// Returns `downloads` below `SLIPWAY_CACHE`, else `$XDG_CACHE_HOME/slipway`, else
/// `~/.cache/slipway`; without a home directory, `/var/cache/slipway`.
pub fn default_download_cache() -> PathBuf {
    cache_folder(|name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    })
    .join("downloads")
}

fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    variable("SLIPWAY_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("slipway")))
        .or_else(|| Some(variable("HOME")?.join(".cache/slipway")))
        .unwrap_or_else(|| PathBuf::from("/var/cache/slipway"))
}

/// A download cache; its folder may be deleted at any time.
pub(crate) struct DownloadCache {
    root: PathBuf,
}

impl DownloadCache {
    /// Returns the cache below `root`, created when first written.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns where the finished file with `digest` is or will be.
    pub(crate) fn path_of(&self, digest: &Sha256Digest) -> PathBuf {
        self.root.join("sha256").join(digest.to_string())
    }

    /// Returns the size of the finished file with `digest`; a damaged one is deleted.
    pub(crate) async fn find(&self, digest: &Sha256Digest) -> Result<Option<u64>, BundleError> {
        let path = self.path_of(digest);
        if !path.exists() {
            return Ok(None);
        }
        let (actual, size) = hash_file(&path).await?;
        if actual == *digest {
            return Ok(Some(size));
        }
        tokio::fs::remove_file(&path)
            .await
            .map_err(BundleError::file("delete", &path))?;
        Ok(None)
    }

    /// Opens the part of the file with `digest`.
    pub(crate) async fn part(&self, digest: &Sha256Digest) -> Result<PartFile, BundleError> {
        for folder in ["sha256", "partial"] {
            let folder = self.root.join(folder);
            tokio::fs::create_dir_all(&folder)
                .await
                .map_err(BundleError::file("create", &folder))?;
        }
        PartFile::open(&self.root.join("partial").join(format!("{digest}.part"))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_variable_names_the_cache() {
        let with = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|name| (*name).to_owned()).collect();
            cache_folder(move |name| {
                set.iter()
                    .any(|known| known == name)
                    .then(|| PathBuf::from("/x"))
            })
        };
        assert_eq!(with(&["SLIPWAY_CACHE", "HOME"]), Path::new("/x"));
        assert_eq!(with(&["XDG_CACHE_HOME", "HOME"]), Path::new("/x/slipway"));
        assert_eq!(with(&["HOME"]), Path::new("/x/.cache/slipway"));
        assert_eq!(with(&[]), Path::new("/var/cache/slipway"));
    }
}
