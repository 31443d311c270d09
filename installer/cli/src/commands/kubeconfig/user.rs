//! `kubeconfig user`: credentials for a person or program, with no more rights than its groups.

use slipway_api::GoDuration;
use slipway_api::protocol::{Reply, Request, UserRequest};
use slipway_pki::{
    CertificateProfile, Credentials, KeyAlgorithm, Kubeconfig, PkiError, PrivateKey,
    certificate_request,
};

use super::write_private;
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::kubeconfig_args::UserArgs;

/// The group whose members may do everything, whatever RBAC says, and cannot be stopped.
const MASTERS: &str = "system:masters";

pub(super) async fn run(args: UserArgs) -> Result<ExitCode, CliError> {
    let validity = args
        .validity_period
        .parse::<GoDuration>()
        .map_err(|error| CliError::bad_input(error.to_string(), "a duration such as `720h`"))?;
    if args.client_name.trim().is_empty() || validity.as_secs() == 0 {
        return Err(CliError::bad_input(
            "a user needs a name and a time for which it is valid",
            "for example `--client-name ada --org developers --validity-period 720h`",
        ));
    }
    let cluster = Cluster::find(&args.cluster).await?;
    // The key is made here and goes nowhere.
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).map_err(failed)?;
    let groups: Vec<&str> = args.org.iter().map(String::as_str).collect();
    let profile = CertificateProfile::client(args.client_name.clone(), &groups);
    let request = UserRequest {
        name: args.client_name.clone(),
        organizations: args.org.clone(),
        validity_seconds: validity.as_secs(),
        request_pem: certificate_request(&key, &profile).map_err(failed)?,
    };
    let reply = cluster.ask_control_plane(&args.cluster, Request::SignUser(request));
    let Reply::UserCertificate(signed) = reply.await? else {
        return Err(CliError::bad_input(
            "the agent answered something else",
            "run it again",
        ));
    };
    let kubeconfig = Kubeconfig {
        cluster_name: signed.cluster_name,
        server: signed.server,
        ca_pem: signed.ca_pem,
        user_name: args.client_name.clone(),
        credentials: Credentials::Embedded {
            cert_pem: signed.certificate_pem,
            key_pem: key.to_pem(),
        },
    };
    let text = kubeconfig.to_yaml().map_err(failed)?;
    match &args.out {
        None => out!("{}", &*text),
        Some(path) => {
            write_private(path, &text)?;
            noteln!("wrote {}", path.display());
        }
    }
    if args.org.iter().any(|group| group == MASTERS) {
        noteln!("warning: {MASTERS} may do everything, and nothing but a new CA takes that away");
    }
    noteln!(
        "It cannot be taken back before it expires: give rights to its groups, and take those away."
    );
    Ok(ExitCode::Done)
}

fn failed(error: PkiError) -> CliError {
    CliError::failed(&error)
}
