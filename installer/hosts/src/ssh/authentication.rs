//! Logs in: agent and identity files first, then the password.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use super::authentication_failure::AuthenticationFailure;
use super::client_handler::ClientHandler;
use super::host_key_problem::describe;
use super::identity::{Identity, load_identity, unlock};
use super::target::SshTarget;

/// How often a host may ask further questions before we give up (PAM modules can ask for ever).
const MAX_QUESTIONS: usize = 8;

type Agent = AgentClient<UnixStream>;

/// Logs in to `target` over a fresh connection.
///
/// The order spares attempts, of which sshd allows six: keys named by identity files, in the
/// agent or on disk; then the agent's other keys; then the password.
///
/// # Errors
/// Everything that was tried.
pub(super) async fn authenticate(
    handle: &mut Handle<ClientHandler>,
    target: &SshTarget,
) -> Result<(), AuthenticationFailure> {
    let mut attempt = Attempt {
        handle,
        target,
        offered: None,
        rsa_hash: None,
        failure: AuthenticationFailure {
            user: target.user.clone(),
            endpoint: target.endpoint(),
            ..AuthenticationFailure::default()
        },
    };
    match attempt.run().await {
        Progress::LoggedIn => Ok(()),
        Progress::Continue | Progress::HungUp => Err(attempt.into_failure()),
    }
}

struct Attempt<'a> {
    handle: &'a mut Handle<ClientHandler>,
    target: &'a SshTarget,
    /// What the host still accepts, once it has said so.
    offered: Option<MethodSet>,
    /// The hash for signatures with RSA keys, once asked for.
    rsa_hash: Option<HashAlg>,
    failure: AuthenticationFailure,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    LoggedIn,
    Continue,
    HungUp,
}

