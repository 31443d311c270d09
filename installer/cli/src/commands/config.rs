//! `config`: looks at cluster files without touching a host.

use slipway_api::{Role, print_cluster, print_defaults};

use super::config_import;
use crate::args::{ConfigCommand, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{Reading, load_spec};
use crate::show;

pub(crate) async fn run(command: ConfigCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Import(args) => return config_import::run(args).await,
        ConfigCommand::Print { config: None } => out!("{}", print_defaults()),
        ConfigCommand::Print { config } => {
            let spec = load_spec(config.as_deref(), Reading::Alone)?;
            match output {
                Output::Text => out!("{}", print_cluster(&spec)),
                Output::Json => {
                    show::json(&spec);
                }
            }
        }
        ConfigCommand::Validate { config } => {
            let spec = load_spec(config.as_deref(), Reading::Whole)?;
            let control_planes = spec.hosts_with_role(Role::ControlPlane).count();
            let workers = spec.hosts_with_role(Role::Worker).count();
            match output {
                Output::Text => outln!(
                    "{}: Kubernetes {}, {control_planes} control-plane and {workers} worker hosts, no errors",
                    spec.name,
                    spec.kubernetes_version
                ),
                Output::Json => {
                    show::json_line(&serde_json::json!({ "valid": true, "cluster": spec.name }))
                }
            }
        }
    }
    Ok(ExitCode::Done)
}
