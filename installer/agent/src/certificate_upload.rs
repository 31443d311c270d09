//! Stores the authorities in the cluster, encrypted as kubeadm's `upload-certs` does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use slipway_api::protocol::{Attachment, Reply};
use slipway_api::{SecretText, paths};
use slipway_pki::CertificateKey;
use tokio::sync::mpsc;

use crate::AgentError;
use crate::cluster::gather_configuration;
use crate::context::Context;
use crate::kubernetes::{BootstrapToken, BootstrapTokenId};
use crate::server::under;
use crate::steps::{client, failed};

/// How long the Secret lives. Source: kubeadm's `DefaultCertTokenDuration`.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// What the token is for, which nobody joins with, in kubeadm's words.
const PURPOSE: &str = "Proxy for managing TTL for the kubeadm-certs secret";

/// What every control-plane node shares, below the folder of certificates. Source: kubeadm's
/// `certsToTransfer`.
const SHARED: [&str; 6] = [
    "ca.crt",
    "ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "sa.key",
    "sa.pub",
];

/// The same of an etcd of the cluster's own.
const SHARED_ETCD: [&str; 2] = ["etcd/ca.crt", "etcd/ca.key"];

/// Of an etcd elsewhere, the fields of its configuration and the names that kubeadm looks for.
const EXTERNAL_ETCD: [(&str, &str); 3] = [
    ("caFile", "external-etcd-ca.crt"),
    ("certFile", "external-etcd.crt"),
    ("keyFile", "external-etcd.key"),
];

/// Encrypts the authorities, stores them, and answers with the key.
pub(crate) async fn handle(root: &Path) -> Result<Reply, AgentError> {
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    if !context.at(paths::ADMIN_CONF).exists() {
        return Err(AgentError::Blocked {
            message: "this host is no control-plane node yet".to_owned(),
            help: "`slipway init -f FILE` makes it one".to_owned(),
        });
    }
    let client = client(&context, paths::ADMIN_CONF).await?;
    let configuration = gather_configuration(&client).await?.unwrap_or_default();
    require_endpoint(&configuration)?;
    let key = CertificateKey::generate().map_err(AgentError::pki("make a certificate key"))?;
    let sealed = seal(root, &files(&configuration), &key)?;
    let failed = || failed("store the authorities encrypted".to_owned());
    let made = slipway_pki::BootstrapToken::generate()
        .map_err(AgentError::pki("make a bootstrap token"))?;
    let id: BootstrapTokenId = made.id().parse().map_err(failed())?;
    let mut owner = BootstrapToken::new(id, made.expose_secret())
        .map_err(failed())?
        .expiring_in(LIFETIME);
    owner.description = PURPOSE.to_owned();
    owner.usages.clear();
    owner.groups.clear();
    let stored = client.put_certificate_secret(&owner, sealed).await;
    stored.map_err(failed())?;
    Ok(Reply::CertificateKey {
        key: SecretText::new(key.expose().as_str()),
    })
}

/// Refuses a cluster that kubeadm would add no control-plane node to.
fn require_endpoint(configuration: &Value) -> Result<(), AgentError> {
    let endpoint = configuration.get("controlPlaneEndpoint");
    if endpoint
        .and_then(Value::as_str)
        .is_some_and(|it| !it.is_empty())
    {
        return Ok(());
    }
    Err(AgentError::Blocked {
        message: "the cluster has no `controlPlaneEndpoint`, without which kubeadm adds no \
                  control-plane node"
            .to_owned(),
        help: "set `controlPlaneEndpoint` when the cluster is made, or add the host to the \
               cluster file: `slipway join -f FILE`"
            .to_owned(),
    })
}

