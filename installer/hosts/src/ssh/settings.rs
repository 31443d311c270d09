//! What the cluster file says about reaching a host, and what completes it.

use std::path::PathBuf;

use slipway_api::{HostSpec, SshDefaults};

use super::configuration::{ConfiguredHost, SshConfiguration};
use super::error::SshError;
use super::target::{DEFAULT_SSH_PORT, SshTarget, SudoMode};
use crate::Secret;

/// Bastions before bastions end here; ssh(1) has a like limit.
const MAX_JUMPS: usize = 8;

/// The settings of one host; what is absent comes from the user's SSH configuration, then from
/// OpenSSH's defaults.
#[derive(Clone, Debug, Default)]
pub struct SshSettings {
    /// The host's name in the cluster file.
    pub host_name: String,
    /// The address, or a `Host` of the SSH configuration.
    pub address: String,
    /// The user to log in as.
    pub user: Option<String>,
    /// The TCP port.
    pub port: Option<u16>,
    /// The private key's path.
    pub identity_file: Option<PathBuf>,
    /// The only `known_hosts` file.
    pub known_hosts_file: Option<PathBuf>,
    /// Bastions, as OpenSSH's ProxyJump writes them.
    pub proxy_jump: Option<String>,
    /// Whether commands run under sudo.
    pub sudo: Option<bool>,
    /// A file that holds the password for login and sudo.
    pub password_file: Option<PathBuf>,
    /// Whether new hosts are trusted at first contact.
    pub accept_new_host_keys: bool,
}

impl SshSettings {
    /// Returns what the cluster file says: the host's own values before the cluster's.
    pub fn of(host: &HostSpec, defaults: &SshDefaults, accept_new_host_keys: bool) -> Self {
        let own_or =
            |own: &Option<String>, shared: &Option<String>| own.clone().or_else(|| shared.clone());
        let path_or = |own: &Option<PathBuf>, shared: &Option<PathBuf>| {
            own.clone().or_else(|| shared.clone())
        };
        Self {
            host_name: host.name.as_str().to_owned(),
            address: host.address.clone(),
            user: own_or(&host.user, &defaults.user),
            port: host.port.or(defaults.port),
            identity_file: path_or(&host.identity_file, &defaults.identity_file),
            known_hosts_file: defaults.known_hosts_file.clone(),
            proxy_jump: own_or(&host.proxy_jump, &defaults.proxy_jump),
            sudo: host.sudo.or(defaults.sudo),
            password_file: path_or(&host.password_file, &defaults.password_file),
            accept_new_host_keys,
        }
    }

    /// Returns the target, completed from `configuration`; reads the password file.
    pub async fn complete(&self, configuration: &SshConfiguration) -> Result<SshTarget, SshError> {
        let found = configuration
            .look_up(
                &self.host_name,
                &self.address,
                self.user.as_deref(),
                self.port,
            )
            .await?;
        let mut target = self.target_of(&self.host_name, &self.address, &found);
        if let Some(path) = &self.password_file {
            target.password = Some(self.read_password(path).await?);
        }
        let jump = self.proxy_jump.clone().or_else(|| found.proxy_jump.clone());
        if self.proxy_jump.is_none() && jump.is_none() && found.proxy_command.is_some() {
            return Err(self.unusable("ProxyCommand is not supported, ProxyJump is"));
        }
        if let Some(jump) = jump {
            target.proxy_jump = self.bastions(&jump, &target, configuration).await?;
        }
        Ok(target)
    }

