//! Asks API servers whether they are ready, and who they all are.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::{Certificate, Client, Identity};
use serde::Deserialize;

use crate::BalancerOptions;
use crate::backends::Answer;

/// How long an API server has to answer: with two failures in a row this keeps
/// the time without one below five seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);
/// Where the API servers write down their addresses themselves. A kubelet may
/// get this object, not list nodes. Source: the role `system:node` in
/// `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go` of Kubernetes.
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints/kubernetes";

/// A client of all API servers, which trusts the cluster's CA alone.
#[derive(Clone, Debug)]
pub(crate) struct ApiServers {
    client: Client,
    has_identity: bool,
    read_from: Stamps,
}

/// When the files last changed: the CA when it is rotated, the kubelet's
/// certificate every few months.
type Stamps = [Option<SystemTime>; 2];

impl ApiServers {
    /// Reads the CA and, where there is one, the kubelet's certificate.
    pub(crate) fn read(options: &BalancerOptions) -> Result<Self, String> {
        let read_from = stamps(options);
        let unusable = |path: &Path, error: &dyn std::error::Error| {
            format!("cannot use {}: {}", path.display(), whole(error))
        };
        let ca = std::fs::read(&options.ca).map_err(|error| unusable(&options.ca, &error))?;
        let ca = Certificate::from_pem_bundle(&ca).map_err(|e| unusable(&options.ca, &e))?;
        let mut builder = Client::builder()
            .tls_certs_only(ca)
            .https_only(true)
            .no_proxy()
            .pool_max_idle_per_host(1)
            .timeout(ANSWER_TIMEOUT);
        let has_identity = match std::fs::read(&options.client) {
            Ok(pem) => {
                let identity = Identity::from_pem(&pem);
                builder = builder.identity(identity.map_err(|e| unusable(&options.client, &e))?);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(unusable(&options.client, &error)),
        };
        Ok(Self {
            client: builder.build().map_err(|e| unusable(&options.ca, &e))?,
            has_identity,
            read_from,
        })
    }

    /// Whether the files have changed since they were read.
    pub(crate) fn is_outdated(&self, options: &BalancerOptions) -> bool {
        self.read_from != stamps(options)
    }

    /// Asks the API server at `address` whether it is ready.
    pub(crate) async fn readiness(&self, address: SocketAddr) -> Answer {
        let url = format!("https://{address}/readyz");
        match self.client.get(url).send().await {
            // Where anonymous requests are forbidden, 401 comes from one that serves.
            Ok(response) if !response.status().is_server_error() => Answer::Ready,
            Ok(response) => Answer::NotReady(format!("/readyz says {}", response.status())),
            Err(error) => Answer::Unreachable(whole(&error)),
        }
    }

    /// Asks the API server at `address` for the addresses of all; `None`
    /// without the kubelet's certificate.
    pub(crate) async fn members(
        &self,
        address: SocketAddr,
    ) -> Result<Option<Vec<SocketAddr>>, String> {
        if !self.has_identity {
            return Ok(None);
        }
        let request = self.client.get(format!("https://{address}{ENDPOINTS}"));
        let answer = request.send().await.and_then(|r| r.error_for_status());
        let answer = answer.map_err(|error| whole(&error))?;
        let body = answer.bytes().await.map_err(|error| whole(&error))?;
        let endpoints: Endpoints = serde_json::from_slice(&body)
            .map_err(|error| format!("{ENDPOINTS} at {address} makes no sense: {error}"))?;
        Ok(Some(endpoints.addresses()))
    }
}

/// The part of an `Endpoints` object that matters here.
#[derive(Debug, Deserialize)]
struct Endpoints {
    #[serde(default)]
    subsets: Vec<Subset>,
}

#[derive(Debug, Deserialize)]
struct Subset {
    #[serde(default)]
    addresses: Vec<Address>,
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
struct Address {
    ip: IpAddr,
}

#[derive(Debug, Deserialize)]
struct Port {
    port: u16,
}

impl Endpoints {
    fn addresses(&self) -> Vec<SocketAddr> {
        let each = self.subsets.iter().flat_map(|subset| {
            let addresses = subset.addresses.iter();
            addresses.flat_map(|a| subset.ports.iter().map(|p| SocketAddr::new(a.ip, p.port)))
        });
        let mut all: Vec<_> = each.collect();
        all.sort();
        all.dedup();
        all
    }
}

fn stamps(options: &BalancerOptions) -> Stamps {
    let stamp = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    [stamp(&options.ca), stamp(&options.client)]
}

/// Returns an error with all its causes, in which the URL is left out.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        next = error.source();
        // reqwest's outermost error only says which URL it was for.
        if part.starts_with("error sending request") && next.is_some() {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_every_subset_is_a_member_once() {
        let object = r#"{"subsets":[
            {"addresses":[{"ip":"192.0.2.2"},{"ip":"192.0.2.1","nodeName":"cp-1"}],
             "ports":[{"name":"https","port":6443,"protocol":"TCP"}]},
            {"addresses":[{"ip":"192.0.2.1"},{"ip":"2001:db8::3"}],"ports":[{"port":6443}]},
            {"notReadyAddresses":[{"ip":"192.0.2.9"}],"ports":[{"port":6443}]}]}"#;
        let endpoints: Endpoints = serde_json::from_str(object).unwrap();
        let addresses: Vec<_> = endpoints
            .addresses()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            addresses,
            ["192.0.2.1:6443", "192.0.2.2:6443", "[2001:db8::3]:6443"]
        );
    }

    #[test]
    fn an_object_without_subsets_has_no_members() {
        let endpoints: Endpoints = serde_json::from_str(r#"{"metadata":{}}"#).unwrap();
        assert!(endpoints.addresses().is_empty());
    }
}
