//! A connection to a container runtime.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use k8s_cri::v1 as api;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::containerd::grpc::connect;

use super::{CgroupDriver, CriError, RuntimeStatus};

/// How long an answer may take when the runtime only looks something up.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to a container runtime. Cloning is cheap.
#[derive(Clone)]
pub struct CriClient {
    channel: Channel,
}

impl fmt::Debug for CriClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CriClient").finish_non_exhaustive()
    }
}

/// What a container runtime says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// Its name, for example `containerd`.
    pub name: String,
    /// Its version, as it writes it.
    pub version: String,
}

impl CriClient {
    /// Connects to the runtime that listens on `socket`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(socket: &Path) -> Result<Self, CriError> {
        let channel = connect(socket).await.map_err(|source| CriError::Connect {
            socket: socket.display().to_string(),
            source: Box::new(source),
        })?;
        Ok(Self { channel })
    }

    /// Returns the runtime's name and version.
    ///
    /// # Errors
    /// The runtime does not answer, or serves no CRI v1.
    pub async fn version(&self) -> Result<RuntimeVersion, CriError> {
        let request = api::VersionRequest {
            version: String::new(),
        };
        let mut runtime = self.runtime();
        let answer = call("ask for its version", runtime.version(request)).await?;
        Ok(RuntimeVersion {
            name: answer.runtime_name,
            version: answer.runtime_version,
        })
    }

    /// Returns the runtime's cgroup driver; none where it does not tell, as
    /// containerd before 2.0.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn cgroup_driver(&self) -> Result<Option<CgroupDriver>, CriError> {
        let mut runtime = self.runtime();
        let asked = runtime.runtime_config(api::RuntimeConfigRequest {});
        let answer = match call("ask for its cgroup driver", asked).await {
            Err(error) if error.is_unimplemented() => return Ok(None),
            answer => answer?,
        };
        Ok(answer.linux.map(|linux| match linux.cgroup_driver() {
            api::CgroupDriver::Systemd => CgroupDriver::Systemd,
            api::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
        }))
    }

    /// Returns the runtime's own view of its health.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn status(&self) -> Result<RuntimeStatus, CriError> {
        let request = api::StatusRequest { verbose: false };
        let mut runtime = self.runtime();
        let answer = call("ask for its status", runtime.status(request)).await?;
        Ok(answer.status.unwrap_or_default().into())
    }

    /// Returns whether the kubelet would find the image without pulling it.
    ///
    /// # Errors
    /// The runtime does not answer or refuses.
    pub async fn image_present(
        &self,
        reference: &slipway_api::ImageReference,
    ) -> Result<bool, CriError> {
        let request = api::ImageStatusRequest {
            image: Some(api::ImageSpec {
                image: reference.to_string(),
                ..api::ImageSpec::default()
            }),
            verbose: false,
        };
        let mut images = ImageServiceClient::new(self.channel.clone());
        let doing = format!("look for image {reference}");
        let answer = call(&doing, images.image_status(request)).await?;
        Ok(answer.image.is_some())
    }

    pub(super) fn runtime(&self) -> RuntimeServiceClient<Channel> {
        // A host full of pods fills more than tonic's limit of 4 MiB.
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }
}

/// Awaits an answer for a bounded time and says in errors that it was about `doing`.
pub(super) async fn call<T>(
    doing: &str,
    asked: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CriError> {
    call_within(CALL_TIMEOUT, doing, asked).await
}

/// Awaits an answer for at most `bound`.
pub(super) async fn call_within<T>(
    bound: Duration,
    doing: &str,
    asked: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CriError> {
    match tokio::time::timeout(bound, asked).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(CriError::refused(doing, &status)),
        Err(_) => Err(CriError::TimedOut {
            doing: doing.to_owned(),
            seconds: bound.as_secs(),
        }),
    }
}
