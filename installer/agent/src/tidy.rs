//! Throws away blobs and agents that nobody needs any more.
//!
//! What the current Kubernetes version needs stays, and what the one before needed, so that going
//! back brings nothing over the network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use slipway_api::{KubernetesVersion, Sha256Digest, paths};

use crate::server::under;
use crate::{AgentError, files};

/// Says what the kept versions need; beside the blobs, and removed with them.
const KEPT_FILE: &str = ".kept.json";

/// What agents' file names begin with; their digest follows.
const AGENT_PREFIX: &str = "slipway-";

/// What the names of the notes beside them begin with, which say that the digest is right.
const VERIFIED_PREFIX: &str = "verified-";

/// A half received blob is given up after this long.
const UPLOAD_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What one version needs on this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Needs {
    version: KubernetesVersion,
    blobs: BTreeSet<Sha256Digest>,
}

/// The versions whose blobs are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    current: Needs,
    previous: Option<Needs>,
}

impl Kept {
    /// Returns what is kept when `current` is in use from now on.
    fn after(current: Needs, before: Option<Self>) -> Self {
        let previous = match before {
            None => None,
            Some(before) if before.current.version == current.version => before.previous,
            Some(before) => Some(before.current),
        };
        Self { current, previous }
    }

    fn has(&self, blob: &Sha256Digest) -> bool {
        let mut kept = std::iter::once(&self.current).chain(&self.previous);
        kept.any(|needs| needs.blobs.contains(blob))
    }
}

/// Notes that `version` is in use and needs `blobs`, and removes the blobs that neither it nor
/// the version before needs, uploads that were cut off, and agents older than the one before
/// `own`. Returns whether anything was removed.
///
/// # Errors
/// Something cannot be read, written or removed.
pub(crate) fn tidy(
    root: &Path,
    own: &Path,
    version: &KubernetesVersion,
    blobs: BTreeSet<Sha256Digest>,
) -> Result<bool, AgentError> {
    let folder = under(root, paths::BLOB_DIR);
    let path = folder.join(KEPT_FILE);
    // A file that cannot be understood is as good as none: at worst a blob is brought again.
    let text = files::read_text(&path)?.unwrap_or_default();
    let current = Needs {
        version: version.clone(),
        blobs,
    };
    let kept = Kept::after(current, serde_json::from_str(&text).ok());
    let bytes = serde_json::to_vec(&kept).expect("digests and versions are texts");
    files::make_private_dir(&folder)?;
    if bytes != text.as_bytes() {
        files::write(&path, 0o600, &bytes)?;
    }
    let mut surplus: Vec<PathBuf> = Vec::new();
    for (path, modified) in list(&folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_surplus = match name.parse::<Sha256Digest>() {
            Ok(blob) => !kept.has(&blob),
            Err(_) => name.starts_with('.') && name != KEPT_FILE && is_old(modified),
        };
        if is_surplus {
            surplus.push(path);
        }
    }
    surplus.extend(old_agents(&under(root, paths::AGENT_DIR), own)?);
    for path in &surplus {
        std::fs::remove_file(path).map_err(AgentError::file("delete", path))?;
    }
    Ok(!surplus.is_empty())
}

/// Returns the agents in `folder` but `own` and the newest of the others, with their notes.
fn old_agents(folder: &Path, own: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let mut others: Vec<(PathBuf, SystemTime)> = list(folder)?
        .into_iter()
        .filter(|(path, _)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(AGENT_PREFIX) && path.file_name() != own.file_name()
        })
        .collect();
    others.sort_by_key(|(_, modified)| std::cmp::Reverse(*modified));
    let old = others.into_iter().skip(1).map(|(path, _)| path);
    Ok(old
        .flat_map(|path| [Some(path.clone()), note_of(&path)])
        .flatten()
        .collect())
}

/// Returns the note beside an agent, if there is one.
fn note_of(agent: &Path) -> Option<PathBuf> {
    let name = agent.file_name()?.to_str()?;
    let digest = name.strip_prefix(AGENT_PREFIX)?;
    let note = agent.with_file_name(format!("{VERIFIED_PREFIX}{digest}"));
    note.exists().then_some(note)
}

/// Returns the files in `folder` and when each was written; none where there is no folder.
fn list(folder: &Path) -> Result<Vec<(PathBuf, SystemTime)>, AgentError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(AgentError::file("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(AgentError::file("list", folder))?;
        let metadata = entry.metadata();
        let metadata = metadata.map_err(AgentError::file("look at", &entry.path()))?;
        if metadata.is_file() {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push((entry.path(), modified));
        }
    }
    Ok(found)
}

