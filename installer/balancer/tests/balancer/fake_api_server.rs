//! As much of an API server as the balancer looks at, over real TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub certificate: String,
    pub key: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Ready,
    NotReady,
    /// As a host that crashed: nobody answers any more, and no connection ends.
    Silent,
}

pub(crate) struct FakeApiServer {
    pub name: String,
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    name: String,
    mood: Mutex<Mood>,
    members: Mutex<Vec<SocketAddr>>,
}

impl FakeApiServer {
    pub(crate) async fn start(name: &str, pair: &Pair, ca_pem: &str) -> Self {
        let acceptor = tls(pair, ca_pem);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            mood: Mutex::new(Mood::Ready),
            members: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, acceptor, Arc::clone(&shared)));
        Self {
            name: name.to_owned(),
            address,
            shared,
            serving,
        }
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// What it says when it is asked who the API servers are.
    pub(crate) fn set_members(&self, members: &[&Self]) {
        let addresses = members.iter().map(|member| member.address).collect();
        *self.shared.members.lock().unwrap() = addresses;
    }

    /// Ends the process: all its connections end, new ones are refused.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for FakeApiServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn tls(pair: &Pair, ca_pem: &str) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        connections.spawn(answer(connection, acceptor.clone(), Arc::clone(&shared)));
    }
}

async fn answer(connection: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    shared.unless_silent().await;
    let Ok(stream) = acceptor.accept(connection).await else {
        return;
    };
    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => request.push(line),
            }
        }
        shared.unless_silent().await;
        let path = request[0].split(' ').nth(1).unwrap();
        let (status, body) = shared.reply(path, has_certificate);
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

impl Shared {
    async fn unless_silent(&self) {
        let is_silent = *self.mood.lock().unwrap() == Mood::Silent;
        if is_silent {
            std::future::pending::<()>().await;
        }
    }

    fn reply(&self, path: &str, has_certificate: bool) -> (&'static str, String) {
        match path {
            "/readyz" if *self.mood.lock().unwrap() == Mood::NotReady => {
                ("500 Internal Server Error", "etcd failed".to_owned())
            }
            "/readyz" => ("200 OK", "ok".to_owned()),
            "/who" => ("200 OK", self.name.clone()),
            "/api/v1/namespaces/default/endpoints/kubernetes" if has_certificate => {
                ("200 OK", self.endpoints())
            }
            _ => ("403 Forbidden", "forbidden".to_owned()),
        }
    }

    fn endpoints(&self) -> String {
        let members = self.members.lock().unwrap();
        let subsets: Vec<_> = members
            .iter()
            .map(|member| {
                json!({
                    "addresses": [{"ip": member.ip()}],
                    "ports": [{"name": "https", "port": member.port(), "protocol": "TCP"}],
                })
            })
            .collect();
        json!({"kind": "Endpoints", "apiVersion": "v1", "subsets": subsets}).to_string()
    }
}
