//! kubeadm's certificates and kubeconfigs as data: names, places, signers and what they say.

mod certificate_name;
mod control_plane_names;
mod kubeconfig_name;
mod kubelet_serving;
mod subject_alternative_name;

pub use certificate_name::CertificateName;
pub use control_plane_names::ControlPlaneNames;
pub use kubeconfig_name::KubeconfigName;
pub use kubelet_serving::kubelet_serving_profile;

/// The group that kubeadm binds to `cluster-admin`.
pub const CLUSTER_ADMINS_GROUP: &str = "kubeadm:cluster-admins";

/// The group that passes all authorization, whatever RBAC says.
pub const SYSTEM_MASTERS_GROUP: &str = "system:masters";

/// The group of all kubelets.
pub const NODES_GROUP: &str = "system:nodes";

/// What a kubelet's user name starts with; the node's name follows.
pub const NODE_USER_PREFIX: &str = "system:node:";
