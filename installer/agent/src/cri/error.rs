//! What can go wrong between an agent and a container runtime.

use tonic::{Code, Status};

use crate::containerd::grpc::sentence;

/// A failed act on a container runtime.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// Nobody listens on the socket.
    #[error("could not connect to the container runtime at {socket}")]
    Connect {
        /// The socket.
        socket: String,
        /// Why.
        #[source]
        source: Box<tonic::transport::Error>,
    },
    /// The runtime answered with an error.
    #[error("could not {doing}: the container runtime says: {message}")]
    Refused {
        /// What was tried.
        doing: String,
        /// gRPC's code.
        code: Code,
        /// The runtime's sentence.
        message: String,
    },
    /// Nothing came back in time.
    #[error("could not {doing}: the container runtime did not answer within {seconds} s")]
    TimedOut {
        /// What was tried.
        doing: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A container's log is there and cannot be read.
    #[error("could not read the log {path}")]
    ReadLog {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Pods could not be removed.
    #[error("{count} pods could not be removed: {pods}")]
    PodsRemain {
        /// How many.
        count: usize,
        /// Each with what the runtime says about it.
        pods: String,
    },
}

impl CriError {
    /// Translates a gRPC status about `doing`.
    pub(super) fn refused(doing: &str, status: &Status) -> Self {
        Self::Refused {
            doing: doing.to_owned(),
            code: status.code(),
            message: sentence(status),
        }
    }

    /// Returns whether the runtime does not serve what was asked for.
    pub(super) fn is_unimplemented(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::Unimplemented,
                ..
            }
        )
    }

    /// Returns whether the runtime knows no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::NotFound,
                ..
            }
        )
    }
}
