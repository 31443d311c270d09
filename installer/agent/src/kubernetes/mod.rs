//! The Kubernetes API as steps and facts need it: one client, bounded calls, plain sentences.

mod api_client;
mod api_condition;
mod applied;
mod bootstrap_token;
mod certificate_secret;
mod cluster_info;
mod config_map;
mod discovery;
mod discovery_error;
mod drain;
mod error;
mod found_cluster;
mod joining_config;
mod manifest_object;
mod node_marks;
mod node_summary;
mod object_difference;
mod observation;
mod pod_trouble;
mod resource_kind;
mod retry;
mod upgrade_facts;

pub use api_client::ApiClient;
pub use api_condition::ApiCondition;
pub use applied::Applied;
pub use bootstrap_token::{BootstrapToken, BootstrapTokenId};
pub(crate) use discovery::token_kubeconfig;
pub use discovery::{Patience, discover};
pub use discovery_error::DiscoveryError;
pub use drain::{Drain, Drained};
pub use error::KubernetesError;
pub(crate) use joining_config::is_balanced;
pub use node_summary::NodeSummary;
pub use object_difference::ObjectDifference;
pub use observation::Observation;

/// The field manager under which Slipway applies objects.
pub const FIELD_MANAGER: &str = "slipway";

/// The namespace of everything that belongs to the cluster itself.
pub const KUBE_SYSTEM: &str = "kube-system";
