//! Credentials, certificates and proxies.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use slipway_bundle::{BundleError, FetchOptions};
use tokio_rustls::TlsAcceptor;

use crate::http_server::{Answer, serve};
use crate::scene::{Fault, KUBELET, Scene, options, resolve};

#[tokio::test]
async fn passwords_in_a_mirrors_url_are_used_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(None, |request| match request.headers.get("authorization") {
        Some(value) if value == "Basic bWU6c2VjcmV0" => Answer::status(404),
        _ => Answer::status(401),
    })
    .await;
    let url = format!("http://me:secret@{address}/");
    let error = resolve(&url, folder.path().to_owned(), options(), Arc::new(|_| {}))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, BundleError::NoChecksum { .. }), "{error}");
    assert!(
        !format!("{error:?} {error}").contains("secret"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_it_is_named() {
    let certificates = tempfile::tempdir().unwrap();
    let scene = Scene::with_tls(Some(private_tls(certificates.path()))).await;
    let error = scene.failure(options()).await;
    assert!(
        matches!(error, BundleError::UntrustedCertificate { .. }),
        "{error:?}"
    );
    assert!(error.help_text().unwrap().contains("--ca-file"));

    let ca_file = Some(certificates.path().join("ca.crt"));
    scene
        .resolve_with(FetchOptions {
            ca_file,
            ..options()
        })
        .await
        .unwrap();

    let scene = Scene::with_tls(Some(private_tls(certificates.path()))).await;
    let ca_file = Some(certificates.path().join("ca.crt"));
    scene.fault(
        KUBELET,
        [Fault::Redirect("http://127.0.0.1:9/kubelet".to_owned())],
    );
    let error = scene
        .failure(FetchOptions {
            ca_file,
            ..options()
        })
        .await;
    assert!(
        error
            .to_string()
            .contains("redirected from https to plain http"),
        "{error}"
    );

    let ca_file = Some(certificates.path().join("server.csr"));
    let error = scene
        .failure(FetchOptions {
            ca_file,
            ..options()
        })
        .await;
    assert!(
        error.to_string().contains("no usable CA certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn the_environment_names_proxies_and_certificates() {
    let scene = Scene::new().await;
    let proxy = scene.url.clone();
    // The host name does not exist: only the proxy can have answered.
    run_child("http://mirror.invalid/", &[("http_proxy", &proxy)]).await;
    assert!(!scene.ranges(KUBELET).is_empty());

    let scene = Scene::new().await;
    let dead = "http://127.0.0.1:9";
    run_child(
        &scene.url,
        &[("http_proxy", dead), ("no_proxy", "127.0.0.1")],
    )
    .await;

    let certificates = tempfile::tempdir().unwrap();
    let scene = Scene::with_tls(Some(private_tls(certificates.path()))).await;
    let ca = certificates.path().join("ca.crt");
    run_child(&scene.url, &[("SSL_CERT_FILE", ca.to_str().unwrap())]).await;
}

/// Does nothing unless another test starts it with an environment of its own: this process
/// cannot change its environment safely.
#[tokio::test]
async fn child_resolves_in_its_own_environment() {
    let Ok(url) = std::env::var("SLIPWAY_TEST_SOURCE") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    resolve(&url, folder.path().to_owned(), options(), Arc::new(|_| {}))
        .await
        .unwrap();
}

async fn run_child(url: &str, environment: &[(&str, &str)]) {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "trust::child_resolves_in_its_own_environment"]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
    ] {
        command.env_remove(name);
    }
    command
        .env("SLIPWAY_TEST_SOURCE", url)
        .envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// Makes a CA and a server certificate for 127.0.0.1 in `folder`.
fn private_tls(folder: &Path) -> TlsAcceptor {
    use tokio_rustls::rustls::{ServerConfig, pki_types, pki_types::pem::PemObject};
    std::fs::write(folder.join("san"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=private-ca",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.crt",
    ] {
        let output = std::process::Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let certificate = pki_types::CertificateDer::from_pem_file(folder.join("server.crt")).unwrap();
    let key = pki_types::PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
