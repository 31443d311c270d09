//! Files beside the cluster file, given to the parser by whoever may read them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Gives the parser what the cluster file names by path, so that parsing itself
/// reads nothing and errors still name the line that names the path.
pub trait LocalFiles {
    /// Returns what is at `path`, at most `limit` bytes of it in all.
    ///
    /// Relative paths start at the cluster file's folder, `~` is the user's home.
    ///
    /// # Errors
    /// The reason in a few words, for example `there is no such file`.
    fn read(&self, path: &Path, limit: u64) -> Result<LocalContent, String>;
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalContent {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A folder with these files, their names without the folder, sorted;
    /// folders inside it are left out.
    Folder(Vec<(String, Vec<u8>)>),
}

/// A file or folder that the cluster file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalText {
    /// The path as it is written.
    pub path: PathBuf,
    /// Its text; none while nobody read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
