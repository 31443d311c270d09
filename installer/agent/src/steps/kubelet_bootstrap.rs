//! The kubelet's TLS bootstrap: it asks the API for its certificate by itself,
//! with a token.

use slipway_api::step::EnsureKubeletBootstrap;
use slipway_api::{Check, paths};
use slipway_pki::Kubeconfig;
use zeroize::Zeroizing;

use super::certificates::{SECRET, why_unfit};
use super::kubelet_certificates::{client_pair, client_profile};
use super::needed;
use crate::context::Context;
use crate::kubernetes::token_kubeconfig;
use crate::{AgentError, files};

pub(super) fn check_bootstrap(
    step: &EnsureKubeletBootstrap,
    context: &Context,
) -> Result<Check, AgentError> {
    if missing_certificate(&step.node_name, context)?.is_none() {
        return Ok(Check::Satisfied);
    }
    let found = files::read_text(&context.at(paths::BOOTSTRAP_KUBELET_CONF))?.map(Zeroizing::new);
    let because = match (found, wanted(step, context)?) {
        (None, _) => Some("the kubelet has no certificate yet"),
        // Without the token nobody can tell: it is asked for when the step runs.
        (Some(_), None) => None,
        (Some(found), Some(wanted)) if found == wanted => None,
        (Some(_), Some(_)) => Some("it was written for another token or cluster"),
    };
    Ok(needed(because))
}

pub(super) fn apply_bootstrap(
    step: &EnsureKubeletBootstrap,
    context: &Context,
) -> Result<(), AgentError> {
    let text = wanted(step, context)?.ok_or_else(|| {
        AgentError::BadRequest(format!(
            "bootstrap token {} was not given to this agent: type the join command again",
            step.token_id
        ))
    })?;
    let path = context.at(paths::BOOTSTRAP_KUBELET_CONF);
    files::write(&path, SECRET, text.as_bytes())
}

/// Returns what is missing of the kubelet's client certificate; none where it
/// has one for this node and this cluster.
pub(super) fn missing_certificate(
    node_name: &str,
    context: &Context,
) -> Result<Option<String>, AgentError> {
    let Some(text) = files::read_text(&context.at(paths::KUBELET_CONF))? else {
        return Ok(Some("kubelet.conf is not there".to_owned()));
    };
    if Kubeconfig::parse(&text).is_err() {
        return Ok(Some("kubelet.conf cannot be read".to_owned()));
    }
    let Some(pair) = client_pair(context)? else {
        return Ok(Some("the client certificate is not there".to_owned()));
    };
    let authority = files::read_text(&context.at(paths::CLUSTER_CA))?;
    let profile = client_profile(node_name);
    Ok(why_unfit(
        &pair,
        &pair,
        authority.as_deref(),
        &profile,
        None,
    ))
}

