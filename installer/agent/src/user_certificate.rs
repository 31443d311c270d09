//! A certificate for a person or program, signed with the cluster's CA.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use slipway_api::protocol::UserRequest;
use slipway_api::{UserCertificate, paths};
use slipway_pki::{CertificateAuthority, CertificateProfile, Kubeconfig, NotBefore};

use crate::server::under;
use crate::{AgentError, files};

/// Signs a request; the key it is for stays where it was made.
///
/// # Errors
/// The CA's key is not on this host, or the request is no request.
pub(crate) fn sign_user(request: &UserRequest, root: &Path) -> Result<UserCertificate, AgentError> {
    let read = |path: &str| {
        let path = under(root, path);
        std::fs::read_to_string(&path).map_err(AgentError::file("read", &path))
    };
    let key = format!("{}/ca.key", paths::PKI_DIR);
    if !under(root, &key).exists() {
        return Err(AgentError::Blocked {
            message: "the key of the cluster's CA is not on this host".to_owned(),
            help: "whoever has it signs: `openssl req -new` makes the request, and `kubectl config set-credentials` takes the certificate".to_owned(),
        });
    }
    let pki = |source| AgentError::pki("sign the user's certificate")(source);
    let ca_pem = read(paths::CLUSTER_CA)?;
    let authority = CertificateAuthority::load(&ca_pem, &read(&key)?).map_err(pki)?;
    let organizations: Vec<&str> = request.organizations.iter().map(String::as_str).collect();
    let profile = CertificateProfile {
        not_before: NotBefore::Backdated,
        ..CertificateProfile::client(request.name.clone(), &organizations)
    };
    let validity = Duration::from_secs(request.validity_seconds);
    let certificate_pem = authority
        .sign_request(&request.request_pem, &profile, Timestamp::now(), validity)
        .map_err(pki)?;
    let admin = files::read_text(&under(root, paths::ADMIN_CONF))?.unwrap_or_default();
    let admin = Kubeconfig::parse(&admin).map_err(AgentError::pki("read admin.conf"))?;
    Ok(UserCertificate {
        certificate_pem,
        ca_pem,
        server: admin.server.clone(),
        cluster_name: admin.cluster_name.clone(),
    })
}
