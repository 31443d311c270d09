//! The user's own SSH configuration, as ssh(1) or a parser reads it.
//!
//! Where the program `ssh` exists, `ssh -G` answers, with everything it supports. Otherwise the
//! file is parsed (Host with negation, Include, HostName, User, Port, IdentityFile, ProxyJump);
//! files with `Match` are refused then, because the parser would apply what `Match` guards.

use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ssh2_config::{ParseRule, SshConfig};
use tokio::process::Command;
use tokio::time::timeout;

use super::error::SshError;

/// `Match exec` may run anything, but not for ever.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(10);

/// Identity files that are tried when nothing names one; ssh(1), newest kind first.
const DEFAULT_IDENTITIES: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// `known_hosts` files when nothing names one; ssh_config(5).
const DEFAULT_KNOWN_HOSTS: [&str; 4] = [
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
];

/// Where SSH settings come from that the cluster file leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshConfiguration {
    /// From `ssh -G`, with another file than the user's if one is given.
    Program {
        /// The file for `ssh -F`.
        config_file: Option<PathBuf>,
    },
    /// From this file, parsed here.
    File(PathBuf),
    /// From nowhere; OpenSSH's default files are still used.
    Ignored,
}

/// What the configuration says about one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConfiguredHost {
    pub(super) host_name: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    /// Only files that exist: defaults name many that do not.
    pub(super) identity_files: Vec<PathBuf>,
    pub(super) known_hosts_files: Vec<PathBuf>,
    pub(super) proxy_jump: Option<String>,
    pub(super) proxy_command: Option<String>,
    pub(super) host_key_alias: Option<String>,
    pub(super) identities_only: bool,
    /// Says which agent to ask, or to ask none.
    pub(super) identity_agent: Option<Option<PathBuf>>,
}

impl SshConfiguration {
    /// Returns how to read the user's configuration on this machine.
    pub async fn detect() -> Self {
        let version = Command::new("ssh")
            .arg("-V")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match version.await {
            Ok(status) if status.success() => Self::Program { config_file: None },
            Ok(_) | Err(_) => Self::File(expand("~/.ssh/config")),
        }
    }

    /// Returns what is configured for `address`, given the user and port already decided.
    pub(super) async fn look_up(
        &self,
        host: &str,
        address: &str,
        user: Option<&str>,
        port: Option<u16>,
    ) -> Result<ConfiguredHost, SshError> {
        let unusable = |reason: String| SshError::Configuration {
            host: host.to_owned(),
            reason,
        };
        if address.is_empty() || address.starts_with('-') || address.contains(char::is_whitespace) {
            return Err(unusable(format!("`{address}` is not an address")));
        }
        let mut found = match self {
            Self::Program { config_file } => {
                ask_program(config_file.as_deref(), address, user, port)
                    .await
                    .map_err(unusable)?
            }
            Self::File(path) => parse_file(path, address).map_err(unusable)?,
            Self::Ignored => ConfiguredHost::default(),
        };
        if found.identity_files.is_empty() {
            found.identity_files = DEFAULT_IDENTITIES.map(expand).to_vec();
        }
        found.identity_files.retain(|path| path.exists());
        if found.known_hosts_files.is_empty() {
            found.known_hosts_files = DEFAULT_KNOWN_HOSTS.map(expand).to_vec();
        }
        Ok(found)
    }
}

async fn ask_program(
    config_file: Option<&Path>,
    address: &str,
    user: Option<&str>,
    port: Option<u16>,
) -> Result<ConfiguredHost, String> {
    let mut command = Command::new("ssh");
    command.arg("-G").stdin(Stdio::null()).kill_on_drop(true);
    if let Some(file) = config_file {
        command.arg("-F").arg(file);
    }
    if let Some(user) = user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    let output = timeout(PROGRAM_TIMEOUT, command.arg(address).output())
        .await
        .map_err(|_| format!("`ssh -G {address}` did not end within 10 s"))?
        .map_err(|error| format!("`ssh -G {address}` could not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`ssh -G {address}` failed: {}", said.trim()));
    }
    Ok(parse_program_output(&String::from_utf8_lossy(
        &output.stdout,
    )))
}

