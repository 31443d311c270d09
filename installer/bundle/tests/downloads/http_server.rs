//! A small HTTP/1.1 server whose every answer the test decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request.
pub struct Asked {
    /// The path, also of a request that came as to a proxy.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// An answer.
#[derive(Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Closes the connection after this many bytes of the body.
    pub cut_after: Option<usize>,
    /// Sends nothing more after this many bytes of the body, and keeps the connection.
    pub hang_after: Option<usize>,
}

impl Answer {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            ..Self::default()
        }
    }

    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// Serves on loopback until the test ends; returns the address.
pub async fn serve(
    tls: Option<TlsAcceptor>,
    handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback is there");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => answer(stream, &*handler).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => answer(stream, &*handler).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    address
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    handler: &(dyn Fn(&Asked) -> Answer + Send + Sync),
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let reply = handler(&parse(&String::from_utf8(head).ok()?)?);
    let mut text = format!("HTTP/1.1 {} Test\r\nConnection: close\r\n", reply.status);
    text += &format!("Content-Length: {}\r\n", reply.body.len());
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    stream.write_all(text.as_bytes()).await.ok()?;
    let end = reply
        .cut_after
        .or(reply.hang_after)
        .unwrap_or(reply.body.len());
    stream
        .write_all(&reply.body[..end.min(reply.body.len())])
        .await
        .ok()?;
    stream.flush().await.ok()?;
    if reply.hang_after.is_some() {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await.ok()
}

fn parse(head: &str) -> Option<Asked> {
    let mut lines = head.lines();
    let target = lines.next()?.split(' ').nth(1)?;
    let path = match target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/')?..],
        None => target,
    };
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Some(Asked {
        path: path.to_owned(),
        headers,
    })
}
