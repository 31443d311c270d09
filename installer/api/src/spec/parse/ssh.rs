//! How hosts are reached: `spec.ssh`, and the same fields of a host.

use super::address::is_proxy_jump;
use super::fields::Fields;
use super::problems::{Problems, excerpt};
use super::value::Value;
use crate::spec::SshDefaults;

/// Reads the connection fields that `spec.ssh` and a host have in common,
/// and `knownHostsFile` where the schema has it.
pub(super) fn read_connection(fields: &Fields<'_>, problems: &mut Problems) -> SshDefaults {
    let mut path = |name: &str| fields.optional(name).and_then(|value| value.path(problems));
    let identity_file = path("identityFile");
    let known_hosts_file = path("knownHostsFile");
    let password_file = path("passwordFile");
    SshDefaults {
        user: fields
            .optional("user")
            .and_then(|value| read_user(&value, problems)),
        port: fields
            .optional("port")
            .and_then(|value| value.port(problems)),
        identity_file,
        known_hosts_file,
        proxy_jump: fields
            .optional("proxyJump")
            .and_then(|value| read_proxy_jump(&value, problems)),
        sudo: fields
            .optional("sudo")
            .and_then(|value| value.boolean(problems)),
        password_file,
    }
}

fn read_user(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.text(problems)?;
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@:/".contains(c);
    if text.starts_with('-') || !text.chars().all(is_plain) {
        problems.report(
            &value.place,
            format!("`{}` is not a user name", excerpt(text)),
            "write the login name alone: `user: ops`",
        );
        return None;
    }
    Some(text.to_owned())
}

fn read_proxy_jump(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.text(problems)?;
    if !is_proxy_jump(text) {
        problems.report(
            &value.place,
            "`proxyJump` is not a list of bastions as OpenSSH writes it",
            "write `[user@]host[:port]`, with commas between several, or `none`",
        );
        return None;
    }
    Some(text.to_owned())
}
