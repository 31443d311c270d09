//! An SSH server in this process, for what a real one does only now and then.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng, ssh_key::LineEnding};
use russh::server::{Auth, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use slipway_hosts::ssh::SshTarget;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The only password the server takes.
pub const PASSWORD: &str = "open sesame";

/// A running server; dropping it cuts every connection.
pub struct Server {
    pub address: SocketAddr,
    pub host_key: PublicKey,
    pub folder: TempDir,
    pub connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What the server accepts.
#[derive(Clone, Default)]
pub struct Doors {
    pub key: Option<PublicKey>,
    pub password: bool,
    pub keyboard_interactive: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns a new Ed25519 key.
pub fn new_key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a new key")
}

impl Server {
    /// Starts a server on a loopback port.
    pub async fn start(doors: Doors) -> Self {
        let host_key = new_key();
        let public = host_key.public_key().clone();
        let mut methods = MethodSet::empty();
        if doors.key.is_some() {
            methods.push(MethodKind::PublicKey);
        }
        if doors.password {
            methods.push(MethodKind::Password);
        }
        if doors.keyboard_interactive {
            methods.push(MethodKind::KeyboardInteractive);
        }
        let config = Arc::new(Config {
            keys: vec![host_key],
            methods,
            auth_rejection_time: Duration::from_millis(1),
            max_auth_attempts: 6,
            ..Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let (config, doors) = (Arc::clone(&config), doors.clone());
                sessions.spawn(async move {
                    if let Ok(session) =
                        russh::server::run_stream(config, stream, Door { doors }).await
                    {
                        let _ = session.await;
                    }
                });
            }
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            address,
            host_key: public,
            folder,
            connections,
            task,
        }
    }

    /// Returns a target that knows the server's key and offers nothing yet.
    pub fn target(&self) -> SshTarget {
        let known_hosts = self.folder.path().join("known_hosts");
        if !known_hosts.exists() {
            self.record(&self.host_key, "");
        }
        let mut target = SshTarget::new("cp-1", "127.0.0.1", "ops");
        target.port = self.address.port();
        target.agent_socket = None;
        target.known_hosts_files = vec![known_hosts];
        target.connect_timeout = Duration::from_secs(5);
        target
    }

    /// Writes the only line of the target's `known_hosts`.
    pub fn record(&self, key: &PublicKey, marker: &str) {
        let text = key.to_openssh().expect("encodes");
        let line = format!("{marker}[127.0.0.1]:{} {text}\n", self.address.port());
        std::fs::write(self.folder.path().join("known_hosts"), line).expect("written");
    }

    /// Writes a private key into a file and returns its path.
    pub fn identity(&self, name: &str, key: &PrivateKey) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(
            &path,
            key.to_openssh(LineEnding::LF).expect("encodes").as_bytes(),
        )
        .expect("written");
        path
    }
}

struct Door {
    doors: Doors,
}

impl Door {
    fn verdict(accept: bool) -> Auth {
        if accept { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let expected = self.doors.key.as_ref().map(PublicKey::key_data);
        Ok(Self::verdict(expected == Some(key.public_key.key_data())))
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(Self::verdict(self.doors.password && password == PASSWORD))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        match response {
            None => Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Name: ".into(), true), ("Password: ".into(), false)].into(),
            }),
            Some(response) => {
                let answers: Vec<_> = response.collect();
                let accept = answers.len() == 2 && answers[1].as_ref() == PASSWORD.as_bytes();
                Ok(Self::verdict(accept))
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let port = u16::try_from(port).expect("a port");
        match TcpStream::connect((host, port)).await {
            Ok(mut stream) => {
                reply.accept().await;
                tokio::spawn(async move {
                    let mut channel = channel.into_stream();
                    let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
                });
            }
            Err(_) => reply.reject(russh::ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    /// Understands `echo TEXT`, `fail`, `cut` and `hang`; anything else is refused.
    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        if let Some(text) = command.strip_prefix("echo ") {
            session.channel_success(channel)?;
            session.data(channel, text.as_bytes().to_vec())?;
            session.exit_status_request(channel, 0)?;
        } else if command == "fail" {
            session.channel_success(channel)?;
            session.extended_data(channel, 1, b"no such thing".to_vec())?;
            session.exit_status_request(channel, 7)?;
        } else if command == "cut" {
            session.channel_success(channel)?;
            session.data(channel, b"half an ans".to_vec())?;
            let handle = session.handle();
            tokio::spawn(async move {
                // Later than the answer, which is sent when this function has returned.
                tokio::time::sleep(Duration::from_millis(50)).await;
                let reason = russh::Disconnect::ByApplication;
                let _ = handle
                    .disconnect(reason, "going down".into(), "en".into())
                    .await;
            });
            return Ok(());
        } else if command == "hang" {
            return session.channel_success(channel);
        } else {
            return session.channel_failure(channel);
        }
        session.eof(channel)?;
        session.close(channel)
    }
}
