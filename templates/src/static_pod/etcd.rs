//! The static Pod of a stacked etcd member.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::TemplateError;
use crate::address::{host_port, loopback_like};
use crate::flags::{flag, last_value, merge_flags};
use crate::static_pod::env_var::{self, EnvVar};
use crate::static_pod::etcd_member::EtcdMember;
use crate::static_pod::host_path_volume::HostPathVolume;
use crate::static_pod::probe::Probe;
use crate::static_pod::{StaticPod, command};

/// The port on which etcd serves clients.
pub(crate) const CLIENT_PORT: u16 = 2379;
/// The port on which etcd serves its peers.
const PEER_PORT: u16 = 2380;
/// The port on which etcd serves metrics and health, on loopback only.
const METRICS_PORT: u16 = 2381;
/// Names the URLs by which kubeadm finds the members.
const CLIENT_URLS_ANNOTATION: &str = "kubeadm.kubernetes.io/etcd.advertise-client-urls";

/// The static Pod manifest `etcd.yaml`.
///
/// Flags are those of etcd 3.6, which Kubernetes 1.34, 1.35 and 1.36 use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Etcd {
    /// The image with its tag.
    pub image: String,
    /// The node's name, which is the member's.
    pub node_name: String,
    /// The address on which clients and peers reach this member.
    pub advertise_address: String,
    /// Usually `/var/lib/etcd`.
    pub data_dir: String,
    /// Usually `/etc/kubernetes/pki`.
    pub certificates_dir: String,
    /// All members including this one when it joins; empty when it starts a cluster.
    pub initial_cluster: Vec<EtcdMember>,
    /// Flags without dashes; one removes every default of the same name.
    pub extra_args: Vec<(String, String)>,
    /// Environment variables.
    pub extra_envs: Vec<EnvVar>,
    /// Seconds before the kubelet restarts a member that does not come up.
    pub startup_timeout_seconds: u32,
}

impl Etcd {
    /// Returns the manifest.
    ///
    /// # Errors
    ///
    /// Fails only where a template and its context disagree.
    pub fn render(&self) -> Result<String, TemplateError> {
        let (host, port, scheme) = self.metrics_endpoint();
        let data = HostPathVolume::directory("etcd-data", &self.data_dir).writable();
        let certificates =
            HostPathVolume::directory("etcd-certs", &format!("{}/etcd", self.certificates_dir))
                .writable();
        StaticPod {
            name: "etcd",
            image: self.image.clone(),
            annotations: BTreeMap::from([(CLIENT_URLS_ANNOTATION, self.client_url())]),
            command: command("etcd", merge_flags(self.flags(), &self.extra_args)),
            env: env_var::merged(&self.extra_envs),
            port,
            probes: vec![
                Probe::liveness(&host, scheme, "/livez"),
                Probe::readiness(&host, scheme, "/readyz"),
                Probe::startup(&host, scheme, "/readyz", self.startup_timeout_seconds),
            ],
            cpu: "100m",
            memory: Some("100Mi"),
            volumes: vec![certificates.clone(), data.clone()],
            // kubeadm compares manifests with the order of the mounts.
            mounts: vec![data, certificates],
        }
        .render()
    }

    fn flags(&self) -> Vec<(String, String)> {
        let loopback = loopback_like(&self.advertise_address);
        let pki = |file: &str| format!("{}/etcd/{file}", self.certificates_dir);
        let client = self.client_url();
        let peer = format!("https://{}", host_port(&self.advertise_address, PEER_PORT));
        let mut flags = vec![
            flag("name", self.node_name.clone()),
            flag(
                "listen-client-urls",
                format!("https://{},{client}", host_port(loopback, CLIENT_PORT)),
            ),
            flag("advertise-client-urls", client),
            flag("listen-peer-urls", peer.clone()),
            flag("initial-advertise-peer-urls", peer.clone()),
            flag("data-dir", self.data_dir.clone()),
            flag("cert-file", pki("server.crt")),
            flag("key-file", pki("server.key")),
            flag("trusted-ca-file", pki("ca.crt")),
            flag("client-cert-auth", "true"),
            flag("peer-cert-file", pki("peer.crt")),
            flag("peer-key-file", pki("peer.key")),
            flag("peer-trusted-ca-file", pki("ca.crt")),
            flag("peer-client-cert-auth", "true"),
            flag("snapshot-count", "10000"),
            flag(
                "listen-metrics-urls",
                format!("http://{}", host_port(loopback, METRICS_PORT)),
            ),
            flag("feature-gates", "InitialCorruptCheck=true"),
            flag("watch-progress-notify-interval", "5s"),
        ];
        if self.initial_cluster.is_empty() {
            let member = format!("{}={peer}", self.node_name);
            flags.push(flag("initial-cluster", member));
        } else {
            let members: Vec<String> = self
                .initial_cluster
                .iter()
                .map(|member| format!("{}={}", member.name, member.peer_url))
                .collect();
            flags.push(flag("initial-cluster", members.join(",")));
            flags.push(flag("initial-cluster-state", "existing"));
        }
        flags
    }

    fn client_url(&self) -> String {
        format!(
            "https://{}",
            host_port(&self.advertise_address, CLIENT_PORT)
        )
    }

    /// Returns host, port and scheme that the probes ask: those of the first URL in
    /// the user's `listen-metrics-urls`, as far as it names them.
    fn metrics_endpoint(&self) -> (String, u16, &'static str) {
        let loopback = loopback_like(&self.advertise_address);
        let given = last_value(&self.extra_args, "listen-metrics-urls")
            .and_then(|urls| urls.split(',').next())
            .and_then(|url| url.split_once("://"));
        let Some((scheme, rest)) = given else {
            return (loopback.to_owned(), METRICS_PORT, "HTTP");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (host, port) = split_authority(authority);
        (
            if host.is_empty() { loopback } else { host }.to_owned(),
            port.parse().unwrap_or(METRICS_PORT),
            if scheme == "https" { "HTTPS" } else { "HTTP" },
        )
    }
}

/// Returns host and port of `host:port` or `[host]:port`; either may be empty.
fn split_authority(authority: &str) -> (&str, &str) {
    match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, rest)) => (host, rest.trim_start_matches(':')),
        None => authority.rsplit_once(':').unwrap_or((authority, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_metrics_urls(urls: &str) -> (String, u16, &'static str) {
        Etcd {
            image: "etcd".into(),
            node_name: "cp-1".into(),
            advertise_address: "192.0.2.11".into(),
            data_dir: "/var/lib/etcd".into(),
            certificates_dir: "/etc/kubernetes/pki".into(),
            initial_cluster: vec![],
            extra_args: vec![flag("listen-metrics-urls", urls)],
            extra_envs: vec![],
            startup_timeout_seconds: 240,
        }
        .metrics_endpoint()
    }

    #[test]
    fn probes_ask_the_first_metrics_url() {
        for (urls, host, port, scheme) in [
            ("https://192.0.2.11:9000", "192.0.2.11", 9000, "HTTPS"),
            ("http://[::1]:2381,http://x:1", "::1", 2381, "HTTP"),
            ("http://127.0.0.1", "127.0.0.1", 2381, "HTTP"),
            ("http://:9999/metrics", "127.0.0.1", 9999, "HTTP"),
            ("nonsense", "127.0.0.1", 2381, "HTTP"),
            ("http://a:99999", "a", 2381, "HTTP"),
        ] {
            assert_eq!(with_metrics_urls(urls), (host.to_owned(), port, scheme));
        }
    }
}
