//! By what etcd knows us, and we it.

use std::path::{Path, PathBuf};

use slipway_api::paths;
use zeroize::Zeroizing;

use super::EtcdError;
use crate::server::under;

/// The CA of etcd and a client certificate with its key, in files of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdCredentials {
    /// Whom we believe to be etcd; without it, none but unencrypted endpoints are reached.
    pub ca_file: Option<PathBuf>,
    /// The certificate and the key that we show.
    pub client_files: Option<(PathBuf, PathBuf)>,
}

impl EtcdCredentials {
    /// Returns the credentials of stacked etcd on a control-plane node whose file tree is at
    /// `root`: the certificate that kubeadm makes for looking at etcd and changing its members.
    pub fn of_host(root: &Path) -> Self {
        let at = |name: &str| under(root, paths::PKI_DIR).join("etcd").join(name);
        Self {
            ca_file: Some(at("ca.crt")),
            client_files: Some((at("healthcheck-client.crt"), at("healthcheck-client.key"))),
        }
    }

    /// Returns the texts of the CA's certificate, the client's certificate and its key.
    pub(super) fn read(&self) -> Result<EtcdPems, EtcdError> {
        let text = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| EtcdError::Credentials {
                path: path.display().to_string(),
                source,
            })
        };
        let identity = |(certificate, key): &(PathBuf, PathBuf)| {
            Ok((text(certificate)?, Zeroizing::new(text(key)?)))
        };
        Ok(EtcdPems {
            authority: self.ca_file.as_ref().map(text).transpose()?,
            identity: self.client_files.as_ref().map(identity).transpose()?,
        })
    }
}

/// What the files of credentials hold, PEM.
pub(super) struct EtcdPems {
    pub authority: Option<String>,
    pub identity: Option<(String, Zeroizing<String>)>,
}
