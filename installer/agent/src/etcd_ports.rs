//! Whether two control-plane hosts reach each other on etcd's ports, over TLS
//! and with etcd's own certificates, before one of them becomes a member.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slipway_api::paths;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::AgentError;
use crate::server::under;

/// etcd's ports with the certificate that it serves there, and the one that is
/// shown to it there.
const PORTS: [(u16, &str, &str); 2] = [
    (2379, "server", "healthcheck-client"),
    (2380, "peer", "peer"),
];

/// How long one try may take: the kernel's third SYN comes after three seconds.
const LIMIT: Duration = Duration::from_secs(5);

/// What is asked, of etcd or of a stand-in.
const QUESTION: &str = "GET /version HTTP/1.0\r\nHost: etcd\r\n\r\n";
/// What a stand-in answers.
const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Stand-ins for an etcd that is not there yet. They go when the value is
/// dropped, so with the channel that asked for them, or at their bound.
pub(crate) struct EtcdPorts {
    _tasks: JoinSet<()>,
}

impl EtcdPorts {
    /// Opens etcd's ports at `address` for at most `bound`. A port that is
    /// taken is left to its owner, which is tried in its place.
    ///
    /// # Errors
    /// The certificates cannot be used, or a port cannot be opened.
    pub async fn open(root: &Path, address: IpAddr, bound: Duration) -> Result<Self, AgentError> {
        let mut tasks = JoinSet::new();
        for (port, served, _) in PORTS {
            let acceptor = TlsAcceptor::from(Arc::new(server_config(root, served)?));
            let listener = match TcpListener::bind((address, port)).await {
                Ok(listener) => listener,
                Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
                Err(error) => {
                    return Err(AgentError::Blocked {
                        message: format!(
                            "cannot listen on {}: {error}",
                            SocketAddr::new(address, port)
                        ),
                        help: "the node's address must be one of this host's: `ip address`"
                            .to_owned(),
                    });
                }
            };
            tasks.spawn(async move {
                let _ = tokio::time::timeout(bound, answer(listener, acceptor)).await;
            });
        }
        Ok(Self { _tasks: tasks })
    }
}

async fn answer(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut guests = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        guests.spawn(async move {
            let answering = async {
                let mut stream = acceptor.accept(stream).await?;
                let mut asked = [0; QUESTION.len()];
                stream.read_exact(&mut asked).await?;
                stream.write_all(ANSWER).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(LIMIT, answering).await;
        });
        while guests.try_join_next().is_some() {}
    }
}

/// Tries etcd's ports at `address`; returns those that are not reached, and why.
///
/// # Errors
/// The certificates cannot be used.
pub(crate) async fn unreached(
    root: &Path,
    address: IpAddr,
) -> Result<Vec<(u16, String)>, AgentError> {
    let mut tries = Vec::new();
    for (port, _, shown) in PORTS {
        let connector = TlsConnector::from(Arc::new(client_config(root, shown)?));
        tries.push(async move {
            let trying = try_port(SocketAddr::new(address, port), connector);
            let reason = match tokio::time::timeout(LIMIT, trying).await {
                Ok(Ok(())) => return None,
                Ok(Err(reason)) => reason,
                Err(_) => format!("nothing comes back within {} s", LIMIT.as_secs()),
            };
            Some((port, reason))
        });
    }
    let found = futures::future::join_all(tries).await;
    Ok(found.into_iter().flatten().collect())
}

async fn try_port(address: SocketAddr, connector: TlsConnector) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| {
        if error.kind() == ErrorKind::ConnectionRefused {
            "the connection is refused".to_owned()
        } else {
            error.to_string()
        }
    })?;
    let name = ServerName::from(address.ip());
    let tls = |error: std::io::Error| format!("TLS fails: {error}");
    let mut stream = connector.connect(name, stream).await.map_err(tls)?;
    stream.write_all(QUESTION.as_bytes()).await.map_err(tls)?;
    let mut heard = [0; 5];
    // Only now is it known whether the other side takes our certificate.
    stream.read_exact(&mut heard).await.map_err(tls)?;
    match &heard {
        b"HTTP/" => Ok(()),
        _ => Err("something else answers".to_owned()),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider())
}

fn server_config(root: &Path, name: &str) -> Result<ServerConfig, AgentError> {
    let (certificates, key) = pair(root, name)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(authority(root)?, provider());
    let verifier = verifier.build().map_err(unusable("ca"))?;
    let builder = ServerConfig::builder_with_provider(provider());
    builder
        .with_safe_default_protocol_versions()
        .map_err(unusable(name))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(unusable(name))
}

