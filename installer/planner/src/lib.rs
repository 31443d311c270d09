//! Decides, without I/O, what has to happen on which host and why.
//!
//! The planner says everything that must hold; the agents' checks then say
//! what already does ([`slipway_api::Plan::without_satisfied`]). Same input,
//! same bytes: no clock, no randomness, no files.

mod addons;
mod balancer;
mod builder;
mod certificate_expiry;
mod certificate_recipes;
mod cluster_health;
mod components;
mod control_plane;
mod control_plane_hosts;
mod control_plane_removal;
mod departures;
mod error;
mod etcd_snapshots;
mod etcd_survivors;
mod etcd_troubles;
mod external_ca;
mod footprint;
mod images;
mod install;
mod joined_control_plane;
mod leftovers;
mod manifests;
mod membership;
mod names;
mod node_certificates;
mod own_files;
mod patches;
mod plan_apply;
mod plan_cluster;
mod plan_defragment;
mod plan_fixes;
mod plan_here;
mod plan_local_join;
mod plan_recovery;
mod plan_removal;
mod plan_renewal;
mod plan_restore;
mod plan_upgrade;
pub mod preflight;
mod skipped_phases;
mod static_pods;
mod suit_machine;
mod supply;
mod upgrade_path;
mod upgrade_stage;
mod way_back;
mod worker;
mod written_paths;

pub use certificate_expiry::CertificateExpiry;
pub use certificate_recipes::{CertificateRecipes, certificate_requests};
pub use cluster_health::{ClusterHealth, Seen};
pub use error::PlanError;
pub use etcd_survivors::{EtcdSurvivor, EtcdViews, choose_survivor};
pub use etcd_troubles::{etcd_troubles, quota_percent};
pub use images::cluster_images;
pub use plan_apply::{Departure, plan_apply};
pub use plan_cluster::{Scope, plan_cluster};
pub use plan_defragment::plan_defragment;
pub use plan_fixes::plan_fixes;
pub use plan_here::plan_here;
pub use plan_local_join::{JoiningNode, joining_spec, plan_local_join};
pub use plan_recovery::plan_recovery;
pub use plan_removal::{Removal, plan_cleanup, plan_removal};
pub use plan_renewal::plan_renewal;
pub use plan_restore::{Restore, plan_restore};
pub use plan_upgrade::{UpgradeOptions, plan_upgrade};
pub use skipped_phases::{SkippedPhases, UnknownPhase};
pub use suit_machine::suit_machine;
pub use supply::Renewal;
pub use upgrade_path::{UpgradePath, WrongTarget};
