//! Kernel settings, routes and small services of a host.

pub(crate) mod apiserver_proxy;
pub(crate) mod etcd_snapshot;
pub(crate) mod modules_load;
pub(crate) mod service_route;
pub(crate) mod sysctl;
