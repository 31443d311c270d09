//! Files of containerd.

pub(crate) mod config;
pub(crate) mod registry_hosts;
pub(crate) mod unit;
