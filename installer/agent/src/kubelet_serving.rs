//! Who signed the certificates under which kubelets serve logs, exec and metrics.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slipway_api::paths;
use slipway_api::protocol::Attachment;
use slipway_pki::CertificateFacts;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::AgentError;
use crate::context::Context;
use crate::server::under;
use crate::steps::{client, failed};

/// The kubelet's port.
const PORT: u16 = 10250;
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(2);

/// Returns the nodes whose kubelets serve with a certificate that the cluster's
/// CA has not signed; kubelets that do not answer are not judged.
///
/// # Errors
/// This host is no control-plane node, or the API server does not answer.
pub(crate) async fn self_signed_nodes(root: &Path) -> Result<Vec<String>, AgentError> {
    let path = under(root, paths::CLUSTER_CA);
    let ca_pem = std::fs::read_to_string(&path).map_err(AgentError::file("read", &path))?;
    let context = Context::new(root, mpsc::unbounded_channel().0, Attachment::default());
    let nodes = client(&context, paths::ADMIN_CONF).await?.nodes().await;
    let nodes = nodes.map_err(failed("list nodes".to_owned()))?;
    let looks = nodes.into_iter().map(|node| async {
        let address: IpAddr = node.internal_ip?.parse().ok()?;
        let is_signed = is_signed_at(SocketAddr::new(address, PORT), &ca_pem).await?;
        (!is_signed).then_some(node.name)
    });
    let found = futures::future::join_all(looks).await;
    Ok(found.into_iter().flatten().collect())
}

/// Returns whether a server's certificate is one that the CA has signed; none
/// where it does not answer.
async fn is_signed_at(address: SocketAddr, ca_pem: &str) -> Option<bool> {
    let certificate = tokio::time::timeout(LOOK, certificate_of(address)).await;
    let certificate = CertificateFacts::from_der(&certificate.ok()??).ok()?;
    certificate.is_signed_by(ca_pem).ok()
}

/// Returns the certificate that a server shows, whatever it is worth: nothing
/// is said to it, and nothing that it says is believed.
async fn certificate_of(address: SocketAddr) -> Option<Vec<u8>> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::from(address.ip());
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.ok()?;
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    Some(certificate.to_vec())
}

/// Accepts every certificate, since it is only looked at.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use slipway_pki::{
        AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, CertificateAuthority, KeyAlgorithm, PrivateKey,
        kubelet_serving_profile,
    };
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    use super::*;

    fn authority(name: &str) -> CertificateAuthority {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = jiff::Timestamp::now();
        CertificateAuthority::create(name, &key, now, AUTHORITY_VALIDITY).unwrap()
    }

    /// Starts a kubelet's TLS server with a certificate of `issuer`.
    async fn serve(issuer: &CertificateAuthority) -> SocketAddr {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let profile = kubelet_serving_profile("w-1", &[], &[]);
        let now = jiff::Timestamp::now();
        let pem = issuer
            .issue(&profile, &key, now, CERTIFICATE_VALIDITY)
            .unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
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
                let _ = acceptor.accept(stream).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_certificate_of_the_kubelet_s_own_making_is_told_from_the_cluster_s() {
        let (ca, own) = (authority("kubernetes"), authority("w-1-ca@1700000000"));
        let (signed, self_signed) = (serve(&ca).await, serve(&own).await);
        let pem = ca.certificate_pem();
        assert_eq!(is_signed_at(signed, pem).await, Some(true));
        assert_eq!(is_signed_at(self_signed, pem).await, Some(false));
    }

    #[tokio::test]
    async fn a_kubelet_that_does_not_answer_is_not_judged() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(is_signed_at(address, "").await, None);
    }
}
