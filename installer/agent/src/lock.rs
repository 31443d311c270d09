//! The lock that one run holds on a host.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::Instant;

use crate::{AgentError, files};

/// How often it is looked whether a lock has become free.
const PAUSE: Duration = Duration::from_millis(200);

/// Held as long as the value lives: the kernel frees it when the agent ends,
/// however it ends, so no lock is ever stale.
pub(crate) struct HostLock {
    _file: File,
}

impl HostLock {
    /// Takes the lock for `holder`, waiting for it up to `patience`: the agent of a
    /// run that was cut off holds it until the step in flight is done.
    ///
    /// # Errors
    /// Somebody else holds it still; the error names the holder.
    pub async fn wait_and_take(
        path: &Path,
        holder: &str,
        patience: Duration,
    ) -> Result<Self, AgentError> {
        let deadline = Instant::now() + patience;
        loop {
            match Self::take(path, holder) {
                Err(AgentError::Locked { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn take(path: &Path, holder: &str) -> Result<Self, AgentError> {
        let parent = path.parent().expect("the lock file has a folder");
        files::make_private_dir(parent)?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(AgentError::file("open", path))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(AgentError::file("lock", path)(error.into()));
            }
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(AgentError::Locked {
                holder: holder.trim().to_owned(),
            });
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()));
        written.map_err(AgentError::file("write", path))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_is_told_who_holds_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = HostLock::take(&path, "ops@laptop/42/run-1").unwrap();
        let error = HostLock::take(&path, "other").err().unwrap();
        assert_eq!(
            error.to_string(),
            "another run holds this host: ops@laptop/42/run-1"
        );
        drop(first);
        assert!(HostLock::take(&path, "other").is_ok());
    }

    #[tokio::test]
    async fn a_run_that_ends_soon_is_waited_for_and_one_that_does_not_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = HostLock::take(&path, "ops@laptop/42/run-1").unwrap();
        let error = HostLock::wait_and_take(&path, "other", Duration::from_millis(250)).await;
        assert!(matches!(error.err(), Some(AgentError::Locked { .. })));

        let ends = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(first);
        };
        let second = HostLock::wait_and_take(&path, "other", Duration::from_secs(60));
        let (second, ()) = tokio::join!(second, ends);
        assert!(second.is_ok());
    }
}
