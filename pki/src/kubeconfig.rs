//! kubeconfig files with one cluster, one user and one context.

use std::fmt;

use zeroize::Zeroizing;

use crate::PkiError;
use crate::kubeconfig_document::{
    KubeconfigDocument, NamedUser, User, read_document, write_document,
};

/// A kubeconfig as kubeadm writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Name of the cluster, `kubernetes` by default.
    pub cluster_name: String,
    /// URL of the API server.
    pub server: String,
    /// Certificates of the authorities that the API server is checked against; empty in a file
    /// that waits for them, as kubeadm's `generate-csr` leaves it.
    pub ca_pem: String,
    /// Name of the user; with the cluster's it makes the context `user@cluster`.
    pub user_name: String,
    /// What proves the user's identity.
    pub credentials: Credentials,
}

/// What proves a user's identity to the API server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A client certificate and its key inside the file.
    Embedded {
        /// The client's certificate.
        cert_pem: String,
        /// The client's private key.
        key_pem: Zeroizing<String>,
    },
    /// Paths of a client certificate and its key on the host, as in a finished `kubelet.conf`.
    Files {
        /// Path of the certificate.
        client_certificate: String,
        /// Path of the private key.
        client_key: String,
    },
    /// A private key whose certificate is still to come, as kubeadm's `generate-csr` leaves it.
    KeyAlone(Zeroizing<String>),
    /// A bearer token, as in `bootstrap-kubelet.conf`.
    Token(Zeroizing<String>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { .. } => f.write_str("Embedded([redacted])"),
            Self::Files {
                client_certificate,
                client_key,
            } => f
                .debug_struct("Files")
                .field("client_certificate", client_certificate)
                .field("client_key", client_key)
                .finish(),
            Self::KeyAlone(_) => f.write_str("KeyAlone([redacted])"),
            Self::Token(_) => f.write_str("Token([redacted])"),
        }
    }
}

impl Kubeconfig {
    /// Returns the file's text, with the fields in client-go's order.
    ///
    /// # Errors
    /// [`PkiError::WriteKubeconfig`] when a name cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<Zeroizing<String>, PkiError> {
        let user = match &self.credentials {
            Credentials::Embedded { cert_pem, key_pem } => User::embedded(cert_pem, key_pem),
            Credentials::Files {
                client_certificate,
                client_key,
            } => User::files(client_certificate, client_key),
            Credentials::KeyAlone(key_pem) => User::key_alone(key_pem),
            Credentials::Token(token) => User::token(token),
        };
        let document = KubeconfigDocument::new(
            &self.cluster_name,
            &self.server,
            &self.ca_pem,
            NamedUser {
                name: self.user_name.clone(),
                user,
            },
        );
        write_document(&document).ok_or_else(|| PkiError::WriteKubeconfig {
            user_name: self.user_name.clone(),
        })
    }

    /// Reads the current context of a kubeconfig.
    ///
    /// # Errors
    /// [`PkiError::KubeconfigSyntax`] with the place, [`PkiError::KubeconfigIncomplete`] when the
    /// current context, its cluster or its user is missing, or when the authority is not inside
    /// the file or the user has other credentials than [`Credentials`] knows.
    pub fn parse(text: &str) -> Result<Self, PkiError> {
        let document = read_document(text)?;
        let (cluster, user) = document.current()?;
        Ok(Self {
            cluster_name: cluster.name.clone(),
            server: cluster.cluster.server.clone(),
            ca_pem: cluster.authority_pem()?,
            user_name: user.name.clone(),
            credentials: user.user.credentials()?,
        })
    }
}
