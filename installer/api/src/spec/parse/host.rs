//! One host of `spec.hosts`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::address::{Address, no_node_ip, read_address, read_node_ips};
use super::fields::Fields;
use super::files::read_files;
use super::kubelet_args::{Argument, read_kubelet_args};
use super::names::{is_label_value, is_qualified_name, is_subdomain};
use super::problems::{Located, Place, Problems, excerpt};
use super::schema::{HOST, TAINT, closest};
use super::ssh::read_connection;
use super::tree::Content;
use super::value::Value;
use crate::Architecture;
use crate::spec::{
    HostFile, HostName, HostSpec, LocalFiles, Role, SshDefaults, Taint, TaintEffect,
};

const NAME_HELP: &str = "use lower-case letters, digits, `-` and `.`: `name: cp-1`";
const LABEL_HELP: &str = "at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit; a key may have `example.com/` before it";

/// A host as far as it could be read.
pub(super) struct HostDraft {
    /// Where the host stands.
    pub place: Place,
    /// Its name.
    pub name: Option<Located<HostName>>,
    /// Its SSH address.
    pub address: Option<Located<Address>>,
    /// Its role.
    pub role: Option<Role>,
    /// Whether a role was written, be it a valid one or not.
    pub has_role: bool,
    /// How it is reached.
    pub connection: SshDefaults,
    /// The node's name where it differs.
    pub hostname_override: Option<Located<String>>,
    /// Further kubelet flags.
    pub kubelet_extra_args: Vec<Argument>,
    /// One address, or two of different families; empty where none is given.
    internal_addresses: Vec<Located<IpAddr>>,
    labels: BTreeMap<String, String>,
    taints: Option<Vec<Taint>>,
    architecture: Option<Architecture>,
    files: Vec<HostFile>,
}

impl HostDraft {
    /// Reads a host.
    pub fn read(
        value: &Value<'_>,
        files: Option<&dyn LocalFiles>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let fields = value.fields(&HOST, problems)?;
        let name = fields
            .required("name", NAME_HELP, problems)
            .and_then(|value| value.parse(NAME_HELP, problems));
        let address_help = "write the IP address or DNS name that SSH connects to";
        let address = fields
            .required("address", address_help, problems)
            .and_then(|value| read_address(&value, problems));
        let internal_addresses = fields
            .optional("internalAddress")
            .and_then(|value| read_node_ips(&value, problems))
            .unwrap_or_default();
        if fields.optional("internalAddress").is_none() {
            check_address_serves_as_node_ip(address.as_ref(), problems);
        }
        let role_help = "write `role: control-plane` or `role: worker`";
        let role = fields.required("role", role_help, problems);
        Some(Self {
            place: fields.place().clone(),
            name,
            address,
            has_role: role.is_some(),
            role: role.and_then(|value| read_role(&value, problems)),
            connection: read_connection(&fields, problems),
            hostname_override: fields
                .optional("hostnameOverride")
                .and_then(|value| read_node_name(&value, problems)),
            kubelet_extra_args: fields
                .optional("kubeletExtraArgs")
                .map(|value| read_kubelet_args(&value, problems))
                .unwrap_or_default(),
            internal_addresses,
            labels: read_labels(&fields, problems),
            taints: fields
                .optional("taints")
                .and_then(|value| read_taints(&value, problems)),
            architecture: fields
                .optional("arch")
                .and_then(|value| value.parse("write `arch: amd64` or `arch: arm64`", problems))
                .map(|architecture| architecture.value),
            files: fields
                .optional("files")
                .map(|value| read_files(&value, files, problems))
                .unwrap_or_default(),
        })
    }

    /// Returns the node's IP address, the first of two.
    pub fn node_ip(&self) -> Option<Located<IpAddr>> {
        self.internal_addresses.first().cloned().or_else(|| {
            let address = self.address.as_ref()?;
            match address.value {
                Address::Ip(value) => Some(Located {
                    value,
                    place: address.place.clone(),
                }),
                Address::Name(_) => None,
            }
        })
    }

    /// Returns the node's IP addresses: one, or one of each family.
    pub fn node_ips(&self) -> impl Iterator<Item = Located<IpAddr>> {
        let second = self.internal_addresses.get(1).cloned();
        self.node_ip().into_iter().chain(second)
    }

    /// Returns the IP addresses that the file gives the host.
    pub fn ip_addresses(&self) -> impl Iterator<Item = (IpAddr, &Place)> {
        let address = self
            .address
            .as_ref()
            .and_then(|address| match address.value {
                Address::Ip(ip) => Some((ip, &address.place)),
                Address::Name(_) => None,
            });
        let first = address.map(|(ip, _)| ip);
        let internal = self.internal_addresses.iter();
        let internal = internal.map(|address| (address.value, &address.place));
        let internal = internal.filter(move |(ip, _)| Some(*ip) != first);
        address.into_iter().chain(internal)
    }

    /// Returns the host if all of it could be read.
    pub fn finish(self) -> Option<HostSpec> {
        let node_ip = self.node_ip()?.value;
        Some(HostSpec {
            name: self.name?.value,
            address: match self.address?.value {
                Address::Ip(ip) => ip.to_string(),
                Address::Name(name) => name,
            },
            node_ip,
            secondary_node_ip: self.internal_addresses.get(1).map(|ip| ip.value),
            role: self.role?,
            port: self.connection.port,
            user: self.connection.user,
            identity_file: self.connection.identity_file,
            proxy_jump: self.connection.proxy_jump,
            sudo: self.connection.sudo,
            password_file: self.connection.password_file,
            labels: self.labels,
            taints: self.taints,
            kubelet_extra_args: self
                .kubelet_extra_args
                .into_iter()
                .map(|argument| argument.value)
                .collect(),
            hostname_override: self.hostname_override.map(|name| name.value),
            architecture: self.architecture,
            files: self.files,
        })
    }
}

