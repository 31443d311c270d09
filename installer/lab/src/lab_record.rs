//! What a lab remembers of itself beside the files that others read.

use std::path::Path;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{Engine, LabError, LabSpec};

/// The record's file in the lab's folder.
const FILE: &str = "lab.json";

/// A lab's shape and where it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LabRecord {
    pub(crate) spec: LabSpec,
    pub(crate) engine: Engine,
    pub(crate) subnet: Ipv4Net,
    pub(crate) bridge: String,
    /// Whether `up` came to its end.
    pub(crate) is_complete: bool,
}

impl LabRecord {
    /// Reads the record of the lab in `folder`; none when there is none.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, LabError> {
        let path = folder.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LabError::file("read", path)(error)),
        };
        let record = serde_json::from_slice(&text).map_err(|source| LabError::Unreadable {
            what: path.display().to_string(),
            source,
        })?;
        Ok(Some(record))
    }

    /// Writes the record into `folder`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), LabError> {
        let path = folder.join(FILE);
        let json = serde_json::to_vec_pretty(self).expect("plain data serialises");
        std::fs::write(&path, json).map_err(LabError::file("write", path))
    }
}
