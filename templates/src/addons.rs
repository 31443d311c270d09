//! What runs in every cluster beside the control plane.

pub(crate) mod coredns;
pub(crate) mod corefile;
pub(crate) mod flannel;
pub(crate) mod kube_proxy;
pub(crate) mod kube_proxy_config;
pub(crate) mod metrics_server;
