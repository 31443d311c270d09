//! What was on this host before Slipway came: remembered once, put back by a reset.

use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use slipway_api::paths;

use crate::context::Context;
use crate::{AgentError, files};

/// The name of the record beside the copies.
const RECORD: &str = "record.json";

/// The record of a host, empty where there is none.
pub(crate) struct Before {
    folder: PathBuf,
    record: Option<Record>,
}

#[derive(Default, Serialize, Deserialize)]
struct Record {
    paths: BTreeMap<String, Was>,
}

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case")]
pub(crate) enum Was {
    /// Nothing.
    Absent,
    /// A folder with nothing in it.
    EmptyFolder,
    /// A folder that somebody used.
    UsedFolder,
    /// A symbolic link.
    Link {
        /// Where it led.
        target: PathBuf,
    },
    /// A file.
    File(Copy),
}

/// A file's copy and what else made it that file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Copy {
    /// The copy's name beside the record.
    name: String,
    mode: u32,
    owner: u32,
    group: u32,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl Before {
    /// Reads the record.
    pub fn load(context: &Context) -> Result<Self, AgentError> {
        let folder = context.at(paths::BEFORE_DIR);
        let path = folder.join(RECORD);
        let record = match files::read_text(&path)? {
            None => None,
            Some(text) => Some(serde_json::from_str(&text).map_err(|error| AgentError::Blocked {
                message: format!("{} cannot be read: {error}", path.display()),
                help: format!(
                    "without it nothing that Slipway replaced can be put back; `rm {}` if that does not matter",
                    path.display()
                ),
            })?),
        };
        Ok(Self { folder, record })
    }

    /// Returns whether there is a record.
    pub fn exists(&self) -> bool {
        self.record.is_some()
    }

    /// Returns what was at `path`; none where nobody looked.
    pub fn of(&self, path: &str) -> Option<&Was> {
        self.record.as_ref()?.paths.get(path)
    }

    /// Returns the paths at which somebody looked.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let record = self.record.iter();
        record.flat_map(|record| record.paths.keys().map(String::as_str))
    }

    /// Looks at `path` and remembers what is there, in memory until it is saved.
    pub fn remember(&mut self, path: &str, context: &Context) -> Result<(), AgentError> {
        let at = context.at(path);
        let count = self.record.get_or_insert_default().paths.len();
        let was = match std::fs::symlink_metadata(&at) {
            Err(error) if files::is_absent(&error) => Was::Absent,
            Err(error) => return Err(AgentError::file("read", &at)(error)),
            Ok(found) if found.is_symlink() => Was::Link {
                target: std::fs::read_link(&at).map_err(AgentError::file("read", &at))?,
            },
            Ok(found) if found.is_dir() => {
                let mut entries = std::fs::read_dir(&at).map_err(AgentError::file("read", &at))?;
                match entries.next() {
                    Some(_) => Was::UsedFolder,
                    None => Was::EmptyFolder,
                }
            }
            Ok(found) => {
                let name = format!("{count:04}");
                files::make_private_dir(&self.folder)?;
                let mut original = File::open(&at).map_err(AgentError::file("read", &at))?;
                files::write_from(&self.folder.join(&name), 0o600, &mut original, None)?;
                Was::File(Copy {
                    name,
                    mode: found.mode() & 0o7777,
                    owner: found.uid(),
                    group: found.gid(),
                    modified: modified(&found),
                })
            }
        };
        let record = self.record.get_or_insert_default();
        record.paths.insert(path.to_owned(), was);
        Ok(())
    }

    /// Writes the record.
    pub fn save(&self) -> Result<(), AgentError> {
        files::make_private_dir(&self.folder)?;
        let text = serde_json::to_vec(&self.record).expect("the record has only string keys");
        files::write(&self.folder.join(RECORD), 0o600, &text)
    }

    /// Returns whether `path` is the file or link that it was.
    pub fn is_back(&self, path: &Path, was: &Was) -> Result<bool, AgentError> {
        Ok(match was {
            Was::Link { target } => std::fs::read_link(path).is_ok_and(|found| found == *target),
            Was::File(copy) => match files::digest(&self.folder.join(&copy.name))? {
                Some(sha256) => files::difference(path, sha256, copy.mode)?.is_none(),
                None => return Err(self.lost(copy)),
            },
            Was::Absent | Was::EmptyFolder | Was::UsedFolder => false,
        })
    }

    /// Puts a file or link back; anything else is not touched.
    pub fn put_back(&self, path: &Path, was: &Was) -> Result<(), AgentError> {
        match was {
            Was::Absent | Was::EmptyFolder | Was::UsedFolder => Ok(()),
            Was::Link { target } => files::link(path, target),
            Was::File(copy) => {
                let from = self.folder.join(&copy.name);
                let mut reader = File::open(&from).map_err(|_| self.lost(copy))?;
                files::write_from(path, copy.mode, &mut reader, None)?;
                let doing = || AgentError::file("put back", path);
                std::os::unix::fs::chown(path, Some(copy.owner), Some(copy.group))
                    .map_err(doing())?;
                let modified: SystemTime = UNIX_EPOCH + Duration::from_nanos(copy.modified);
                let times = FileTimes::new().set_modified(modified);
                File::open(path)
                    .and_then(|file| file.set_times(times))
                    .map_err(doing())
            }
        }
    }

    fn lost(&self, copy: &Copy) -> AgentError {
        let copy = self.folder.join(&copy.name);
        AgentError::Blocked {
            message: format!(
                "{} is gone, the copy of a file that Slipway replaced",
                copy.display()
            ),
            help: format!(
                "`rm -r {}` lets the reset go on without putting anything back",
                self.folder.display()
            ),
        }
    }
}