fn is_old(modified: SystemTime) -> bool {
    // A time in the future, after the clock was set back, counts as new.
    modified.elapsed().is_ok_and(|age| age > UPLOAD_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            for folder in [paths::BLOB_DIR, paths::AGENT_DIR] {
                std::fs::create_dir_all(under(host.0.path(), folder)).unwrap();
            }
            host
        }

        /// Writes a file that is so many hours old.
        fn write(&self, folder: &str, name: &str, hours: u64) {
            let path = under(self.0.path(), folder).join(name);
            let file = std::fs::File::create(path).unwrap();
            let age = Duration::from_secs(hours * 3600);
            file.set_modified(SystemTime::now() - age).unwrap();
        }

        fn write_blobs(&self, contents: &[&str]) {
            for content in contents {
                let name = Sha256Digest::of(content).to_string();
                self.write(paths::BLOB_DIR, &name, 100);
            }
        }

        fn names(&self, folder: &str) -> BTreeSet<String> {
            let found = list(&under(self.0.path(), folder)).unwrap().into_iter();
            let names = found.map(|(path, _)| path.file_name().unwrap().to_owned());
            names.map(|name| name.into_string().unwrap()).collect()
        }

        fn has(&self, content: &str) -> bool {
            let name = Sha256Digest::of(content).to_string();
            self.names(paths::BLOB_DIR).contains(&name)
        }

        fn tidy(&self, version: &str, contents: &[&str]) -> bool {
            let blobs = contents.iter().map(Sha256Digest::of).collect();
            let own = Path::new("/var/lib/slipway/bin/slipway-own");
            tidy(self.0.path(), own, &version.parse().unwrap(), blobs).unwrap()
        }
    }

    #[test]
    fn the_current_and_the_previous_version_keep_their_blobs() {
        let host = Host::new();
        host.write_blobs(&["34", "35", "36", "all"]);
        assert!(!host.tidy("1.34.4", &["34", "35", "36", "all"]));
        assert!(!host.tidy("1.35.4", &["35", "all"]));
        // The third version pushes out what only the first one needed.
        assert!(host.tidy("1.36.3", &["36", "all"]));
        assert!(!host.has("34"));
        assert!(host.has("35") && host.has("36") && host.has("all"));
    }

    #[test]
    fn an_addon_more_does_not_push_out_the_version_before() {
        let host = Host::new();
        host.write_blobs(&["35", "36", "addon"]);
        host.tidy("1.35.4", &["35", "36", "addon"]);
        host.tidy("1.36.3", &["36"]);
        host.tidy("1.36.3", &["36", "addon"]);
        assert!(host.has("35") && host.has("36") && host.has("addon"));
        host.tidy("1.36.3", &["36"]);
        assert!(host.has("addon"), "1.35.4 was said to need it");
    }

    #[test]
    fn uploads_under_way_are_left_alone_and_those_cut_off_long_ago_go() {
        let host = Host::new();
        host.write(paths::BLOB_DIR, ".0123456789ab.7-0", 1);
        host.write(paths::BLOB_DIR, ".0123456789ab.6-0", 30);
        host.write(paths::BLOB_DIR, "README", 1000);
        assert!(host.tidy("1.36.3", &[]));
        let left = [".0123456789ab.7-0", KEPT_FILE, "README"];
        assert_eq!(host.names(paths::BLOB_DIR), left.map(str::to_owned).into());
    }

    #[test]
    fn the_running_agent_and_the_newest_other_one_stay() {
        let host = Host::new();
        for (name, hours) in [("own", 50), ("a", 40), ("b", 10), ("c", 20)] {
            host.write(paths::AGENT_DIR, &format!("slipway-{name}"), hours);
        }
        for name in ["a", "b"] {
            host.write(paths::AGENT_DIR, &format!("verified-{name}"), 1);
        }
        host.write(paths::AGENT_DIR, "upload.x", 0);
        assert!(host.tidy("1.36.3", &[]));
        let left = ["slipway-b", "slipway-own", "upload.x", "verified-b"];
        assert_eq!(host.names(paths::AGENT_DIR), left.map(str::to_owned).into());
        assert!(
            !host.tidy("1.36.3", &[]),
            "the second time nothing is left to do"
        );
    }

    #[test]
    fn nothing_is_written_where_nothing_is_new() {
        let host = Host::new();
        host.write_blobs(&["36"]);
        host.tidy("1.36.3", &["36"]);
        let written = || {
            let path = under(host.0.path(), paths::BLOB_DIR).join(KEPT_FILE);
            std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
        };
        let before = written();
        assert!(!host.tidy("1.36.3", &["36"]));
        assert_eq!(written(), before, "it is the same file");
        assert!(!host.tidy("1.37.0", &["36"]));
        assert_ne!(written(), before);
    }

    #[test]
    fn a_damaged_list_is_written_anew() {
        let host = Host::new();
        host.write_blobs(&["36"]);
        host.write(paths::BLOB_DIR, KEPT_FILE, 1);
        assert!(!host.tidy("1.36.3", &["36"]));
        assert!(host.has("36"));
    }
}
