//! Probes of static Pods, with kubeadm's timings.

use serde::Serialize;

/// Seconds between two questions of the liveness and startup probes.
const PERIOD_SECONDS: u32 = 10;

/// One HTTP probe of a static Pod on its `probe-port`.
///
/// Timings: `LivenessProbe`, `ReadinessProbe` and `StartupProbe` in kubeadm's
/// `util/staticpod/utils.go`.
#[derive(Debug, Serialize)]
pub(crate) struct Probe {
    pub kind: &'static str,
    pub host: String,
    pub path: &'static str,
    pub scheme: &'static str,
    pub initial_delay_seconds: u32,
    pub failure_threshold: u32,
    pub period_seconds: u32,
}

impl Probe {
    /// Asks from the tenth second on and restarts the container after 8 failures.
    pub(crate) fn liveness(host: &str, scheme: &'static str, path: &'static str) -> Self {
        Self {
            kind: "livenessProbe",
            host: host.to_owned(),
            path,
            scheme,
            initial_delay_seconds: PERIOD_SECONDS,
            failure_threshold: 8,
            period_seconds: PERIOD_SECONDS,
        }
    }

    /// Asks every second from the start, so that the Pod is ready at once.
    pub(crate) fn readiness(host: &str, scheme: &'static str, path: &'static str) -> Self {
        Self {
            kind: "readinessProbe",
            host: host.to_owned(),
            path,
            scheme,
            initial_delay_seconds: 0,
            failure_threshold: 3,
            period_seconds: 1,
        }
    }

    /// Gives the container `timeout_seconds` to come up, rounded up to whole periods.
    pub(crate) fn startup(
        host: &str,
        scheme: &'static str,
        path: &'static str,
        timeout_seconds: u32,
    ) -> Self {
        Self {
            kind: "startupProbe",
            host: host.to_owned(),
            path,
            scheme,
            initial_delay_seconds: PERIOD_SECONDS,
            failure_threshold: timeout_seconds.div_ceil(PERIOD_SECONDS),
            period_seconds: PERIOD_SECONDS,
        }
    }
}

/// Returns the address, or nothing for a wildcard, where the kubelet asks the Pod's own.
///
/// kubeadm does so for its own components; etcd's address it takes as it is.
pub(crate) fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" | "::" => "",
        _ => host,
    }
}
