//! The static Pod of kube-controller-manager.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::TemplateError;
use crate::flags::{flag, last_value, merge_flags};
use crate::static_pod::host_path_volume::{self, HostPathVolume};
use crate::static_pod::options::StaticPodOptions;
use crate::static_pod::probe::{Probe, reachable};
use crate::static_pod::{StaticPod, ca_certificates, command, env_var};

/// The port of health and metrics.
const PORT: u16 = 10257;
/// The component's credentials.
const KUBECONFIG: &str = "/etc/kubernetes/controller-manager.conf";
/// Where flexvolume drivers lie unless `flex-volume-plugin-dir` says otherwise.
const FLEXVOLUME_DIRECTORY: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
/// The first minor whose kubeadm no longer mounts the flexvolume directory.
const FIRST_MINOR_WITHOUT_FLEXVOLUME: u32 = 36;

/// The static Pod manifest `kube-controller-manager.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeControllerManager {
    /// The minor version of Kubernetes, such as 36.
    pub kubernetes_minor: u32,
    /// The image with its tag.
    pub image: String,
    /// Usually `kubernetes`.
    pub cluster_name: String,
    /// One CIDR, two separated by a comma, or empty: then no Pod CIDRs are allocated.
    pub pod_subnet: String,
    /// One CIDR, or two separated by a comma.
    pub service_subnet: String,
    /// Usually `/etc/kubernetes/pki`.
    pub certificates_dir: String,
    /// Whether it signs certificates with the cluster CA: false where the CA's key
    /// is kept elsewhere.
    pub signs_certificates: bool,
    /// Those of [`CA_CERTIFICATE_DIRECTORIES`](crate::CA_CERTIFICATE_DIRECTORIES)
    /// that exist on the host.
    pub ca_certificate_directories: Vec<String>,
    /// What the user adds.
    pub options: StaticPodOptions,
}

impl KubeControllerManager {
    /// Returns the manifest.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let extra_args = &self.options.extra_args;
        let host = reachable(last_value(extra_args, "bind-address").unwrap_or("127.0.0.1"));
        let volumes = host_path_volume::merged(self.volumes());
        StaticPod {
            name: "kube-controller-manager",
            image: self.image.clone(),
            annotations: BTreeMap::new(),
            command: command(
                "kube-controller-manager",
                merge_flags(self.flags(), extra_args),
            ),
            env: env_var::merged(&self.options.extra_envs),
            port: PORT,
            probes: vec![
                Probe::liveness(host, "HTTPS", "/healthz"),
                Probe::startup(
                    host,
                    "HTTPS",
                    "/healthz",
                    self.options.startup_timeout_seconds,
                ),
            ],
            cpu: "200m",
            memory: None,
            mounts: volumes.clone(),
            volumes,
        }
        .render()
    }

    fn flags(&self) -> Vec<(String, String)> {
        let pki = |file: &str| format!("{}/{file}", self.certificates_dir);
        // Empty values keep the signing controller from starting without a key.
        let signing = |file: &str| match self.signs_certificates {
            true => pki(file),
            false => String::new(),
        };
        let mut flags = vec![
            flag("authentication-kubeconfig", KUBECONFIG),
            flag("authorization-kubeconfig", KUBECONFIG),
            flag("bind-address", "127.0.0.1"),
            flag("client-ca-file", pki("ca.crt")),
            flag("cluster-signing-cert-file", signing("ca.crt")),
            flag("cluster-signing-key-file", signing("ca.key")),
            flag("controllers", "*,bootstrapsigner,tokencleaner"),
            flag("kubeconfig", KUBECONFIG),
            flag("leader-elect", "true"),
            flag("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
            flag("root-ca-file", pki("ca.crt")),
            flag("service-account-private-key-file", pki("sa.key")),
            flag("use-service-account-credentials", "true"),
        ];
        if !self.pod_subnet.is_empty() {
            flags.push(flag("allocate-node-cidrs", "true"));
            flags.push(flag("cluster-cidr", self.pod_subnet.clone()));
            if !self.service_subnet.is_empty() {
                flags.push(flag(
                    "service-cluster-ip-range",
                    self.service_subnet.clone(),
                ));
            }
        }
        if !self.cluster_name.is_empty() {
            flags.push(flag("cluster-name", self.cluster_name.clone()));
        }
        flags
    }

    fn volumes(&self) -> Vec<HostPathVolume> {
        let mut volumes = vec![
            HostPathVolume::directory("k8s-certs", &self.certificates_dir),
            HostPathVolume::file("kubeconfig", KUBECONFIG),
        ];
        if self.kubernetes_minor < FIRST_MINOR_WITHOUT_FLEXVOLUME {
            let path = last_value(&self.options.extra_args, "flex-volume-plugin-dir")
                .unwrap_or(FLEXVOLUME_DIRECTORY);
            // Writable: drivers keep their sockets there.
            volumes.push(HostPathVolume::directory("flexvolume-dir", path).writable());
        }
        volumes.extend(ca_certificates::volumes(&self.ca_certificate_directories));
        volumes.extend(self.options.extra_volumes.iter().cloned());
        volumes
    }
}
