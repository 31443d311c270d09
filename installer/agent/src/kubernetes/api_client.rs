//! A client of one API server, with every call bounded in time.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use http::{Request, Uri};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;

use super::KubernetesError;

/// How long a connection may take; API servers are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one answer may take; the API server gives up after 60 s itself.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one API server. Cloning is cheap.
#[derive(Clone)]
pub struct ApiClient {
    client: Client,
    endpoint: String,
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl ApiClient {
    /// Returns a client for the current context of the kubeconfig at `path`.
    ///
    /// With `local_endpoint`, for example `https://127.0.0.1:6443`, calls go
    /// there, and the certificate must still carry the name that the
    /// kubeconfig's own URL has. Proxies of the environment are not used.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// The file is unreadable or incomplete, or the endpoint to be used has
    /// no IP address.
    pub async fn from_kubeconfig(
        path: &Path,
        local_endpoint: Option<&str>,
    ) -> Result<Self, KubernetesError> {
        let unreadable = |source| KubernetesError::ReadKubeconfig {
            path: path.display().to_string(),
            source: Box::new(source),
        };
        let file = path.to_owned();
        let kubeconfig = tokio::task::spawn_blocking(move || Kubeconfig::read_from(file))
            .await
            .expect("reading a kubeconfig does not panic")
            .map_err(unreadable)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(unreadable)?;
        if let Some(local) = local_endpoint {
            point_to(&mut config, local)?;
        }
        Self::new(config)
    }

    /// Returns a client without credentials of the API server at `address`,
    /// whose certificate nobody looks at: what it answers proves nothing.
    pub(super) fn blind(address: SocketAddr) -> Result<Self, KubernetesError> {
        let mut config = Config::new(url_of(address)?);
        // No certificate is trusted, and none is asked for: the machine's own
        // store of authorities, which may be empty, is not even read.
        config.root_cert = Some(Vec::new());
        config.accept_invalid_certs = true;
        Self::new(config)
    }

    /// Returns a client of the API server at `address` with the credentials
    /// inside `kubeconfig`, whose URL says which name the certificate must carry.
    pub(super) async fn at_address(
        kubeconfig: &str,
        address: SocketAddr,
    ) -> Result<Self, KubernetesError> {
        Self::new(config_at(kubeconfig, address).await?)
    }

    /// Returns the same client without the credentials: what anybody may do.
    pub(super) async fn anonymous_at_address(
        kubeconfig: &str,
        address: SocketAddr,
    ) -> Result<Self, KubernetesError> {
        let mut config = config_at(kubeconfig, address).await?;
        config.auth_info = AuthInfo::default();
        Self::new(config)
    }

    fn new(mut config: Config) -> Result<Self, KubernetesError> {
        let endpoint = config.cluster_url.to_string();
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if !is_https_with_address(&config.cluster_url) {
            return Err(KubernetesError::InvalidEndpoint { endpoint });
        }
        config.proxy_url = None;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Eviction needs to see every 429 itself.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|source| KubernetesError::BuildClient {
            endpoint: endpoint.clone(),
            source: Box::new(source),
        })?;
        Ok(Self { client, endpoint })
    }

    /// Returns without error when the API server is ready to serve.
    ///
    /// # Errors
    /// It does not answer, or checks fail, which are named.
    pub async fn ready(&self) -> Result<(), KubernetesError> {
        self.health("/readyz").await
    }

    /// Returns without error when the API server is alive.
    ///
    /// # Errors
    /// It does not answer, or checks fail, which are named.
    pub async fn live(&self) -> Result<(), KubernetesError> {
        self.health("/livez").await
    }

    /// Returns without error when the component that listens on this address of its own host
    /// says that it is healthy. Its certificate is one that it made for itself, as kubeadm's
    /// own check takes it (`cmd/kubeadm/app/util/apiclient/wait.go`).
    ///
    /// # Errors
    /// It does not answer, or checks fail, which are named.
    pub async fn component_health(address: SocketAddr) -> Result<(), KubernetesError> {
        Self::blind(address)?.health("/healthz").await
    }

