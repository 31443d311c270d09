//! The merged journal of a run on this machine.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use slipway_api::{Entry, Event, RunId};

use crate::EngineError;

/// Appends a run's entries to `<folder>/<cluster>/<run>.ndjson`, readable by its owner only.
pub struct RunJournal {
    path: PathBuf,
    file: File,
}

impl RunJournal {
    /// Creates the journal of a run.
    ///
    /// # Errors
    /// The folder or file cannot be made.
    pub fn create(folder: &Path, cluster: &str, run: &RunId) -> Result<Self, EngineError> {
        let folder = folder.join(cluster);
        let path = folder.join(format!("{}.ndjson", run.as_str()));
        let open = || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)?;
            OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
        };
        let opened = open();
        match opened {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(EngineError::Journal {
                doing: "create",
                path,
                source,
            }),
        }
    }

    /// Returns where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an entry. Before a step acts, its entry is synced to disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, entry: &Entry) -> Result<(), EngineError> {
        let mut line = serde_json::to_vec(entry).expect("an entry has only string keys");
        line.push(b'\n');
        let must_last = match &entry.event {
            Event::StepProgress { .. } | Event::StepLog { .. } => false,
            Event::RunStarted { .. }
            | Event::HostLost(_)
            | Event::WayBackStarted { .. }
            | Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::StepFailed { .. }
            | Event::RunFinished { .. } => true,
        };
        let written = self.file.write_all(&line).and_then(|()| {
            if must_last {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        written.map_err(|source| EngineError::Journal {
            doing: "write",
            path: self.path.clone(),
            source,
        })
    }
}

/// Returns the newest journal of a cluster on this machine; none where there is none.
/// A last line that was cut off is left out.
///
/// # Errors
/// The file cannot be read.
pub fn newest_journal(folder: &Path, cluster: &str) -> Result<Option<Vec<Entry>>, EngineError> {
    read_newest(journals_in(&folder.join(cluster)))
}

/// Returns the newest journal of any cluster on this machine, as [`newest_journal`] does.
///
/// # Errors
/// The file cannot be read.
pub fn newest_journal_of_any(folder: &Path) -> Result<Option<Vec<Entry>>, EngineError> {
    let clusters = std::fs::read_dir(folder).into_iter().flatten().flatten();
    read_newest(clusters.flat_map(|cluster| journals_in(&cluster.path())))
}

fn journals_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| file.path()).filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "ndjson")
    })
}

fn read_newest(journals: impl Iterator<Item = PathBuf>) -> Result<Option<Vec<Entry>>, EngineError> {
    // A run's name begins with its time.
    let Some(path) = journals.max_by_key(|path| path.file_name().map(ToOwned::to_owned)) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).map_err(|source| EngineError::Journal {
        doing: "read",
        path,
        source,
    })?;
    Ok(Some(
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    ))
}