fn client_config(root: &Path, name: &str) -> Result<ClientConfig, AgentError> {
    let (certificates, key) = pair(root, name)?;
    let builder = ClientConfig::builder_with_provider(provider());
    builder
        .with_safe_default_protocol_versions()
        .map_err(unusable(name))?
        .with_root_certificates(authority(root)?)
        .with_client_auth_cert(certificates, key)
        .map_err(unusable(name))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(root: &Path, name: &str) -> Result<Pair, AgentError> {
    let pem = |ending: &str| {
        let path = under(root, paths::PKI_DIR).join(format!("etcd/{name}.{ending}"));
        let text = std::fs::read(&path).map_err(AgentError::file("read", &path))?;
        Ok::<_, AgentError>(zeroize::Zeroizing::new(text))
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem("crt")?).collect();
    let key = PrivateKeyDer::from_pem_slice(&pem("key")?).map_err(unusable(name))?;
    Ok((certificates.map_err(unusable(name))?, key))
}

fn authority(root: &Path) -> Result<Arc<RootCertStore>, AgentError> {
    let path = under(root, paths::PKI_DIR).join("etcd/ca.crt");
    let text = std::fs::read(&path).map_err(AgentError::file("read", &path))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(unusable("ca"))?;
        store.add(certificate).map_err(unusable("ca"))?;
    }
    Ok(Arc::new(store))
}

fn unusable<E: std::error::Error + Send + Sync + 'static>(
    name: &str,
) -> impl FnOnce(E) -> AgentError {
    let doing = format!("use etcd's certificate {name}");
    move |source| AgentError::Runtime {
        doing,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use slipway_pki::{
        AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, CertificateName,
        ControlPlaneNames, KeyAlgorithm, PrivateKey,
    };

    use super::*;

    fn authority() -> CertificateAuthority {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = jiff::Timestamp::now();
        CertificateAuthority::create("etcd-ca", &key, now, AUTHORITY_VALIDITY).unwrap()
    }

    /// Gives a host of 127.0.0.0/8 etcd's certificates.
    fn host(ca: &CertificateAuthority, address: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = under(root.path(), paths::PKI_DIR).join("etcd");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ca.crt"), ca.certificate_pem()).unwrap();
        let names = ControlPlaneNames {
            node_name: "cp-1".to_owned(),
            advertise_address: address.parse().unwrap(),
            first_service_ip: "10.96.0.1".parse().unwrap(),
            dns_domain: "cluster.local".to_owned(),
            control_plane_endpoint: None,
            extra_sans: Vec::new(),
            etcd_server_sans: Vec::new(),
            etcd_peer_sans: Vec::new(),
            kubelet_client_in_admins_group: false,
        };
        for name in [
            CertificateName::EtcdServer,
            CertificateName::EtcdPeer,
            CertificateName::EtcdHealthcheckClient,
        ] {
            let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
            let profile = name.profile(&names).unwrap();
            let now = jiff::Timestamp::now();
            let pem = ca.issue(&profile, &key, now, CERTIFICATE_VALIDITY).unwrap();
            let pki = under(root.path(), paths::PKI_DIR);
            std::fs::write(pki.join(name.certificate_path()), pem).unwrap();
            std::fs::write(pki.join(name.key_path()), key.to_pem().as_bytes()).unwrap();
        }
        root
    }

    #[tokio::test]
    async fn members_of_one_authority_reach_each_other_and_strangers_do_not() {
        let ca = authority();
        let address: IpAddr = "127.83.41.2".parse().unwrap();
        let (one, other) = (host(&ca, "127.83.41.1"), host(&ca, "127.83.41.2"));
        let open = EtcdPorts::open(other.path(), address, LIMIT).await.unwrap();
        assert_eq!(unreached(one.path(), address).await.unwrap(), []);
        // A port that is taken is left to its owner.
        let _again = EtcdPorts::open(other.path(), address, LIMIT).await.unwrap();
        let stranger = host(&authority(), "127.83.41.1");
        let found = unreached(stranger.path(), address).await.unwrap();
        let ports: Vec<u16> = found.iter().map(|(port, _)| *port).collect();
        assert_eq!(ports, [2379, 2380]);
        assert!(found[0].1.starts_with("TLS fails"), "{found:?}");
        drop(open);
    }

    #[tokio::test]
    async fn ports_that_nobody_has_are_named() {
        let one = host(&authority(), "127.83.41.3");
        let found = unreached(one.path(), "127.83.41.4".parse().unwrap()).await;
        let refused = "the connection is refused".to_owned();
        assert_eq!(found.unwrap(), [(2379, refused.clone()), (2380, refused)]);
    }
}
