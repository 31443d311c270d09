//! Certificate authorities on this host, made by us, by kubeadm or by the user.

use std::path::{Path, PathBuf};

use slipway_api::{AuthorityFacts, paths};
use slipway_pki::{CertificateFacts, CertificateName, PkiError, PrivateKey};
use zeroize::Zeroizing;

use crate::server::under;

/// kubeadm's name for the service account key pair.
const SERVICE_ACCOUNT: &str = "sa";

/// Returns what is there of the authorities and the service account key pair;
/// those of which nothing is there are left out.
pub(super) fn gather_authorities(root: &Path) -> Vec<AuthorityFacts> {
    let folder = under(root, paths::PKI_DIR);
    let authorities = CertificateName::ALL
        .into_iter()
        .filter(|name| name.is_authority())
        .filter_map(|name| {
            let certificate = Found::at(&folder.join(name.certificate_path()));
            let key = Found::at(&folder.join(name.key_path()));
            gather(name.phase_name(), &certificate, &key, judge_authority)
        });
    let public = Found::at(&folder.join("sa.pub"));
    let private = Found::at(&folder.join("sa.key"));
    let pair = gather(SERVICE_ACCOUNT, &public, &private, judge_pair);
    authorities.chain(pair).collect()
}

/// What is at a path.
enum Found {
    Nothing,
    Unreadable(String),
    Text(Zeroizing<String>),
}

impl Found {
    fn at(path: &PathBuf) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::Text(Zeroizing::new(text)),
            Err(error) if crate::files::is_absent(&error) => Self::Nothing,
            Err(error) => Self::Unreadable(format!("{}: {error}", path.display())),
        }
    }

    fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Returns the text, if there is one.
    fn text(&self) -> Result<Option<&str>, String> {
        match self {
            Self::Nothing => Ok(None),
            Self::Unreadable(reason) => Err(reason.clone()),
            Self::Text(text) => Ok(Some(text)),
        }
    }
}

type Judge = fn(&mut AuthorityFacts, Option<&str>, Option<&str>) -> Result<(), String>;

fn gather(name: &str, public: &Found, private: &Found, judge: Judge) -> Option<AuthorityFacts> {
    let mut facts = AuthorityFacts {
        name: name.to_owned(),
        has_certificate: public.is_there(),
        has_key: private.is_there(),
        ..AuthorityFacts::default()
    };
    if !facts.has_certificate && !facts.has_key {
        return None;
    }
    let verdict = match (public.text(), private.text()) {
        (Ok(public), Ok(private)) => judge(&mut facts, public, private),
        (Err(reason), _) | (_, Err(reason)) => Err(reason),
    };
    facts.trouble = verdict.err();
    Some(facts)
}

fn judge_authority(
    facts: &mut AuthorityFacts,
    certificate: Option<&str>,
    key: Option<&str>,
) -> Result<(), String> {
    let of_certificate = |error: PkiError| format!("its certificate: {error}");
    let of_key = |error: PkiError| format!("its key: {error}");
    let found = certificate.map(CertificateFacts::parse).transpose();
    let found = found.map_err(of_certificate)?;
    if let Some(found) = &found {
        facts.not_before = Some(found.not_before);
        facts.not_after = Some(found.not_after);
        if !found.may_sign() {
            let name = &found.common_name;
            return Err(format!("the certificate of `{name}` may not sign others"));
        }
    }
    let key = key.map(PrivateKey::from_pem).transpose().map_err(of_key)?;
    match (found, key) {
        (Some(found), Some(key)) if !found.matches_key(&key) => {
            Err("its key belongs to another certificate".to_owned())
        }
        (_, _) => Ok(()),
    }
}

fn judge_pair(
    _: &mut AuthorityFacts,
    public: Option<&str>,
    private: Option<&str>,
) -> Result<(), String> {
    let Some(private) = private else {
        return Ok(());
    };
    let reason = |error: PkiError| error.to_string();
    let key = PrivateKey::from_pem(private).map_err(reason)?;
    let public = public.map(|public| key.is_known_to(public)).transpose();
    match public.map_err(reason)?.flatten() {
        Some(false) => Err("sa.pub is not the public half of sa.key".to_owned()),
        Some(true) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use slipway_pki::{AUTHORITY_VALIDITY, CertificateAuthority, KeyAlgorithm};

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join("etc/kubernetes/pki").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn authority(name: &str) -> CertificateAuthority {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        CertificateAuthority::create(name, &key, Timestamp::now(), AUTHORITY_VALIDITY).unwrap()
    }

    #[test]
    fn authorities_are_judged_as_they_lie_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(gather_authorities(root), []);
        let (ours, other) = (authority("corporate"), authority("other"));
        write(root, "ca.crt", ours.certificate_pem());
        write(root, "front-proxy-ca.crt", ours.certificate_pem());
        write(root, "front-proxy-ca.key", &ours.key().to_pem());
        write(root, "etcd/ca.crt", ours.certificate_pem());
        write(root, "etcd/ca.key", &other.key().to_pem());
        write(root, "sa.key", &ours.key().to_pem());
        write(root, "sa.pub", &other.key().public_pem());
        let found = gather_authorities(root);
        let seen: Vec<_> = found
            .iter()
            .map(|it| (it.name.as_str(), it.is_external(), it.trouble.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("ca", true, None),
                ("front-proxy-ca", false, None),
                (
                    "etcd-ca",
                    false,
                    Some("its key belongs to another certificate")
                ),
                ("sa", false, Some("sa.pub is not the public half of sa.key")),
            ]
        );
        assert!(found[0].not_before < found[0].not_after);
        let both = [other.key().public_pem(), ours.key().public_pem()].concat();
        write(root, "sa.pub", &both);
        assert_eq!(gather_authorities(root)[3].trouble, None, "one of them is");
    }

    #[test]
    fn what_may_not_sign_is_no_authority() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let authority = authority("corporate");
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let profile = slipway_pki::KubeconfigName::Admin.profile("");
        let leaf = authority
            .issue(&profile, &key, Timestamp::now(), AUTHORITY_VALIDITY)
            .unwrap();
        write(root, "ca.crt", &leaf);
        write(root, "ca.key", &key.to_pem());
        let trouble = gather_authorities(root)[0].trouble.clone().unwrap();
        assert!(trouble.contains("may not sign"), "{trouble}");
    }
}