fn check_address_serves_as_node_ip(address: Option<&Located<Address>>, problems: &mut Problems) {
    let Some(address) = address else { return };
    let reason = match &address.value {
        Address::Name(_) => "a DNS name",
        Address::Ip(ip) => match no_node_ip(*ip) {
            Some(reason) => reason,
            None => return,
        },
    };
    problems.report(
        &address.place,
        format!("`internalAddress` is missing: `address` is {reason}, and a node needs an IP address of its own"),
        "add `internalAddress` with the address under which the other hosts reach this one",
    );
}

fn read_role(value: &Value<'_>, problems: &mut Problems) -> Option<Role> {
    let text = value.text(problems)?;
    let meant = match text {
        "control-plane" => return Some(Role::ControlPlane),
        "worker" => return Some(Role::Worker),
        "master" | "controller" | "server" | "controlplane" => Some("control-plane"),
        "node" | "agent" | "minion" | "workers" => Some("worker"),
        other => closest(other, ["control-plane", "worker"]),
    };
    let help = match meant {
        Some(role) => format!("write `role: {role}`"),
        None => "write `role: control-plane` or `role: worker`".to_owned(),
    };
    let message = format!("`{}` is not a role", excerpt(text));
    problems.report(&value.place, message, help);
    None
}

fn read_node_name(value: &Value<'_>, problems: &mut Problems) -> Option<Located<String>> {
    let text = value.text(problems)?;
    if !is_subdomain(text) {
        let message = format!("`{}` is not a node's name", excerpt(text));
        problems.report(
            &value.place,
            message,
            "use lower-case letters, digits, `-` and `.`, at most 63 characters between dots",
        );
        return None;
    }
    Some(value.located(text.to_owned()))
}

fn read_labels(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let entries = fields
        .optional("labels")
        .and_then(|value| value.entries(problems));
    for (key, value) in entries.unwrap_or_default() {
        if !is_qualified_name(key.value) {
            let message = format!("`{}` is not a label's key", excerpt(key.value));
            problems.report(&key.place, message, LABEL_HELP);
        }
        if value.node.is_null() {
            let help = format!("write `{}: \"\"` for an empty value", excerpt(key.value));
            problems.report(&key.place, "the label has no value", help);
            continue;
        }
        let Some(text) = value.any_text(problems) else {
            continue;
        };
        if !is_label_value(text) {
            let message = format!("`{}` is not a label's value", excerpt(text));
            problems.report(&value.place, message, LABEL_HELP);
        }
        labels.insert(key.value.to_owned(), text.to_owned());
    }
    labels
}

fn read_taints(value: &Value<'_>, problems: &mut Problems) -> Option<Vec<Taint>> {
    let mut taints: Vec<Taint> = Vec::new();
    for item in value.items(problems)? {
        let Some(taint) = read_taint(&item, problems) else {
            continue;
        };
        let is_same = |other: &Taint| other.key == taint.key && other.effect == taint.effect;
        if taints.iter().any(is_same) {
            problems.report(
                &item.place,
                format!(
                    "the taint `{}` is given twice with the same effect",
                    taint.key
                ),
                "remove one of them: Kubernetes takes one taint per key and effect",
            );
            continue;
        }
        taints.push(taint);
    }
    Some(taints)
}

fn read_taint(item: &Value<'_>, problems: &mut Problems) -> Option<Taint> {
    const HELP: &str = "write `- { key: dedicated, value: gpu, effect: NoSchedule }`";
    if let Content::Scalar(_) = item.node.content() {
        let message = format!("`{}` must be a mapping, and this is text", item.place.name);
        problems.report(&item.place, message, HELP);
        return None;
    }
    let fields = item.fields(&TAINT, problems)?;
    let key = fields.required("key", HELP, problems);
    let effect = fields.required("effect", HELP, problems);
    let effect = effect.and_then(|effect| read_effect(&effect, problems));
    let text = match fields.optional("value") {
        Some(value) => {
            let text = value.any_text(problems)?;
            if !is_label_value(text) {
                let message = format!("`{}` is not a taint's value", excerpt(text));
                problems.report(&value.place, message, LABEL_HELP);
            }
            text
        }
        None => "",
    };
    let key = key?;
    let name = key.text(problems)?;
    if !is_qualified_name(name) {
        let message = format!("`{}` is not a taint's key", excerpt(name));
        problems.report(&key.place, message, LABEL_HELP);
    }
    Some(Taint {
        key: name.to_owned(),
        value: text.to_owned(),
        effect: effect?,
    })
}

fn read_effect(value: &Value<'_>, problems: &mut Problems) -> Option<TaintEffect> {
    const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let text = value.text(problems)?;
    match text {
        "NoSchedule" => return Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => return Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => return Some(TaintEffect::NoExecute),
        _ => {}
    }
    let help = match closest(text, EFFECTS) {
        Some(effect) => format!("write `effect: {effect}`"),
        None => "write `NoSchedule`, `PreferNoSchedule` or `NoExecute`".to_owned(),
    };
    let message = format!("`{}` is not a taint's effect", excerpt(text));
    problems.report(&value.place, message, help);
    None
}
