//! Chains, tables, sets and virtual servers that kube-proxy, the kubelet and
//! CNI plugins made.
//!
//! Only what is known to be Kubernetes' goes, and the rules that lead there;
//! everything else stays as it is. Both backends are looked at, since a host
//! may hold rules of either.

use std::collections::BTreeSet;
use std::time::Duration;

use slipway_api::step::RemoveRules;
use slipway_api::{Check, paths};

use super::needed;
use crate::context::Context;
use crate::netfilter::{
    Ours, Removal, Table, VirtualServer, chains_of_networks, iptables_script, nft_script, our_sets,
    parse_iptables, parse_nft, parse_virtual_servers,
};
use crate::{AgentError, command, files};

/// The files in which the kernel lists legacy tables, with the programs for
/// them. No such file, or an empty one, means that there are none.
const LEGACY: [(&str, &str, &str, &str); 2] = [
    (
        "/proc/net/ip_tables_names",
        "ip",
        "iptables-legacy-save",
        "iptables-legacy-restore",
    ),
    (
        "/proc/net/ip6_tables_names",
        "ip6",
        "ip6tables-legacy-save",
        "ip6tables-legacy-restore",
    ),
];

/// The programs that see nftables' rules as iptables', by family.
const COMPATIBLE: [(&str, &str, &str); 2] = [
    ("ip", "iptables-nft-save", "iptables-nft-restore"),
    ("ip6", "ip6tables-nft-save", "ip6tables-nft-restore"),
];

/// Beginnings of chains that only Kubernetes makes.
const OWN_PREFIXES: [&str; 2] = ["KUBE-", "FLANNEL-"];

/// How often the destruction of a set is tried again.
const DESTROY_TRIES: u32 = 25;
/// The pause between two tries.
const DESTROY_PAUSE: Duration = Duration::from_millis(200);

/// How long listing all rules may take where nobody waits for a step.
const GLANCE_LIMIT: Duration = Duration::from_secs(3);

/// Where the kernel lists IPVS virtual servers.
const VIRTUAL_SERVERS: &str = "/proc/net/ip_vs";

/// A table of portmap's, shared by all networks like its chains. Source:
/// `plugins/meta/portmap/portmap_nftables.go` of the CNI plugins.
const HOST_PORT_TABLES: [&str; 2] = ["ip cni_hostport", "ip6 cni_hostport"];

pub(super) async fn check_rules(
    step: &RemoveRules,
    context: &Context,
) -> Result<Check, AgentError> {
    let found = Found::look(step, context).await?;
    let seen = found.describe(step);
    Ok(needed(
        (!seen.is_empty()).then(|| format!("there: {}", seen.join(", "))),
    ))
}

pub(super) async fn apply_rules(step: &RemoveRules, context: &Context) -> Result<(), AgentError> {
    let found = Found::look(step, context).await?;
    for backend in &found.backends {
        backend.remove(&found.ours, step, context).await?;
    }
    // The kernel keeps a set as long as a rule names it, so they come last.
    for set in &found.sets {
        destroy_set(set).await?;
    }
    for server in &found.servers {
        let address = server.address.to_string();
        let arguments = ["--delete-service", server.option, &address];
        let removed = command::run("ipvsadm", &arguments).await;
        removed.map_err(|error| missing(error, "ipvsadm", "kube-proxy's virtual servers"))?;
    }
    Ok(())
}

/// Destroys a set. For a moment after the last rule with it is gone the kernel
/// still says that it is in use.
async fn destroy_set(set: &str) -> Result<(), AgentError> {
    let mut tries = DESTROY_TRIES;
    loop {
        match command::run("ipset", &["destroy", set]).await {
            Err(_) if tries > 0 => tries -= 1,
            outcome => return outcome.map(drop),
        }
        tokio::time::sleep(DESTROY_PAUSE).await;
    }
}

/// Returns how many chains of Kubernetes are there, those of legacy tables too.
pub(crate) async fn count_chains() -> u32 {
    let mut found = BTreeSet::new();
    let legacy = LEGACY.iter().filter(|(names, ..)| has_tables(names));
    let programs = COMPATIBLE.iter().map(|(family, save, _)| (family, save));
    for (family, save) in programs.chain(legacy.map(|(_, family, save, _)| (family, save))) {
        let text = command::glance(save, &[], GLANCE_LIMIT).await;
        let tables = parse_iptables(&text, family);
        let names = tables
            .into_iter()
            .flat_map(|table| table.chains)
            .map(|chain| chain.name);
        found.extend(names.filter(|name| OWN_PREFIXES.iter().any(|own| name.starts_with(own))));
    }
    u32::try_from(found.len()).unwrap_or(u32::MAX)
}

