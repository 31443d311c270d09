//! Where a machine joins, and by what it knows the cluster: the command line, checked.

use std::fmt;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use slipway_api::{Endpoint, SecretText};
use slipway_hosts::resolve::resolve_host;
use slipway_pki::BootstrapToken;

use crate::cli_error::CliError;
use crate::commands::endpoint;
use crate::local_args::DiscoveryArgs;

/// The variable that may hold the token.
const TOKEN_VARIABLE: &str = "SLIPWAY_TOKEN";
/// How many bytes of a token's file are read: a token has 23.
const TOKEN_LIMIT: u64 = 4096;
/// The port of an https URL without one.
const HTTPS_PORT: u16 = 443;

/// Where a machine joins, and by what it knows the cluster.
pub(crate) struct JoinTarget {
    /// The API server.
    pub endpoint: Endpoint,
    /// The bootstrap token.
    pub token: BootstrapToken,
    /// Pins of the cluster's CA, in lower case.
    pub ca_pins: Vec<String>,
}

impl fmt::Debug for JoinTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinTarget")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl JoinTarget {
    /// Reads the command line, and the token from where it says.
    ///
    /// # Errors
    /// Something is missing or has not the form it must have.
    pub fn read(endpoint_text: &str, args: &DiscoveryArgs) -> Result<Self, CliError> {
        let endpoint = read_endpoint(endpoint_text)?;
        let pins = args.discovery_token_ca_cert_hash.iter();
        let ca_pins: Vec<String> = pins.map(|pin| read_pin(pin)).collect::<Result<_, _>>()?;
        if ca_pins.is_empty() && !args.discovery_token_unsafe_skip_ca_verification {
            return Err(CliError::bad_input(
                "nothing tells this cluster from another: the pin of its CA is missing",
                "add `--discovery-token-ca-cert-hash sha256:…`, which `slipway token create --print-join-command` prints on a control-plane node; `--discovery-token-unsafe-skip-ca-verification` goes on without it",
            ));
        }
        Ok(Self {
            endpoint,
            token: read_token(args)?,
            ca_pins,
        })
    }

    /// Returns the token as a request carries it.
    pub fn secret(&self) -> SecretText {
        SecretText::new(self.token.expose().as_str())
    }

    /// Returns the addresses of the endpoint.
    ///
    /// # Errors
    /// Its name is not known.
    pub async fn addresses(&self) -> Result<Vec<IpAddr>, CliError> {
        addresses_of(&self.endpoint.host).await
    }

    /// Returns where the API server of `server` is, a URL that the cluster
    /// gives: the one that was asked at `known`, or behind another name.
    ///
    /// # Errors
    /// It is no URL with a host, or its name is not known.
    pub async fn address_of(
        &self,
        server: &str,
        known: SocketAddr,
    ) -> Result<SocketAddr, CliError> {
        let rest = server.strip_prefix("https://").unwrap_or(server);
        let authority = rest.split('/').next().unwrap_or_default();
        let mut found = endpoint(authority)?;
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        if !has_port {
            found.port = HTTPS_PORT;
        }
        if found.host == self.endpoint.host {
            return Ok(SocketAddr::new(known.ip(), found.port));
        }
        let addresses = addresses_of(&found.host).await?;
        let first = addresses.first().copied().unwrap_or(known.ip());
        Ok(SocketAddr::new(first, found.port))
    }
}

async fn addresses_of(host: &str) -> Result<Vec<IpAddr>, CliError> {
    resolve_host(host).await.map_err(|error| {
        let help = format!("put {host} into /etc/hosts or the DNS, or join by an address");
        CliError::failed(&error).with_help(Some(help))
    })
}

fn read_endpoint(text: &str) -> Result<Endpoint, CliError> {
    let found = endpoint(text)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_name = !found.host.is_empty() && found.host.chars().all(is_plain);
    if is_name || found.host.parse::<IpAddr>().is_ok() {
        return Ok(found);
    }
    Err(CliError::bad_input(
        format!("`{text}` is not the address of an API server"),
        "write `HOST:PORT` without a scheme or path, for example `192.0.2.11:6443`",
    ))
}

fn read_pin(text: &str) -> Result<String, CliError> {
    let pin = text.trim().to_lowercase();
    let digits = pin.strip_prefix("sha256:").unwrap_or_default();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(pin);
    }
    Err(CliError::bad_input(
        format!("`{text}` is not the hash of a CA: it must be `sha256:` and 64 hexadecimal digits"),
        "take it from `slipway token create --print-join-command` on a control-plane node",
    ))
}

