//! The `slipway` command.

// All output goes through `terminal`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod terminal;

mod args;
mod beside;
mod cli_error;
mod cluster;
mod commands;
mod exit_code;
mod file_version;
mod join_target;
mod kubeconfig_args;
mod local_args;
mod saved_plan;
mod session;
mod show;
mod this_machine;
mod upgrade_args;

use clap::Parser;

use crate::args::Cli;
use crate::exit_code::ExitCode;

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let code = if error.use_stderr() {
                ExitCode::BadInput
            } else {
                ExitCode::Done
            };
            return code.into();
        }
    };
    // One crypto provider for everything that speaks TLS.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        noteln!("error: another TLS provider is installed already; this is a bug");
        return ExitCode::Bug.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            noteln!("error: cannot start the runtime: {error}");
            return ExitCode::Bug.into();
        }
    };
    let json = cli.output == args::Output::Json;
    let result = runtime.block_on(commands::run(cli));
    // A blocking read of stdin must not hold up the end of the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code.into(),
        Err(error) => {
            error.print(json);
            error.code.into()
        }
    }
}
