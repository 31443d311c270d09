//! Where a member is reached: an address and, for TLS, the name that it must prove.

use std::net::IpAddr;

use http::Uri;

use super::EtcdError;
use crate::probes::addresses_of;

/// Where the member on this very host listens. Source: kubeadm's
/// `GetClientURLByIP("127.0.0.1")` in etcd's static Pod.
pub const LOCAL_ENDPOINT: &str = "https://127.0.0.1:2379";

/// Returns the URL with an address in the place of its name, and that name:
/// names are resolved as the host's own programs do.
pub(crate) async fn located(endpoint: &str) -> Result<(String, Option<String>), EtcdError> {
    let wrong = |reason: &str| EtcdError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason: reason.to_owned(),
    };
    let uri: Uri = endpoint.parse().map_err(|_| wrong("it is no URL"))?;
    let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Ok((endpoint.to_owned(), None));
    }
    let addresses = addresses_of(host).await;
    let Some(address) = addresses.first() else {
        return Err(wrong(&format!("{host} resolves to no address")));
    };
    let shown = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    Ok((endpoint.replacen(host, &shown, 1), Some(host.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_taken_as_it_is() {
        for endpoint in ["https://192.0.2.7:2379", "https://[2001:db8::1]:2379"] {
            assert_eq!(
                located(endpoint).await.unwrap(),
                (endpoint.to_owned(), None)
            );
        }
    }

    #[tokio::test]
    async fn an_endpoint_without_a_host_is_refused() {
        let error = located("/var/run/etcd").await.unwrap_err();
        assert!(matches!(error, EtcdError::Endpoint { .. }), "{error}");
    }
}
