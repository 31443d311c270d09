//! What is installed and set up beside Kubernetes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use slipway_api::{SelinuxFacts, SoftwareFacts};

use super::packages::gather_packages;
use super::programs::{find_program, sockets_in_use};
use crate::command::glance;
use crate::server::under;

/// How long systemd may take to tell about units.
const LIMIT: Duration = Duration::from_secs(5);

/// The units whose state matters.
const UNITS: [&str; 4] = [
    "kubelet.service",
    "containerd.service",
    "firewalld.service",
    "ufw.service",
];

/// Programs of container runtimes.
const RUNTIMES: [&str; 4] = ["containerd", "crio", "cri-dockerd", "dockerd"];

/// Returns what is installed and set up beside Kubernetes.
pub(super) async fn gather_software(root: &Path) -> SoftwareFacts {
    let show = [
        &["show", "--property=Id,LoadState,ActiveState,Environment"][..],
        &UNITS,
    ]
    .concat();
    let (packages, units, environment, runtime_sockets) = tokio::join!(
        gather_packages(root),
        glance("systemctl", &show, LIMIT),
        glance("systemctl", &["show-environment"], LIMIT),
        sockets_in_use(root)
    );
    let units = parse_units(&units);
    let runtime_programs = RUNTIMES
        .into_iter()
        .filter_map(|name| find_program(root, name))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let mut proxies = proxies_in(environment.lines());
    for unit in &units {
        proxies.extend(proxies_in(unit.environment.split(' ')));
    }
    SoftwareFacts {
        has_systemd: under(root, "/run/systemd/system").is_dir(),
        packages,
        runtime_programs,
        runtime_sockets,
        masked_units: units
            .iter()
            .filter(|unit| unit.is_masked)
            .map(|unit| unit.name.clone())
            .collect(),
        firewall: gather_firewall(root, &units),
        selinux: gather_selinux(root),
        proxies,
    }
}

/// A unit in short.
#[derive(Debug, Default, PartialEq)]
struct Unit {
    name: String,
    is_masked: bool,
    is_active: bool,
    environment: String,
}

/// Parses `systemctl show` of several units: blocks of `key=value` with empty lines between.
fn parse_units(text: &str) -> Vec<Unit> {
    let unit = |block: &str| {
        let value = |key: &str| {
            let found = block.lines().find_map(|line| line.strip_prefix(key));
            found.unwrap_or_default()
        };
        Unit {
            name: value("Id=").to_owned(),
            is_masked: value("LoadState=") == "masked",
            is_active: value("ActiveState=") == "active",
            environment: value("Environment=").to_owned(),
        }
    };
    text.split("\n\n").map(unit).collect()
}

/// Returns the proxy variables among `words`, their names in capitals. User and
/// password of a proxy stay on the host.
fn proxies_in<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let proxy = |word: &str| {
        let (name, value) = word.trim_matches('"').split_once('=')?;
        let name = name.to_ascii_uppercase();
        let is_proxy = matches!(name.as_str(), "HTTP_PROXY" | "HTTPS_PROXY" | "NO_PROXY");
        let value = value.trim_matches(['"', '\'']);
        (is_proxy && !value.is_empty()).then(|| (name, without_user(value)))
    };
    words.filter_map(proxy).collect()
}

fn without_user(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => url.to_owned(),
    }
}

/// Returns the firewall that is at work. ufw's unit is active even while ufw
/// itself is switched off, which its own file says.
fn gather_firewall(root: &Path, units: &[Unit]) -> Option<String> {
    let is_active = |name: &str| units.iter().any(|unit| unit.name == name && unit.is_active);
    let ufw = std::fs::read_to_string(under(root, "/etc/ufw/ufw.conf")).unwrap_or_default();
    let is_ufw_on = ufw
        .lines()
        .any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"));
    if is_active("firewalld.service") {
        Some("firewalld".to_owned())
    } else if is_active("ufw.service") && is_ufw_on {
        Some("ufw".to_owned())
    } else {
        None
    }
}

fn gather_selinux(root: &Path) -> Option<SelinuxFacts> {
    let enforce = std::fs::read_to_string(under(root, "/sys/fs/selinux/enforce")).ok()?;
    Some(SelinuxFacts {
        is_enforcing: enforce.trim() == "1",
        has_container_policy: has_container_policy(root),
    })
}

/// Returns whether the policy store has the module `container`:
/// `/var/lib/selinux/<policy>/active/modules/<priority>/container`.
fn has_container_policy(root: &Path) -> bool {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    entries(&under(root, "/var/lib/selinux"))
        .map(|policy| policy.path().join("active/modules"))
        .flat_map(|modules| entries(&modules).collect::<Vec<_>>())
        .any(|priority| priority.path().join("container").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart_by_empty_lines() {
        let text = "Id=kubelet.service\nLoadState=masked\nActiveState=inactive\nEnvironment=\n\n\
                    Id=containerd.service\nLoadState=loaded\nActiveState=active\n\
                    Environment=HTTPS_PROXY=http://u:secret@proxy:3128 A=b\n\n\
                    Id=firewalld.service\nLoadState=not-found\nActiveState=inactive\n";
        let units = parse_units(text);
        let names: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(
            names,
            ["kubelet.service", "containerd.service", "firewalld.service"]
        );
        assert!(units[0].is_masked && units[1].is_active && !units[2].is_active);
        let proxies = proxies_in(units[1].environment.split(' '));
        assert_eq!(proxies["HTTPS_PROXY"], "http://proxy:3128");
        assert_eq!(proxies.len(), 1);
    }

    #[test]
    fn a_proxy_s_password_stays_on_the_host() {
        let text = "LANG=C\nhttps_proxy=http://user:pa@ss@proxy.example:3128/\nno_proxy=10.0.0.0/8,.example\n";
        let proxies = proxies_in(text.lines());
        assert_eq!(proxies["HTTPS_PROXY"], "http://proxy.example:3128/");
        assert_eq!(proxies["NO_PROXY"], "10.0.0.0/8,.example");
    }

    #[test]
    fn ufw_counts_only_while_it_is_switched_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc/ufw")).unwrap();
        let unit = Unit {
            name: "ufw.service".to_owned(),
            is_active: true,
            ..Unit::default()
        };
        for (line, expected) in [("ENABLED=no", None), ("ENABLED=yes", Some("ufw"))] {
            std::fs::write(folder.path().join("etc/ufw/ufw.conf"), line).unwrap();
            let found = gather_firewall(folder.path(), std::slice::from_ref(&unit));
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn selinux_is_read_with_its_policy_for_containers() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(gather_selinux(folder.path()), None);
        std::fs::create_dir_all(folder.path().join("sys/fs/selinux")).unwrap();
        std::fs::write(folder.path().join("sys/fs/selinux/enforce"), "1").unwrap();
        let facts = gather_selinux(folder.path()).unwrap();
        assert!(facts.is_enforcing && !facts.has_container_policy);
        let module = "var/lib/selinux/targeted/active/modules/200/container";
        std::fs::create_dir_all(folder.path().join(module)).unwrap();
        assert!(gather_selinux(folder.path()).unwrap().has_container_policy);
    }
}
