//! The user's additions to the control plane, as the templates take them.

use slipway_api::{ClusterSpec, ControlPlaneComponent, ExtraArg, ExtraEnv};
use slipway_templates::{EnvVar, HostPathVolume, StaticPodOptions};

/// Returns what the user adds to a component.
pub(crate) fn options(spec: &ClusterSpec, component: &ControlPlaneComponent) -> StaticPodOptions {
    let volume = |volume: &slipway_api::ExtraVolume| HostPathVolume {
        name: volume.name.clone(),
        host_path: volume.host_path.clone(),
        mount_path: volume.mount_path.clone(),
        read_only: volume.read_only,
        path_type: volume.path_type.clone(),
    };
    StaticPodOptions {
        extra_args: arguments(&component.extra_args),
        extra_volumes: component.extra_volumes.iter().map(volume).collect(),
        extra_envs: environment(&component.extra_envs),
        startup_timeout_seconds: startup_timeout(spec),
    }
}

/// Returns how long a component may take to come up, in seconds.
pub(crate) fn startup_timeout(spec: &ClusterSpec) -> u32 {
    let timeout = spec.timeouts.control_plane_component_health_check;
    u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX)
}

/// Returns flags as pairs.
pub(crate) fn arguments(arguments: &[ExtraArg]) -> Vec<(String, String)> {
    let pair = |argument: &ExtraArg| (argument.name.clone(), argument.value.clone());
    arguments.iter().map(pair).collect()
}

/// Returns environment variables.
pub(crate) fn environment(variables: &[ExtraEnv]) -> Vec<EnvVar> {
    let variable = |variable: &ExtraEnv| EnvVar {
        name: variable.name.clone(),
        value: variable.value.clone(),
        value_from: variable.value_from.clone(),
    };
    variables.iter().map(variable).collect()
}