fn modified(found: &std::fs::Metadata) -> u64 {
    let since = found
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_replaced_file_comes_back_with_its_mode_and_time() {
        let root = tempfile::tempdir().unwrap();
        let context = Context::new(
            root.path(),
            tokio::sync::mpsc::unbounded_channel().0,
            Attachment::default(),
        );
        let path = context.at("/usr/local/bin/kubectl");
        files::write(&path, 0o750, b"the user's").unwrap();
        let old = UNIX_EPOCH + Duration::new(1_600_000_000, 5);
        let times = FileTimes::new().set_modified(old);
        File::open(&path).unwrap().set_times(times).unwrap();

        let mut before = Before::load(&context).unwrap();
        assert!(!before.exists());
        before.remember("/usr/local/bin/kubectl", &context).unwrap();
        before.remember("/usr/local/bin/kubelet", &context).unwrap();
        before.save().unwrap();
        files::write(&path, 0o755, b"Slipway's").unwrap();

        let before = Before::load(&context).unwrap();
        assert_eq!(before.of("/usr/local/bin/kubelet"), Some(&Was::Absent));
        let was = before.of("/usr/local/bin/kubectl").unwrap();
        assert!(!before.is_back(&path, was).unwrap());
        before.put_back(&path, was).unwrap();
        assert!(before.is_back(&path, was).unwrap());
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o750);
        assert_eq!(found.modified().unwrap(), old);
        assert_eq!(std::fs::read(&path).unwrap(), b"the user's");
    }

    #[test]
    fn the_record_of_0_1_0_is_read_and_written_as_it_was() {
        const TEXT: &str = include_str!("../tests/fixtures/host/0.1.0/before/record.json");
        const COPY: &str = include_str!("../tests/fixtures/host/0.1.0/before/0002");
        let root = tempfile::tempdir().unwrap();
        let context = Context::new(
            root.path(),
            tokio::sync::mpsc::unbounded_channel().0,
            Attachment::default(),
        );
        let folder = context.at(paths::BEFORE_DIR);
        files::write(&folder.join(RECORD), 0o600, TEXT.as_bytes()).unwrap();
        files::write(&folder.join("0002"), 0o600, COPY.as_bytes()).unwrap();

        let before = Before::load(&context).unwrap();
        assert_eq!(before.of("/usr/local/bin/kubelet"), Some(&Was::Absent));
        assert_eq!(before.of("/etc/cni"), Some(&Was::EmptyFolder));
        assert_eq!(before.of("/etc/containerd"), Some(&Was::UsedFolder));
        let was = before.of("/usr/local/bin/kubectl").unwrap();
        let link = context.at("/usr/local/bin/kubectl");
        before.put_back(&link, was).unwrap();
        assert!(before.is_back(&link, was).unwrap());
        let file = before.of("/etc/containerd/config.toml").unwrap();
        assert!(matches!(file, Was::File(copy) if copy.mode == 0o644));
        let there = context.at("/etc/containerd/config.toml");
        assert!(!before.is_back(&there, file).unwrap());
        files::write(&there, 0o644, COPY.as_bytes()).unwrap();
        assert!(before.is_back(&there, file).unwrap());

        before.save().unwrap();
        let saved = std::fs::read_to_string(folder.join(RECORD)).unwrap();
        assert_eq!(saved, TEXT);
    }
}
