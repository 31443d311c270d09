//! The static Pod of kube-scheduler.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::TemplateError;
use crate::flags::{flag, last_value, merge_flags};
use crate::static_pod::host_path_volume::{self, HostPathVolume};
use crate::static_pod::options::StaticPodOptions;
use crate::static_pod::probe::{Probe, reachable};
use crate::static_pod::{StaticPod, command, env_var};

/// The port of health and metrics.
const PORT: u16 = 10259;
/// The component's credentials.
const KUBECONFIG: &str = "/etc/kubernetes/scheduler.conf";

/// The static Pod manifest `kube-scheduler.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeScheduler {
    /// The image with its tag.
    pub image: String,
    /// What the user adds.
    pub options: StaticPodOptions,
}

impl KubeScheduler {
    /// Returns the manifest.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let extra_args = &self.options.extra_args;
        let host = reachable(last_value(extra_args, "bind-address").unwrap_or("127.0.0.1"));
        let mut volumes = vec![HostPathVolume::file("kubeconfig", KUBECONFIG)];
        volumes.extend(self.options.extra_volumes.iter().cloned());
        let volumes = host_path_volume::merged(volumes);
        let flags = vec![
            flag("authentication-kubeconfig", KUBECONFIG),
            flag("authorization-kubeconfig", KUBECONFIG),
            flag("bind-address", "127.0.0.1"),
            flag("kubeconfig", KUBECONFIG),
            flag("leader-elect", "true"),
        ];
        StaticPod {
            name: "kube-scheduler",
            image: self.image.clone(),
            annotations: BTreeMap::new(),
            command: command("kube-scheduler", merge_flags(flags, extra_args)),
            env: env_var::merged(&self.options.extra_envs),
            port: PORT,
            probes: vec![
                Probe::liveness(host, "HTTPS", "/livez"),
                Probe::readiness(host, "HTTPS", "/readyz"),
                Probe::startup(
                    host,
                    "HTTPS",
                    "/livez",
                    self.options.startup_timeout_seconds,
                ),
            ],
            cpu: "100m",
            memory: None,
            mounts: volumes.clone(),
            volumes,
        }
        .render()
    }
}
