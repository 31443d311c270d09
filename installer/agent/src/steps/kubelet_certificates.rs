//! The kubelet's certificates: keys made here, requests signed by a control-plane host.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use slipway_api::protocol::Attachment;
use slipway_api::step::{EnsureKubeletClient, EnsureKubeletServing};
use slipway_api::{Check, Step, paths};
use slipway_pki::{
    CertificateFacts, CertificateName, CertificateProfile, Credentials, Kubeconfig, KubeconfigName,
    PrivateKey, certificate_request, kubelet_serving_profile,
};

use super::certificates::{PUBLIC, SECRET, algorithm, load_authority, trusts, why_unfit};
use super::needed;
use crate::context::Context;
use crate::{AgentError, files};

pub(super) fn check_client(
    step: &EnsureKubeletClient,
    context: &Context,
) -> Result<Check, AgentError> {
    if let Some(because) = client_fault(step, context)? {
        return Ok(needed(Some(because)));
    }
    exposed(&client_secrets(context))
}

/// Returns the files that hold the client's key or lead to it.
fn client_secrets(context: &Context) -> [PathBuf; 2] {
    [paths::KUBELET_CONF, paths::KUBELET_CLIENT].map(|path| context.at(path))
}

/// Says which of these files others than root can get at.
fn exposed(paths: &[PathBuf]) -> Result<Check, AgentError> {
    for path in paths {
        if let Some(because) = files::exposure(path)? {
            return Ok(needed(Some(because)));
        }
    }
    Ok(Check::Satisfied)
}

/// Returns why a kubelet's client certificate must be issued anew; none if it serves.
fn client_fault(
    step: &EnsureKubeletClient,
    context: &Context,
) -> Result<Option<String>, AgentError> {
    let because = |text: &str| Ok(Some(text.to_owned()));
    let Some(text) = files::read_text(&context.at(paths::KUBELET_CONF))? else {
        return because("kubelet.conf is not there");
    };
    let Ok(found) = Kubeconfig::parse(&text) else {
        return because("kubelet.conf cannot be read");
    };
    if found.server != step.server {
        return Ok(Some(format!(
            "kubelet.conf names {}, not {}",
            found.server, step.server
        )));
    }
    let authority = files::read_text(&context.at(paths::CLUSTER_CA))?;
    if !trusts(&found, authority.as_deref()) {
        return because("kubelet.conf trusts another certificate authority");
    }
    let Some(pair) = client_pair(context)? else {
        return because("the client certificate is not there");
    };
    let profile = client_profile(&step.node_name);
    let replaced = step.replaces.as_deref();
    Ok(why_unfit(
        &pair,
        &pair,
        authority.as_deref(),
        &profile,
        replaced,
    ))
}

/// Returns the kubelet's newest client certificate with its key.
pub(super) fn client_pair(
    context: &Context,
) -> Result<Option<zeroize::Zeroizing<String>>, AgentError> {
    let path = context.at(paths::KUBELET_CLIENT);
    Ok(files::read_text(&path)?.map(zeroize::Zeroizing::new))
}

pub(super) fn apply_client(
    step: &EnsureKubeletClient,
    context: &Context,
) -> Result<(), AgentError> {
    if client_fault(step, context)?.is_none() {
        client_secrets(context)
            .iter()
            .try_for_each(|path| files::close(path))?;
        return forget_pending("client", context);
    }
    let (certificate, authority) = signed(&context.attachment)?;
    let key = pending_key(&pending_path("client", context), certificate)?;
    let folder = context.at(paths::KUBELET_PKI_DIR);
    let now = Timestamp::now();
    // The kubelet's own naming, so that it takes over rotation as if it had asked itself.
    let name = format!("kubelet-client-{}.pem", now.strftime("%Y-%m-%d-%H-%M-%S"));
    let pair = zeroize::Zeroizing::new(format!("{certificate}{}", key.as_str()));
    files::write(&folder.join(&name), SECRET, pair.as_bytes())?;
    let link = context.at(paths::KUBELET_CLIENT);
    let target = format!("{}/{name}", paths::KUBELET_PKI_DIR);
    files::link(&link, target.as_ref())?;

    let current = paths::KUBELET_CLIENT.to_owned();
    let kubeconfig = Kubeconfig {
        cluster_name: step.cluster_name.clone(),
        server: step.server.clone(),
        ca_pem: authority.to_owned(),
        user_name: KubeconfigName::Kubelet.user_name(&step.node_name),
        credentials: Credentials::Files {
            client_certificate: current.clone(),
            client_key: current,
        },
    };
    let text = kubeconfig
        .to_yaml()
        .map_err(AgentError::pki("write kubelet.conf"))?;
    files::write(&context.at(paths::KUBELET_CONF), SECRET, text.as_bytes())?;
    forget_pending("client", context)
}

pub(super) fn check_serving(
    step: &EnsureKubeletServing,
    context: &Context,
) -> Result<Check, AgentError> {
    match serving_fault(step, context)? {
        Some(because) => Ok(needed(Some(because))),
        None => exposed(&[serving_paths(context).1]),
    }
}

/// Returns why a serving certificate must be issued anew; none if it serves.
fn serving_fault(
    step: &EnsureKubeletServing,
    context: &Context,
) -> Result<Option<String>, AgentError> {
    let (certificate, key) = serving_paths(context);
    let (Some(certificate), Some(key)) = (files::read_text(&certificate)?, files::read_text(&key)?)
    else {
        return Ok(Some("it is not there".to_owned()));
    };
    let authority = files::read_text(&context.at(paths::CLUSTER_CA))?;
    let profile = serving_profile(step);
    Ok(why_unfit(
        &certificate,
        &key,
        authority.as_deref(),
        &profile,
        step.replaces.as_deref(),
    ))
}

