//! Authorities, certificates and kubeconfigs of a control-plane node.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use slipway_api::step::{
    EnsureAuthority, EnsureCertificate, EnsureKubeconfig, EnsureServiceAccountKey,
};
use slipway_api::{Check, paths};
use slipway_pki::{
    CertificateAuthority, CertificateFacts, CertificateName, CertificateProfile, ControlPlaneNames,
    Credentials, KeyAlgorithm, Kubeconfig, KubeconfigName, PkiError, PrivateKey,
};

use super::needed;
use crate::context::Context;
use crate::{AgentError, files};

/// The mode of private keys and of files that hold them.
pub(super) const SECRET: u32 = 0o600;
/// The mode of certificates.
pub(super) const PUBLIC: u32 = 0o644;

pub(super) fn check_authority(
    step: &EnsureAuthority,
    context: &Context,
) -> Result<Check, AgentError> {
    let name = certificate_name(&step.name)?;
    let (certificate, key) = pair_paths(name, context);
    let (Some(certificate), Some(key)) = (files::read_text(&certificate)?, files::read_text(&key)?)
    else {
        return Ok(needed(Some("it is not there")));
    };
    CertificateAuthority::load(&certificate, &key).map_err(AgentError::pki(format!(
        "use the existing certificate authority {}",
        step.name
    )))?;
    Ok(Check::Satisfied)
}

pub(super) fn apply_authority(step: &EnsureAuthority, context: &Context) -> Result<(), AgentError> {
    let name = certificate_name(&step.name)?;
    let (certificate_path, key_path) = pair_paths(name, context);
    if certificate_path.exists() {
        // A CA without its key must never be replaced: everything it signed would die with it.
        return Err(AgentError::Blocked {
            message: format!("{} is there without its key", certificate_path.display()),
            help: format!(
                "put {} back, or take the certificate away if no cluster uses it",
                key_path.display()
            ),
        });
    }
    let doing = format!("make certificate authority {}", step.name);
    let common_name = name.fixed_common_name().unwrap_or(&step.name);
    let authority = algorithm(&step.algorithm)
        .and_then(PrivateKey::generate)
        .and_then(|key| {
            let validity = Duration::from_secs(step.validity_seconds);
            CertificateAuthority::create(common_name, &key, Timestamp::now(), validity)
        })
        .map_err(AgentError::pki(doing))?;
    files::write(&key_path, SECRET, authority.key().to_pem().as_bytes())?;
    files::write(
        &certificate_path,
        PUBLIC,
        authority.certificate_pem().as_bytes(),
    )
}

pub(super) fn check_service_account(
    _: &EnsureServiceAccountKey,
    context: &Context,
) -> Result<Check, AgentError> {
    let (public, private) = service_account_paths(context);
    Ok(needed(
        (!public.exists() || !private.exists()).then_some("it is not there"),
    ))
}

pub(super) fn apply_service_account(
    step: &EnsureServiceAccountKey,
    context: &Context,
) -> Result<(), AgentError> {
    let (public, private) = service_account_paths(context);
    let doing = "make the service account key pair";
    let key = match files::read_text(&private)? {
        Some(text) => PrivateKey::from_pem(&text),
        None => algorithm(&step.algorithm).and_then(PrivateKey::generate),
    };
    let key = key.map_err(AgentError::pki(doing))?;
    files::write(&private, SECRET, key.to_pem().as_bytes())?;
    files::write(&public, SECRET, key.public_pem().as_bytes())
}

pub(super) fn check_certificate(
    step: &EnsureCertificate,
    context: &Context,
) -> Result<Check, AgentError> {
    let (name, profile) = certificate_profile(step)?;
    let (certificate, key) = pair_paths(name, context);
    let (Some(certificate), Some(key)) = (files::read_text(&certificate)?, files::read_text(&key)?)
    else {
        return Ok(needed(Some("it is not there")));
    };
    let authority = files::read_text(&authority_paths(name, context)?.0)?;
    Ok(needed(why_unfit(
        &certificate,
        &key,
        authority.as_deref(),
        &profile,
    )))
}

pub(super) fn apply_certificate(
    step: &EnsureCertificate,
    context: &Context,
) -> Result<(), AgentError> {
    let (name, profile) = certificate_profile(step)?;
    let (certificate_path, key_path) = pair_paths(name, context);
    let authority = load_authority(name, context)?;
    let validity = Duration::from_secs(step.validity_seconds);
    let (key, certificate) = algorithm(&step.algorithm)
        .and_then(PrivateKey::generate)
        .and_then(|key| {
            let certificate = authority.issue(&profile, &key, Timestamp::now(), validity)?;
            Ok((key, certificate))
        })
        .map_err(AgentError::pki(format!("issue certificate {}", step.name)))?;
    files::write(&key_path, SECRET, key.to_pem().as_bytes())?;
    files::write(&certificate_path, PUBLIC, certificate.as_bytes())
}

pub(super) fn check_kubeconfig(
    step: &EnsureKubeconfig,
    context: &Context,
) -> Result<Check, AgentError> {
    let name = kubeconfig_name(&step.name)?;
    let Some(text) = files::read_text(&kubeconfig_path(name, context))? else {
        return Ok(needed(Some("it is not there")));
    };
    let Ok(found) = Kubeconfig::parse(&text) else {
        return Ok(needed(Some("it cannot be read")));
    };
    let authority = files::read_text(&context.at(paths::CLUSTER_CA))?;
    if found.server != step.server {
        return Ok(needed(Some(format!(
            "it names {}, not {}",
            found.server, step.server
        ))));
    }
    if authority.as_deref().map(str::trim) != Some(found.ca_pem.trim()) {
        return Ok(needed(Some("it trusts another certificate authority")));
    }
    let Credentials::Embedded { cert_pem, key_pem } = &found.credentials else {
        return Ok(needed(Some("it has no certificate inside")));
    };
    let profile = name.profile("");
    Ok(needed(why_unfit(
        cert_pem,
        key_pem,
        authority.as_deref(),
        &profile,
    )))
}

