//! Snapshots that a host takes and keeps by itself: the newest of them, each whole.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use slipway_api::EtcdSnapshotKept;

use super::{EtcdClient, SnapshotFile};
use crate::{AgentError, files};

/// What the names of snapshots end with.
const ENDING: &str = ".db";

/// A folder of a cluster's snapshots on one of its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFolder {
    /// The cluster, with whose name the files' names begin: others are left alone.
    pub cluster: String,
    /// The folder.
    pub dir: PathBuf,
    /// How many are kept, one at least.
    pub keep: usize,
}

impl SnapshotFolder {
    /// Takes a snapshot of this host's member and deletes the oldest that are too many;
    /// none is taken where `only_leader` is asked for and another member leads.
    ///
    /// # Errors
    /// The member does not answer or knows of no leader, the snapshot is damaged or older
    /// than what was seen before, or the folder cannot be written to. Nothing is deleted then.
    pub async fn take(
        &self,
        root: &Path,
        only_leader: bool,
    ) -> Result<Option<EtcdSnapshotKept>, AgentError> {
        let client = EtcdClient::local(root).await?;
        let status = client.status().await?;
        match status.leader {
            Some(leader) if leader == status.id || !only_leader => {}
            Some(_) => return Ok(None),
            // A snapshot needs no quorum, but one of a member that is cut off is old.
            None => {
                return Err(AgentError::Blocked {
                    message: "etcd has no leader, so nobody knows how old this member's data is"
                        .to_owned(),
                    help: "`slipway etcd members` shows which members are well".to_owned(),
                });
            }
        }
        let draft = Draft::begin(self)?;
        draft.fill(&client).await?;
        draft.keep(status.revision.unsigned_abs()).map(Some)
    }

    /// Returns how old the newest of this cluster's snapshots is, by the files' times; none
    /// where there is none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn newest_age(&self) -> Result<Option<Duration>, AgentError> {
        let newest = self.snapshots()?.into_iter().next_back();
        let modified = newest.and_then(|path| path.metadata().ok()?.modified().ok());
        // One from the future is as old as can be: the clock was set back.
        Ok(modified.map(|modified| modified.elapsed().unwrap_or(Duration::MAX)))
    }

    /// Returns this cluster's snapshots, oldest first.
    fn snapshots(&self) -> Result<Vec<PathBuf>, AgentError> {
        let mut found = files::beginning_with(&self.dir, &format!("{}-", self.cluster))?;
        found.retain(|path| {
            let is_file = std::fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
            is_file && self.is_own(path)
        });
        Ok(found)
    }

    /// Returns whether a file has the name of a snapshot: `CLUSTER-YYYYMMDD-HHMMSS.db`.
    fn is_own(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        let time = name
            .and_then(|name| name.strip_prefix(&self.cluster))
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(ENDING));
        time.and_then(|time| time.split_once('-'))
            .is_some_and(|(day, time)| {
                let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                (day.len(), time.len()) == (8, 6) && is_number(day) && is_number(time)
            })
    }

    /// Deletes the oldest beyond what is kept; `newest` stays, whatever the clock said
    /// when the others were named.
    fn prune(&self, newest: &Path) -> Result<Vec<PathBuf>, AgentError> {
        let mut others = self.snapshots()?;
        others.retain(|path| path != newest);
        let surplus = others.len().saturating_sub(self.keep.saturating_sub(1));
        others.truncate(surplus);
        for path in &others {
            std::fs::remove_file(path).map_err(AgentError::file("delete", path))?;
        }
        Ok(others)
    }
}

/// A snapshot that is being written; it goes again unless it is kept.
struct Draft<'a> {
    folder: &'a SnapshotFolder,
    /// Held while something is written here, until the process ends at the latest.
    lock: File,
    path: PathBuf,
    file: File,
}

impl<'a> Draft<'a> {
    fn begin(folder: &'a SnapshotFolder) -> Result<Self, AgentError> {
        let dir = &folder.dir;
        files::make_private_dir(dir)?;
        let lock = File::open(dir).map_err(AgentError::file("open", dir))?;
        lock.try_lock().map_err(|_| AgentError::Blocked {
            message: format!("another snapshot is being written to {}", dir.display()),
            help: "wait until it is there".to_owned(),
        })?;
        // Nobody else writes here now: what is there is left of one that was cut off.
        let path = dir.join(format!(".{}{ENDING}.part", folder.cluster));
        let _ = std::fs::remove_file(&path);
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(AgentError::file("write", &path))?;
        Ok(Self {
            folder,
            lock,
            path,
            file,
        })
    }

