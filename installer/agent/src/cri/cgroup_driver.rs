//! Who manages a host's cgroups.

use std::fmt;

/// Who manages the cgroups of containers; kubelet and runtime must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupDriver {
    /// systemd.
    Systemd,
    /// The runtime itself.
    Cgroupfs,
}

impl fmt::Display for CgroupDriver {
    /// Writes the driver as the kubelet's configuration does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Systemd => "systemd",
            Self::Cgroupfs => "cgroupfs",
        })
    }
}