impl Attempt<'_> {
    async fn run(&mut self) -> Progress {
        let identities = self.load_identities().await;
        let (mut agent, mut agent_keys) = self.ask_agent().await;

        for identity in identities {
            let in_agent = agent_keys
                .iter()
                .position(|key| identity.public_key.as_ref() == Some(key.public_key().as_ref()));
            let progress = match (in_agent, &mut agent) {
                (Some(index), Some(agent)) => {
                    self.offer_agent_key(agent, agent_keys.swap_remove(index))
                        .await
                }
                _ => self.offer_identity(identity).await,
            };
            if progress != Progress::Continue {
                return progress;
            }
        }
        if let Some(agent) = agent.as_mut().filter(|_| !self.target.identities_only) {
            for key in agent_keys {
                let progress = self.offer_agent_key(agent, key).await;
                if progress != Progress::Continue {
                    return progress;
                }
            }
        }
        if self.offered.is_none() {
            // Nothing was offered yet: ask what the host would accept.
            let answer = self.handle.authenticate_none(&self.target.user).await;
            let progress = self.judge(None, answer.ok());
            if progress != Progress::Continue {
                return progress;
            }
        }
        self.offer_password().await
    }

    async fn load_identities(&mut self) -> Vec<Identity> {
        let mut identities = Vec::new();
        for path in &self.target.identity_files {
            match load_identity(path).await {
                Ok(identity) => identities.push(identity),
                Err(reason) => self
                    .failure
                    .tried
                    .push(format!("{} ({reason})", path.display())),
            }
        }
        identities
    }

    async fn ask_agent(&mut self) -> (Option<Agent>, Vec<AgentIdentity>) {
        let Some(socket) = &self.target.agent_socket else {
            return (None, Vec::new());
        };
        let answer = async {
            let mut agent = Agent::connect_uds(socket).await?;
            let keys = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, keys))
        };
        match answer.await {
            Ok((agent, keys)) => (Some(agent), keys),
            Err(error) => {
                self.failure
                    .tried
                    .push(format!("the agent at {} ({error})", socket.display()));
                (None, Vec::new())
            }
        }
    }

    async fn offer_agent_key(&mut self, agent: &mut Agent, identity: AgentIdentity) -> Progress {
        if !self.accepts(MethodKind::PublicKey) {
            return Progress::Continue;
        }
        let name = format!("agent key {}", describe(&identity.public_key()));
        let hash = self.hash_for(&identity.public_key()).await;
        let user = &self.target.user;
        let answer = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle
                    .authenticate_publickey_with(user, key, hash, agent)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, agent)
                    .await
            }
        };
        match answer {
            Ok(result) => self.judge(Some(name), Some(result)),
            Err(russh::AgentAuthError::Key(error)) => {
                self.failure
                    .tried
                    .push(format!("{name} (the agent does not sign: {error})"));
                Progress::Continue
            }
            Err(russh::AgentAuthError::Send(_)) => self.judge(Some(name), None),
        }
    }

    async fn offer_identity(&mut self, identity: Identity) -> Progress {
        if !self.accepts(MethodKind::PublicKey) {
            return Progress::Continue;
        }
        let name = format!("key {}", identity.path.display());
        let path = identity.path.clone();
        let key = match unlock(identity, &self.target.passphrase).await {
            Ok(key) => Arc::new(key),
            Err(reason) => {
                self.failure.locked_identity = Some(path);
                self.failure.tried.push(format!("{name} ({reason})"));
                return Progress::Continue;
            }
        };
        let user = &self.target.user;
        if let Some(certificate) = certificate_beside(&path).await {
            let key = Arc::clone(&key);
            let answer = self
                .handle
                .authenticate_openssh_cert(user, key, certificate)
                .await;
            let progress = self.judge(Some(format!("{name} with certificate")), answer.ok());
            if progress != Progress::Continue {
                return progress;
            }
        }
        let hash = self.hash_for(key.public_key()).await;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = self.handle.authenticate_publickey(user, key).await;
        self.judge(Some(name), answer.ok())
    }

    async fn offer_password(&mut self) -> Progress {
        let Some(password) = self.target.password.clone() else {
            return Progress::Continue;
        };
        if self.accepts(MethodKind::Password) {
            let answer = self
                .handle
                .authenticate_password(&self.target.user, password.reveal())
                .await;
            let progress = self.judge(Some("password".into()), answer.ok());
            if progress != Progress::Continue {
                return progress;
            }
        }
        if self.accepts(MethodKind::KeyboardInteractive) {
            return self.answer_questions(password.reveal()).await;
        }
        Progress::Continue
    }

    /// Keyboard-interactive: the password answers every hidden question, nothing answers others.
    async fn answer_questions(&mut self, password: &str) -> Progress {
        let name = || Some("password (keyboard-interactive)".to_owned());
        let mut answer = self
            .handle
            .authenticate_keyboard_interactive_start(&self.target.user, None)
            .await;
        for _ in 0..MAX_QUESTIONS {
            match answer {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Progress::LoggedIn,
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    let result = AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    };
                    return self.judge(name(), Some(result));
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                    let responses = prompts
                        .iter()
                        .map(|prompt| {
                            if prompt.echo {
                                String::new()
                            } else {
                                password.to_owned()
                            }
                        })
                        .collect();
                    answer = self
                        .handle
                        .authenticate_keyboard_interactive_respond(responses)
                        .await;
                }
                Err(_) => return self.judge(name(), None),
            }
        }
        self.failure
            .tried
            .push("password (the host asks question after question)".into());
        Progress::Continue
    }

    fn accepts(&self, method: MethodKind) -> bool {
        self.offered
            .as_ref()
            .is_none_or(|offered| offered.contains(&method))
    }

    /// Returns the hash for a signature; asked for only when a key is RSA, since asking can take
    /// a second. SHA-1 is never used.
    async fn hash_for(&mut self, key: &PublicKey) -> Option<HashAlg> {
        if !matches!(key.algorithm(), Algorithm::Rsa { .. }) {
            return None;
        }
        if self.rsa_hash.is_none() {
            let best = self
                .handle
                .best_supported_rsa_hash()
                .await
                .ok()
                .flatten()
                .flatten();
            self.rsa_hash = Some(best.unwrap_or(HashAlg::Sha256));
        }
        self.rsa_hash
    }

    /// Notes the outcome of offering `what`; no answer means that the connection is gone.
    fn judge(&mut self, what: Option<String>, answer: Option<AuthResult>) -> Progress {
        self.failure.tried.extend(what);
        match answer {
            Some(AuthResult::Success) => Progress::LoggedIn,
            // The library reports a connection that ended as a failure without methods.
            Some(AuthResult::Failure {
                remaining_methods, ..
            }) if remaining_methods.is_empty() && self.handle.is_closed() => {
                self.failure.hung_up = true;
                Progress::HungUp
            }
            Some(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                if partial_success && let Some(last) = self.failure.tried.last_mut() {
                    last.push_str(" (accepted, but more is asked for)");
                }
                self.offered = Some(remaining_methods);
                Progress::Continue
            }
            None => {
                self.failure.hung_up = true;
                Progress::HungUp
            }
        }
    }

    fn into_failure(self) -> AuthenticationFailure {
        let mut failure = self.failure;
        if let Some(offered) = self.offered {
            failure.offered = offered.iter().map(String::from).collect();
        }
        failure
    }
}

/// Returns the certificate that ssh-keygen put beside the key, if there is one.
async fn certificate_beside(path: &Path) -> Option<russh::keys::Certificate> {
    let mut name = path.as_os_str().to_owned();
    name.push("-cert.pub");
    let text = tokio::fs::read_to_string(name).await.ok()?;
    russh::keys::Certificate::from_openssh(text.trim()).ok()
}
