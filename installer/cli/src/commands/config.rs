//! `config`: looks at cluster files without touching a host.

use slipway_api::{Role, print_cluster, print_defaults};

use crate::args::{ConfigCommand, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::load_spec;

pub(crate) fn run(command: ConfigCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Print { config: None } => print!("{}", print_defaults()),
        ConfigCommand::Print { config } => {
            let spec = load_spec(config.as_deref())?;
            match output {
                Output::Text => print!("{}", print_cluster(&spec)),
                Output::Json => {
                    let text =
                        serde_json::to_string_pretty(&spec).expect("the file has only string keys");
                    println!("{text}");
                }
            }
        }
        ConfigCommand::Validate { config } => {
            let spec = load_spec(config.as_deref())?;
            let control_planes = spec.hosts_with_role(Role::ControlPlane).count();
            let workers = spec.hosts_with_role(Role::Worker).count();
            match output {
                Output::Text => println!(
                    "{}: Kubernetes {}, {control_planes} control-plane and {workers} worker hosts, no errors",
                    spec.name, spec.kubernetes_version
                ),
                Output::Json => println!(
                    "{}",
                    serde_json::json!({ "valid": true, "cluster": spec.name })
                ),
            }
        }
    }
    Ok(ExitCode::Done)
}
