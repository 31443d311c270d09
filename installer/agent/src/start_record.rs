//! With which files a unit or container was started.
//!
//! Times alone do not tell: a clock that is set back makes a file look newer
//! than the process that has read it. So whoever starts something notes which
//! files it was given, until the next boot.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use slipway_api::paths;

use crate::context::Context;
use crate::{AgentError, files};

/// What a process was started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    /// The one start that is meant: systemd's invocation, the container's ID.
    instance: String,
    /// The files as they were then.
    files: BTreeMap<String, Fingerprint>,
}

/// Changes with each write, whatever the clock says; none for no file.
type Fingerprint = Option<(u64, u64, i64, i64)>;

impl StartRecord {
    /// Looks at the files, before what reads them is started.
    pub fn look(paths: &[String], context: &Context) -> Self {
        let files = paths
            .iter()
            .map(|path| (path.clone(), fingerprint(path, context)));
        Self {
            instance: String::new(),
            files: files.collect(),
        }
    }

    /// Notes that `instance` of `name` was started with these files.
    pub fn save(mut self, name: &str, instance: &str, context: &Context) -> Result<(), AgentError> {
        instance.clone_into(&mut self.instance);
        let folder = context.at(paths::START_DIR);
        files::make_private_dir(&folder)?;
        let text = serde_json::to_vec(&self).expect("the record has only string keys");
        files::write(&folder.join(name), 0o600, &text)
    }

    /// Returns the files among `paths` that are not those that `instance` of
    /// `name` was started with. Where nobody noted its start, the kernel's
    /// times decide, against `started`.
    pub fn changed<'a>(
        name: &str,
        instance: &str,
        started: Option<SystemTime>,
        paths: &'a [String],
        context: &Context,
    ) -> Result<Vec<&'a str>, AgentError> {
        let text = files::read_text(&context.at(paths::START_DIR).join(name))?;
        let record: Option<Self> = text.and_then(|text| serde_json::from_str(&text).ok());
        let record = record.filter(|record| record.instance == instance);
        let has_changed = |path: &&String| {
            let found = fingerprint(path, context);
            match record.as_ref().and_then(|record| record.files.get(*path)) {
                Some(then) => *then != found,
                None => found.is_some_and(|found| Some(time(found)) > started),
            }
        };
        Ok(paths
            .iter()
            .filter(has_changed)
            .map(String::as_str)
            .collect())
    }
}

fn fingerprint(path: &str, context: &Context) -> Fingerprint {
    let found = std::fs::metadata(context.at(path)).ok()?;
    Some((found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
}

fn time((_, _, seconds, nanoseconds): (u64, u64, i64, i64)) -> SystemTime {
    UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), nanoseconds as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;
    use std::path::Path;

    fn context(root: &Path) -> Context {
        let events = tokio::sync::mpsc::unbounded_channel().0;
        Context::new(root, events, Attachment::default())
    }

    #[test]
    fn a_noted_start_is_believed_whatever_the_clock_says() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let paths = ["/etc/a.conf", "/etc/b.conf"].map(str::to_owned);
        let write = |path: &str, text: &str| {
            files::write(&context.at(path), 0o644, text.as_bytes()).unwrap();
        };
        write("/etc/a.conf", "one");
        let changed = |instance: &str, started| {
            StartRecord::changed("kubelet", instance, started, &paths, &context).unwrap()
        };
        let (long_ago, soon) = (UNIX_EPOCH, SystemTime::now() + Duration::from_secs(3600));
        assert_eq!(changed("1", Some(long_ago)), ["/etc/a.conf"]);
        assert!(changed("1", Some(soon)).is_empty());

        StartRecord::look(&paths, &context)
            .save("kubelet", "1", &context)
            .unwrap();
        assert!(
            changed("1", Some(long_ago)).is_empty(),
            "the clock was set back"
        );
        write("/etc/a.conf", "two");
        assert_eq!(
            changed("1", Some(soon)),
            ["/etc/a.conf"],
            "the clock was set forward"
        );
        write("/etc/b.conf", "new");
        assert_eq!(changed("1", Some(soon)).len(), 2);
        // Somebody else started it again.
        assert!(changed("2", Some(soon)).is_empty());
    }
}