pub(super) fn apply_serving(
    step: &EnsureKubeletServing,
    context: &Context,
) -> Result<(), AgentError> {
    if serving_fault(step, context)?.is_none() {
        files::close(&serving_paths(context).1)?;
        return forget_pending("serving", context);
    }
    let (certificate, _) = signed(&context.attachment)?;
    let key = pending_key(&pending_path("serving", context), certificate)?;
    let (certificate_path, key_path) = serving_paths(context);
    files::write(&key_path, SECRET, key.as_bytes())?;
    files::write(&certificate_path, PUBLIC, certificate.as_bytes())?;
    forget_pending("serving", context)
}

/// Makes a key, kept on this host, and returns a certificate request for it.
pub(crate) fn prepare_request(step: &Step, context: &Context) -> Result<String, AgentError> {
    let Recipe {
        kind,
        profile,
        algorithm: key_algorithm,
        ..
    } = recipe(step)?;
    let doing = || {
        AgentError::pki(format!(
            "make a request for the kubelet's {kind} certificate"
        ))
    };
    let key = algorithm(key_algorithm)
        .and_then(PrivateKey::generate)
        .map_err(doing())?;
    files::make_private_dir(&context.at(paths::PENDING_DIR))?;
    files::write(
        &pending_path(kind, context),
        SECRET,
        key.to_pem().as_bytes(),
    )?;
    certificate_request(&key, &profile).map_err(doing())
}

/// Signs a request with this host's cluster CA. Only the public key comes from
/// the request: what the certificate says is the recipe's.
pub(crate) fn sign_request(
    step: &Step,
    request_pem: &str,
    context: &Context,
) -> Result<(String, String), AgentError> {
    let Recipe {
        kind,
        profile,
        validity,
        ..
    } = recipe(step)?;
    let authority = load_authority(CertificateName::Apiserver, context)?;
    let certificate = authority
        .sign_request(request_pem, &profile, Timestamp::now(), validity)
        .map_err(AgentError::pki(format!(
            "sign the kubelet's {kind} certificate"
        )))?;
    Ok((certificate, authority.certificate_pem().to_owned()))
}

/// What is made and signed for a step.
struct Recipe<'a> {
    kind: &'static str,
    profile: CertificateProfile,
    algorithm: &'a str,
    validity: Duration,
}

fn recipe(step: &Step) -> Result<Recipe<'_>, AgentError> {
    if let Step::EnsureKubeletClient(step) = step {
        return Ok(Recipe {
            kind: "client",
            profile: client_profile(&step.node_name),
            algorithm: &step.algorithm,
            validity: Duration::from_secs(step.validity_seconds),
        });
    }
    if let Step::EnsureKubeletServing(step) = step {
        return Ok(Recipe {
            kind: "serving",
            profile: serving_profile(step),
            algorithm: &step.algorithm,
            validity: Duration::from_secs(step.validity_seconds),
        });
    }
    Err(AgentError::BadRequest(format!(
        "nothing is signed for: {}",
        step.describe()
    )))
}

/// Returns the profile of a kubelet's client certificate, backdated like one
/// that the controller manager signs, so that slow clocks accept it.
pub(super) fn client_profile(node_name: &str) -> CertificateProfile {
    let mut profile = KubeconfigName::Kubelet.profile(node_name);
    profile.not_before = slipway_pki::NotBefore::Backdated;
    profile
}

fn serving_profile(step: &EnsureKubeletServing) -> CertificateProfile {
    kubelet_serving_profile(&step.node_name, &step.addresses, &[])
}

fn signed(attachment: &Attachment) -> Result<(&str, &str), AgentError> {
    match (&attachment.certificate_pem, &attachment.authority_pem) {
        (Some(certificate), Some(authority)) => Ok((certificate, authority)),
        _ => Err(AgentError::BadRequest(
            "the signed certificate is missing from the request".into(),
        )),
    }
}

/// Returns the key that was made for the request that `certificate` answers.
fn pending_key(
    path: &PathBuf,
    certificate: &str,
) -> Result<zeroize::Zeroizing<String>, AgentError> {
    let text = std::fs::read_to_string(path).map_err(AgentError::file("read", path))?;
    let text = zeroize::Zeroizing::new(text);
    let doing = || AgentError::pki("match the signed certificate with its key");
    let key = PrivateKey::from_pem(&text).map_err(doing())?;
    let facts = CertificateFacts::parse(certificate).map_err(doing())?;
    if facts.matches_key(&key) {
        Ok(text)
    } else {
        Err(AgentError::Blocked {
            message: "the signed certificate belongs to another key".to_owned(),
            help: "another run was at work here meanwhile: run the same command again".to_owned(),
        })
    }
}

fn forget_pending(kind: &str, context: &Context) -> Result<(), AgentError> {
    files::delete(&pending_path(kind, context))
}

fn pending_path(kind: &str, context: &Context) -> PathBuf {
    context
        .at(paths::PENDING_DIR)
        .join(format!("kubelet-{kind}.key"))
}

fn serving_paths(context: &Context) -> (PathBuf, PathBuf) {
    let folder = context.at(paths::KUBELET_PKI_DIR);
    (folder.join("kubelet.crt"), folder.join("kubelet.key"))
}