/// Returns the file's text; none where the agent holds another token or none.
fn wanted(
    step: &EnsureKubeletBootstrap,
    context: &Context,
) -> Result<Option<Zeroizing<String>>, AgentError> {
    let Some(token) = context.token().filter(|it| it.id() == step.token_id) else {
        return Ok(None);
    };
    token_kubeconfig(&step.cluster_name, &step.server, &step.ca_pem, token)
        .map(Some)
        .map_err(AgentError::pki("write bootstrap-kubelet.conf"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::Arc;

    use slipway_api::protocol::Attachment;
    use slipway_pki::{
        AUTHORITY_VALIDITY, BootstrapToken, CERTIFICATE_VALIDITY, CertificateAuthority,
        Credentials, KeyAlgorithm, PrivateKey,
    };

    use super::*;

    const TOKEN: &str = "abcdef.0123456789abcdef";

    fn context(root: &Path, token: Option<&str>) -> Context {
        let context = Context::new(
            root,
            tokio::sync::mpsc::unbounded_channel().0,
            Attachment::default(),
        );
        let token = token.map(|text| Arc::new(text.parse::<BootstrapToken>().unwrap()));
        context.with_token(token)
    }

    fn authority() -> CertificateAuthority {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = jiff::Timestamp::now();
        CertificateAuthority::create("kubernetes", &key, now, AUTHORITY_VALIDITY).unwrap()
    }

    fn step(ca: &CertificateAuthority) -> EnsureKubeletBootstrap {
        EnsureKubeletBootstrap {
            node_name: "w-1".to_owned(),
            server: "https://192.0.2.11:6443".to_owned(),
            cluster_name: "kubernetes".to_owned(),
            ca_pem: ca.certificate_pem().to_owned(),
            token_id: "abcdef".to_owned(),
        }
    }

    /// Does what a kubelet does once its request is signed.
    fn bootstrapped(root: &Path, ca: &CertificateAuthority, node_name: &str) {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(at(paths::KUBELET_PKI_DIR)).unwrap();
        std::fs::create_dir_all(at(paths::PKI_DIR)).unwrap();
        std::fs::write(at(paths::CLUSTER_CA), ca.certificate_pem()).unwrap();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let profile = client_profile(node_name);
        let now = jiff::Timestamp::now();
        let certificate = ca.issue(&profile, &key, now, CERTIFICATE_VALIDITY).unwrap();
        let pair = format!("{certificate}{}", key.to_pem().as_str());
        let current = paths::KUBELET_CLIENT.to_owned();
        std::fs::write(at(&current), pair).unwrap();
        let kubeconfig = Kubeconfig {
            cluster_name: "default-cluster".to_owned(),
            server: "https://192.0.2.11:6443".to_owned(),
            ca_pem: ca.certificate_pem().to_owned(),
            user_name: "default-auth".to_owned(),
            credentials: Credentials::Files {
                client_certificate: current.clone(),
                client_key: current,
            },
        };
        let text = kubeconfig.to_yaml().unwrap();
        std::fs::write(at(paths::KUBELET_CONF), text.as_bytes()).unwrap();
    }

    #[test]
    fn the_token_is_written_for_root_alone_and_only_once() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path(), Some(TOKEN));
        let step = step(&authority());
        assert!(matches!(
            check_bootstrap(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
        apply_bootstrap(&step, &context).unwrap();
        let path = context.at(paths::BOOTSTRAP_KUBELET_CONF);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().contains(TOKEN));
        assert_eq!(check_bootstrap(&step, &context).unwrap(), Check::Satisfied);
    }

    #[test]
    fn an_agent_without_the_token_writes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let other = context(root.path(), Some("ghijkl.0123456789abcdef"));
        let step = step(&authority());
        for context in [context(root.path(), None), other] {
            let error = apply_bootstrap(&step, &context).unwrap_err();
            assert!(error.to_string().contains("abcdef"), "{error}");
            assert!(!context.at(paths::BOOTSTRAP_KUBELET_CONF).exists());
        }
    }

    #[test]
    fn a_kubelet_that_has_its_certificate_needs_no_token() {
        let root = tempfile::tempdir().unwrap();
        let context = context(root.path(), None);
        let ca = authority();
        let step = step(&ca);
        bootstrapped(root.path(), &ca, "w-1");
        assert_eq!(check_bootstrap(&step, &context).unwrap(), Check::Satisfied);
        assert_eq!(missing_certificate("w-1", &context).unwrap(), None);
        // For another node, or from another cluster, it is worth nothing.
        assert!(missing_certificate("w-2", &context).unwrap().is_some());
        bootstrapped(root.path(), &authority(), "w-1");
        let authority = root.path().join(paths::CLUSTER_CA.trim_start_matches('/'));
        std::fs::write(authority, ca.certificate_pem()).unwrap();
        assert!(matches!(
            check_bootstrap(&step, &context).unwrap(),
            Check::Needed { .. }
        ));
    }
}
