//! What can go wrong between an agent and the Kubernetes API.

use std::error::Error;

/// A failed act on the Kubernetes API.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// The kubeconfig is missing, unreadable or incomplete.
    #[error("could not read the kubeconfig {path}")]
    ReadKubeconfig {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The endpoint is not an https URL with an IP address; names are never
    /// resolved here, since static glibc's resolver is a trap.
    #[error("`{endpoint}` is not an https URL with an IP address")]
    InvalidEndpoint {
        /// The URL.
        endpoint: String,
    },
    /// Keys or certificates of the kubeconfig do not make a client.
    #[error("could not set up a client for {endpoint}")]
    BuildClient {
        /// The URL.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server answered with an error.
    #[error("could not {doing}: the API server says: {message}")]
    Refused {
        /// What was tried.
        doing: String,
        /// The HTTP status.
        code: u16,
        /// Kubernetes' one-word reason, for example `NotFound`.
        reason: String,
        /// Kubernetes' sentence.
        message: String,
    },
    /// No connection, or one that broke.
    #[error("could not {doing}: {endpoint} did not answer")]
    Unanswered {
        /// What was tried.
        doing: String,
        /// The URL.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing came back in time.
    #[error("could not {doing}: {endpoint} did not answer within {seconds} s")]
    TimedOut {
        /// What was tried.
        doing: String,
        /// The URL.
        endpoint: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A health endpoint reports failing checks.
    #[error("{path} of the API server reports failing checks: {failing}")]
    Unhealthy {
        /// `/readyz` or `/livez`.
        path: String,
        /// The checks' names.
        failing: String,
    },
    /// The manifest is not YAML.
    #[error("could not parse the manifest")]
    ParseManifest {
        /// Why.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A document in the manifest is not a Kubernetes object.
    #[error("document {document} of the manifest is not a Kubernetes object: {reason}")]
    InvalidObject {
        /// The document's position, counted from 1.
        document: usize,
        /// What it lacks.
        reason: String,
    },
    /// The API server serves no such kind.
    #[error("the API server does not know kind {kind} of {api_version}")]
    UnknownKind {
        /// The group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// A condition did not come true in time.
    #[error("after {seconds} s it is not so that {condition}: {seen}")]
    ConditionNotMet {
        /// What was waited for.
        condition: String,
        /// How long.
        seconds: u64,
        /// What was seen last.
        seen: String,
    },
    /// Pods would lose data.
    #[error("node {node} runs pods whose emptyDir data would be lost: {pods}")]
    EmptyDirData {
        /// The node.
        node: String,
        /// The pods.
        pods: String,
    },
    /// Pods are still there.
    #[error("node {node} is not drained after {seconds} s: {remaining}")]
    NotDrained {
        /// The node.
        node: String,
        /// How long it was tried.
        seconds: u64,
        /// Each pod that is left and why.
        remaining: String,
    },
    /// The bootstrap token does not have kubeadm's form.
    #[error("a bootstrap token's {part} is {expected}")]
    InvalidToken {
        /// `ID` or `secret`.
        part: &'static str,
        /// The form it must have.
        expected: &'static str,
    },
    /// There is another bootstrap token with this ID.
    #[error("there is another bootstrap token with ID {id}")]
    TokenExists {
        /// The token's ID.
        id: String,
    },
}

impl KubernetesError {
    /// Translates kube's error about `doing`.
    pub(super) fn of(doing: &str, endpoint: &str, error: kube::Error) -> Self {
        let doing = doing.to_owned();
        if let kube::Error::Api(status) = error {
            return Self::Refused {
                doing,
                code: status.code,
                reason: status.reason,
                message: status.message,
            };
        }
        let endpoint = endpoint.to_owned();
        // kube's own words repeat their source: pass the source on instead.
        let source = if let kube::Error::Service(inner) = error {
            inner
        } else {
            Box::new(error)
        };
        Self::Unanswered {
            doing,
            endpoint,
            source,
        }
    }

    /// Returns whether the API server answered that there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Returns whether the API server answered that somebody was faster.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// Returns whether the same act may succeed a moment later: the server
    /// starts, is overloaded, or a webhook or etcd hiccups.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, message, .. } => match code {
                // What an object with unknown fields is answered, although waiting is no help.
                500 if message.contains("failed to create typed patch object") => false,
                429 | 500 | 502 | 503 | 504 => true,
                // The API server makes this namespace itself a moment after it starts.
                404 => message == "namespaces \"kube-system\" not found",
                // Admission plugins answer 403 until their caches are filled.
                403 => message.contains("not yet ready to handle request"),
                _ => false,
            },
            Self::Unanswered { source, .. } => !is_about_certificates(source.as_ref()),
            Self::TimedOut { .. } | Self::Unhealthy { .. } => true,
            Self::ReadKubeconfig { .. }
            | Self::InvalidEndpoint { .. }
            | Self::BuildClient { .. }
            | Self::ParseManifest { .. }
            | Self::InvalidObject { .. }
            | Self::UnknownKind { .. }
            | Self::ConditionNotMet { .. }
            | Self::EmptyDirData { .. }
            | Self::NotDrained { .. }
            | Self::InvalidToken { .. }
            | Self::TokenExists { .. } => false,
        }
    }

    /// Returns what a person can do about it, if anything is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::EmptyDirData { .. } => {
                Some("allow it with `--delete-emptydir-data`, or move the data first".to_owned())
            }
            Self::Unanswered { source, .. } if is_about_certificates(source.as_ref()) => {
                Some("see `slipway certs check-expiration`, and compare the clocks".to_owned())
            }
            Self::Unanswered { .. } | Self::TimedOut { .. } | Self::Unhealthy { .. } => {
                Some("see the logs of the kube-apiserver container on that host".to_owned())
            }
            Self::Refused { code: 401, .. } => {
                Some("see `slipway certs check-expiration`".to_owned())
            }
            Self::Refused { .. }
            | Self::ReadKubeconfig { .. }
            | Self::InvalidEndpoint { .. }
            | Self::BuildClient { .. }
            | Self::ParseManifest { .. }
            | Self::InvalidObject { .. }
            | Self::UnknownKind { .. }
            | Self::ConditionNotMet { .. }
            | Self::NotDrained { .. }
            | Self::InvalidToken { .. }
            | Self::TokenExists { .. } => None,
        }
    }
}