    /// Returns the API server's version, for example `v1.36.3`.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn server_version(&self) -> Result<String, KubernetesError> {
        let asked = self.client.apiserver_version();
        let info = self.call("read the API server's version", asked).await?;
        Ok(info.git_version)
    }

    async fn health(&self, path: &str) -> Result<(), KubernetesError> {
        let request = build(Request::get(format!("{path}?verbose")), Vec::new());
        let request = request.map(kube::client::Body::from);
        let asked = async {
            let response = self.client.send(request).await?;
            let is_success = response.status().is_success();
            let text = response.into_body().collect_bytes().await?;
            Ok((is_success, text))
        };
        let doing = format!("ask {path}");
        let (is_success, text) = self.call_within(HEALTH_TIMEOUT, &doing, asked).await?;
        if is_success {
            return Ok(());
        }
        Err(KubernetesError::Unhealthy {
            path: path.to_owned(),
            failing: failing_checks(&String::from_utf8_lossy(&text)),
        })
    }

    /// Returns kube's typed access to cluster-scoped objects.
    pub(super) fn all<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// Returns kube's typed access to the objects of `namespace`.
    pub(super) fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Awaits `asked` for a bounded time and says in errors that it was about `doing`,
    /// a verb phrase such as `read node w-1`.
    pub(super) async fn call<T>(
        &self,
        doing: &str,
        asked: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, KubernetesError> {
        self.call_within(CALL_TIMEOUT, doing, asked).await
    }

    /// Sends `request` and parses the answer's JSON.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        doing: &str,
        request: Request<Vec<u8>>,
    ) -> Result<T, KubernetesError> {
        self.call(doing, self.client.request(request)).await
    }

    /// Sends `request` and returns the answer as text.
    pub(super) async fn send_for_text(
        &self,
        doing: &str,
        request: Request<Vec<u8>>,
    ) -> Result<String, KubernetesError> {
        self.call(doing, self.client.request_text(request)).await
    }

    async fn call_within<T>(
        &self,
        bound: Duration,
        doing: &str,
        asked: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, KubernetesError> {
        match tokio::time::timeout(bound, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(KubernetesError::of(doing, &self.endpoint, error)),
            Err(_) => Err(KubernetesError::TimedOut {
                doing: doing.to_owned(),
                endpoint: self.endpoint.clone(),
                seconds: bound.as_secs(),
            }),
        }
    }
}

/// Returns the request that `builder` describes.
pub(super) fn build(builder: http::request::Builder, body: Vec<u8>) -> Request<Vec<u8>> {
    builder
        .body(body)
        .expect("paths are made of names that Kubernetes accepts as URL parts")
}

async fn config_at(kubeconfig: &str, address: SocketAddr) -> Result<Config, KubernetesError> {
    let unreadable = |source| KubernetesError::ReadKubeconfig {
        path: "for joining".to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(unreadable)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(unreadable)?;
    point_to(&mut config, &format!("https://{address}"))?;
    Ok(config)
}

fn url_of(address: SocketAddr) -> Result<Uri, KubernetesError> {
    let endpoint = format!("https://{address}");
    endpoint
        .parse()
        .map_err(|_| KubernetesError::InvalidEndpoint { endpoint })
}

/// Sends `config`'s calls to `local` and keeps the name to be verified.
fn point_to(config: &mut Config, local: &str) -> Result<(), KubernetesError> {
    let invalid = || KubernetesError::InvalidEndpoint {
        endpoint: local.to_owned(),
    };
    let name = config.cluster_url.host().map(without_brackets);
    if config.tls_server_name.is_none() {
        config.tls_server_name = name.map(str::to_owned);
    }
    config.cluster_url = local.parse().map_err(|_| invalid())?;
    Ok(())
}

fn is_https_with_address(url: &Uri) -> bool {
    let host = url.host().map(without_brackets).unwrap_or_default();
    url.scheme_str() == Some("https") && host.parse::<IpAddr>().is_ok()
}

/// Returns the host of a URL as certificates write it: IPv6 without brackets.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Returns the names of the checks that a verbose health answer marks as failing.
fn failing_checks(answer: &str) -> String {
    let names: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if names.is_empty() {
        // Not the verbose form: a proxy in between, or 401.
        return answer.trim().chars().take(200).collect();
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_checks_are_named() {
        let answer = "[+]ping ok\n[-]etcd failed: reason withheld\n\
                      [-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n\
                      readyz check failed\n";
        assert_eq!(
            failing_checks(answer),
            "etcd, poststarthook/rbac/bootstrap-roles"
        );
        assert_eq!(failing_checks("Unauthorized\n"), "Unauthorized");
    }

    #[test]
    fn only_addresses_are_endpoints() {
        let accepts = |text: &str| is_https_with_address(&text.parse().unwrap());
        assert!(accepts("https://192.0.2.1:6443"));
        assert!(accepts("https://[2001:db8::1]:6443"));
        assert!(!accepts("https://api.harbour.example:6443"));
        assert!(!accepts("http://127.0.0.1:8080"));
    }

    #[test]
    fn a_local_endpoint_keeps_the_name_to_be_verified() {
        let mut config = Config::new("https://api.harbour.example:6443".parse().unwrap());
        point_to(&mut config, "https://127.0.0.1:6443").unwrap();
        assert_eq!(
            config.tls_server_name.as_deref(),
            Some("api.harbour.example")
        );
        assert_eq!(config.cluster_url.to_string(), "https://127.0.0.1:6443/");
    }
}
