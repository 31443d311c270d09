//! `certs`: when certificates expire, new ones, and requests for those issued elsewhere.

mod check_expiration;
mod generate_csr;
mod renew;

use crate::args::{CertsCommand, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;

pub(crate) async fn run(command: CertsCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        CertsCommand::CheckExpiration(args) => check_expiration::run(args, output).await,
        CertsCommand::Renew(args) => renew::run(args, output).await,
        CertsCommand::GenerateCsr(args) => generate_csr::run(*args, output).await,
    }
}