    /// Returns the bastions that `jump` names, nearest first, each completed like a host; the
    /// nearest one's own ProxyJump comes before it.
    async fn bastions(
        &self,
        jump: &str,
        target: &SshTarget,
        configuration: &SshConfiguration,
    ) -> Result<Vec<SshTarget>, SshError> {
        let mut bastions: Vec<SshTarget> = Vec::new();
        let mut pending = Some(jump.to_owned());
        while let Some(jump) = pending.take() {
            let mut chain = Vec::new();
            for (index, text) in jump.split(',').enumerate() {
                let Some(hop) = Hop::parse(text) else {
                    return Err(self.unusable(&format!("`{text}` is not [USER@]HOST[:PORT]")));
                };
                let found = configuration
                    .look_up(&self.host_name, &hop.host, hop.user.as_deref(), hop.port)
                    .await?;
                let settings = Self {
                    user: hop.user,
                    port: hop.port,
                    sudo: Some(false),
                    password_file: None,
                    ..self.clone()
                };
                let bastion = settings.target_of(&hop.host, &hop.host, &found);
                // The cluster's bastion may be one of its hosts, and needs no bastion then.
                let is_known = |known: &SshTarget| {
                    known.endpoint() == bastion.endpoint() && known.user == bastion.user
                };
                if is_known(target) || bastions.iter().any(is_known) {
                    continue;
                }
                if index == 0 {
                    pending = found.proxy_jump;
                }
                chain.push(bastion);
            }
            if chain.is_empty() {
                break;
            }
            chain.append(&mut bastions);
            bastions = chain;
            if bastions.len() > MAX_JUMPS {
                return Err(self.unusable(&format!("more than {MAX_JUMPS} bastions in a row")));
            }
        }
        Ok(bastions)
    }

    fn target_of(&self, name: &str, address: &str, found: &ConfiguredHost) -> SshTarget {
        let address = found
            .host_name
            .clone()
            .unwrap_or_else(|| address.to_owned());
        let user = self.user.clone().or_else(|| found.user.clone());
        let mut target = SshTarget::new(name, address, user.unwrap_or_else(local_user));
        target.port = self.port.or(found.port).unwrap_or(DEFAULT_SSH_PORT);
        target.identity_files = match &self.identity_file {
            Some(path) => vec![path.clone()],
            None => found.identity_files.clone(),
        };
        target.known_hosts_files = match &self.known_hosts_file {
            Some(path) => vec![path.clone()],
            None => found.known_hosts_files.clone(),
        };
        target.identities_only = found.identities_only;
        target.host_key_alias = found.host_key_alias.clone();
        target.accept_new_host_keys = self.accept_new_host_keys;
        target.sudo = match self.sudo {
            Some(false) => SudoMode::Off,
            Some(true) | None => SudoMode::On,
        };
        if let Some(agent) = &found.identity_agent {
            target.agent_socket = agent.clone();
        }
        target
    }

    async fn read_password(&self, path: &PathBuf) -> Result<Secret, SshError> {
        let text = tokio::fs::read_to_string(path).await.map_err(|error| {
            self.unusable(&format!("the password file {}: {error}", path.display()))
        })?;
        Ok(Secret::new(text.lines().next().unwrap_or_default()))
    }

