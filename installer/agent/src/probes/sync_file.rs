//! How fast the disk is for etcd: small writes, each synced.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use slipway_api::{ProbeOutcome, SyncLatency};

use crate::server::under;

/// The size of a write: etcd's own advice for measuring its log.
const PIECE: usize = 2300;

/// How many writes there are at most, and for how long.
const WRITES: usize = 200;
const BOUND: Duration = Duration::from_millis(1200);

/// Measures the file system of `folder`.
pub(super) async fn sync_file(root: &Path, folder: &str) -> ProbeOutcome {
    let folder = under(root, folder);
    let measured = tokio::task::spawn_blocking(move || measure(&folder)).await;
    let failed = |reason: String| ProbeOutcome::Failed { reason };
    match measured {
        Ok(Ok(latency)) => ProbeOutcome::Synced(latency),
        Ok(Err(error)) => failed(error.to_string()),
        Err(error) => failed(error.to_string()),
    }
}

fn measure(folder: &Path) -> std::io::Result<SyncLatency> {
    let nearest = folder.ancestors().find(|ancestor| ancestor.is_dir());
    let file = nameless_file(nearest.unwrap_or(Path::new("/")))?;
    // As etcd does: the log's space is there before anything is written.
    let length = (PIECE * WRITES) as u64;
    if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, length).is_err() {
        file.set_len(length)?;
    }
    file.sync_all()?;
    let piece = [0x5a; PIECE];
    let began = Instant::now();
    let mut took = Vec::with_capacity(WRITES);
    for index in 0..WRITES {
        let start = Instant::now();
        file.write_all_at(&piece, (index * PIECE) as u64)?;
        file.sync_data()?;
        took.push(start.elapsed());
        if began.elapsed() > BOUND {
            break;
        }
    }
    Ok(latency(took))
}

/// Returns a file that nobody finds and that is gone when it is closed,
/// however this process ends.
fn nameless_file(folder: &Path) -> std::io::Result<File> {
    let path = folder.join(format!(".slipway-probe-{}", crate::files::nonce()));
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn latency(mut took: Vec<Duration>) -> SyncLatency {
    took.sort();
    let micros = |index: usize| {
        let found = took.get(index).copied().unwrap_or_default();
        u64::try_from(found.as_micros()).unwrap_or(u64::MAX)
    };
    SyncLatency {
        writes: u32::try_from(took.len()).unwrap_or(u32::MAX),
        median_micros: micros(took.len() / 2),
        p99_micros: micros((took.len() * 99 / 100).min(took.len().saturating_sub(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_measured_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = sync_file(folder.path(), "/var/lib/etcd").await;
        let ProbeOutcome::Synced(latency) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(latency.writes > 0 && latency.median_micros <= latency.p99_micros);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn the_slowest_of_a_hundred_is_left_out_of_the_99th() {
        let took = (1..=200).map(Duration::from_micros).collect();
        let expected = SyncLatency {
            writes: 200,
            median_micros: 101,
            p99_micros: 199,
        };
        assert_eq!(latency(took), expected);
    }
}
