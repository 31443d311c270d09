//! Finds a cluster by a bootstrap token and makes sure that it is the right
//! one, as `kubeadm join` does.
//!
//! Nothing is known at first but an address, a token and, best, a pin of the
//! cluster's CA. So `cluster-info` is read from whoever answers; the token's
//! signature on it shows that somebody wrote it who knows the token, the pin
//! that its CA is the right one; and then it is read again from a server that
//! proves by that CA to be the cluster's. Only then is the token shown to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use slipway_api::{DiscoveredCluster, Discovery, Endpoint};
use slipway_pki::{BootstrapToken, Credentials, Kubeconfig};
use tokio::net::TcpStream;

use super::cluster_info::ClusterInfo;
use super::joining_config::JoiningConfig;
use super::{ApiClient, DiscoveryError, KubernetesError};

/// The namespace of what everybody may read.
const KUBE_PUBLIC: &str = "kube-public";
/// The ConfigMap that describes the cluster to joining machines.
const CLUSTER_INFO: &str = "cluster-info";
/// Its key with the kubeconfig.
const KUBECONFIG: &str = "kubeconfig";
/// The prefix of its keys with a token's signature of that kubeconfig.
const SIGNATURE_PREFIX: &str = "jws-kubeconfig-";
/// The user's name in kubeconfigs with a token. Source: kubeadm's `TokenUser`.
pub(crate) const TOKEN_USER: &str = "tls-bootstrap-token-user";
/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long discovery goes on trying.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// In all, until an API server answers and has signed for the token, which
    /// it does within a second or two of the token's creation.
    pub bound: Duration,
    /// The pause between two tries.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            bound: Duration::from_secs(30),
            pause: Duration::from_secs(1),
        }
    }
}

/// Finds the cluster that `discovery` describes, and reads with the token what
/// joining needs; `on_wait` hears what is waited for.
///
/// # Errors
/// Nobody answers, or whoever answers is not proven to be the cluster, or the
/// token may not read what joining needs.
pub async fn discover(
    discovery: &Discovery,
    patience: Patience,
    on_wait: &(dyn Fn(String) + Send + Sync),
) -> Result<DiscoveredCluster, DiscoveryError> {
    let parsed = discovery.token.expose().parse::<BootstrapToken>();
    let search = Search {
        discovery,
        token: &parsed.map_err(DiscoveryError::InvalidToken)?,
        endpoint: &shown(&discovery.endpoint),
        patience,
        on_wait,
    };
    let (found, kubeconfig) = search.first_answer().await?;
    let info = ClusterInfo::parse(&kubeconfig)?;
    info.check_pins(&discovery.ca_pins)?;

    let client = search.verify(&info, &kubeconfig, found).await?;
    let config = JoiningConfig::read(&client, search.endpoint, search.token.id()).await?;
    let node_is_ready = config.node_is_ready(&client, &discovery.node_name).await?;
    Ok(DiscoveredCluster {
        name: config.name,
        is_ours: config.is_ours,
        kubeconfig_name: config.cluster_name,
        server: info.server,
        api_address: found.api_address,
        own_address: found.own_address,
        ca_pem: info.ca_pem,
        ca_pins: info.ca_pins,
        kubernetes_version: config.kubernetes_version,
        api_server_version: config.api_server_version,
        service_subnet: config.service_subnet,
        pod_subnet: config.pod_subnet,
        dns_domain: config.dns_domain,
        kubelet_configuration: config.kubelet_configuration,
        is_balanced: config.is_balanced,
        node_is_ready,
    })
}

/// The kubeconfig with which a token's owner speaks to the API server.
pub(crate) fn token_kubeconfig(
    cluster_name: &str,
    server: &str,
    ca_pem: &str,
    token: &BootstrapToken,
) -> Result<zeroize::Zeroizing<String>, slipway_pki::PkiError> {
    let kubeconfig = Kubeconfig {
        cluster_name: cluster_name.to_owned(),
        server: server.to_owned(),
        ca_pem: ca_pem.to_owned(),
        user_name: TOKEN_USER.to_owned(),
        credentials: Credentials::Token(token.expose()),
    };
    kubeconfig.to_yaml()
}

/// Both ends of a connection to an API server.
#[derive(Clone, Copy)]
struct Found {
    api_address: SocketAddr,
    own_address: IpAddr,
}

struct Search<'a> {
    discovery: &'a Discovery,
    token: &'a BootstrapToken,
    /// As the user knows it.
    endpoint: &'a str,
    patience: Patience,
    on_wait: &'a (dyn Fn(String) + Send + Sync),
}