pub(super) fn apply_kubeconfig(
    step: &EnsureKubeconfig,
    context: &Context,
) -> Result<(), AgentError> {
    let name = kubeconfig_name(&step.name)?;
    let authority = load_authority(CertificateName::Apiserver, context)?;
    let doing = || AgentError::pki(format!("write kubeconfig {}.conf", step.name));
    let profile = name.profile("");
    let validity = Duration::from_secs(step.validity_seconds);
    let key = algorithm(&step.algorithm)
        .and_then(PrivateKey::generate)
        .map_err(doing())?;
    let cert_pem = authority
        .issue(&profile, &key, Timestamp::now(), validity)
        .map_err(doing())?;
    let kubeconfig = Kubeconfig {
        cluster_name: step.cluster_name.clone(),
        server: step.server.clone(),
        ca_pem: authority.certificate_pem().to_owned(),
        user_name: name.user_name(""),
        credentials: Credentials::Embedded {
            cert_pem,
            key_pem: key.to_pem(),
        },
    };
    let text = kubeconfig.to_yaml().map_err(doing())?;
    files::write(&kubeconfig_path(name, context), SECRET, text.as_bytes())
}

/// Returns why a certificate must be issued anew; none if it serves.
pub(super) fn why_unfit(
    certificate: &str,
    key: &str,
    authority: Option<&str>,
    profile: &CertificateProfile,
) -> Option<String> {
    let Ok(facts) = CertificateFacts::parse(certificate) else {
        return Some("it cannot be read".to_owned());
    };
    let Ok(key) = PrivateKey::from_pem(key) else {
        return Some("its key cannot be read".to_owned());
    };
    if !facts.matches_key(&key) {
        return Some("its key belongs to another certificate".to_owned());
    }
    if !authority.is_some_and(|pem| facts.is_signed_by(pem).unwrap_or(false)) {
        return Some("another certificate authority signed it".to_owned());
    }
    if !facts.is_valid_at(Timestamp::now()) {
        return Some(format!(
            "it is valid from {} to {}",
            facts.not_before, facts.not_after
        ));
    }
    let differences = facts.difference_from(profile);
    (!differences.is_empty()).then(|| differences.join("; "))
}

/// Returns the authority that signs `name`, with its key.
pub(super) fn load_authority(
    name: CertificateName,
    context: &Context,
) -> Result<CertificateAuthority, AgentError> {
    let (certificate, key) = authority_paths(name, context)?;
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).map_err(AgentError::file("read", path));
    CertificateAuthority::load(&read(&certificate)?, &read(&key)?).map_err(AgentError::pki(
        format!("use certificate authority {}", certificate.display()),
    ))
}

pub(super) fn algorithm(text: &str) -> Result<KeyAlgorithm, PkiError> {
    text.parse::<KeyAlgorithm>().map_err(PkiError::from)
}

fn authority_paths(
    name: CertificateName,
    context: &Context,
) -> Result<(PathBuf, PathBuf), AgentError> {
    let signer = name
        .signer()
        .ok_or_else(|| AgentError::BadRequest(format!("{} signs itself", name.phase_name())))?;
    Ok(pair_paths(signer, context))
}

fn pair_paths(name: CertificateName, context: &Context) -> (PathBuf, PathBuf) {
    let pki = context.at(paths::PKI_DIR);
    (pki.join(name.certificate_path()), pki.join(name.key_path()))
}

fn service_account_paths(context: &Context) -> (PathBuf, PathBuf) {
    let pki = context.at(paths::PKI_DIR);
    (pki.join("sa.pub"), pki.join("sa.key"))
}

fn kubeconfig_path(name: KubeconfigName, context: &Context) -> PathBuf {
    context.at(paths::KUBERNETES_DIR).join(name.file_name())
}

fn certificate_name(name: &str) -> Result<CertificateName, AgentError> {
    let found = CertificateName::ALL
        .into_iter()
        .find(|known| known.phase_name() == name);
    found.ok_or_else(|| AgentError::BadRequest(format!("`{name}` is no certificate of kubeadm's")))
}

fn kubeconfig_name(name: &str) -> Result<KubeconfigName, AgentError> {
    let found = KubeconfigName::ALL
        .into_iter()
        .find(|known| known.phase_name() == name);
    found.ok_or_else(|| AgentError::BadRequest(format!("`{name}` is no kubeconfig of kubeadm's")))
}

fn certificate_profile(
    step: &EnsureCertificate,
) -> Result<(CertificateName, CertificateProfile), AgentError> {
    let name = certificate_name(&step.name)?;
    let names = &step.names;
    let profile = name.profile(&ControlPlaneNames {
        node_name: names.node_name.clone(),
        advertise_address: names.advertise_address,
        first_service_ip: names.first_service_ip,
        dns_domain: names.dns_domain.clone(),
        control_plane_endpoint: names.endpoint_host.clone(),
        extra_sans: names.extra_sans.clone(),
        etcd_server_sans: names.etcd_server_sans.clone(),
        etcd_peer_sans: names.etcd_peer_sans.clone(),
        kubelet_client_in_admins_group: names.kubelet_client_is_admin,
    });
    let profile = profile.map_err(AgentError::pki(format!("name certificate {}", step.name)))?;
    Ok((name, profile))
}
