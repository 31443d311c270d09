//! Why a machine does not trust, or does not find, the cluster that it is to join.

use super::KubernetesError;
use super::error::is_about_certificates;

/// Where a token and a pin come from.
const NEW_COMMAND: &str = "`slipway token create --print-join-command` on a control-plane node (or `kubeadm token create --print-join-command`)";

/// Why discovery failed.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// No TCP connection, or none that speaks Kubernetes' API.
    #[error("no API server answers at {endpoint}")]
    Unreachable {
        /// `host:port`.
        endpoint: String,
        /// What was seen last.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server does not show `cluster-info` to who has no credentials.
    #[error("the API server at {endpoint} is not set up for joining with tokens")]
    NotSetUp {
        /// `host:port`.
        endpoint: String,
        /// What it said, where it said something.
        #[source]
        source: Option<Box<KubernetesError>>,
    },
    /// There is no signature for the token.
    #[error("token id `{id}` is invalid for this cluster or it has expired")]
    UnknownToken {
        /// The token's public half.
        id: String,
    },
    /// The signature is not the token's.
    #[error(
        "the signature of token id `{id}` on cluster-info does not verify: this API server cannot be trusted"
    )]
    WrongSignature {
        /// The token's public half.
        id: String,
    },
    /// `cluster-info` is signed, and yet no kubeconfig with a CA.
    #[error("cluster-info holds no usable kubeconfig: {reason}")]
    Malformed {
        /// What it lacks.
        reason: String,
    },
    /// The CA is not one of those that are pinned.
    #[error("none of the cluster's CA public keys is pinned: {found}")]
    NotPinned {
        /// The pins that would fit.
        found: String,
    },
    /// The API server's certificate is not one of the CA's, or not valid now.
    #[error(
        "the API server at {endpoint} does not prove with its certificate that it is the cluster's"
    )]
    Untrusted {
        /// `host:port`.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<KubernetesError>,
    },
    /// The second answer, over verified TLS, is not the first.
    #[error("cluster-info read over verified TLS is not what was read before")]
    Changed,
    /// The token cannot be used as credentials.
    #[error("the API server does not accept token id `{id}` as credentials")]
    TokenRefused {
        /// The token's public half.
        id: String,
        /// What it said.
        #[source]
        source: Box<KubernetesError>,
    },
    /// The token may not read what joining needs.
    #[error("could not read {what} with the token")]
    Unreadable {
        /// The object.
        what: String,
        /// Why.
        #[source]
        source: Box<KubernetesError>,
    },
    /// An object that joining needs does not say what it should.
    #[error("{what} cannot be used: {reason}")]
    Unusable {
        /// The object.
        what: String,
        /// Why.
        reason: String,
    },
    /// The token is not one at all.
    #[error("the token cannot be used")]
    InvalidToken(#[source] slipway_pki::PkiError),
}

impl DiscoveryError {
    /// Returns what a person can do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Unreachable { endpoint, .. } => format!(
                "check address, port and firewall: `curl -k https://{endpoint}/version` must answer here"
            ),
            Self::NotSetUp { .. } => {
                "on a control-plane node: `slipway apply`, or `kubeadm init phase bootstrap-token`, publishes cluster-info"
                    .to_owned()
            }
            Self::UnknownToken { .. } => format!("make a new one with {NEW_COMMAND}"),
            Self::WrongSignature { .. } => format!(
                "check that the token is typed in full and the endpoint is the right one; {NEW_COMMAND} prints both"
            ),
            Self::NotPinned { .. } => format!(
                "if the endpoint is the right one, take `--discovery-token-ca-cert-hash` from {NEW_COMMAND}; otherwise somebody answers in its place"
            ),
            Self::Untrusted { source, endpoint } => untrusted_help(source, endpoint),
            Self::Changed => {
                "type the same command again; if it happens again, somebody stands between this machine and the cluster"
                    .to_owned()
            }
            Self::TokenRefused { .. } => format!(
                "it may have expired a moment ago, or is for signing only: make a new one with {NEW_COMMAND}"
            ),
            Self::Unreadable { .. } | Self::Unusable { .. } => {
                "on a control-plane node: `slipway apply`, or `kubeadm init phase upload-config all` and `kubeadm init phase bootstrap-token`, puts it in order"
                    .to_owned()
            }
            Self::Malformed { .. } => {
                "look at it on a control-plane node: `kubectl -n kube-public get configmap cluster-info -o yaml`"
                    .to_owned()
            }
            Self::InvalidToken(_) => format!("take it whole from {NEW_COMMAND}"),
        }
    }

    /// Returns the error of a failed call over verified TLS.
    pub(super) fn of_verified_call(
        endpoint: &str,
        what: &str,
        token_id: &str,
        error: KubernetesError,
    ) -> Self {
        if let KubernetesError::Unanswered { source: cause, .. } = &error
            && is_about_certificates(cause.as_ref())
        {
            return Self::Untrusted {
                endpoint: endpoint.to_owned(),
                source: Box::new(error),
            };
        }
        if let KubernetesError::Refused { code: 401, .. } = &error {
            return Self::TokenRefused {
                id: token_id.to_owned(),
                source: Box::new(error),
            };
        }
        Self::Unreadable {
            what: what.to_owned(),
            source: Box::new(error),
        }
    }
}

/// Returns what a certificate that does not verify calls for: clocks, another
/// name, or suspicion.
fn untrusted_help(error: &KubernetesError, endpoint: &str) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |&it| it.source());
    let text: Vec<String> = causes.map(ToString::to_string).collect();
    let says = |what: &str| text.iter().any(|line| line.contains(what));
    if says("expired") || says("not valid yet") || says("Expired") || says("NotValidYet") {
        "compare the clocks: `date -u` here and on a control-plane node; if they agree, see `slipway status` or `kubeadm certs check-expiration` there"
            .to_owned()
    } else if says("not valid for name") || says("NotValidForName") {
        format!(
            "the certificate is not for `{endpoint}`: join by a name or address that is in it, as {NEW_COMMAND} prints it"
        )
    } else {
        "somebody else answers at this address, or the API server's certificate was issued by another CA"
            .to_owned()
    }
}
