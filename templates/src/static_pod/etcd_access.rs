//! How kube-apiserver reaches etcd.

use std::path::Path;

use serde::Serialize;

use crate::address::{host_port, loopback_like};
use crate::flags::flag;
use crate::static_pod::ca_certificates::{CA_CERTIFICATE_DIRECTORIES, SSL_CERTIFICATES};
use crate::static_pod::etcd::CLIENT_PORT;
use crate::static_pod::host_path_volume::HostPathVolume;

/// How kube-apiserver reaches etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum EtcdAccess {
    /// The member on the same node.
    Stacked {
        /// The user's own `advertise-client-urls` of etcd, if any.
        client_urls: Option<String>,
    },
    /// An etcd cluster that somebody else runs.
    External {
        /// Its client URLs.
        endpoints: Vec<String>,
        /// The CA of its serving certificates; empty for none.
        ca_file: String,
        /// The client certificate; empty for none.
        cert_file: String,
        /// The client certificate's key; empty for none.
        key_file: String,
    },
}

impl EtcdAccess {
    /// Returns the `etcd-…` flags.
    pub(crate) fn flags(
        &self,
        certificates_dir: &str,
        advertise_address: &str,
    ) -> Vec<(String, String)> {
        match self {
            Self::Stacked { client_urls } => {
                let local = host_port(loopback_like(advertise_address), CLIENT_PORT);
                let servers = client_urls
                    .clone()
                    .unwrap_or_else(|| format!("https://{local}"));
                let pki = |file: &str| format!("{certificates_dir}/{file}");
                vec![
                    flag("etcd-servers", servers),
                    flag("etcd-cafile", pki("etcd/ca.crt")),
                    flag("etcd-certfile", pki("apiserver-etcd-client.crt")),
                    flag("etcd-keyfile", pki("apiserver-etcd-client.key")),
                ]
            }
            Self::External {
                endpoints,
                ca_file,
                cert_file,
                key_file,
            } => {
                let mut flags = vec![flag("etcd-servers", endpoints.join(","))];
                if !ca_file.is_empty() {
                    flags.push(flag("etcd-cafile", ca_file.clone()));
                }
                if !cert_file.is_empty() && !key_file.is_empty() {
                    flags.push(flag("etcd-certfile", cert_file.clone()));
                    flags.push(flag("etcd-keyfile", key_file.clone()));
                }
                flags
            }
        }
    }

    /// Returns volumes for the directories of an external cluster's certificates
    /// that no other volume of kube-apiserver covers.
    pub(crate) fn volumes(&self, certificates_dir: &str) -> Vec<HostPathVolume> {
        match self {
            Self::Stacked { .. } => Vec::new(),
            Self::External {
                ca_file,
                cert_file,
                key_file,
                ..
            } => {
                let covered = |directory: &Path| {
                    CA_CERTIFICATE_DIRECTORIES
                        .iter()
                        .chain(&[SSL_CERTIFICATES, certificates_dir])
                        .any(|mounted| directory.starts_with(mounted))
                };
                let mut directories: Vec<&Path> = [ca_file, cert_file, key_file]
                    .into_iter()
                    .filter_map(|file| Path::new(file).parent())
                    .filter(|directory| directory.is_absolute() && !covered(directory))
                    .collect();
                // By components, so that what lies inside follows its parent.
                directories.sort_unstable();
                directories.dedup_by(|inner, outer| inner.starts_with(outer));
                directories
                    .iter()
                    .enumerate()
                    .map(|(index, directory)| {
                        let path = directory.to_string_lossy();
                        HostPathVolume::directory(format!("etcd-certs-{index}"), &path)
                    })
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(files: [&str; 3]) -> Vec<String> {
        let [ca_file, cert_file, key_file] = files.map(str::to_owned);
        EtcdAccess::External {
            endpoints: vec![],
            ca_file,
            cert_file,
            key_file,
        }
        .volumes("/etc/kubernetes/pki")
        .into_iter()
        .map(|volume| volume.host_path)
        .collect()
    }

    #[test]
    fn directories_of_external_etcd_certificates_are_mounted_once() {
        assert_eq!(mounted(["/a/ca", "/a/crt", "/a/key"]), ["/a"]);
        assert_eq!(mounted(["/a/b/ca", "/a/crt", "/c/key"]), ["/a", "/c"]);
        assert_eq!(mounted(["/a-b/ca", "/a/crt", "/a/c/key"]), ["/a", "/a-b"]);
        let covered = ["/etc/kubernetes/pki/etcd/ca.crt", "/etc/ssl/certs/c", ""];
        assert_eq!(mounted(covered), [""; 0]);
    }
}
