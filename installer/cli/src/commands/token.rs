//! `token`: bootstrap tokens.

use slipway_api::Failure;
use slipway_api::protocol::{Reply, Request, TokenRequest, TokenSummary};

use super::control_plane_join::{ControlPlaneJoin, require_endpoint};
use crate::args::{ClusterArgs, Output, TokenCommand};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show;

pub(crate) async fn run(command: TokenCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        TokenCommand::Create {
            cluster,
            ttl,
            description,
            print_join_command,
            upload_certs,
        } => {
            let ttl_seconds = parse_duration(&ttl)?;
            let key = match upload_certs {
                true => {
                    require_endpoint(&cluster).await?;
                    Some(ControlPlaneJoin::upload(&cluster).await?)
                }
                false => None,
            };
            let target = match print_join_command {
                true => Some(ask(&cluster, TokenRequest::JoinTarget).await?),
                false => None,
            };
            let request = TokenRequest::Create {
                ttl_seconds,
                description,
            };
            for token in tokens(ask(&cluster, request).await?)? {
                if let (Some(target), Some(key)) = (&target, &key) {
                    let join = ControlPlaneJoin::of(target, &token.token, key.clone())?;
                    match output {
                        Output::Text => outln!("{}", join.command()),
                        Output::Json => {
                            let mut document = join.to_json();
                            document["token"] = serde_json::json!(token);
                            show::json(&document);
                        }
                    }
                    continue;
                }
                let join = target
                    .as_ref()
                    .and_then(|it| join_arguments(it, &token.token))
                    .map(|arguments| format!("slipway join {arguments}"));
                match (output, join) {
                    (Output::Text, Some(command)) => {
                        outln!("{command}");
                        if let Some(Reply::JoinTarget {
                            is_balanced: true, ..
                        }) = &target
                        {
                            noteln!(
                                "A node that `kubeadm join` brings in so becomes Ready with the next `slipway apply` that has it in the file: its balancer comes with that."
                            );
                        }
                    }
                    (Output::Text, None) => outln!("{}", token.token),
                    (Output::Json, Some(command)) => {
                        show::json(&serde_json::json!({ "token": token, "joinCommand": command }))
                    }
                    (Output::Json, None) => show::json(&token),
                }
            }
        }
        TokenCommand::List { cluster } => {
            let tokens = tokens(ask(&cluster, TokenRequest::List).await?)?;
            match output {
                Output::Text => print_table(&tokens),
                Output::Json => show::json(&tokens),
            }
        }
        TokenCommand::Delete { cluster, id } => {
            let id = id.split('.').next().unwrap_or_default().to_owned();
            let reply = ask(&cluster, TokenRequest::Delete { id: id.clone() }).await?;
            if matches!(reply, Reply::Done { changed: false }) {
                return Err(CliError::bad_input(
                    format!("there is no bootstrap token {id}"),
                    "`slipway token list` shows them",
                ));
            }
            noteln!("bootstrap token {id} deleted");
        }
    }
    Ok(ExitCode::Done)
}

/// Asks the control plane about tokens.
///
/// # Errors
/// It cannot be reached, or fails.
pub(super) async fn ask(args: &ClusterArgs, request: TokenRequest) -> Result<Reply, CliError> {
    let cluster = Cluster::find(args).await?;
    cluster
        .ask_control_plane(args, Request::Token(request))
        .await
}

/// Returns what follows `join` in a command that joins a machine with `token`.
pub(super) fn join_arguments(target: &Reply, token: &str) -> Option<String> {
    let Reply::JoinTarget {
        endpoint, ca_pins, ..
    } = target
    else {
        return None;
    };
    let pins = ca_pins
        .iter()
        .map(|pin| format!(" --discovery-token-ca-cert-hash {pin}"));
    Some(format!(
        "{endpoint} --token {token}{}",
        pins.collect::<String>()
    ))
}

/// Returns the tokens of a reply.
///
/// # Errors
/// It is another reply.
pub(super) fn tokens(reply: Reply) -> Result<Vec<TokenSummary>, CliError> {
    let Reply::Tokens { tokens } = reply else {
        return Err(CliError {
            code: ExitCode::Bug,
            failure: Failure::because("the agent answered a question about tokens with another"),
        });
    };
    Ok(tokens)
}

fn print_table(tokens: &[TokenSummary]) {
    outln!(
        "{:<24} {:<24} {:<24} DESCRIPTION",
        "TOKEN",
        "EXPIRES",
        "USAGES"
    );
    for token in tokens {
        let expires = token.expires.as_deref().unwrap_or("<never>");
        let description = token.description.as_deref().unwrap_or("<none>");
        let usages = match token.usages.as_slice() {
            [] => "<none>".to_owned(),
            some => some.join(","),
        };
        outln!(
            "{:<24} {expires:<24} {usages:<24} {description}",
            token.token
        );
    }
}

/// Parses `24h`, `90m`, `30s` or `0`; none means for ever.
fn parse_duration(text: &str) -> Result<Option<u64>, CliError> {
    let invalid = || {
        CliError::bad_input(
            format!("`{text}` is no duration"),
            "write it like `24h`, `90m`, `30s`, or `0` for ever",
        )
    };
    if text == "0" {
        return Ok(None);
    }
    let (digits, factor) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((digits, "h")) => (digits, 3600),
        Some((digits, "m")) => (digits, 60),
        Some((digits, "s")) => (digits, 1),
        _ => return Err(invalid()),
    };
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    number
        .checked_mul(factor)
        .filter(|seconds| *seconds > 0)
        .map(Some)
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kubeadm_writes_them() {
        assert_eq!(parse_duration("24h").unwrap(), Some(86_400));
        assert_eq!(parse_duration("0").unwrap(), None);
        for text in ["", "h", "0h", "1d", "-1h", "é"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
