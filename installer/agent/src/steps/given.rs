//! Certificates and kubeconfigs that somebody else issues: judged, never made.
//!
//! As for kubeadm, an authority whose key is not here is an external one. What it
//! issued must belong to its key, lead to the authority (through intermediates in
//! the same file, where there are any), be valid now, and say at least what the
//! node needs; what it says beyond that is its issuer's affair.

use std::path::Path;

use jiff::Timestamp;
use slipway_api::protocol::Attachment;
use slipway_api::step::{EnsureCertificate, EnsureKubeconfig};
use slipway_api::{ProbeOutcome, UnfitFile, paths};
use slipway_pki::{
    CertificateFacts, CertificateProfile, Credentials, Kubeconfig, PrivateKey, public_key_pin,
};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::certificates::{certificate_profile, kubeconfig_name, trusts};
use crate::context::Context;
use crate::{AgentError, files};

/// Judges files that were issued elsewhere, all of them. A host without
/// `ca.crt` knows the cluster's CA by `ca_pin`.
pub(crate) fn judge_given(
    certificates: &[EnsureCertificate],
    kubeconfigs: &[EnsureKubeconfig],
    ca_pin: Option<&str>,
    root: &Path,
) -> ProbeOutcome {
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    let mut files = Vec::new();
    let certificates = certificates
        .iter()
        .map(|step| unfit_certificate(step, &context));
    let kubeconfigs = kubeconfigs
        .iter()
        .map(|step| unfit_kubeconfig(step, ca_pin, &context));
    for found in certificates.chain(kubeconfigs) {
        match found {
            Ok(found) => files.extend(found),
            Err(error) => {
                return ProbeOutcome::Failed {
                    reason: error.failure().to_string(),
                };
            }
        }
    }
    ProbeOutcome::Unfit { files }
}

