//! An API server of one file: real TLS on loopback, made-up answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use slipway_pki::{
    AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, KeyAlgorithm, PrivateKey,
    kubelet_serving_profile,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The name in the server's certificate.
pub const NAME: &str = "api.harbour.example";

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The path, without the query.
    pub path: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

/// What is answered: a status, and an object or a message.
pub type Answer = (u16, Value);

/// A running server; it ends with the test's runtime.
pub struct ApiStub {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl ApiStub {
    /// Starts a server whose certificate `authority` issued at `issued_at`;
    /// `answer` gets each request and how many of the same path came before.
    pub async fn start(
        authority: &CertificateAuthority,
        issued_at: Timestamp,
        answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(authority, issued_at)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    // Clients that do not like the certificate leave here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = serve(stream, &log, &*answer).await;
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// Returns all requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the paths of the requests that showed credentials.
    pub fn shown_to(&self) -> Vec<String> {
        let with_token = self
            .seen()
            .into_iter()
            .filter(|it| it.authorization.is_some());
        with_token.map(|it| it.path).collect()
    }
}

/// Returns a new authority.
pub fn authority() -> CertificateAuthority {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let since = Timestamp::now() - (3 * 365 * 24).hours();
    CertificateAuthority::create("kubernetes", &key, since, AUTHORITY_VALIDITY).unwrap()
}

/// Returns Kubernetes' answer to a request that it refuses.
pub fn refusal(code: u16, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": format!("made up: {reason}"), "reason": reason, "code": code,
    });
    (code, status)
}

/// Returns a ConfigMap.
pub fn config_map(name: &str, data: Value) -> Answer {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name },
        "data": data,
    });
    (200, object)
}

async fn serve(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    log: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen, usize) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else {
        return Ok(());
    };
    let authorization = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("authorization");
        is_it.then(|| value.trim().to_owned())
    });
    let seen = Seen {
        path: path.split('?').next().unwrap_or_default().to_owned(),
        authorization,
    };
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|it| it.path == seen.path).count();
        log.push(seen.clone());
        before
    };
    let (code, body) = answer(&seen, before);
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 {code} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.get_mut().write_all(text.as_bytes()).await?;
    stream.get_mut().shutdown().await
}

fn server_config(authority: &CertificateAuthority, issued_at: Timestamp) -> ServerConfig {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let profile = kubelet_serving_profile(NAME, &[], &[]);
    let certificate = authority
        .issue(&profile, &key, issued_at, CERTIFICATE_VALIDITY)
        .unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.to_pem().as_bytes()).unwrap();
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
