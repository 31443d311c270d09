//! Asks an API server whether it is ready, over a stream that is there already.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use slipway_hosts::ForwardProbe;
use slipway_hosts::ssh::ByteStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::cli_error::CliError;

/// The request. Whoever is nobody may make it, as the role `system:public-info-viewer` of
/// Kubernetes says.
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

/// `HTTP/1.1 200`: what is read of the answer.
const STATUS_LINE: usize = 12;

/// Returns what asks whether an API server is ready, and has a certificate of
/// the authorities for `name`.
///
/// # Errors
/// The authorities are none.
pub(super) fn probe(
    authorities_pem: &str,
    name: ServerName<'static>,
) -> Result<ForwardProbe, CliError> {
    let unusable = |error: &dyn std::error::Error| {
        CliError::failed(error).with_help(Some(
            "look at `certificate-authority-data` in /etc/kubernetes/admin.conf".to_owned(),
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    Ok(Arc::new(move |stream| {
        Box::pin(ask(connector.clone(), name.clone(), stream))
    }))
}

async fn ask(
    connector: TlsConnector,
    name: ServerName<'static>,
    stream: Box<dyn ByteStream>,
) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = connector.connect(name, stream).await.map_err(said)?;
    stream.write_all(REQUEST).await.map_err(said)?;
    let mut answer = [0; STATUS_LINE];
    stream.read_exact(&mut answer).await.map_err(said)?;
    judge(&answer)
}

fn judge(answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    match status {
        Some(status) if status.starts_with('5') => Err(format!("/readyz says {status}")),
        // Where anonymous requests are forbidden, 401 comes from one that serves.
        Some(status) if status.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        Some(_) | None => Err("what answers is no API server".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_answer_but_a_servers_failure_is_one_that_serves() {
        for (answer, serves) in [
            ("HTTP/1.1 200", true),
            ("HTTP/1.1 401", true),
            ("HTTP/1.1 500", false),
            ("HTTP/1.1 503", false),
            ("SSH-2.0-Open", false),
            ("HTTP/1.1 abc", false),
        ] {
            assert_eq!(judge(answer.as_bytes()).is_ok(), serves, "{answer}");
        }
    }
}
