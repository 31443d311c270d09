//! An SSH server that lets everybody in, and a fake host's agent behind it.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use russh::keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng};
use russh::server::{Auth, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use slipway_api::protocol::{
    AgentMessage, FromAgent, Hello, PROTOCOL, Request, StepEvent, ToAgent,
};
use slipway_hosts::{FakeHost, Host, HostError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A running server; dropping it cuts every connection.
pub struct SshHost {
    pub fake: FakeHost,
    pub address: SocketAddr,
    pub key: PublicKey,
    gate: Arc<Gate>,
    /// Where every forward leads.
    beside: Arc<Mutex<Option<SocketAddr>>>,
    /// Second handles of all connections: the library's sessions live on by themselves.
    streams: Arc<Mutex<Vec<TcpStream>>>,
    task: JoinHandle<()>,
}

/// Holds up steps whose description begins with a text.
struct Gate {
    held: Mutex<Option<String>>,
    is_open: watch::Sender<bool>,
    is_reached: watch::Sender<bool>,
}

impl Drop for SshHost {
    fn drop(&mut self) {
        self.task.abort();
        let streams = self.streams.lock().expect("not poisoned");
        for stream in streams.iter() {
            // One that has ended already cannot be cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Returns a new Ed25519 key.
pub fn new_key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a new key")
}

impl SshHost {
    /// Starts a server on a loopback port.
    pub async fn start(fake: FakeHost) -> Self {
        let key = new_key();
        let public = key.public_key().clone();
        let config = Arc::new(Config {
            keys: vec![key],
            ..Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let gate = Arc::new(Gate::new());
        let (host, door) = (fake.clone(), Arc::clone(&gate));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::clone(&streams);
        let beside = Arc::new(Mutex::new(None));
        let forwards = Arc::clone(&beside);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().expect("a socket");
                let second = stream.try_clone().expect("a second handle");
                open.lock().expect("not poisoned").push(second);
                let stream = tokio::net::TcpStream::from_std(stream).expect("not blocking");
                let door = Door {
                    fake: host.clone(),
                    gate: Arc::clone(&door),
                    beside: Arc::clone(&forwards),
                    channels: HashMap::new(),
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, door).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self {
            fake,
            address,
            key: public,
            gate,
            beside,
            streams,
            task,
        }
    }

    /// Returns a host that was at `address` and is not there any more.
    pub fn gone(fake: FakeHost, address: SocketAddr) -> Self {
        Self {
            fake,
            address,
            key: new_key().public_key().clone(),
            gate: Arc::new(Gate::new()),
            beside: Arc::default(),
            streams: Arc::default(),
            task: tokio::spawn(async {}),
        }
    }

    /// Lets every forward lead to `address`, wherever it was to lead.
    pub fn leads_to(&self, address: SocketAddr) {
        *self.beside.lock().expect("not poisoned") = Some(address);
    }

    /// Holds up steps whose description begins with `text` until [`Self::let_go`].
    pub fn hold(&self, text: &str) {
        *self.gate.held.lock().expect("not poisoned") = Some(text.to_owned());
    }

    /// Waits until a step is held up.
    pub async fn is_reached(&self) {
        let mut reached = self.gate.is_reached.subscribe();
        let reached = reached.wait_for(|reached| *reached);
        let reached = tokio::time::timeout(std::time::Duration::from_secs(120), reached).await;
        reached
            .expect("the step begins")
            .expect("the gate is there");
    }

    /// Lets held steps go on.
    pub fn let_go(&self) {
        self.gate.is_open.send_replace(true);
    }
}

impl Gate {
    fn new() -> Self {
        Self {
            held: Mutex::default(),
            is_open: watch::Sender::new(false),
            is_reached: watch::Sender::new(false),
        }
    }

    async fn pass(&self, request: &Request) {
        let Request::RunStep { step, .. } = request else {
            return;
        };
        let held = self.held.lock().expect("not poisoned").clone();
        if held.is_some_and(|text| step.describe().starts_with(&text)) {
            self.is_reached.send_replace(true);
            let mut open = self.is_open.subscribe();
            let _ = open.wait_for(|open| *open).await;
        }
    }
}

struct Door {
    fake: FakeHost,
    gate: Arc<Gate>,
    beside: Arc<Mutex<Option<SocketAddr>>>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let beside = *self.beside.lock().expect("not poisoned");
        let refused = russh::ChannelOpenFailure::ConnectFailed;
        let Some(address) = beside else {
            reply.reject(refused).await;
            return Ok(());
        };
        match tokio::net::TcpStream::connect(address).await {
            Ok(mut stream) => {
                reply.accept().await;
                tokio::spawn(async move {
                    let mut channel = channel.into_stream();
                    let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
                });
            }
            Err(_) => reply.reject(refused).await,
        }
        Ok(())
    }

    /// Understands Slipway's two command lines.
    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let command = String::from_utf8_lossy(command).into_owned();
        let Some(channel) = self.channels.remove(&id) else {
            return session.close(id);
        };
        if command.ends_with(" agent --stdio") {
            let agent = serve(
                channel.into_stream(),
                self.fake.clone(),
                Arc::clone(&self.gate),
            );
            tokio::spawn(agent);
            return Ok(());
        }
        let answer = format!("slipway {}\npresent\nready\n", std::env::consts::ARCH);
        session.data(id, answer.into_bytes())?;
        session.exit_status_request(id, 0)?;
        session.eof(id)?;
        session.close(id)
    }
}

/// Serves a control channel as an agent does; the fake host answers. A fake
/// host that is dead ends the channel.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    fake: FakeHost,
    gate: Arc<Gate>,
) {
    let (reader, mut writer) = tokio::io::split(stream);
    let (sender, mut receiver) = mpsc::unbounded_channel::<Option<String>>();
    let hello = Hello {
        version: "0".to_owned(),
        protocol: PROTOCOL,
    };
    let _ = sender.send(serde_json::to_string(&hello).ok());
    let writing = tokio::spawn(async move {
        while let Some(Some(line)) = receiver.recv().await {
            if writer
                .write_all(format!("{line}\n").as_bytes())
                .await
                .is_err()
            {
                break;
            }
        }
        let _ = writer.shutdown().await;
    });
    let mut lines = BufReader::new(reader).lines();
    // The first line says that this is a control channel.
    let _ = lines.next_line().await;
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(ToAgent { id, request }) = serde_json::from_str(&line) else {
            break;
        };
        let (fake, gate, sender) = (fake.clone(), Arc::clone(&gate), sender.clone());
        tokio::spawn(async move {
            gate.pass(&request).await;
            let say = |message| serde_json::to_string(&FromAgent { id, message }).ok();
            let on_event = |event: StepEvent| {
                let _ = sender.send(say(AgentMessage::Event(event)));
            };
            let answer = match fake.request(request, &on_event).await {
                Ok(reply) => say(AgentMessage::Reply(Box::new(reply))),
                Err(HostError::Failed { failure, .. }) => say(AgentMessage::Failed(*failure)),
                Err(_) => None,
            };
            let _ = sender.send(answer);
        });
    }
    drop(sender);
    let _ = writing.await;
}