/// Returns whether the kernel has legacy tables. Nobody else may be asked: the
/// question alone would make them.
fn has_tables(names: &str) -> bool {
    std::fs::read_to_string(names).is_ok_and(|tables| !tables.trim().is_empty())
}

/// What the packet filters hold.
struct Found {
    backends: Vec<Backend>,
    ours: Ours,
    sets: Vec<String>,
    servers: Vec<VirtualServer>,
}

/// One way to see and change rules.
struct Backend {
    tables: Vec<Table>,
    /// The program that takes scripts.
    program: &'static str,
}

impl Found {
    async fn look(step: &RemoveRules, context: &Context) -> Result<Self, AgentError> {
        let mut backends = Vec::new();
        // nft sees every table; only iptables-nft-save sees the comments.
        let native = nft_tables().await?;
        let compatible = compatible_tables().await?;
        let mut named: Vec<Table> = Vec::new();
        match (native, compatible) {
            (Some(tables), compatible) => {
                named.extend(compatible.into_iter().flatten().flat_map(|it| it.tables));
                let program = "nft";
                backends.push(Backend { tables, program });
            }
            (None, Some(compatible)) => backends.extend(compatible),
            (None, None) if kernel_lacks_nftables() => {}
            (None, None) => {
                return Err(AgentError::Blocked {
                    message: "there is no program on this host that shows its nftables rules"
                        .to_owned(),
                    help: "install one, for example `apt-get install nftables`, and run the same command again".to_owned(),
                });
            }
        }
        backends.extend(legacy_tables().await?);
        named.extend(backends.iter().flat_map(|it| it.tables.iter().cloned()));
        let ours = Ours {
            prefixes: step.chain_prefixes.clone(),
            network_chains: chains_of_networks(&named, &step.networks),
            owns_host_ports: !others_publish_ports(step, context),
        };
        Ok(Self {
            backends,
            ours,
            sets: sets(step).await?,
            servers: virtual_servers(step).await?,
        })
    }

    /// Returns what is there, in a few words each.
    fn describe(&self, step: &RemoveRules) -> Vec<String> {
        let mut seen = Vec::new();
        for backend in &self.backends {
            for removal in backend.removals(&self.ours) {
                let Table { family, name, .. } = removal.table;
                let kind = if backend.program.contains("legacy") {
                    "legacy "
                } else {
                    ""
                };
                seen.push(format!(
                    "chains in {kind}{family} {name} ({})",
                    removal.chains.len()
                ));
            }
            let tables = backend.whole_tables(&self.ours, step);
            seen.extend(tables.into_iter().map(|table| format!("table {table}")));
        }
        if !self.sets.is_empty() {
            seen.push(format!("sets {}", self.sets.join(", ")));
        }
        if !self.servers.is_empty() {
            seen.push(format!("virtual servers ({})", self.servers.len()));
        }
        seen
    }
}

impl Backend {
    fn removals<'a>(&'a self, ours: &Ours) -> Vec<Removal<'a>> {
        self.tables
            .iter()
            .filter_map(|table| table.removal(ours))
            .collect()
    }

    /// Returns the tables that go as a whole, because the step names them.
    fn whole_tables(&self, ours: &Ours, step: &RemoveRules) -> Vec<String> {
        let shared = HOST_PORT_TABLES.iter().filter(|_| ours.owns_host_ports);
        let wanted: BTreeSet<&str> = step
            .tables
            .iter()
            .map(String::as_str)
            .chain(shared.copied())
            .collect();
        let names = self
            .tables
            .iter()
            .map(|table| format!("{} {}", table.family, table.name));
        names
            .filter(|name| wanted.contains(name.as_str()))
            .collect()
    }

    async fn remove(
        &self,
        ours: &Ours,
        step: &RemoveRules,
        context: &Context,
    ) -> Result<(), AgentError> {
        let removals = self.removals(ours);
        let script = if self.program == "nft" {
            nft_script(&removals, &self.whole_tables(ours, step))
        } else {
            iptables_script(&removals)
        };
        if script.is_empty() {
            return Ok(());
        }
        let folder = context.at(paths::STATE_DIR);
        let file = folder.join(format!("rules-{}", files::nonce()));
        files::write(&file, 0o600, script.as_bytes())?;
        let path = file.to_string_lossy();
        // `--noflush` leaves everything alone that the script does not name. No
        // `--wait`: iptables-restore takes the file's name for its argument then,
        // and succeeds without having read anything.
        let option = if self.program == "nft" {
            "-f"
        } else {
            "--noflush"
        };
        let done = command::run(self.program, &[option, &path]).await;
        let _ = std::fs::remove_file(&file);
        done.map(drop)
    }
}

