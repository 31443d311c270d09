//! The cluster's authorities and service account keys, on their way from one
//! control-plane host to another.

use std::collections::BTreeMap;
use std::path::Path;

use slipway_api::step::CopyAuthorities;
use slipway_api::{Check, SecretText, Sha256Digest, paths};
use slipway_pki::{CertificateAuthority, CertificateName};
use zeroize::Zeroizing;

use super::certificates::{PUBLIC, SECRET};
use super::etcd_manifest::lines_with;
use super::needed;
use crate::context::Context;
use crate::server::under;
use crate::{AgentError, files};

/// kubeadm's name for the key pair of service accounts.
const SERVICE_ACCOUNTS: &str = "sa";

/// One file of an authority.
struct File {
    /// Its path below kubeadm's folder of certificates.
    path: String,
    mode: u32,
}

/// Returns the files of authorities, each certificate before its key.
fn files_of(names: &[String]) -> Result<Vec<File>, AgentError> {
    let mut found = Vec::new();
    for name in names {
        let (public, private, mode) = if name == SERVICE_ACCOUNTS {
            // kubeadm closes the public half too.
            ("sa.pub".to_owned(), "sa.key".to_owned(), SECRET)
        } else {
            let authority = [
                CertificateName::Ca,
                CertificateName::FrontProxyCa,
                CertificateName::EtcdCa,
            ];
            let authority = authority.into_iter().find(|it| it.phase_name() == name);
            let authority = authority.ok_or_else(|| {
                AgentError::BadRequest(format!("`{name}` is no authority of kubeadm's"))
            })?;
            (authority.certificate_path(), authority.key_path(), PUBLIC)
        };
        found.push(File { path: public, mode });
        found.push(File {
            path: private,
            mode: SECRET,
        });
    }
    Ok(found)
}

/// Reads the files of authorities for another control-plane host.
pub(crate) fn read_authorities(
    names: &[String],
    root: &Path,
) -> Result<BTreeMap<String, SecretText>, AgentError> {
    let mut found = BTreeMap::new();
    for File { path, .. } in files_of(names)? {
        let at = under(root, paths::PKI_DIR).join(&path);
        let text = std::fs::read_to_string(&at).map_err(AgentError::file("read", &at))?;
        found.insert(path, SecretText::new(text));
    }
    Ok(found)
}

/// The API server's flag that names the keys with which it encrypts what it stores.
const ENCRYPTION_FLAG: &str = "--encryption-provider-config=";

/// Reads what a cluster cannot be made again without, by absolute paths: its authorities and
/// service account keys as far as they are there, and the API server's encryption configuration.
pub(crate) fn read_recovery_files(root: &Path) -> Result<BTreeMap<String, SecretText>, AgentError> {
    let names = ["ca", "front-proxy-ca", "etcd-ca", SERVICE_ACCOUNTS].map(str::to_owned);
    let mut wanted: Vec<String> = files_of(&names)?
        .into_iter()
        .map(|file| format!("{}/{}", paths::PKI_DIR, file.path))
        .collect();
    let manifest = format!("{}/kube-apiserver.yaml", paths::MANIFESTS_DIR);
    let manifest = files::read_text(&under(root, &manifest))?.unwrap_or_default();
    // Inside the Pod it may lie elsewhere; then it is not found, and not believed to be there.
    let path = lines_with(&manifest, ENCRYPTION_FLAG).last();
    wanted.extend(path.map(str::to_owned));
    let mut found = BTreeMap::new();
    for path in wanted {
        if let Some(text) = files::read_text(&under(root, &path))? {
            found.insert(path, SecretText::new(text));
        }
    }
    Ok(found)
}

pub(super) fn check_authorities(
    step: &CopyAuthorities,
    context: &Context,
) -> Result<Check, AgentError> {
    for file in files_of(&step.names)? {
        let path = context.at(paths::PKI_DIR).join(&file.path);
        if !path.exists() {
            return Ok(needed(Some(format!("{} is not there", file.path))));
        }
        if file.mode == SECRET
            && let Some(because) = files::exposure(&path)?
        {
            return Ok(needed(Some(because)));
        }
    }
    let Some(expected) = step.ca_sha256 else {
        return Ok(Check::Satisfied);
    };
    let found = files::digest(&context.at(paths::CLUSTER_CA))?;
    Ok(needed(
        (found != Some(expected)).then(|| format!("{} has another ca.crt", step.from)),
    ))
}

