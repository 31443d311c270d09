//! What can go wrong between an agent and containerd.

use tonic::{Code, Status};

use super::grpc::sentence;

/// A failed act on containerd.
#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    /// Nobody listens on the socket.
    #[error("could not connect to containerd at {socket}")]
    Connect {
        /// The socket.
        socket: String,
        /// Why.
        #[source]
        source: Box<tonic::transport::Error>,
    },
    /// containerd answered with an error.
    #[error("could not {doing}: containerd says: {message}")]
    Refused {
        /// What was tried.
        doing: String,
        /// gRPC's code.
        code: Code,
        /// containerd's sentence.
        message: String,
    },
    /// Nothing came back in time.
    #[error("could not {doing}: containerd did not answer within {seconds} s")]
    TimedOut {
        /// What was tried.
        doing: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A blob that is to be imported cannot be read.
    #[error("could not read the blob {path}")]
    ReadBlob {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A blob ended before its size.
    #[error("the blob {path} has {found} bytes instead of {expected}")]
    ShortBlob {
        /// The file.
        path: String,
        /// Its size by its name in the bundle.
        expected: u64,
        /// Its size on disk.
        found: u64,
    },
    /// The image's configuration is not one.
    #[error("the configuration of image {image} cannot be understood")]
    ParseConfig {
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The image's configuration and manifest contradict each other.
    #[error("image {image} has {layers} layers and {diff_ids} are configured")]
    LayerCount {
        /// The image.
        image: String,
        /// The layers in the manifest.
        layers: usize,
        /// The layers in the configuration.
        diff_ids: usize,
    },
    /// A layer's content is not what the configuration says.
    #[error("layer {layer} of image {image} unpacks to {found} instead of {expected}")]
    WrongLayer {
        /// The image.
        image: String,
        /// The layer's digest.
        layer: String,
        /// The configured digest of the unpacked layer.
        expected: String,
        /// The digest that it has.
        found: String,
    },
}

impl ContainerdError {
    /// Translates a gRPC status about `doing`.
    pub(super) fn refused(doing: &str, status: &Status) -> Self {
        Self::Refused {
            doing: doing.to_owned(),
            code: status.code(),
            message: sentence(status),
        }
    }

    /// Returns gRPC's code, if containerd answered.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::ReadBlob { .. }
            | Self::ShortBlob { .. }
            | Self::ParseConfig { .. }
            | Self::LayerCount { .. }
            | Self::WrongLayer { .. } => None,
        }
    }
}
