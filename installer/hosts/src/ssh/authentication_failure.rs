//! What a login that failed had tried.

use std::path::PathBuf;

use super::passphrase::PASSPHRASE_VARIABLE;

/// What was offered to a host that let nobody in.
#[derive(Clone, Debug, Default)]
pub struct AuthenticationFailure {
    /// The user.
    pub user: String,
    /// The address and port.
    pub endpoint: String,
    /// Each key or method that was offered or had to be left out, in words.
    pub tried: Vec<String>,
    /// The methods the host still offers.
    pub offered: Vec<String>,
    /// An encrypted identity file for which there was no or a wrong passphrase.
    pub locked_identity: Option<PathBuf>,
    /// Whether the host hung up, as it does after too many attempts.
    pub hung_up: bool,
}

impl AuthenticationFailure {
    /// Returns the message.
    pub(super) fn describe(&self, host: &str) -> String {
        let tried = if self.tried.is_empty() {
            "there was nothing to offer".to_owned()
        } else {
            format!("tried {}", self.tried.join(", "))
        };
        let offered = if self.hung_up {
            "; the host then closed the connection (too many attempts?)".to_owned()
        } else if self.offered.is_empty() {
            String::new()
        } else {
            format!("; the host accepts {}", self.offered.join(", "))
        };
        format!(
            "{host}: the user `{}` could not log in to {}: {tried}{offered}",
            self.user, self.endpoint
        )
    }

    /// Returns what the user can do about it.
    pub(super) fn help(&self) -> String {
        if let Some(path) = &self.locked_identity {
            return format!(
                "the key {0} needs its passphrase: load it with `ssh-add {0}`, or put the \
                 passphrase into the environment variable {PASSPHRASE_VARIABLE}",
                path.display()
            );
        }
        if self.hung_up {
            return "name the right key with `identityFile`, so that fewer are offered".into();
        }
        let login = format!("{}@{}", self.user, self.endpoint.replace(['[', ']'], ""));
        if self.tried.is_empty() {
            return format!(
                "name a key with `identityFile`, start an agent (`ssh-add`), or give \
                 `passwordFile`; `ssh -v ssh://{login}` shows what works by hand"
            );
        }
        format!(
            "check `user` and `identityFile`; `ssh-copy-id -i KEY.pub ssh://{login}` installs a key"
        )
    }
}