impl Search<'_> {
    /// Returns who answered, and the kubeconfig that the token has signed.
    async fn first_answer(&self) -> Result<(Found, String), DiscoveryError> {
        let deadline = Instant::now() + self.patience.bound;
        let mut said = String::new();
        loop {
            let error = match self.try_once().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let may_come = matches!(
                error,
                DiscoveryError::Unreachable { .. } | DiscoveryError::UnknownToken { .. }
            );
            if !may_come || Instant::now() + self.patience.pause >= deadline {
                return Err(error);
            }
            let waiting = format!("waiting: {error}");
            if waiting != said {
                (self.on_wait)(waiting.clone());
                said = waiting;
            }
            tokio::time::sleep(self.patience.pause).await;
        }
    }

    async fn try_once(&self) -> Result<(Found, String), DiscoveryError> {
        let found = self.connect().await?;
        let client = ApiClient::blind(found.api_address)
            .map_err(|error| self.unreachable(Box::new(error)))?;
        let info = match client.get_config_map(KUBE_PUBLIC, CLUSTER_INFO).await {
            Ok(info) => info.unwrap_or_default(),
            Err(error) => return Err(self.no_info(error)),
        };
        let kubeconfig = self.check_signature(info)?;
        Ok((found, kubeconfig))
    }

    /// Finds an address that takes connections, and which of this machine's
    /// own addresses is on the way to it.
    async fn connect(&self) -> Result<Found, DiscoveryError> {
        let mut last: Box<dyn std::error::Error + Send + Sync> = "its name has no address".into();
        for address in &self.discovery.addresses {
            let api_address = SocketAddr::new(*address, self.discovery.endpoint.port);
            let connecting = TcpStream::connect(api_address);
            match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(stream)) => match stream.local_addr() {
                    Ok(own) => {
                        return Ok(Found {
                            api_address,
                            own_address: own.ip(),
                        });
                    }
                    Err(error) => last = error.into(),
                },
                Ok(Err(error)) => last = error.into(),
                Err(_) => {
                    let seconds = CONNECT_TIMEOUT.as_secs();
                    last = format!("no connection to {api_address} within {seconds} s").into();
                }
            }
        }
        Err(self.unreachable(last))
    }

    fn unreachable(&self, source: Box<dyn std::error::Error + Send + Sync>) -> DiscoveryError {
        DiscoveryError::Unreachable {
            endpoint: self.endpoint.to_owned(),
            source,
        }
    }

    fn no_info(&self, error: KubernetesError) -> DiscoveryError {
        // 401 and 403: anonymous requests are off, or the role is missing.
        if let KubernetesError::Refused {
            code: 401..=404, ..
        } = error
        {
            return DiscoveryError::NotSetUp {
                endpoint: self.endpoint.to_owned(),
                source: Some(Box::new(error)),
            };
        }
        self.unreachable(Box::new(error))
    }

    /// Returns the kubeconfig if the token has signed it.
    fn check_signature(&self, info: BTreeMap<String, String>) -> Result<String, DiscoveryError> {
        let id = self.token.id();
        let kubeconfig = info.get(KUBECONFIG).filter(|text| !text.is_empty());
        let Some(kubeconfig) = kubeconfig else {
            return Err(DiscoveryError::NotSetUp {
                endpoint: self.endpoint.to_owned(),
                source: None,
            });
        };
        let signature = info.get(&format!("{SIGNATURE_PREFIX}{id}"));
        match signature.filter(|text| !text.is_empty()) {
            None => Err(DiscoveryError::UnknownToken { id: id.to_owned() }),
            Some(signature) if self.token.has_signed(kubeconfig, signature) => {
                Ok(kubeconfig.clone())
            }
            Some(_) => Err(DiscoveryError::WrongSignature { id: id.to_owned() }),
        }
    }

    /// Reads `cluster-info` again, from a server that proves to be the
    /// cluster's, and returns a client that shows the token to it.
    async fn verify(
        &self,
        info: &ClusterInfo,
        kubeconfig: &str,
        found: Found,
    ) -> Result<ApiClient, DiscoveryError> {
        let server = format!("https://{}", self.endpoint);
        let own = token_kubeconfig("kubernetes", &server, &info.ca_pem, self.token)
            .map_err(DiscoveryError::InvalidToken)?;
        let unusable = |error: KubernetesError| DiscoveryError::Malformed {
            reason: error.to_string(),
        };
        // Only who is nobody may read it: the role is bound to system:anonymous.
        let anonymous = ApiClient::anonymous_at_address(&own, found.api_address)
            .await
            .map_err(unusable)?;
        let again = anonymous.get_config_map(KUBE_PUBLIC, CLUSTER_INFO).await;
        let again = again.map_err(|error| {
            DiscoveryError::of_verified_call(self.endpoint, CLUSTER_INFO, self.token.id(), error)
        })?;
        if again
            .unwrap_or_default()
            .get(KUBECONFIG)
            .map(String::as_str)
            != Some(kubeconfig)
        {
            return Err(DiscoveryError::Changed);
        }
        let client = ApiClient::at_address(&own, found.api_address).await;
        client.map_err(unusable)
    }
}

/// Returns `host:port`, an IPv6 address in brackets.
fn shown(endpoint: &Endpoint) -> String {
    match endpoint.host.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, endpoint.port).to_string(),
        Err(_) => format!("{}:{}", endpoint.host, endpoint.port),
    }
}