/// Says in one sentence why given files do not serve; nothing if they do.
pub(super) fn sentence(files: &[UnfitFile]) -> Option<String> {
    let lines: Vec<String> = files
        .iter()
        .filter(|file| !file.is_usable)
        .map(|file| format!("{}: {}", file.path, file.why))
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Refuses to make what somebody else must issue.
pub(super) fn refuse(files: &[UnfitFile]) -> Result<(), AgentError> {
    match sentence(files) {
        None => Ok(()),
        Some(message) => Err(AgentError::Blocked {
            message,
            help: "the key of its certificate authority is not here: `slipway preflight` names every such file and what mends it"
                .to_owned(),
        }),
    }
}

/// Returns what is wrong with a certificate and its key.
pub(super) fn unfit_certificate(
    step: &EnsureCertificate,
    context: &Context,
) -> Result<Vec<UnfitFile>, AgentError> {
    let (name, profile) = certificate_profile(step)?;
    let certificate_path = format!("{}/{}", paths::PKI_DIR, name.certificate_path());
    let key_path = format!("{}/{}", paths::PKI_DIR, name.key_path());
    let certificate = files::read_text(&context.at(&certificate_path))?;
    let key = files::read_text(&context.at(&key_path))?.map(Zeroizing::new);
    let missing = |path: &str| unfit(path, "it is not there");
    let (Some(certificate), Some(key)) = (&certificate, &key) else {
        let both = [
            (certificate.is_none(), &certificate_path),
            (key.is_none(), &key_path),
        ];
        let missing = both
            .into_iter()
            .filter(|(is_missing, _)| *is_missing)
            .map(|(_, path)| missing(path));
        return Ok(missing.collect());
    };
    let Some(signer) = name.signer() else {
        return Err(AgentError::BadRequest(format!("{name} signs itself")));
    };
    let authority = format!("{}/{}", paths::PKI_DIR, signer.certificate_path());
    let authority = files::read_text(&context.at(&authority))?;
    let why = misfit(certificate, key, authority.as_deref(), &profile);
    Ok(why
        .map(|why| unfit(&certificate_path, why))
        .into_iter()
        .collect())
}

/// Returns what is wrong with a kubeconfig.
pub(super) fn unfit_kubeconfig(
    step: &EnsureKubeconfig,
    ca_pin: Option<&str>,
    context: &Context,
) -> Result<Vec<UnfitFile>, AgentError> {
    let name = kubeconfig_name(&step.name)?;
    let path = format!("{}/{}", paths::KUBERNETES_DIR, name.file_name());
    let one = |why: String| Ok(vec![unfit(&path, why)]);
    let Some(text) = files::read_text(&context.at(&path))?.map(Zeroizing::new) else {
        return one("it is not there".to_owned());
    };
    let found = match Kubeconfig::parse(&text) {
        Ok(found) => found,
        Err(error) => return one(error.to_string()),
    };
    let authority = files::read_text(&context.at(paths::CLUSTER_CA))?;
    let is_trusting = match (&authority, ca_pin) {
        (Some(_), _) => trusts(&found, authority.as_deref()),
        (None, Some(pin)) => public_key_pin(&found.ca_pem).is_ok_and(|found| found == pin),
        (None, None) => true,
    };
    if !is_trusting {
        return one("it trusts another certificate authority than the cluster's".to_owned());
    }
    let authority = authority.as_deref().unwrap_or(&found.ca_pem);
    let profile = name.profile(&step.node_name);
    let why = match &found.credentials {
        Credentials::Embedded { cert_pem, key_pem } => {
            misfit(cert_pem, key_pem, Some(authority), &profile)
        }
        Credentials::Files {
            client_certificate,
            client_key,
        } => {
            let certificate = files::read_text(&context.at(client_certificate))?;
            let key = files::read_text(&context.at(client_key))?.map(Zeroizing::new);
            match (certificate, key) {
                (Some(certificate), Some(key)) => {
                    misfit(&certificate, &key, Some(authority), &profile)
                }
                (None, _) => Some(format!(
                    "{client_certificate}, which it names, is not there"
                )),
                (_, None) => Some(format!("{client_key}, which it names, is not there")),
            }
        }
        Credentials::KeyAlone(_) => Some("it has a key and no certificate yet".to_owned()),
        // Only the API server can tell what a token is worth.
        Credentials::Token(_) => None,
    };
    if let Some(why) = why {
        return one(why);
    }
    if found.server != step.server {
        return Ok(vec![UnfitFile {
            is_usable: true,
            ..unfit(
                &path,
                format!(
                    "it names {} where kubeadm names {}",
                    found.server, step.server
                ),
            )
        }]);
    }
    Ok(Vec::new())
}

/// Returns why a certificate does not serve; none if it does.
fn misfit(
    certificate: &str,
    key: &str,
    authority: Option<&str>,
    profile: &CertificateProfile,
) -> Option<String> {
    let facts = match CertificateFacts::parse(certificate) {
        Ok(facts) => facts,
        Err(error) => return Some(error.to_string()),
    };
    let key = match PrivateKey::from_pem(key) {
        Ok(key) => key,
        Err(error) => return Some(format!("its key: {error}")),
    };
    if !facts.matches_key(&key) {
        return Some("its key belongs to another certificate".to_owned());
    }
    let leads = authority.map(|pem| CertificateFacts::chain_leads_to(certificate, pem));
    if !matches!(leads, Some(Ok(true))) {
        return Some("it was not issued by its certificate authority".to_owned());
    }
    if !facts.is_valid_at(Timestamp::now()) {
        let (from, until) = (facts.not_before, facts.not_after);
        return Some(format!("it is valid from {from} to {until}"));
    }
    let lacks = facts.shortcomings(profile);
    (!lacks.is_empty()).then(|| lacks.join("; "))
}

fn unfit(path: &str, why: impl Into<String>) -> UnfitFile {
    UnfitFile {
        path: path.to_owned(),
        why: why.into(),
        is_usable: false,
    }
}

#[cfg(test)]
mod tests;
