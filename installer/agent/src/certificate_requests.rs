//! Keys and certificate requests for authorities elsewhere, as `kubeadm certs generate-csr` writes them.

use std::path::{Path, PathBuf};

use slipway_api::step::{EnsureCertificate, EnsureKubeconfig};
use slipway_pki::{Credentials, Kubeconfig, PrivateKey, certificate_request};
use zeroize::Zeroizing;

use crate::steps::{algorithm, certificate_profile, kubeconfig_name};
use crate::{AgentError, files};

/// The mode of everything that is written.
const PRIVATE: u32 = 0o600;

/// Writes a key and a request (`.csr`) for each certificate below `pki`, and for
/// each kubeconfig below `kubeconfigs` the file with a key and without
/// certificates, the request beside it. Returns the paths without `.csr`'s.
///
/// # Errors
/// One of the files is there already, then nothing is written; or one cannot be made.
pub fn write_certificate_requests(
    certificates: &[EnsureCertificate],
    kubeconfigs: &[EnsureKubeconfig],
    pki: &Path,
    kubeconfig_dir: &Path,
) -> Result<Vec<PathBuf>, AgentError> {
    let mut made: Vec<(PathBuf, Zeroizing<String>, String)> = Vec::new();
    for step in certificates {
        let (name, profile) = certificate_profile(step)?;
        let doing = || AgentError::pki(format!("make a request for certificate {name}"));
        let key = algorithm(&step.algorithm)
            .and_then(PrivateKey::generate)
            .map_err(doing())?;
        let request = certificate_request(&key, &profile).map_err(doing())?;
        made.push((pki.join(name.key_path()), key.to_pem(), request));
    }
    for step in kubeconfigs {
        let name = kubeconfig_name(&step.name)?;
        let doing = || AgentError::pki(format!("make a request for kubeconfig {name}"));
        let key = algorithm(&step.algorithm)
            .and_then(PrivateKey::generate)
            .map_err(doing())?;
        let profile = name.profile(&step.node_name);
        let request = certificate_request(&key, &profile).map_err(doing())?;
        let kubeconfig = Kubeconfig {
            cluster_name: step.cluster_name.clone(),
            server: step.server.clone(),
            ca_pem: String::new(),
            user_name: name.user_name(&step.node_name),
            credentials: Credentials::KeyAlone(key.to_pem()),
        };
        let text = kubeconfig.to_yaml().map_err(doing())?;
        made.push((kubeconfig_dir.join(name.file_name()), text, request));
    }
    let paths = made
        .iter()
        .flat_map(|(path, ..)| [path.clone(), request_path(path)]);
    let existing: Vec<String> = paths
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if !existing.is_empty() {
        return Err(AgentError::Blocked {
            message: format!("nothing was written: {} there already", are(&existing)),
            help: "name other folders with `--cert-dir` and `--kubeconfig-dir`, or move those files away"
                .to_owned(),
        });
    }
    for (path, secret, request) in &made {
        files::write(path, PRIVATE, secret.as_bytes())?;
        files::write(&request_path(path), PRIVATE, request.as_bytes())?;
    }
    Ok(made.into_iter().map(|(path, ..)| path).collect())
}

/// Returns where the request stands: in a key's place `.csr`, beside a kubeconfig.
fn request_path(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|ending| ending == "key") {
        return path.with_extension("csr");
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".csr");
    PathBuf::from(name)
}

fn are(paths: &[String]) -> String {
    let verb = if paths.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", paths.join(", "))
}
