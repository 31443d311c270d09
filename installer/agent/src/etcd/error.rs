//! What can go wrong between an agent and etcd.

use tonic::Code;

use crate::containerd::grpc::sentence;

/// A failed act on etcd.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// A certificate or key of the host cannot be read.
    #[error("could not read {path}, which etcd asks for")]
    Credentials {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The endpoint leads nowhere.
    #[error("the etcd endpoint `{endpoint}` cannot be used: {reason}")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// Nobody listens there, or TLS fails.
    #[error("could not connect to etcd at {endpoint}")]
    Connect {
        /// The endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<tonic::transport::Error>,
    },
    /// etcd answered with an error.
    #[error("could not {doing}: etcd at {endpoint} says: {message}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// The endpoint.
        endpoint: String,
        /// gRPC's code.
        code: Code,
        /// etcd's sentence.
        message: String,
    },
    /// Nothing came back in time.
    #[error("could not {doing}: etcd at {endpoint} did not answer within {seconds} s")]
    TimedOut {
        /// What was tried.
        doing: &'static str,
        /// The endpoint.
        endpoint: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A snapshot does not have the digest that etcd gave it.
    #[error("the snapshot from {endpoint} arrived damaged: {reason}")]
    DamagedSnapshot {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl EtcdError {
    /// Translates the client's error about `doing`.
    pub(super) fn refused(doing: &'static str, endpoint: &str, error: &etcd_client::Error) -> Self {
        let (code, message) = if let etcd_client::Error::GRpcStatus(status) = error {
            (status.code(), sentence(status))
        } else {
            (Code::Unknown, error.to_string())
        };
        Self::Refused {
            doing,
            endpoint: endpoint.to_owned(),
            code,
            message: message.trim_start_matches("etcdserver: ").to_owned(),
        }
    }

    /// Returns what to type or look at next, on the host.
    pub fn help(&self) -> String {
        match self {
            Self::Credentials { .. } => {
                "`ls -l /etc/kubernetes/pki/etcd` shows what is there; only control-plane nodes with an etcd of their own have it".to_owned()
            }
            Self::Endpoint { .. } => "`getent ahosts NAME` shows what the host makes of a name".to_owned(),
            Self::Connect { .. } | Self::Refused { .. } | Self::TimedOut { .. } => {
                "`slipway etcd members` shows which members are well; on the host, `crictl ps -a --name etcd` shows whether etcd runs and `crictl logs ID` why not".to_owned()
            }
            Self::DamagedSnapshot { .. } => "take it again; if it happens twice, take it from another member".to_owned(),
        }
    }

    /// Returns whether etcd knows no such member.
    pub fn is_no_such_member(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::NotFound,
                ..
            }
        )
    }

    /// Returns whether a learner has not caught up yet, so that it may be promoted later.
    pub fn is_not_caught_up(&self) -> bool {
        // Source: etcd's ErrGRPCLearnerNotReady.
        matches!(self, Self::Refused { message, .. } if message.contains("in sync with leader"))
    }
}
