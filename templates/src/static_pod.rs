//! The shape that all static Pods of the control plane share.

pub(crate) mod ca_certificates;
pub(crate) mod env_var;
pub(crate) mod etcd;
pub(crate) mod etcd_access;
pub(crate) mod etcd_member;
pub(crate) mod host_path_volume;
pub(crate) mod kube_apiserver;
pub(crate) mod kube_controller_manager;
pub(crate) mod kube_scheduler;
pub(crate) mod options;
pub(crate) mod probe;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::TemplateError;
use crate::engine;
use crate::static_pod::env_var::EnvVar;
use crate::static_pod::host_path_volume::HostPathVolume;
use crate::static_pod::probe::Probe;

/// Everything in which one static Pod differs from the others.
#[derive(Debug, Serialize)]
pub(crate) struct StaticPod {
    /// The component; also the Pod's and the container's name.
    pub name: &'static str,
    pub image: String,
    pub annotations: BTreeMap<&'static str, String>,
    pub command: Vec<String>,
    pub env: Vec<EnvVar>,
    /// The port that the probes ask.
    pub port: u16,
    /// Ordered by kind, as a YAML writer orders keys.
    pub probes: Vec<Probe>,
    pub cpu: &'static str,
    pub memory: Option<&'static str>,
    /// Ordered by name.
    pub volumes: Vec<HostPathVolume>,
    /// The same volumes in the order they are mounted.
    pub mounts: Vec<HostPathVolume>,
}

impl StaticPod {
    pub(crate) fn render(&self) -> Result<String, TemplateError> {
        engine::render("static-pod.yaml", self)
    }
}

/// Returns the program's name followed by its flags.
pub(crate) fn command(program: &str, flags: Vec<String>) -> Vec<String> {
    let mut command = vec![program.to_owned()];
    command.extend(flags);
    command
}
