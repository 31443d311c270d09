//! Objects by which nodes join a cluster and kubeadm knows it.

pub(crate) mod apiserver_kubelet_client;
pub(crate) mod bootstrap_token_rbac;
pub(crate) mod cluster_admins;
pub(crate) mod cluster_configuration;
pub(crate) mod cluster_info;
pub(crate) mod kubeadm_config;
pub(crate) mod kubelet_config;
