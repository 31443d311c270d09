//! Addresses and names that several files must agree on.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use slipway_api::{ClusterSpec, HostSpec, step::ControlPlaneNames};

/// The API server's port.
pub(crate) const API_PORT: u16 = 6443;
/// The cluster's name inside kubeconfigs and certificates: kubeadm's default,
/// which kubeadm keeps apart from what people call the cluster.
pub(crate) const CLUSTER_NAME: &str = "kubernetes";
/// The keys' algorithm where no ClusterConfiguration says otherwise.
pub(crate) const KEY_ALGORITHM: &str = "ECDSA-P256";

/// Returns the URL of the API server on a control-plane host itself.
pub(crate) fn local_api_url(host: &HostSpec) -> String {
    format!("https://{}", SocketAddr::new(host.node_ip, API_PORT))
}

/// Returns the URL under which everybody reaches the API.
pub(crate) fn api_url(spec: &ClusterSpec) -> String {
    match &spec.control_plane_endpoint {
        Some(endpoint) => format!("https://{}", host_port(&endpoint.host, endpoint.port)),
        None => local_api_url(spec.first_control_plane()),
    }
}

/// Returns the endpoint as kubeadm's configuration writes it.
pub(crate) fn control_plane_endpoint(spec: &ClusterSpec) -> String {
    let url = api_url(spec);
    url.trim_start_matches("https://").to_owned()
}

fn host_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Returns the `index`-th address of a subnet.
pub(crate) fn nth_address(subnet: &IpNet, index: u8) -> IpAddr {
    match subnet {
        IpNet::V4(net) => (u32::from(net.network()).wrapping_add(u32::from(index)))
            .to_be_bytes()
            .into(),
        IpNet::V6(net) => (u128::from(net.network()).wrapping_add(u128::from(index)))
            .to_be_bytes()
            .into(),
    }
}

/// Returns further names of every API server: through them a node reaches the
/// server beside it, which balancing on nodes needs from the first day.
pub(crate) fn extra_api_names() -> Vec<String> {
    vec!["127.0.0.1".to_owned(), "localhost".to_owned()]
}

/// Returns the names for the certificates of a control-plane host.
pub(crate) fn control_plane_names(
    spec: &ClusterSpec,
    host: &HostSpec,
    kubelet_client_is_admin: bool,
) -> ControlPlaneNames {
    ControlPlaneNames {
        node_name: host.node_name().to_owned(),
        advertise_address: host.node_ip,
        first_service_ip: nth_address(&spec.networking.service_subnet, 1),
        dns_domain: spec.networking.dns_domain.clone(),
        endpoint_host: spec
            .control_plane_endpoint
            .as_ref()
            .map(|endpoint| endpoint.host.clone()),
        extra_sans: extra_api_names(),
        kubelet_client_is_admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dns_service_has_the_tenth_address() {
        let subnet: IpNet = "10.96.0.0/12".parse().unwrap();
        assert_eq!(nth_address(&subnet, 10).to_string(), "10.96.0.10");
        let subnet: IpNet = "fd00::/108".parse().unwrap();
        assert_eq!(nth_address(&subnet, 1).to_string(), "fd00::1");
    }
}
