//! The arguments of `kubeconfig`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::ClusterArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum KubeconfigCommand {
    /// Make one for a person or program, whose rights are those of its groups.
    User(UserArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The user's name, as RBAC knows it.
    #[arg(long, value_name = "NAME")]
    pub client_name: String,
    /// A group that it belongs to; may be given several times.
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub org: Vec<String>,
    /// For how long it is valid.
    #[arg(long, default_value = "8760h", value_name = "DURATION")]
    pub validity_period: String,
    /// Write it to this file, readable by you only, instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct KubeconfigArgs {
    #[command(subcommand)]
    pub command: Option<KubeconfigCommand>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Write it to this file, readable by you only, instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Lead to the API over SSH, for as long as this runs: from a port on 127.0.0.1
    /// here, through a control-plane host that serves. The file goes at the end.
    #[arg(long, requires = "out")]
    pub proxy: bool,
    /// The port on 127.0.0.1; any free one by default.
    #[arg(
        long,
        value_name = "PORT",
        requires = "proxy",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub proxy_port: u16,
}
