//! The systemd units that take snapshots of etcd on a schedule.

use serde::Serialize;

use crate::checks::{check_dns_name, check_line, check_path};
use crate::{TemplateError, engine};

/// The unit `slipway-etcd-snapshot.service`, which takes one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdSnapshotService {
    /// Usually `/usr/local/bin/slipway`.
    pub slipway_path: String,
    /// The cluster's name, with which the files' names begin.
    pub cluster: String,
    /// The folder of the snapshots, the one place it may write to.
    pub dir: String,
    /// How many are kept.
    pub keep: u16,
}

/// The unit `slipway-etcd-snapshot.timer`, which starts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdSnapshotTimer {
    /// When, a calendar expression of systemd.
    pub schedule: String,
}

impl EtcdSnapshotService {
    /// Returns the unit.
    ///
    /// # Errors
    ///
    /// Fails for a path that is not absolute or not one word, or a name that is none.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_path("slipway path", &self.slipway_path)?;
        check_path("snapshot folder", &self.dir)?;
        check_dns_name("cluster name", &self.cluster)?;
        engine::render("host/etcd-snapshot.service", self)
    }
}

impl EtcdSnapshotTimer {
    /// Returns the unit.
    ///
    /// # Errors
    ///
    /// Fails for an expression that is not on one line.
    pub fn render(&self) -> Result<String, TemplateError> {
        check_line("schedule", &self.schedule)?;
        engine::render("host/etcd-snapshot.timer", self)
    }
}
