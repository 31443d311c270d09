//! kubeadm's `ClusterConfiguration` document.

mod cluster_configuration;
mod component;
mod etcd;
mod images;
mod schemas;

pub(super) use cluster_configuration::KubeadmDraft;
