//! Which files of the user's were brought onto this host, so that they go again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use slipway_api::paths;

use crate::server::under;
use crate::{AgentError, files};

/// Held while the record changes: a host has several steps under way at once.
static CHANGING: Mutex<()> = Mutex::new(());

/// The absolute paths of a user's files on this host.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PlacedFiles(BTreeSet<String>);

impl PlacedFiles {
    /// Reads the record of the host whose file tree is at `root`.
    pub fn load(root: &Path) -> Result<Self, AgentError> {
        let path = under(root, paths::PLACED_FILES);
        let Some(text) = files::read_text(&path)? else {
            return Ok(Self::default());
        };
        let found = serde_json::from_str(&text).map_err(|error| AgentError::Blocked {
            message: format!("{} cannot be read: {error}", path.display()),
            help: format!(
                "it lists the files that Slipway brought here: `rm {}`, and delete by hand those that are no longer wanted",
                path.display()
            ),
        })?;
        Ok(Self(found))
    }

    /// Returns whether the file at `path` was brought here.
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Returns all paths, in order.
    pub fn into_paths(self) -> Vec<String> {
        self.0.into_iter().collect()
    }

    /// Notes a file, before it is written.
    pub fn add(path: &str, root: &Path) -> Result<(), AgentError> {
        Self::change(root, |files| files.insert(path.to_owned()))
    }

    /// Forgets a file, after it is gone.
    pub fn remove(path: &str, root: &Path) -> Result<(), AgentError> {
        Self::change(root, |files| files.remove(path))
    }

    fn change(
        root: &Path,
        change: impl FnOnce(&mut BTreeSet<String>) -> bool,
    ) -> Result<(), AgentError> {
        let _alone = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = Self::load(root)?;
        match change(&mut record.0) {
            true => record.save(root),
            false => Ok(()),
        }
    }

    fn save(&self, root: &Path) -> Result<(), AgentError> {
        let path = under(root, paths::PLACED_FILES);
        if let Some(folder) = path.parent() {
            files::make_private_dir(folder)?;
        }
        let text = serde_json::to_vec(&self.0).expect("it has only text");
        files::write(&path, 0o600, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_bring_files_at_once_are_all_noted() {
        let root = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..20).map(|number| format!("/etc/{number:02}")).collect();
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| PlacedFiles::add(name, root.path()).unwrap());
            }
        });
        let noted = PlacedFiles::load(root.path()).unwrap().into_paths();
        assert_eq!(noted, names);
        PlacedFiles::remove("/etc/07", root.path()).unwrap();
        assert!(!PlacedFiles::load(root.path()).unwrap().contains("/etc/07"));
    }

    #[test]
    fn the_record_of_0_1_0_is_read_and_written_as_it_was() {
        const RECORD: &str = include_str!("../tests/fixtures/host/0.1.0/placed.json");
        let root = tempfile::tempdir().unwrap();
        let path = under(root.path(), paths::PLACED_FILES);
        files::write(&path, 0o600, RECORD.as_bytes()).unwrap();
        let record = PlacedFiles::load(root.path()).unwrap();
        assert!(record.contains("/etc/issue"));
        record.save(root.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), RECORD);
        let placed = ["/etc/issue", "/etc/kubernetes/audit/policy.yaml"];
        assert_eq!(record.into_paths(), placed);
    }
}
