//! One `up` at a time chooses an engine, makes the image and takes a subnet.

use std::fs::File;
use std::path::Path;

use crate::LabError;

/// The lock, held until dropped; a process that dies lets go of it.
#[derive(Debug)]
pub(crate) struct LabLock {
    _file: File,
}

impl LabLock {
    /// Waits for the lock in `folder`, which is made if missing.
    ///
    /// # Errors
    /// The folder or the lock's file cannot be made.
    pub(crate) async fn take(folder: &Path) -> Result<Self, LabError> {
        std::fs::create_dir_all(folder).map_err(LabError::file("create", folder))?;
        let path = folder.join("lock");
        let waiting = tokio::task::spawn_blocking(move || {
            let file = File::create(&path).map_err(LabError::file("create", &path))?;
            file.lock().map_err(LabError::file("lock", &path))?;
            Ok(Self { _file: file })
        });
        waiting.await.expect("waiting for a lock does not panic")
    }
}
