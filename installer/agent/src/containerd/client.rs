//! A connection to containerd, in the namespace of Kubernetes.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::ContainerdError;
use super::grpc::connect;

/// The namespace that CRI uses.
const NAMESPACE: &str = "k8s.io";
/// How long an answer may take when containerd only looks something up.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to containerd. Cloning is cheap.
#[derive(Clone)]
pub struct ContainerdClient {
    pub(super) channel: Channel,
    /// The lease that protects what this client makes from garbage collection.
    pub(super) lease: Option<AsciiMetadataValue>,
}

impl fmt::Debug for ContainerdClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerdClient").finish_non_exhaustive()
    }
}

impl ContainerdClient {
    /// Connects to the containerd that listens on `socket`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(socket: &Path) -> Result<Self, ContainerdError> {
        let channel = connect(socket)
            .await
            .map_err(|source| ContainerdError::Connect {
                socket: socket.display().to_string(),
                source: Box::new(source),
            })?;
        Ok(Self {
            channel,
            lease: None,
        })
    }

    /// Returns the request for `message`, in the namespace and under the lease.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert(
            "containerd-namespace",
            AsciiMetadataValue::from_static(NAMESPACE),
        );
        if let Some(lease) = &self.lease {
            metadata.insert("containerd-lease", lease.clone());
        }
        request
    }

    /// Awaits an answer for a bounded time and says in errors that it was about `doing`.
    pub(super) async fn call<T>(
        &self,
        doing: &str,
        asked: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, ContainerdError> {
        let answer = within(CALL_TIMEOUT, doing, asked).await?;
        Ok(answer.into_inner())
    }
}

/// Awaits `asked` for at most `bound`.
pub(super) async fn within<T>(
    bound: Duration,
    doing: &str,
    asked: impl Future<Output = Result<T, Status>>,
) -> Result<T, ContainerdError> {
    match tokio::time::timeout(bound, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => Err(ContainerdError::refused(doing, &status)),
        Err(_) => Err(ContainerdError::TimedOut {
            doing: doing.to_owned(),
            seconds: bound.as_secs(),
        }),
    }
}
