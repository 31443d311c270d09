//! gRPC over a Unix socket, as containerd and every CRI runtime serve it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the server at `socket`.
pub(crate) async fn connect(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("unix://{}", socket.display()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
}

/// Returns what a status says without gRPC's own words, its causes included.
pub(crate) fn sentence(status: &Status) -> String {
    let causes = std::iter::successors(status.source(), |&cause| cause.source());
    let mut parts = vec![status.message().to_owned()];
    for cause in causes {
        let text = cause.to_string();
        // Connection errors repeat themselves on the way up.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        return status.code().to_string();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_sentence() {
        assert_eq!(
            sentence(&Status::not_found("no such image")),
            "no such image"
        );
        assert_eq!(
            sentence(&Status::unavailable("")),
            "The service is currently unavailable"
        );
    }

    #[tokio::test]
    async fn a_missing_socket_is_an_error_at_once() {
        assert!(connect(Path::new("/nonexistent/socket")).await.is_err());
    }
}
