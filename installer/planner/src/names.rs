//! Addresses and names that several files must agree on.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use slipway_api::{ClusterSpec, Etcd, HostSpec, Role, step::ControlPlaneNames};

use crate::balancer::has_balancer;

/// The API server's port.
pub(crate) const API_PORT: u16 = 6443;

/// Returns where the API server of a control-plane host listens.
pub(crate) fn api_address(host: &HostSpec) -> SocketAddr {
    SocketAddr::new(host.node_ip, API_PORT)
}

/// Returns the URL of the API server on a control-plane host itself.
pub(crate) fn local_api_url(host: &HostSpec) -> String {
    format!("https://{}", api_address(host))
}

/// The URL of the API server through the balancer on a worker, or on a
/// control-plane node the server itself.
const BALANCED_URL: &str = "https://127.0.0.1:6443";

/// Returns the URL in the kubeconfigs of administrators on `host`: without an
/// endpoint the API server beside them, which goes when they go.
pub(crate) fn administrator_url(spec: &ClusterSpec, host: &HostSpec) -> String {
    given_url(spec).unwrap_or_else(|| local_api_url(host))
}

/// Returns the URL for what runs on workers, and on all nodes alike.
pub(crate) fn node_url(spec: &ClusterSpec) -> String {
    if has_balancer(spec, Role::Worker) {
        BALANCED_URL.to_owned()
    } else {
        administrator_url(spec, spec.first_control_plane())
    }
}

fn given_url(spec: &ClusterSpec) -> Option<String> {
    let endpoint = spec.control_plane_endpoint.as_ref()?;
    Some(format!(
        "https://{}",
        host_port(&endpoint.host, endpoint.port)
    ))
}

/// Returns a host with its port, as URLs have them.
pub(crate) fn host_port(host: &str, port: u16) -> String {
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

/// Names of every API server beyond kubeadm's own: through them a node reaches
/// the server beside it, which balancing on nodes needs from the first day.
pub(crate) const LOCAL_API_NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// Returns the file's further names of every API server, and those of our own.
fn extra_api_names(spec: &ClusterSpec) -> Vec<String> {
    let mut names = spec.cluster_configuration.api_server.cert_sans.clone();
    for name in LOCAL_API_NAMES {
        if !names.iter().any(|given| given == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Returns the address at `index` of the first Service subnet: 1 is the API
/// server's, 10 the cluster DNS's.
pub(crate) fn service_address(spec: &ClusterSpec, index: u8) -> IpAddr {
    nth_address(&spec.networking.service_subnet.first(), index)
}

/// Returns the names for the certificates of a control-plane host.
pub(crate) fn control_plane_names(
    spec: &ClusterSpec,
    host: &HostSpec,
    kubelet_client_is_admin: bool,
) -> ControlPlaneNames {
    let (etcd_server_sans, etcd_peer_sans) = match &spec.cluster_configuration.etcd {
        Etcd::Local(etcd) => (etcd.server_cert_sans.clone(), etcd.peer_cert_sans.clone()),
        Etcd::External(_) => (Vec::new(), Vec::new()),
    };
    ControlPlaneNames {
        node_name: host.node_name().to_owned(),
        advertise_address: host.node_ip,
        first_service_ip: service_address(spec, 1),
        dns_domain: spec.networking.dns_domain.clone(),
        endpoint_host: spec
            .control_plane_endpoint
            .as_ref()
            .map(|endpoint| endpoint.host.clone()),
        extra_sans: extra_api_names(spec),
        etcd_server_sans,
        etcd_peer_sans,
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