fn read_token(args: &DiscoveryArgs) -> Result<BootstrapToken, CliError> {
    let text = match (&args.token, &args.token_file) {
        (Some(token), _) if token != "-" => token.clone(),
        (Some(_), _) => read_limited(std::io::stdin(), "stdin")?,
        (None, Some(file)) if file == Path::new("-") => read_limited(std::io::stdin(), "stdin")?,
        (None, Some(file)) => {
            let shown = file.display().to_string();
            let opened = std::fs::File::open(file).map_err(|error| unreadable(&shown, &error))?;
            read_limited(opened, &shown)?
        }
        (None, None) => std::env::var(TOKEN_VARIABLE).map_err(|_| {
            CliError::bad_input(
                "a bootstrap token is missing",
                "give it with `--token-file FILE`, in SLIPWAY_TOKEN, or with `--token`; `slipway token create --print-join-command` on a control-plane node makes one",
            )
        })?,
    };
    // Its text is not repeated: it may be a token with one letter too many.
    text.trim().parse().map_err(|_| {
        CliError::bad_input(
            "this is no bootstrap token: it must be six and sixteen lower-case letters or digits with a dot between them",
            "take it whole from `slipway token create --print-join-command` on a control-plane node",
        )
    })
}

fn read_limited(reader: impl Read, shown: &str) -> Result<String, CliError> {
    let mut text = String::new();
    let read = reader.take(TOKEN_LIMIT).read_to_string(&mut text);
    read.map_err(|error| unreadable(shown, &error))?;
    Ok(text)
}

fn unreadable(shown: &str, error: &std::io::Error) -> CliError {
    CliError::bad_input(
        format!("the token cannot be read from {shown}: {error}"),
        "name a file that holds the token and nothing else",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";

    fn args(token: &str, pins: &[&str]) -> DiscoveryArgs {
        DiscoveryArgs {
            token: Some(token.to_owned()),
            discovery_token_ca_cert_hash: pins.iter().map(|pin| (*pin).to_owned()).collect(),
            ..DiscoveryArgs::default()
        }
    }

    #[test]
    fn a_whole_join_command_is_understood() {
        let args = args("abcdef.0123456789abcdef", &[PIN]);
        let target = JoinTarget::read("api.harbour.example:7443", &args).unwrap();
        assert_eq!(target.endpoint.port, 7443);
        assert_eq!(target.ca_pins, [PIN.to_lowercase()]);
        assert_eq!(target.token.id(), "abcdef");
    }

    #[test]
    fn what_is_wrong_is_told_without_repeating_the_token() {
        let good = "abcdef.0123456789abcdef";
        for (endpoint, args, expected) in [
            ("https://a:6443", args(good, &[PIN]), "`https://a:6443`"),
            ("a/b", args(good, &[PIN]), "`a/b`"),
            ("192.0.2.11:x", args(good, &[PIN]), "port"),
            ("192.0.2.11", args(good, &["sha256:12"]), "64"),
            ("192.0.2.11", args(good, &["md5:12"]), "sha256:"),
            ("192.0.2.11", args(good, &[]), "pin"),
            (
                "192.0.2.11",
                args("abcdef.0123456789abcdefg", &[PIN]),
                "no bootstrap token",
            ),
        ] {
            let error = JoinTarget::read(endpoint, &args).unwrap_err();
            let failure = error.failure;
            assert!(failure.message.contains(expected), "{failure:?}");
            assert!(!format!("{failure:?}").contains("0123456789abcdefg"));
        }
    }

    #[test]
    fn a_token_is_read_from_a_file_with_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abcdef.0123456789abcdef\n").unwrap();
        let args = DiscoveryArgs {
            token_file: Some(file.path().to_owned()),
            discovery_token_unsafe_skip_ca_verification: true,
            ..DiscoveryArgs::default()
        };
        let target = JoinTarget::read("192.0.2.11", &args).unwrap();
        assert_eq!(target.token.id(), "abcdef");
        assert_eq!(target.ca_pins, [""; 0]);
    }

    #[tokio::test]
    async fn the_cluster_s_own_url_leads_to_the_server_that_was_asked() {
        let args = args("abcdef.0123456789abcdef", &[PIN]);
        let target = JoinTarget::read("192.0.2.11:6443", &args).unwrap();
        let known = "192.0.2.11:6443".parse().unwrap();
        for (server, expected) in [
            ("https://192.0.2.11:6443", "192.0.2.11:6443"),
            ("https://192.0.2.12:7443/", "192.0.2.12:7443"),
            ("https://192.0.2.12", "192.0.2.12:443"),
            ("https://[2001:db8::1]:6443", "[2001:db8::1]:6443"),
        ] {
            let found = target.address_of(server, known).await.unwrap();
            assert_eq!(found.to_string(), expected);
        }
    }
}
