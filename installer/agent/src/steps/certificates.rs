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

use zeroize::Zeroizing;

use super::{given, needed};
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
    let certificate = files::read_text(&certificate)?;
    let key = files::read_text(&key)?.map(Zeroizing::new);
    if step.is_external && key.is_none() && certificate.is_some() {
        return Ok(Check::Satisfied);
    }
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Ok(needed(Some("it is not there")));
    };
    CertificateAuthority::load(&certificate, &key).map_err(AgentError::pki(format!(
        "use the existing certificate authority {}",
        step.name
    )))?;
    Ok(needed(files::exposure(&pair_paths(name, context).1)?))
}

pub(super) fn apply_authority(step: &EnsureAuthority, context: &Context) -> Result<(), AgentError> {
    let name = certificate_name(&step.name)?;
    let (certificate_path, key_path) = pair_paths(name, context);
    if certificate_path.exists() && key_path.exists() {
        return files::close(&key_path);
    }
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
    // A run may have ended between the two files; a key that is there is never replaced.
    let key = match files::read_text(&key_path)?.map(Zeroizing::new) {
        Some(text) => PrivateKey::from_pem(&text),
        None => algorithm(&step.algorithm).and_then(PrivateKey::generate),
    };
    let authority = key
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
    if !public.exists() || !private.exists() {
        return Ok(needed(Some("it is not there")));
    }
    Ok(needed(files::exposure(&private)?))
}

pub(super) fn apply_service_account(
    step: &EnsureServiceAccountKey,
    context: &Context,
) -> Result<(), AgentError> {
    let (public, private) = service_account_paths(context);
    if public.exists() && private.exists() {
        return files::close(&private);
    }
    if public.exists() && !private.exists() {
        // Tokens that the other key signed must stay valid.
        return Err(AgentError::Blocked {
            message: format!("{} is there without its key", public.display()),
            help: format!(
                "put {} back, or take the public key away if no cluster uses it",
                private.display()
            ),
        });
    }
    let doing = "make the service account key pair";
    let key = match files::read_text(&private)?.map(Zeroizing::new) {
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
    let fault = if step.is_external {
        given::sentence(&given::unfit_certificate(step, context)?)
    } else {
        certificate_fault(step, context)?
    };
    if let Some(because) = fault {
        return Ok(needed(Some(because)));
    }
    let (_, key) = pair_paths(certificate_name(&step.name)?, context);
    Ok(needed(files::exposure(&key)?))
}

/// Returns why a certificate must be issued anew; none if it serves.
fn certificate_fault(
    step: &EnsureCertificate,
    context: &Context,
) -> Result<Option<String>, AgentError> {
    let (name, profile) = certificate_profile(step)?;
    let (certificate, key) = pair_paths(name, context);
    let (Some(certificate), Some(key)) = (files::read_text(&certificate)?, files::read_text(&key)?)
    else {
        return Ok(Some("it is not there".to_owned()));
    };
    let authority = files::read_text(&authority_paths(name, context)?.0)?;
    Ok(why_unfit(
        &certificate,
        &key,
        authority.as_deref(),
        &profile,
        step.replaces.as_deref(),
    ))
}

pub(super) fn apply_certificate(
    step: &EnsureCertificate,
    context: &Context,
) -> Result<(), AgentError> {
    let (name, profile) = certificate_profile(step)?;
    let (certificate_path, key_path) = pair_paths(name, context);
    if step.is_external {
        given::refuse(&given::unfit_certificate(step, context)?)?;
        return files::close(&key_path);
    }
    if certificate_fault(step, context)?.is_none() {
        return files::close(&key_path);
    }
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
    let path = kubeconfig_path(kubeconfig_name(&step.name)?, context);
    let is_late = step.only_at_first && context.at(paths::KUBELET_CONF).exists();
    if is_late && !path.exists() {
        return Ok(Check::Satisfied);
    }
    let fault = if step.is_external {
        given::sentence(&given::unfit_kubeconfig(step, None, context)?)
    } else {
        kubeconfig_fault(step, context)?
    };
    match fault {
        Some(because) => Ok(needed(Some(because))),
        None => Ok(needed(files::exposure(&path)?)),
    }
}

/// Returns why a kubeconfig must be written anew; none if it serves.
fn kubeconfig_fault(
    step: &EnsureKubeconfig,
    context: &Context,
) -> Result<Option<String>, AgentError> {
    let name = kubeconfig_name(&step.name)?;
    let because = |text: &str| Ok(Some(text.to_owned()));
    let Some(text) = files::read_text(&kubeconfig_path(name, context))? else {
        return because("it is not there");
    };
    let Ok(found) = Kubeconfig::parse(&text) else {
        return because("it cannot be read");
    };
    let authority = files::read_text(&context.at(paths::CLUSTER_CA))?;
    if found.server != step.server {
        return Ok(Some(format!(
            "it names {}, not {}",
            found.server, step.server
        )));
    }
    if !trusts(&found, authority.as_deref()) {
        return because("it trusts another certificate authority");
    }
    let Credentials::Embedded { cert_pem, key_pem } = &found.credentials else {
        return because("it has no certificate inside");
    };
    let profile = name.profile(&step.node_name);
    Ok(why_unfit(
        cert_pem,
        key_pem,
        authority.as_deref(),
        &profile,
        step.replaces.as_deref(),
    ))
}

pub(super) fn apply_kubeconfig(
    step: &EnsureKubeconfig,
    context: &Context,
) -> Result<(), AgentError> {
    let name = kubeconfig_name(&step.name)?;
    if step.is_external {
        given::refuse(&given::unfit_kubeconfig(step, None, context)?)?;
        return files::close(&kubeconfig_path(name, context));
    }
    if kubeconfig_fault(step, context)?.is_none() {
        return files::close(&kubeconfig_path(name, context));
    }
    let authority = load_authority(CertificateName::Apiserver, context)?;
    let doing = || AgentError::pki(format!("write kubeconfig {}.conf", step.name));
    let profile = name.profile(&step.node_name);
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
        user_name: name.user_name(&step.node_name),
        credentials: Credentials::Embedded {
            cert_pem,
            key_pem: key.to_pem(),
        },
    };
    let text = kubeconfig.to_yaml().map_err(doing())?;
    files::write(&kubeconfig_path(name, context), SECRET, text.as_bytes())
}

