//! Passes one connection on to an API server.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::backends::{Answer, Backends};

/// How long a connection to an API server may take: hosts of a cluster are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects `client` with the first API server that accepts, and passes bytes
/// both ways until either side ends or the API server is given up. Returns
/// sentences for what it learned of API servers that did not accept.
pub(crate) async fn forward(mut client: TcpStream, backends: &Backends) -> Vec<String> {
    let mut told = Vec::new();
    for candidate in backends.candidates() {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(candidate.address)).await;
        let mut server = match connected {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => {
                let answer = Answer::Unreachable(error.to_string());
                told.extend(backends.note(candidate.address, answer));
                continue;
            }
            Err(_) => {
                let answer = Answer::Unreachable("no answer to a connection".to_owned());
                told.extend(backends.note(candidate.address, answer));
                continue;
            }
        };
        // Requests are small and wait for answers.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        tokio::select! {
            // How a connection ended is its two ends' matter.
            _ = copy_bidirectional(&mut client, &mut server) => {}
            () = candidate.cut.cancelled() => {}
        }
        break;
    }
    told
}
