//! The host's journal of a run: written and synced before a step acts.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use slipway_api::{Entry, Event, RunId};

use crate::{AgentError, files};

/// The journals in one folder, one file a run.
pub(crate) struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// Returns the journals in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Appends an event and syncs it to disk.
    pub fn append(&self, run: &RunId, event: Event) -> Result<(), AgentError> {
        let run = RunId::parse(run.as_str())
            .ok_or_else(|| AgentError::BadRequest("the run's ID is not one".to_owned()))?;
        files::make_private_dir(&self.folder)?;
        let path = self.file(&run);
        let entry = Entry {
            at: Timestamp::now(),
            run,
            event,
        };
        let mut line = serde_json::to_vec(&entry).expect("an entry has only string keys");
        line.push(b'\n');
        let is_new = !path.exists();
        let result = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(&line)?;
                file.sync_data()?;
                if is_new {
                    // Else the file's name may be lost with the power.
                    std::fs::File::open(&self.folder)?.sync_all()?;
                }
                Ok(())
            });
        result.map_err(AgentError::file("write journal", &path))
    }

    /// Returns the entries of a run, or of the newest one. A last line that was
    /// cut off by a crash is left out.
    pub fn read(&self, run: Option<&RunId>) -> Result<Vec<Entry>, AgentError> {
        let run = match run {
            Some(run) => RunId::parse(run.as_str()),
            None => self.newest(),
        };
        let Some(run) = run else {
            return Ok(Vec::new());
        };
        let text = files::read_text(&self.file(&run))?.unwrap_or_default();
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    fn file(&self, run: &RunId) -> PathBuf {
        self.folder.join(format!("{}.ndjson", run.as_str()))
    }

    fn newest(&self) -> Option<RunId> {
        let names = std::fs::read_dir(&self.folder).ok()?.flatten();
        let runs = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            RunId::parse(name.strip_suffix(".ndjson")?)
        });
        runs.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_by_a_crash_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let run = RunId::new(Timestamp::UNIX_EPOCH, 1);
        let event = Event::RunFinished {
            outcome: slipway_api::Outcome::Succeeded,
        };
        journal.append(&run, event.clone()).unwrap();
        let path = journal.file(&run);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\":\"2026");
        std::fs::write(&path, text).unwrap();
        let entries = journal.read(None).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].event, event);
    }
}
