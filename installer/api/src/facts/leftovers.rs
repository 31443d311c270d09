//! What a pods' network keeps on a host, and leaves there when nobody cleans up.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Traces of a pods' network; links and their addresses are told apart from these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftovers {
    /// The whole network in flannel's `/run/flannel/subnet.env`.
    pub flannel_network: Option<IpNet>,
    /// This host's part of it.
    pub flannel_subnet: Option<IpNet>,
    /// Addresses that CNI's host-local plugin holds as taken.
    pub cni_leases: u32,
    /// Netfilter chains of kube-proxy, kubelet and flannel. Not counted on a
    /// host that Slipway made a node.
    pub chains: u32,
}
