//! Kernel settings and routes of a host.

pub(crate) mod modules_load;
pub(crate) mod service_route;
pub(crate) mod sysctl;
