//! Hosts that were left out, and what to type once they are back.

use std::path::{Path, PathBuf};

use slipway_api::{HostName, LeftOut};

use crate::args::Output;

/// A command that takes in hosts which were left out.
pub(crate) struct SameAgain {
    command: &'static str,
    file: PathBuf,
}

impl SameAgain {
    /// Returns the command with the same cluster file.
    pub fn new(command: &'static str, file: Option<&Path>) -> Self {
        Self {
            command,
            file: file.unwrap_or(Path::new("cluster.yaml")).to_owned(),
        }
    }

    /// Returns what to type for `host`.
    fn line(&self, host: &HostName) -> String {
        let (command, file) = (self.command, self.file.display());
        format!("slipway {command} -f {file} --host {host}")
    }
}

/// Prints on stderr which hosts were left out, why, and what to type when they are back.
pub(crate) fn left_out(hosts: &[LeftOut], again: &SameAgain, output: Output) {
    if output == Output::Json {
        return;
    }
    for host in hosts {
        noteln!("\n{}", text(host));
        noteln!("  once it is back: {}", again.line(&host.host));
    }
}

/// Returns who was left out, why, and what mends it.
pub(super) fn text(LeftOut { host, failure }: &LeftOut) -> String {
    let mut text = format!("left out: {host}\n  {failure}");
    if let Some(help) = &failure.help {
        text.push_str(&format!("\n  help: {help}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use slipway_api::Failure;

    use super::*;

    #[test]
    fn a_host_that_is_left_out_is_told_with_reason_help_and_command() {
        let failure = Failure::because("w-1: 192.0.2.21:22 refuses connections");
        let host = LeftOut {
            host: "w-1".parse().unwrap(),
            failure: failure.with_help("start sshd"),
        };
        assert_eq!(
            text(&host),
            "left out: w-1\n  w-1: 192.0.2.21:22 refuses connections\n  help: start sshd"
        );
        let again = SameAgain::new("reset", Some(Path::new("harbour.yaml")));
        let line = "slipway reset -f harbour.yaml --host w-1";
        assert_eq!(again.line(&host.host), line);
    }
}
