//! The certificates on this host, wherever they stand.

use std::path::Path;

use slipway_api::{CertificateSummary, paths};
use slipway_pki::{CertificateFacts, CertificateName, Credentials, Kubeconfig, KubeconfigName};

use crate::server::under;

/// Returns the certificates that are there and can be read, in kubeadm's order, the
/// authorities last.
pub(super) fn gather_certificates(root: &Path) -> Vec<CertificateSummary> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    for name in KubeconfigName::ALL {
        let file = name.file_name();
        let text = read(&under(root, paths::KUBERNETES_DIR).join(file));
        let Ok(kubeconfig) = Kubeconfig::parse(&text) else {
            continue;
        };
        let pem = match kubeconfig.credentials {
            Credentials::Embedded { cert_pem, .. } => cert_pem,
            Credentials::Files {
                client_certificate, ..
            } => read_link(root, &client_certificate),
            Credentials::KeyAlone(_) | Credentials::Token(_) => continue,
        };
        found.extend(summary(file, Some("ca"), &pem));
    }
    let serving = under(root, paths::KUBELET_PKI_DIR).join("kubelet.crt");
    let serving = read(&serving);
    let name = CertificateSummary::KUBELET_SERVING;
    found.extend(summary(name, Some("ca"), &serving));
    let pki = under(root, paths::PKI_DIR);
    let (authorities, leaves): (Vec<_>, Vec<_>) = CertificateName::ALL
        .into_iter()
        .partition(|name| name.signer().is_none());
    for name in leaves.into_iter().chain(authorities) {
        let authority = name.signer().map(CertificateName::phase_name);
        let pem = read(&pki.join(name.certificate_path()));
        found.extend(summary(name.phase_name(), authority, &pem));
    }
    found
}

/// Reads a file that may be a link to an absolute path of the host.
fn read_link(root: &Path, path: &str) -> String {
    let found = under(root, path);
    let target = std::fs::read_link(&found);
    let target = target.ok().and_then(|it| Some(under(root, it.to_str()?)));
    std::fs::read_to_string(target.unwrap_or(found)).unwrap_or_default()
}

fn summary(name: &str, authority: Option<&str>, pem: &str) -> Option<CertificateSummary> {
    let facts = CertificateFacts::parse(pem).ok()?;
    Some(CertificateSummary {
        name: name.to_owned(),
        authority: authority.map(str::to_owned),
        not_after: facts.not_after,
        serial_number: facts.serial_number,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use slipway_pki::{CertificateAuthority, KeyAlgorithm, PrivateKey};

    use super::*;

    #[test]
    fn certificates_in_files_and_in_kubeconfigs_are_told_each_with_who_signs_it() {
        let root = tempfile::tempdir().unwrap();
        let key = || PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let day = Duration::from_secs(86_400);
        let now = Timestamp::now();
        let ca = CertificateAuthority::create("kubernetes", &key(), now, day).unwrap();
        let profile = KubeconfigName::Admin.profile("cp-1");
        let own = key();
        let kubeconfig = Kubeconfig {
            cluster_name: "kubernetes".to_owned(),
            server: "https://192.0.2.11:6443".to_owned(),
            ca_pem: ca.certificate_pem().to_owned(),
            user_name: "kubernetes-admin".to_owned(),
            credentials: Credentials::Embedded {
                cert_pem: ca.issue(&profile, &own, now, day).unwrap(),
                key_pem: own.to_pem(),
            },
        };
        let write = |path: &str, text: &str| {
            let path = under(root.path(), path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("/etc/kubernetes/pki/ca.crt", ca.certificate_pem());
        write("/etc/kubernetes/pki/apiserver.crt", "no certificate");
        write(paths::ADMIN_CONF, &kubeconfig.to_yaml().unwrap());
        let found = gather_certificates(root.path());
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.name.as_str(), it.authority.as_deref()))
            .collect();
        assert_eq!(told, [("admin.conf", Some("ca")), ("ca", None)]);
        assert_ne!(found[0].serial_number, found[1].serial_number);
    }
}
