//! Files of the kubelet.

pub(crate) mod config;
pub(crate) mod drop_in;
pub(crate) mod instance_config;
pub(crate) mod kubeadm_flags;
pub(crate) mod unit;