/// Reads what `ssh -G` prints: a keyword in lower case and its value on each line.
fn parse_program_output(text: &str) -> ConfiguredHost {
    let mut found = ConfiguredHost::default();
    let unless_none = |value: &str| (value != "none").then(|| value.to_owned());
    for (keyword, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        match keyword {
            "hostname" => found.host_name = Some(value.to_owned()),
            "user" => found.user = Some(value.to_owned()),
            "port" => found.port = value.parse().ok(),
            "identityfile" => found
                .identity_files
                .extend(unless_none(value).map(|v| expand(&v))),
            "userknownhostsfile" | "globalknownhostsfile" => {
                // The user's files are printed last, and come first.
                let mut files: Vec<_> = value
                    .split(' ')
                    .filter_map(unless_none)
                    .map(|v| expand(&v))
                    .collect();
                if keyword == "userknownhostsfile" {
                    files.append(&mut found.known_hosts_files);
                    found.known_hosts_files = files;
                } else {
                    found.known_hosts_files.append(&mut files);
                }
            }
            "proxyjump" => found.proxy_jump = unless_none(value),
            "proxycommand" => found.proxy_command = unless_none(value),
            "hostkeyalias" => found.host_key_alias = unless_none(value),
            "identitiesonly" => found.identities_only = value == "yes",
            "identityagent" if value != "SSH_AUTH_SOCK" => {
                found.identity_agent = Some(unless_none(value).map(|path| expand(&path)));
            }
            _ => {}
        }
    }
    found
}

fn parse_file(path: &Path, address: &str) -> Result<ConfiguredHost, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ConfiguredHost::default()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let rules = ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS;
    let mut parser = SshConfig::default();
    if let Some(home) = std::env::var_os("HOME") {
        parser = parser.home_dir(home);
    }
    let config = parser
        .parse(&mut BufReader::new(file), rules)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let has_match = config.get_hosts().iter().any(|host| {
        let fields = [&host.params.ignored_fields, &host.params.unsupported_fields];
        fields
            .iter()
            .any(|fields| fields.keys().any(|name| name.eq_ignore_ascii_case("match")))
    });
    if has_match {
        return Err(format!(
            "{} uses `Match`, which only the program `ssh` understands; install openssh-client",
            path.display()
        ));
    }
    let params = config.query(address);
    let first = |keyword: &str| {
        let mut fields = params.unsupported_fields.iter();
        let (_, values) = fields.find(|(name, _)| name.eq_ignore_ascii_case(keyword))?;
        values.first().cloned()
    };
    Ok(ConfiguredHost {
        host_name: params.host_name.map(|name| name.replace("%h", address)),
        user: params.user,
        port: params.port,
        identity_files: params.identity_file.unwrap_or_default(),
        known_hosts_files: first("userknownhostsfile")
            .map(|path| expand(&path))
            .into_iter()
            .collect(),
        proxy_jump: params
            .proxy_jump
            .map(|hops| hops.join(","))
            .filter(|hops| hops != "none"),
        proxy_command: first("proxycommand").filter(|command| command != "none"),
        host_key_alias: first("hostkeyalias"),
        identities_only: first("identitiesonly").is_some_and(|value| value == "yes"),
        identity_agent: None,
    })
}

/// Puts the home directory in place of a leading `~/`.
fn expand(path: &str) -> PathBuf {
    let path = path.trim_matches('"');
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_ssh_is_read_as_ssh_means_it() {
        let text = "user ops\nhostname 192.0.2.11\nport 2222\nidentitiesonly yes\n\
                    identityfile /keys/a\nidentityfile /keys/b\n\
                    globalknownhostsfile /etc/ssh/ssh_known_hosts\n\
                    userknownhostsfile /u/known_hosts /u/known_hosts2\n\
                    proxyjump a,b\nidentityagent none\nproxycommand none\n";
        let found = parse_program_output(text);
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            found,
            ConfiguredHost {
                host_name: Some("192.0.2.11".into()),
                user: Some("ops".into()),
                port: Some(2222),
                identity_files: paths(&["/keys/a", "/keys/b"]),
                known_hosts_files: paths(&[
                    "/u/known_hosts",
                    "/u/known_hosts2",
                    "/etc/ssh/ssh_known_hosts"
                ]),
                proxy_jump: Some("a,b".into()),
                proxy_command: None,
                host_key_alias: None,
                identities_only: true,
                identity_agent: Some(None),
            }
        );
    }
}