/// Returns whether `error` comes from a certificate that does not verify:
/// waiting does not help then.
///
/// rustls' words, since its error type is boxed several layers down.
pub(super) fn is_about_certificates(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&cause| cause.source())
        .any(|cause| cause.to_string().contains("invalid peer certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, message: &str) -> KubernetesError {
        KubernetesError::Refused {
            doing: "read node w-1".to_owned(),
            code,
            reason: String::new(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn overload_is_transient_and_a_refusal_is_not() {
        assert!(refused(503, "apiserver not ready").is_transient());
        assert!(refused(403, "not yet ready to handle request").is_transient());
        assert!(!refused(403, "nodes is forbidden").is_transient());
        assert!(!refused(422, "spec.x is invalid").is_transient());
        assert!(refused(404, "namespaces \"kube-system\" not found").is_transient());
        assert!(!refused(404, "nodes \"w-1\" not found").is_transient());
        let unknown_field = "failed to create typed patch object (/x): .dta: field not declared";
        assert!(!refused(500, unknown_field).is_transient());
    }

    #[test]
    fn waiting_does_not_mend_a_certificate() {
        let unanswered = |text: &str| KubernetesError::Unanswered {
            doing: "read".to_owned(),
            endpoint: "https://192.0.2.1:6443".to_owned(),
            source: text.into(),
        };
        assert!(unanswered("connection refused").is_transient());
        assert!(!unanswered("invalid peer certificate: Expired").is_transient());
    }
}
