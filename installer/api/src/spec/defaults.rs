//! What a cluster file means where it says nothing.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// The pods' subnet; the one flannel's own manifest uses.
pub(super) const POD_SUBNET: IpNet =
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(10, 244, 0, 0)), 16);

/// The Services' subnet; kubeadm's default.
pub(super) const SERVICE_SUBNET: IpNet =
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 0)), 12);

/// The cluster's DNS domain; kubeadm's default.
pub(super) const DNS_DOMAIN: &str = "cluster.local";

/// When snapshots of etcd are taken, where they are.
pub(super) const ETCD_SNAPSHOT_SCHEDULE: &str = "daily";

/// How many snapshots of etcd a host keeps.
pub(super) const ETCD_SNAPSHOTS_KEPT: u16 = 7;

/// The CRI socket; kubeadm's default for containerd.
pub(super) const CRI_SOCKET: &str = "/var/run/containerd/containerd.sock";

/// The API server's port; kubeadm's default.
pub(super) const API_SERVER_PORT: u16 = 6443;

/// The SSH port.
pub(super) const SSH_PORT: u16 = 22;
