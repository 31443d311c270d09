//! `certs generate-csr`: keys and requests for certificates that somebody else issues.

use std::path::PathBuf;

use slipway_agent::write_certificate_requests;
use slipway_planner::certificate_requests;

use crate::args::{GenerateCsrArgs, Output};
use crate::cli_error::CliError;
use crate::commands::init::cluster_here;
use crate::exit_code::ExitCode;
use crate::session::{Reading, load_spec};
use crate::show;

pub(super) async fn run(args: GenerateCsrArgs, output: Output) -> Result<ExitCode, CliError> {
    let spec = match args.config.as_deref() {
        Some(config) => {
            args.shape.refuse_beside_file(&args.node)?;
            load_spec(Some(config), Reading::Alone)?
        }
        None => cluster_here(&args.shape, &args.node, None).await?.spec,
    };
    let host = match args.host {
        Some(host) => host,
        None => spec.first_control_plane().name.clone(),
    };
    let requests = certificate_requests(&spec, &host).map_err(|error| {
        CliError::bad_input(error.to_string(), error.help().unwrap_or_default())
    })?;
    let written = write_certificate_requests(
        &requests.certificates,
        &requests.kubeconfigs,
        &args.cert_dir,
        &args.kubeconfig_dir,
    );
    let written = written.map_err(|error| CliError {
        code: ExitCode::Failed,
        failure: error.failure(),
    })?;
    match output {
        Output::Text => show_written(&written),
        Output::Json => show::json_line(&serde_json::json!({ "host": host, "files": written })),
    }
    Ok(ExitCode::Done)
}

fn show_written(written: &[PathBuf]) {
    outln!("wrote keys, and a request (.csr) beside each:");
    for path in written {
        outln!("  {}", path.display());
    }
    noteln!(
        "\nHave the requests signed by the CA; put each certificate beside its key as .crt, or into its kubeconfig with the CA, and everything on the host below /etc/kubernetes."
    );
}
