//! A connection to one member of etcd.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use etcd_client::{Channel, Client};
use http::Uri;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::{EtcdCredentials, EtcdError, LOCAL_ENDPOINT, located};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a member may take to answer. Source: kubeadm's `etcdAPICall` is longer since
/// it repeats within it.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to one member of etcd. Cloning is cheap.
///
/// It never goes over to another member: whoever asks one wants to know about that one.
#[derive(Clone)]
pub struct EtcdClient {
    pub(super) endpoint: String,
    pub(super) client: Client,
}

impl fmt::Debug for EtcdClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl EtcdClient {
    /// Connects to the member on the control-plane node whose file tree is at `root`.
    ///
    /// # Errors
    /// Its certificates are missing, or nobody listens.
    pub async fn local(root: &Path) -> Result<Self, EtcdError> {
        Self::connect(LOCAL_ENDPOINT, &EtcdCredentials::of_host(root)).await
    }

    /// Connects to the member at `endpoint`, a URL.
    ///
    /// # Errors
    /// The credentials cannot be read, the endpoint leads nowhere, or nobody listens there.
    pub async fn connect(endpoint: &str, credentials: &EtcdCredentials) -> Result<Self, EtcdError> {
        let (located, name) = located(endpoint).await?;
        let failed = |source| EtcdError::Connect {
            endpoint: endpoint.to_owned(),
            source: Box::new(source),
        };
        let uri: Uri = located.parse().map_err(|_| EtcdError::Endpoint {
            endpoint: endpoint.to_owned(),
            reason: "it is no URL".to_owned(),
        })?;
        let is_encrypted = uri.scheme_str() == Some("https");
        let mut way = Endpoint::from(uri).connect_timeout(CONNECT_TIMEOUT);
        if is_encrypted {
            let pems = credentials.read()?;
            let mut tls = ClientTlsConfig::new().timeout(CONNECT_TIMEOUT);
            if let Some(name) = name {
                tls = tls.domain_name(name);
            }
            if let Some(authority) = pems.authority {
                tls = tls.ca_certificate(Certificate::from_pem(authority));
            }
            if let Some((certificate, key)) = pems.identity {
                tls = tls.identity(Identity::from_pem(certificate, key.as_bytes()));
            }
            way = way.tls_config(tls).map_err(failed)?;
        }
        let channel = Channel::Tonic(way.connect().await.map_err(failed)?);
        let client = Client::from_channel(channel, None).await;
        let client = client.map_err(|error| EtcdError::refused("connect", endpoint, &error))?;
        Ok(Self {
            endpoint: endpoint.to_owned(),
            client,
        })
    }

    /// Returns the URL that it is connected to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Awaits an answer for a bounded time and says in errors that it was about `doing`.
    pub(super) async fn call<T>(
        &self,
        doing: &'static str,
        asked: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, EtcdError> {
        self.call_within(CALL_TIMEOUT, doing, asked).await
    }

    /// Awaits an answer for at most `bound`.
    pub(super) async fn call_within<T>(
        &self,
        bound: Duration,
        doing: &'static str,
        asked: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, EtcdError> {
        match tokio::time::timeout(bound, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(EtcdError::refused(doing, &self.endpoint, &error)),
            Err(_) => Err(EtcdError::TimedOut {
                doing,
                endpoint: self.endpoint.clone(),
                seconds: bound.as_secs(),
            }),
        }
    }
}
