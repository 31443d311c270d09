//! Kernel settings of a host.

pub(crate) mod modules_load;
pub(crate) mod sysctl;
