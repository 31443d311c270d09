//! What a user may add to a control-plane component.

use serde::Serialize;

use crate::static_pod::env_var::EnvVar;
use crate::static_pod::host_path_volume::HostPathVolume;

/// How long a component may take to start: kubeadm's
/// `timeouts.controlPlaneComponentHealthCheck`, 4 minutes.
pub const DEFAULT_STARTUP_TIMEOUT_SECONDS: u32 = 240;

/// What a user may add to one component of the control plane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StaticPodOptions {
    /// Flags without dashes; one removes every default of the same name.
    pub extra_args: Vec<(String, String)>,
    /// Further host paths.
    pub extra_volumes: Vec<HostPathVolume>,
    /// Environment: the host's proxy variables first, then the user's own, which win.
    pub extra_envs: Vec<EnvVar>,
    /// Seconds before the kubelet restarts a component that does not come up.
    pub startup_timeout_seconds: u32,
}

impl Default for StaticPodOptions {
    fn default() -> Self {
        Self {
            extra_args: Vec::new(),
            extra_volumes: Vec::new(),
            extra_envs: Vec::new(),
            startup_timeout_seconds: DEFAULT_STARTUP_TIMEOUT_SECONDS,
        }
    }
}