    async fn fill(&self, client: &EtcdClient) -> Result<(), AgentError> {
        let mut stream = client.snapshot().await?;
        while let Some(piece) = stream.next().await? {
            let written = (&self.file).write_all(&piece);
            written.map_err(AgentError::file("write", &self.path))?;
        }
        let synced = self.file.sync_all();
        synced.map_err(AgentError::file("write", &self.path))
    }

    /// Reads it again, gives it its name and deletes the oldest ones.
    fn keep(self, expected: u64) -> Result<EtcdSnapshotKept, AgentError> {
        let damaged = |message: String| AgentError::Blocked {
            message,
            help: "take it again; the ones from before are still there".to_owned(),
        };
        let snapshot =
            SnapshotFile::read(&self.path).map_err(|error| damaged(error.to_string()))?;
        if snapshot.revision < expected {
            return Err(damaged(format!(
                "the snapshot ends at revision {}, and etcd was at {expected} before it was taken",
                snapshot.revision
            )));
        }
        let path = self.free_name();
        let renamed = std::fs::rename(&self.path, &path);
        renamed.map_err(AgentError::file("rename", &self.path))?;
        let synced = self.lock.sync_all();
        synced.map_err(AgentError::file("write", &self.folder.dir))?;
        let deleted = self.folder.prune(&path)?;
        let shown = |path: &PathBuf| path.display().to_string();
        Ok(EtcdSnapshotKept {
            path: shown(&path),
            revision: snapshot.revision,
            size: snapshot.size,
            database_sha256: snapshot.database_sha256,
            sha256: snapshot.sha256,
            deleted: deleted.iter().map(shown).collect(),
        })
    }

    /// Returns a name of this moment, or of the next second where that is taken.
    fn free_name(&self) -> PathBuf {
        let mut now = Timestamp::now();
        loop {
            let time = now.strftime("%Y%m%d-%H%M%S");
            let name = format!("{}-{time}{ENDING}", self.folder.cluster);
            let path = self.folder.dir.join(name);
            if !path.exists() {
                return path;
            }
            now += jiff::SignedDuration::from_secs(1);
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // It has another name once it is kept.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dir: &Path, keep: usize) -> SnapshotFolder {
        SnapshotFolder {
            cluster: "harbour".to_owned(),
            dir: dir.to_owned(),
            keep,
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_and_what_is_somebody_elses_stays() {
        let root = tempfile::tempdir().unwrap();
        let theirs = [
            "harbour-2-20200101-000000.db",
            "harbour-20200101-000000.db.gpg",
            "harbour-20200101-0000.db",
            "harbour-before-the-upgrade.db",
            "other-20200101-000000.db",
        ];
        let ours = [1, 2, 3, 4].map(|day| format!("harbour-2026110{day}-040000.db"));
        for name in theirs
            .iter()
            .copied()
            .chain(ours.iter().map(String::as_str))
        {
            std::fs::write(root.path().join(name), name).unwrap();
        }
        let newest = root.path().join(&ours[3]);
        let deleted = folder(root.path(), 2).prune(&newest).unwrap();
        let expected: Vec<PathBuf> = ours[..2].iter().map(|it| root.path().join(it)).collect();
        assert_eq!(deleted, expected);
        let mut left: Vec<&str> = theirs.to_vec();
        left.extend(ours[2..].iter().map(String::as_str));
        left.sort_unstable();
        assert_eq!(names(root.path()), left);
    }

    #[test]
    fn the_newest_stays_though_the_clock_was_set_back() {
        let root = tempfile::tempdir().unwrap();
        for name in ["harbour-20261104-040000.db", "harbour-20270101-040000.db"] {
            std::fs::write(root.path().join(name), name).unwrap();
        }
        let newest = root.path().join("harbour-20261104-040000.db");
        folder(root.path(), 1).prune(&newest).unwrap();
        assert_eq!(names(root.path()), ["harbour-20261104-040000.db"]);
    }

    #[test]
    fn what_fails_deletes_nothing_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = ("harbour-20261103-040000.db", "harbour-20261104-040000.db");
        for name in [first, second] {
            std::fs::write(root.path().join(name), name).unwrap();
        }
        let folder = folder(root.path(), 1);
        let draft = Draft::begin(&folder).unwrap();
        let other = Draft::begin(&folder).err().unwrap();
        assert!(other.to_string().contains("another snapshot"), "{other}");
        (&draft.file).write_all(b"half of it").unwrap();
        let error = draft.keep(1).unwrap_err();
        assert!(error.to_string().contains("no whole snapshot"), "{error}");
        assert_eq!(names(root.path()), [first, second]);
    }
}