    fn unusable(&self, reason: &str) -> SshError {
        SshError::Configuration {
            host: self.host_name.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// One element of ProxyJump.
#[derive(Debug, PartialEq, Eq)]
struct Hop {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Hop {
    /// Parses `[ssh://][user@]host[:port]`; an IPv6 address with a port has brackets.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text
            .strip_prefix("ssh://")
            .unwrap_or(text)
            .trim_end_matches('/');
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        let (host, port) = if let Some(rest) = place.strip_prefix('[') {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        } else {
            match place.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (place, None),
            }
        };
        let port = port.map(str::parse).transpose().ok()?;
        let is_usable = !host.is_empty() && !host.starts_with('-') && user.as_deref() != Some("");
        is_usable.then(|| Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

/// Returns the local user's name, which is whom ssh(1) would log in as.
fn local_user() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "root".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_parse_as_ssh_writes_them() {
        let hop = |user: Option<&str>, host: &str, port| {
            Some(Hop {
                user: user.map(str::to_owned),
                host: host.into(),
                port,
            })
        };
        for (text, expected) in [
            ("bastion", hop(None, "bastion", None)),
            ("ops@bastion:2222", hop(Some("ops"), "bastion", Some(2222))),
            (
                "ssh://ops@bastion:22/",
                hop(Some("ops"), "bastion", Some(22)),
            ),
            ("[fd00::1]:2222", hop(None, "fd00::1", Some(2222))),
            ("fd00::1", hop(None, "fd00::1", None)),
            ("me@corp@bastion", hop(Some("me@corp"), "bastion", None)),
            ("-oProxyCommand=x", None),
            ("bastion:http", None),
            ("@bastion", None),
            ("", None),
        ] {
            assert_eq!(Hop::parse(text), expected, "{text}");
        }
    }

    fn settings(address: &str) -> SshSettings {
        SshSettings {
            host_name: "cp-1".into(),
            address: address.into(),
            ..SshSettings::default()
        }
    }

    #[tokio::test]
    async fn the_cluster_file_comes_before_the_ssh_configuration() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("config");
        let text = "Host cp-1\n HostName 192.0.2.11\n User ops\n Port 2222\n\
                    \tProxyJump gate@bastion:2022\n IdentityFile /keys/%h\n";
        std::fs::write(&config, text).expect("written");
        for configuration in [
            SshConfiguration::Program {
                config_file: Some(config.clone()),
            },
            SshConfiguration::File(config),
        ] {
            let mut given = settings("cp-1");
            given.port = Some(22);
            given.identity_file = Some("/keys/mine".into());
            let target = given.complete(&configuration).await.expect("complete");
            assert_eq!(
                (target.endpoint().as_str(), target.user.as_str()),
                ("192.0.2.11:22", "ops")
            );
            assert_eq!(target.identity_files, [PathBuf::from("/keys/mine")]);
            assert_eq!(target.proxy_jump.len(), 1);
            assert_eq!(target.proxy_jump[0].endpoint(), "bastion:2022");
            assert_eq!(target.proxy_jump[0].user, "gate");
        }
    }

    #[tokio::test]
    async fn a_bastion_that_is_itself_a_host_of_the_cluster_is_used_once() {
        for (address, bastions) in [("192.0.2.11", 1), ("bastion", 0)] {
            let mut given = settings(address);
            given.proxy_jump = Some("bastion".into());
            let target = given
                .complete(&SshConfiguration::Ignored)
                .await
                .expect("complete");
            assert_eq!(target.proxy_jump.len(), bastions, "{address}");
        }
    }

    #[tokio::test]
    async fn the_bastion_before_the_bastion_is_found() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("config");
        std::fs::write(&config, "Host near\n ProxyJump gate\n").expect("written");
        let mut given = settings("192.0.2.11");
        given.proxy_jump = Some("near,far".into());
        let configuration = SshConfiguration::Program {
            config_file: Some(config),
        };
        let target = given.complete(&configuration).await.expect("complete");
        let way: Vec<_> = target
            .proxy_jump
            .iter()
            .map(|hop| hop.address.as_str())
            .collect();
        assert_eq!(way, ["gate", "near", "far"]);
    }

    #[tokio::test]
    async fn a_file_with_match_is_refused_where_ssh_is_missing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("config");
        let text = "Host cp-1\n User ops\nMatch exec \"true\"\n User mallory\n";
        std::fs::write(&config, text).expect("written");
        let error = settings("cp-1")
            .complete(&SshConfiguration::File(config))
            .await
            .expect_err("Match is refused");
        assert!(error.to_string().contains("`Match`"), "{error}");
    }

    #[tokio::test]
    async fn an_address_that_looks_like_an_option_is_refused() {
        let configuration = SshConfiguration::Program { config_file: None };
        let error = settings("-oProxyCommand=touch /tmp/x")
            .complete(&configuration)
            .await;
        assert!(
            matches!(error, Err(SshError::Configuration { .. })),
            "{error:?}"
        );
    }
}