pub(super) fn apply_authorities(
    step: &CopyAuthorities,
    context: &Context,
) -> Result<(), AgentError> {
    let wanted = files_of(&step.names)?;
    let given = &context.attachment.authorities;
    for file in &wanted {
        let Some(text) = given.get(&file.path) else {
            return Err(AgentError::BadRequest(format!(
                "{} did not come from {}",
                file.path, step.from
            )));
        };
        refuse_another(&context.at(paths::PKI_DIR).join(&file.path), text, step)?;
    }
    check_pairs(step, given)?;
    for file in &wanted {
        let path = context.at(paths::PKI_DIR).join(&file.path);
        files::write(&path, file.mode, given[&file.path].expose().as_bytes())?;
    }
    Ok(())
}

/// Refuses to write over another authority: everything it signed would die with it.
fn refuse_another(
    path: &Path,
    text: &SecretText,
    step: &CopyAuthorities,
) -> Result<(), AgentError> {
    let found = files::read_text(path)?.map(Zeroizing::new);
    match found {
        Some(found) if found.as_str() != text.expose() => Err(AgentError::Blocked {
            message: format!("{} is there and is not {}'s", path.display(), step.from),
            help: "it belongs to another cluster; if nothing needs it any more: `slipway reset` on this host"
                .to_owned(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Checks that what came is whole, before anything of it is written.
fn check_pairs(
    step: &CopyAuthorities,
    given: &BTreeMap<String, SecretText>,
) -> Result<(), AgentError> {
    let files = files_of(&step.names)?;
    for pair in files.chunks(2) {
        let [certificate, key] = pair else { continue };
        if certificate.mode == SECRET {
            continue;
        }
        CertificateAuthority::load(given[&certificate.path].expose(), given[&key.path].expose())
            .map_err(AgentError::pki(format!(
                "use {} of {}",
                certificate.path, step.from
            )))?;
    }
    let ca = given
        .get("ca.crt")
        .map(|text| Sha256Digest::of(text.expose()));
    match (step.ca_sha256, ca) {
        (Some(expected), Some(found)) if expected != found => {
            Err(AgentError::WrongBlob { expected, found })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use slipway_api::protocol::Attachment;
    use slipway_api::step::{EnsureAuthority, EnsureServiceAccountKey};

    use super::super::certificates::{apply_authority, apply_service_account};
    use super::*;

    fn context(root: &Path, attachment: Attachment) -> Context {
        Context::new(root, tokio::sync::mpsc::unbounded_channel().0, attachment)
    }

    fn names() -> Vec<String> {
        ["ca", "front-proxy-ca", "etcd-ca", "sa"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Makes a control-plane host's authorities and reads them.
    fn made(root: &Path) -> BTreeMap<String, SecretText> {
        let context = context(root, Attachment::default());
        for name in ["ca", "front-proxy-ca", "etcd-ca"] {
            let step = EnsureAuthority {
                name: name.to_owned(),
                algorithm: "ECDSA-P256".to_owned(),
                validity_seconds: 3600,
                is_external: false,
            };
            apply_authority(&step, &context).unwrap();
        }
        let algorithm = "ECDSA-P256".to_owned();
        apply_service_account(&EnsureServiceAccountKey { algorithm }, &context).unwrap();
        read_authorities(&names(), root).unwrap()
    }

    fn step() -> CopyAuthorities {
        CopyAuthorities {
            from: "cp-1".parse().unwrap(),
            names: names(),
            ca_sha256: None,
        }
    }

    #[test]
    fn authorities_arrive_as_they_are_and_closed() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let authorities = made(first.path());
        assert!(format!("{authorities:?}").contains("redacted"));
        let attachment = Attachment {
            authorities: authorities.clone(),
            ..Attachment::default()
        };
        let context = context(second.path(), attachment);
        assert!(matches!(
            check_authorities(&step(), &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_authorities(&step(), &context).unwrap();
        assert_eq!(
            check_authorities(&step(), &context).unwrap(),
            Check::Satisfied
        );
        assert_eq!(
            read_authorities(&names(), second.path()).unwrap(),
            authorities
        );
        let key = second.path().join("etc/kubernetes/pki/etcd/ca.key");
        let mode = std::fs::metadata(key).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn another_cluster_s_authority_is_not_written_over() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let authorities = made(first.path());
        let before = made(second.path());
        let attachment = Attachment {
            authorities,
            ..Attachment::default()
        };
        let context = context(second.path(), attachment);
        let error = apply_authorities(&step(), &context).unwrap_err();
        assert!(error.to_string().contains("is not cp-1's"), "{error}");
        assert_eq!(read_authorities(&names(), second.path()).unwrap(), before);
    }

    #[test]
    fn half_of_what_is_needed_is_refused_before_anything_is_written() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut authorities = made(first.path());
        authorities.remove("sa.key");
        let attachment = Attachment {
            authorities,
            ..Attachment::default()
        };
        let context = context(second.path(), attachment);
        assert!(apply_authorities(&step(), &context).is_err());
        assert!(!context.at(paths::CLUSTER_CA).exists());
    }
}
