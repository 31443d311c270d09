//! The arguments of `upgrade`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use slipway_api::KubernetesVersion;

use crate::args::{ClusterArgs, SourceArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum UpgradeCommand {
    /// Show the way to a version and every step of it; exits 2 if there is anything to do.
    Plan(UpgradePlanArgs),
    /// Go there: everything is brought to all hosts first, then one node changes after the
    /// other, the control plane before the workers.
    ///
    /// A node whose change fails is put back to what it was. The same command goes on where a
    /// run was cut off. Without a version this brings the nodes to what the file says in the
    /// same careful way.
    Apply(UpgradeApplyArgs),
}

/// Where an upgrade leads, and how nodes are taken out of service for it.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The Kubernetes version to go to; by default the one in the cluster file.
    #[arg(value_name = "VERSION")]
    pub target: Option<KubernetesVersion>,
    /// The same.
    #[arg(long, value_name = "VERSION", conflicts_with = "target")]
    pub to: Option<KubernetesVersion>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// How many workers are out of service at a time.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_unavailable: u16,
    /// Whether the certificates of nodes that get another version are renewed.
    #[arg(
        long,
        value_name = "true|false",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true
    )]
    pub certificate_renewal: bool,
    /// How long the drain of a node may take, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub drain_timeout: u64,
    /// Evict pods with emptyDir volumes too; their data is lost.
    #[arg(long)]
    pub delete_emptydir_data: bool,
    /// IDs of preflight checks whose errors become warnings; `all` for every one.
    #[arg(long, value_delimiter = ',', value_name = "ID[,ID]")]
    pub ignore_preflight_errors: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradePlanArgs {
    #[command(flatten)]
    pub upgrade: UpgradeArgs,
    /// Write it to this file too, for `upgrade apply --plan`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeApplyArgs {
    #[command(flatten)]
    pub upgrade: UpgradeArgs,
    /// Run the plan that `upgrade plan --out` wrote within the last day, without asking: no step
    /// more than it has, or nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "to", "dry_run"])]
    pub plan: Option<PathBuf>,
    /// Do not ask before anything changes.
    #[arg(short, long)]
    pub yes: bool,
    /// Print the plan and stop.
    #[arg(long)]
    pub dry_run: bool,
}