/// Returns the files to store, by the names that kubeadm gives them in the Secret.
fn files(configuration: &Value) -> BTreeMap<String, PathBuf> {
    let folder = configuration.get("certificatesDir").and_then(Value::as_str);
    let folder = Path::new(folder.unwrap_or(paths::PKI_DIR));
    let below = |path: &str| (path.replace('/', "-"), folder.join(path));
    let mut files: BTreeMap<String, PathBuf> = SHARED.into_iter().map(below).collect();
    match configuration.pointer("/etcd/external") {
        None => files.extend(SHARED_ETCD.into_iter().map(below)),
        Some(etcd) => files.extend(EXTERNAL_ETCD.iter().filter_map(|(field, name)| {
            // An etcd without TLS has none.
            let path = etcd.get(field)?.as_str().filter(|path| !path.is_empty())?;
            Some(((*name).to_owned(), PathBuf::from(path)))
        })),
    }
    files
}

fn seal(
    root: &Path,
    files: &BTreeMap<String, PathBuf>,
    key: &CertificateKey,
) -> Result<BTreeMap<String, Vec<u8>>, AgentError> {
    let mut sealed = BTreeMap::new();
    for (name, path) in files {
        let at = under(root, &path.display().to_string());
        let plain = match std::fs::read(&at) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing(path));
            }
            Err(error) => return Err(AgentError::file("read", &at)(error)),
        };
        let bytes = key
            .seal(&plain)
            .map_err(AgentError::pki(format!("encrypt {}", path.display())))?;
        sealed.insert(name.clone(), bytes);
    }
    Ok(sealed)
}

fn missing(path: &Path) -> AgentError {
    AgentError::Blocked {
        message: format!(
            "{} is not on this host, and a control-plane node that kubeadm joins needs it",
            path.display()
        ),
        help: "with an authority whose key is elsewhere, give the new host its certificates \
               yourself (`slipway certs generate-csr`) and join it by the cluster file: \
               `slipway join -f FILE`"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(configuration: &Value) -> Vec<String> {
        files(configuration).into_keys().collect()
    }

    #[test]
    fn the_files_have_the_names_that_kubeadm_looks_for() {
        let own = [
            "ca.crt",
            "ca.key",
            "etcd-ca.crt",
            "etcd-ca.key",
            "front-proxy-ca.crt",
            "front-proxy-ca.key",
            "sa.key",
            "sa.pub",
        ];
        assert_eq!(names(&serde_json::json!({ "etcd": { "local": {} } })), own);
        let external = serde_json::json!({ "etcd": { "external": {
            "endpoints": ["https://192.0.2.1:2379"],
            "caFile": "/etc/etcd/ca.crt", "certFile": "/etc/etcd/c.crt", "keyFile": "/etc/etcd/c.key",
        } } });
        let found = files(&external);
        assert_eq!(found["external-etcd.key"], Path::new("/etc/etcd/c.key"));
        assert!(!found.contains_key("etcd-ca.key"));
        assert_eq!(found.len(), 9);
    }

    #[test]
    fn a_missing_key_is_named_and_nothing_is_stored() {
        let root = tempfile::tempdir().unwrap();
        let pki = under(root.path(), paths::PKI_DIR);
        std::fs::create_dir_all(pki.join("etcd")).unwrap();
        let wanted = files(&Value::Null);
        for path in wanted.values().filter(|path| !path.ends_with("ca.key")) {
            std::fs::write(under(root.path(), &path.display().to_string()), "x").unwrap();
        }
        let key = CertificateKey::generate().unwrap();
        let error = seal(root.path(), &wanted, &key).unwrap_err().to_string();
        assert!(
            error.starts_with("/etc/kubernetes/pki/ca.key is not on this host"),
            "{error}"
        );
        for path in wanted.values() {
            std::fs::write(under(root.path(), &path.display().to_string()), "secret").unwrap();
        }
        let sealed = seal(root.path(), &wanted, &key).unwrap();
        assert_eq!(sealed.len(), 8);
        assert!(
            sealed
                .values()
                .all(|bytes| !bytes.windows(6).any(|it| it == b"secret"))
        );
    }

    #[test]
    fn a_cluster_without_an_endpoint_is_refused_as_kubeadm_does() {
        for configuration in [
            Value::Null,
            serde_json::json!({ "controlPlaneEndpoint": "" }),
        ] {
            assert!(require_endpoint(&configuration).is_err());
        }
        let given = serde_json::json!({ "controlPlaneEndpoint": "api.example:6443" });
        require_endpoint(&given).unwrap();
    }
}
