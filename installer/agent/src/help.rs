//! What to type after a failure on a host.

use std::io::ErrorKind;
use std::path::Path;

use crate::AgentError;

/// Ends most helps: a run goes on where it stopped.
const AGAIN: &str = "then run the same command again";

impl AgentError {
    /// Returns what to type or look at next, on the host unless it says otherwise.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::File { path, source, .. } => Some(after_file(path, source.kind())),
            Self::Spawn { command, source } if source.kind() == ErrorKind::NotFound => Some(format!(
                "install the package that has `{}`, {AGAIN}",
                program(command)
            )),
            Self::Spawn { command, .. } => Some(format!("`ls -l $(command -v {})`", program(command))),
            Self::Command { command, .. } => Some(after_command(command)),
            Self::Abandoned { .. } => Some("run the same command again".to_owned()),
            Self::MissingBlob(_) => {
                Some("run the same command again: what is missing is brought again".to_owned())
            }
            Self::WrongBlob { .. } => Some(
                "run the same command again; if it happens twice, `slipway bundle verify FILE` looks at the source"
                    .to_owned(),
            ),
            Self::Pki { .. } => Some(format!(
                "put the file back from a backup, or move it away if no cluster uses it, {AGAIN}: a new one is made"
            )),
            Self::Kubernetes { source, .. } => source.help(),
            Self::Discovery(error) => Some(error.help()),
            Self::Etcd(error) => Some(error.help()),
            Self::Runtime { .. } => Some(format!(
                "`journalctl -u containerd` says why; {AGAIN}"
            )),
            Self::NotTaken { .. } => Some(
                "something else on the host may change it back, such as configuration management; `slipway logs` shows what the step did"
                    .to_owned(),
            ),
            Self::DoesNotComeUp { .. } => Some(format!(
                "mend what its log or the message names, {AGAIN}"
            )),
            Self::TimedOut { help, .. } | Self::Blocked { help, .. } => Some(help.clone()),
            Self::Locked { .. } | Self::BadRequest(_) => None,
        }
    }
}

fn after_file(path: &Path, kind: ErrorKind) -> String {
    let path = path.display();
    if kind == ErrorKind::StorageFull {
        return "free some space on that file system and run the same command again".to_owned();
    }
    let help = if kind == ErrorKind::PermissionDenied {
        // Root is refused only by what is set on the file itself.
        format!("`lsattr -d {path}` shows whether it is immutable, `chattr -i {path}` ends that")
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        format!(
            "`findmnt -T {path}` shows the file system, `dmesg` why it is read-only; `mount -o remount,rw` it"
        )
    } else if kind == ErrorKind::ResourceBusy {
        format!("`fuser -vm {path}` shows who uses it")
    } else if kind == ErrorKind::NotFound {
        format!("`ls -la $(dirname {path})` shows what is there")
    } else {
        format!("`ls -ld {path}` and `dmesg` may tell more")
    };
    format!("{help}; {AGAIN}")
}

fn after_command(command: &str) -> String {
    let argument = command.rsplit(' ').next().unwrap_or_default();
    match program(command) {
        "systemctl" if argument.contains('.') => format!("`journalctl -u {argument}` says why"),
        "systemctl" => "`systemctl status` shows the state of systemd".to_owned(),
        "modprobe" => format!(
            "install the kernel's package with the module {argument}, for example `linux-modules-extra-$(uname -r)`, {AGAIN}"
        ),
        "ip" => format!("`ip -details link show {argument}` shows the link; {AGAIN}"),
        "ipset" => {
            format!("`ipset list {argument}` shows the set, `iptables-save` who uses it; {AGAIN}")
        }
        name if name == "nft" || name.contains("tables") => {
            format!("`nft list ruleset` and `iptables-save` show the rules; {AGAIN}")
        }
        name => format!("run it by hand on the host to see what {name} says"),
    }
}

fn program(command: &str) -> &str {
    command.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_immutable_file_is_met_with_chattr() {
        let error = AgentError::file("delete", Path::new("/etc/cni/net.d/x"))(
            ErrorKind::PermissionDenied.into(),
        );
        let help = error.help().unwrap();
        assert!(help.contains("`chattr -i /etc/cni/net.d/x`"), "{help}");
    }

    #[test]
    fn a_unit_that_fails_is_looked_up_in_the_journal() {
        let error = AgentError::Command {
            command: "systemctl restart kubelet.service".to_owned(),
            status: "exit status: 1".to_owned(),
            stderr: String::new(),
        };
        assert_eq!(
            error.help().unwrap(),
            "`journalctl -u kubelet.service` says why"
        );
    }
}
