//! The static Pod of kube-apiserver.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::TemplateError;
use crate::address::host_port;
use crate::flags::{flag, last_value, merge_flags};
use crate::static_pod::etcd_access::EtcdAccess;
use crate::static_pod::host_path_volume::{self, HostPathVolume};
use crate::static_pod::options::StaticPodOptions;
use crate::static_pod::probe::{Probe, reachable};
use crate::static_pod::{StaticPod, ca_certificates, command, env_var};

/// Names the endpoint by which kubeadm finds this API server.
const ENDPOINT_ANNOTATION: &str = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";

/// The static Pod manifest `kube-apiserver.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KubeApiServer {
    /// The image with its tag.
    pub image: String,
    /// The node's address as other nodes reach it.
    pub advertise_address: String,
    /// The port, usually 6443.
    pub bind_port: u16,
    /// One CIDR, or two separated by a comma.
    pub service_subnet: String,
    /// Usually `cluster.local`.
    pub dns_domain: String,
    /// Usually `/etc/kubernetes/pki`.
    pub certificates_dir: String,
    /// How etcd is reached.
    pub etcd: EtcdAccess,
    /// Those of [`CA_CERTIFICATE_DIRECTORIES`](crate::CA_CERTIFICATE_DIRECTORIES)
    /// that exist on the host.
    pub ca_certificate_directories: Vec<String>,
    /// What the user adds.
    pub options: StaticPodOptions,
}

impl KubeApiServer {
    /// Returns the manifest.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let host = &self.advertise_address;
        let endpoint = host_port(host, self.bind_port);
        let host = reachable(host);
        let volumes = host_path_volume::merged(self.volumes());
        StaticPod {
            name: "kube-apiserver",
            image: self.image.clone(),
            annotations: BTreeMap::from([(ENDPOINT_ANNOTATION, endpoint)]),
            command: command(
                "kube-apiserver",
                merge_flags(self.flags(), &self.options.extra_args),
            ),
            env: env_var::merged(&self.options.extra_envs),
            port: self.bind_port,
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
            cpu: "250m",
            memory: None,
            mounts: volumes.clone(),
            volumes,
        }
        .render()
    }

    fn flags(&self) -> Vec<(String, String)> {
        let pki = |file: &str| format!("{}/{file}", self.certificates_dir);
        let issuer = format!("https://kubernetes.default.svc.{}", self.dns_domain);
        let mut flags = vec![
            flag("advertise-address", self.advertise_address.clone()),
            flag("allow-privileged", "true"),
            flag("client-ca-file", pki("ca.crt")),
            flag("enable-admission-plugins", "NodeRestriction"),
            flag("enable-bootstrap-token-auth", "true"),
            flag(
                "kubelet-client-certificate",
                pki("apiserver-kubelet-client.crt"),
            ),
            flag("kubelet-client-key", pki("apiserver-kubelet-client.key")),
            flag(
                "kubelet-preferred-address-types",
                "InternalIP,ExternalIP,Hostname",
            ),
            flag("proxy-client-cert-file", pki("front-proxy-client.crt")),
            flag("proxy-client-key-file", pki("front-proxy-client.key")),
            flag("requestheader-allowed-names", "front-proxy-client"),
            flag("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
            flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
            flag("requestheader-group-headers", "X-Remote-Group"),
            flag("requestheader-username-headers", "X-Remote-User"),
            flag("secure-port", self.bind_port.to_string()),
            flag("service-account-issuer", issuer),
            flag("service-account-key-file", pki("sa.pub")),
            flag("service-account-signing-key-file", pki("sa.key")),
            flag("service-cluster-ip-range", self.service_subnet.clone()),
            flag("tls-cert-file", pki("apiserver.crt")),
            flag("tls-private-key-file", pki("apiserver.key")),
        ];
        flags.extend(
            self.etcd
                .flags(&self.certificates_dir, &self.advertise_address),
        );
        // kube-apiserver refuses the mode together with a structured configuration.
        if last_value(&self.options.extra_args, "authorization-config").is_none() {
            flags.push(flag("authorization-mode", "Node,RBAC"));
        }
        flags
    }

    fn volumes(&self) -> Vec<HostPathVolume> {
        let mut volumes = vec![HostPathVolume::directory(
            "k8s-certs",
            &self.certificates_dir,
        )];
        volumes.extend(self.etcd.volumes(&self.certificates_dir));
        volumes.extend(ca_certificates::volumes(&self.ca_certificate_directories));
        volumes.extend(self.options.extra_volumes.iter().cloned());
        volumes
    }
}