/// Returns whether a kubeconfig trusts the cluster's CA: as for kubeadm, the first certificate in
/// it is one of those in `ca.crt`, whatever else stands in either.
pub(super) fn trusts(kubeconfig: &Kubeconfig, authority: Option<&str>) -> bool {
    let trusted = CertificateFacts::parse(&kubeconfig.ca_pem);
    let known = authority.map(CertificateFacts::parse_all);
    matches!((trusted, known), (Ok(trusted), Some(Ok(known))) if known.contains(&trusted))
}

/// Returns why a certificate must be issued anew; none if it serves. The one whose serial
/// number is `replaced` serves, and is renewed all the same.
pub(super) fn why_unfit(
    certificate: &str,
    key: &str,
    authority: Option<&str>,
    profile: &CertificateProfile,
    replaced: Option<&str>,
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
    if !differences.is_empty() {
        return Some(differences.join("; "));
    }
    let is_replaced = replaced == Some(facts.serial_number.as_str());
    is_replaced.then(|| format!("it is to be renewed, and expires at {}", facts.not_after))
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

pub(crate) fn algorithm(text: &str) -> Result<KeyAlgorithm, PkiError> {
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

pub(crate) fn kubeconfig_name(name: &str) -> Result<KubeconfigName, AgentError> {
    let found = KubeconfigName::ALL
        .into_iter()
        .find(|known| known.phase_name() == name);
    found.ok_or_else(|| AgentError::BadRequest(format!("`{name}` is no kubeconfig of kubeadm's")))
}

/// Returns a certificate's name, and what it is to say.
pub(crate) fn certificate_profile(
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

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::protocol::Attachment;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn context(root: &Path) -> Context {
        let events = tokio::sync::mpsc::unbounded_channel().0;
        let context = Context::new(root, events, Attachment::default());
        let step = ensure_authority("ca");
        apply_authority(&step, &context).unwrap();
        assert_eq!(check_authority(&step, &context).unwrap(), Check::Satisfied);
        context
    }

    fn kubeconfig(name: &str) -> EnsureKubeconfig {
        EnsureKubeconfig {
            name: name.to_owned(),
            server: "https://192.0.2.11:6443".to_owned(),
            cluster_name: "kubernetes".to_owned(),
            node_name: "cp-1".to_owned(),
            algorithm: "ECDSA-P256".to_owned(),
            validity_seconds: 3600,
            only_at_first: name == "super-admin",
            is_external: false,
            replaces: None,
        }
    }

    fn is_needed(step: &EnsureKubeconfig, context: &Context) -> bool {
        matches!(
            check_kubeconfig(step, context).unwrap(),
            Check::Needed { .. }
        )
    }

    #[test]
    fn a_kubeconfig_that_was_opened_to_others_is_closed_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let step = kubeconfig("scheduler");
        apply_kubeconfig(&step, &context).unwrap();
        let path = context.at("/etc/kubernetes/scheduler.conf");
        let before = std::fs::read(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let Check::Needed { because } = check_kubeconfig(&step, &context).unwrap() else {
            panic!("others can read it");
        };
        assert_eq!(because, "scheduler.conf has the mode 0644, not 0600");
        apply_kubeconfig(&step, &context).unwrap();
        assert!(!is_needed(&step, &context));
        assert_eq!(std::fs::read(&path).unwrap(), before, "its key is the same");
    }

    #[test]
    fn an_authority_s_key_that_others_can_read_is_closed_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let path = context.at("/etc/kubernetes/pki/ca.key");
        let before = std::fs::read(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let step = ensure_authority("ca");
        assert!(matches!(
            check_authority(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_authority(&step, &context).unwrap();
        assert_eq!(check_authority(&step, &context).unwrap(), Check::Satisfied);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    fn ensure_authority(name: &str) -> EnsureAuthority {
        EnsureAuthority {
            name: name.to_owned(),
            algorithm: "ECDSA-P256".to_owned(),
            validity_seconds: 3600,
            is_external: false,
        }
    }

    #[test]
    fn a_key_that_is_there_is_used_and_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let at = |file: &str| context.at("/etc/kubernetes/pki").join(file);
        let read = |file: &str| std::fs::read_to_string(at(file)).unwrap();
        let key = read("ca.key");
        std::fs::remove_file(at("ca.crt")).unwrap();
        apply_authority(&ensure_authority("ca"), &context).unwrap();
        assert_eq!(read("ca.key"), key, "the run had ended between the two");
        CertificateAuthority::load(&read("ca.crt"), &key).unwrap();

        let step = EnsureServiceAccountKey {
            algorithm: "ECDSA-P256".to_owned(),
        };
        files::write(&at("sa.key"), SECRET, key.as_bytes()).unwrap();
        apply_service_account(&step, &context).unwrap();
        let public = read("sa.pub");
        let is_its = PrivateKey::from_pem(&key).unwrap().is_known_to(&public);
        assert_eq!(is_its.unwrap(), Some(true));
        std::fs::remove_file(at("sa.key")).unwrap();
        let error = apply_service_account(&step, &context).unwrap_err();
        assert!(matches!(error, AgentError::Blocked { .. }), "{error}");
        assert_eq!(read("sa.pub"), public);
    }

    #[test]
    fn a_given_authority_serves_whatever_else_stands_in_its_file() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let path = context.at("/etc/kubernetes/pki/ca.crt");
        let given = std::fs::read_to_string(&path).unwrap();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let validity = Duration::from_secs(3600);
        let old = CertificateAuthority::create("old", &key, Timestamp::now(), validity).unwrap();
        let text = format!(
            "Certificate:\r\n    Data: as openssl prints it\r\n{given}\n{}",
            old.certificate_pem()
        );
        files::write(&path, PUBLIC, text.as_bytes()).unwrap();
        assert_eq!(
            check_authority(&ensure_authority("ca"), &context).unwrap(),
            Check::Satisfied
        );
        let step = kubeconfig("scheduler");
        apply_kubeconfig(&step, &context).unwrap();
        assert!(!is_needed(&step, &context));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        files::write(&path, PUBLIC, old.certificate_pem().as_bytes()).unwrap();
        assert!(is_needed(&step, &context), "it trusts another CA");
    }

    #[test]
    fn the_super_administrator_s_kubeconfig_is_made_once_and_stays_away() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path());
        let step = kubeconfig("super-admin");
        assert!(is_needed(&step, &context), "nothing has started yet");
        apply_kubeconfig(&step, &context).unwrap();
        files::write(
            &context.at(paths::KUBELET_CONF),
            SECRET,
            b"the kubelet has started",
        )
        .unwrap();
        assert!(!is_needed(&step, &context));
        std::fs::remove_file(context.at(paths::SUPER_ADMIN_CONF)).unwrap();
        assert!(!is_needed(&step, &context), "whoever took it away meant it");
        assert!(is_needed(&kubeconfig("admin"), &context));
    }
}
