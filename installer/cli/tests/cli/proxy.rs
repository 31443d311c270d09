//! `kubeconfig --proxy`: the API over SSH, and a kubeconfig that goes with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use slipway_api::protocol::{Reply, Request};
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateProfile,
    Credentials, KeyAlgorithm, Kubeconfig, PrivateKey,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::cluster::{Cluster, end};

/// The cluster's authority.
fn authority() -> &'static CertificateAuthority {
    static AUTHORITY: OnceLock<CertificateAuthority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = jiff::Timestamp::now();
        CertificateAuthority::create("kubernetes", &key, now, AUTHORITY_VALIDITY).unwrap()
    })
}

fn admin_conf() -> String {
    let kubeconfig = Kubeconfig {
        cluster_name: "kubernetes".to_owned(),
        server: "https://192.0.2.11:6443".to_owned(),
        ca_pem: authority().certificate_pem().to_owned(),
        user_name: "kubernetes-admin".to_owned(),
        credentials: Credentials::Token("secret".to_owned().into()),
    };
    kubeconfig.to_yaml().unwrap().to_string()
}

/// Starts an API server that is always ready.
async fn api_server() -> SocketAddr {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // Another test of this process may have been first.
    let _ = provider.install_default();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let profile = CertificateProfile {
        common_name: "kube-apiserver".to_owned(),
        ip_sans: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        server_auth: true,
        ..CertificateProfile::default()
    };
    let now = jiff::Timestamp::now();
    let pem = authority().issue(&profile, &key, now, CERTIFICATE_VALIDITY);
    let certificate = CertificateDer::from_pem_slice(pem.unwrap().as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.to_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await?;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok").await?;
                stream.shutdown().await
            });
        }
    });
    address
}

/// A cluster whose API server is reached through `cp-1` only.
async fn cluster() -> Cluster {
    let cluster = Cluster::up_with(|name, request| {
        let is_asked = name == "cp-1" && *request == Request::ReadAdminKubeconfig;
        is_asked.then(|| Ok(Reply::Text { text: admin_conf() }))
    })
    .await;
    cluster.host("cp-1").leads_to(api_server().await);
    cluster
}

fn end_of_life(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    kill_process(id.and_then(Pid::from_raw).unwrap(), signal).unwrap();
}

/// Starts the proxy, and returns it with its line once it is ready.
async fn start(cluster: &Cluster, file: &Path) -> (Child, serde_json::Value) {
    let file = file.to_str().unwrap();
    let mut child = cluster.start(&["kubeconfig", "--proxy", "--out", file, "-o", "json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap();
    let Some(line) = line else {
        panic!("it ends: {}", end(child).await.stderr);
    };
    (child, serde_json::from_str(&line).unwrap())
}

/// Asks the API server that the kubeconfig names, trusting its authorities alone.
async fn ask(kubeconfig: &Kubeconfig) -> String {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(kubeconfig.ca_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address: SocketAddr = kubeconfig.server["https://".len()..].parse().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(address.ip());
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream
        .write_all(b"GET /version HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_api_is_reached_here_and_the_kubeconfig_goes_with_the_proxy() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let cluster = cluster().await;
        let file = cluster.file().with_file_name("proxy.kubeconfig");
        let (child, line) = start(&cluster, &file).await;
        let text = std::fs::read_to_string(&file).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let kubeconfig = Kubeconfig::parse(&text).unwrap();
        assert_eq!(line["server"], kubeconfig.server);
        assert_eq!(line["file"], file.to_str().unwrap());
        assert_eq!(
            kubeconfig.server,
            format!("https://127.0.0.1:{}", line["port"])
        );
        assert!(ask(&kubeconfig).await.ends_with("ok"));
        end_of_life(&child, signal);
        let ended = end(child).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr, "connections go through cp-1\n");
        assert!(!file.exists());
    }
}

#[tokio::test]
async fn without_anybody_who_serves_nothing_is_written() {
    let mut cluster = cluster().await;
    let file = cluster.file().with_file_name("proxy.kubeconfig");
    let path = file.to_str().unwrap().to_owned();
    let arguments = ["kubeconfig", "--proxy", "--out", path.as_str()];
    cluster
        .host("cp-1")
        .leads_to(SocketAddr::from(([127, 0, 0, 1], 1)));
    let ended = cluster.run(&arguments).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let said = "cp-1: the host does not connect to 127.0.0.1:6443";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    cluster.take_down("cp-1");
    let ended = cluster.run(&arguments).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(!file.exists());
}

#[tokio::test]
async fn what_would_be_lost_or_reach_nobody_is_refused_at_once() {
    let cluster = cluster().await;
    let file = cluster.file().with_file_name("mine");
    std::fs::write(&file, "apiVersion: v1\n").unwrap();
    let path = file.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = file.with_file_name("free");
    let free = free.to_str().unwrap();
    for (arguments, said) in [
        (&["--proxy", "--out", path][..], "exists already"),
        (&["--proxy"], "--out"),
        (&["--proxy-port", "7000", "--out", free], "--proxy"),
        (
            &["--proxy", "--out", free, "--proxy-port", &port],
            "cannot listen on 127.0.0.1:",
        ),
    ] {
        let arguments: Vec<&str> = ["kubeconfig"].iter().chain(arguments).copied().collect();
        let ended = cluster.run(&arguments).await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "apiVersion: v1\n");
}