/// Returns what `nft` sees; none where there is no `nft`, or one without JSON.
async fn nft_tables() -> Result<Option<Vec<Table>>, AgentError> {
    match command::run("nft", &["-j", "list", "ruleset"]).await {
        Ok(text) => Ok(parse_nft(&text)),
        Err(error) if error.is_missing_program() => Ok(None),
        Err(AgentError::Command { stderr, .. }) if stderr.contains("JSON support not compiled") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn compatible_tables() -> Result<Option<Vec<Backend>>, AgentError> {
    let mut backends = Vec::new();
    for (family, save, program) in COMPATIBLE {
        match command::run(save, &[]).await {
            Ok(text) => {
                let tables = parse_iptables(&text, family);
                backends.push(Backend { tables, program });
            }
            Err(error) if error.is_missing_program() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(backends))
}

async fn legacy_tables() -> Result<Vec<Backend>, AgentError> {
    let mut backends = Vec::new();
    for (names, family, save, program) in LEGACY {
        if !has_tables(names) {
            continue;
        }
        let text = command::run(save, &[]).await;
        let text = text.map_err(|error| missing(error, "iptables", "its legacy iptables rules"))?;
        let tables = parse_iptables(&text, family);
        backends.push(Backend { tables, program });
    }
    Ok(backends)
}

async fn sets(step: &RemoveRules) -> Result<Vec<String>, AgentError> {
    match command::run("ipset", &["list", "-n"]).await {
        Ok(names) => Ok(our_sets(&names, &step.set_prefixes)),
        Err(error) if error.is_missing_program() => Ok(Vec::new()),
        // The kernel has no sets at all.
        Err(AgentError::Command { stderr, .. }) if stderr.contains("Cannot open session") => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Returns the virtual servers on the addresses of kube-proxy's own link.
async fn virtual_servers(step: &RemoveRules) -> Result<Vec<VirtualServer>, AgentError> {
    let Some(link) = &step.virtual_server_link else {
        return Ok(Vec::new());
    };
    let servers = std::fs::read_to_string(VIRTUAL_SERVERS).unwrap_or_default();
    let mut servers = parse_virtual_servers(&servers);
    if servers.is_empty() || !std::path::Path::new("/sys/class/net").join(link).exists() {
        return Ok(Vec::new());
    }
    let text = command::run("ip", &["-j", "address", "show", "dev", link]).await?;
    servers.retain(|server| text.contains(&format!("\"local\":\"{}\"", server.address.ip())));
    Ok(servers)
}

/// Returns whether a network that is not Kubernetes' has portmap in its
/// configuration: podman 3 and nerdctl keep theirs in the same folder.
fn others_publish_ports(step: &RemoveRules, context: &Context) -> bool {
    let entries = std::fs::read_dir(context.at(paths::CNI_CONF_DIR));
    let texts = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let is_foreign = |text: &serde_json::Value| {
        let name = text["name"].as_str().unwrap_or_default();
        !step.networks.iter().any(|network| network == name)
    };
    texts
        .filter(|text| text.contains("\"portmap\""))
        .filter_map(|text| serde_json::from_str(&text).ok())
        .any(|text| is_foreign(&text))
}

/// Returns whether the kernel has not loaded nftables, and does not have it built in.
fn kernel_lacks_nftables() -> bool {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let modules = std::fs::read_to_string("/proc/modules");
    let builtin = std::fs::read_to_string(format!("/lib/modules/{release}/modules.builtin"));
    match (modules, builtin) {
        (Ok(modules), Ok(builtin)) => {
            !modules.contains("nf_tables ") && !builtin.contains("/nf_tables.ko")
        }
        _ => false,
    }
}

/// Says which package is missing, where that is why a program did not run.
fn missing(error: AgentError, package: &str, what: &str) -> AgentError {
    if !error.is_missing_program() {
        return error;
    }
    AgentError::Blocked {
        message: format!("this host has no program that removes {what}"),
        help: format!(
            "install it, for example `apt-get install {package}`, and run the same command again"
        ),
    }
}
