//! Preflight: pure verdicts over facts. Each finding says what was seen, why
//! it matters and what mends it; IDs are kubeadm's where kubeadm has the check.

mod authorities;
mod clocks;
mod cluster;
mod disks;
mod etcd_disk;
mod existing;
mod external_authorities;
mod external_etcd;
mod firewall;
mod host;
mod ids;
mod kernel;
mod leftovers;
mod networks;
mod packages;
mod path_mtu;
mod probes;
mod proxies;
mod reachability;
mod resolver;
mod resources;
mod runtime;
mod settled;
mod system_verification;
mod uniqueness;

use slipway_api::{
    BundleManifest, ClusterSpec, Facts, Finding, HostFacts, HostName, HostSpec, HostState, Probe,
    ProbeOutcome, Severity,
};

use crate::Scope;
use crate::membership::belongs_to_cluster;

pub use ids::{IDS, VERSION_CHANGE};
pub(crate) use networks::has_route;
pub use probes::{plan_listeners, plan_probes};
pub(crate) use system_verification::CGROUP_V1_REFUSED_FROM;

/// One host under check.
pub(crate) struct Subject<'a> {
    pub spec: &'a ClusterSpec,
    pub host: &'a HostSpec,
    pub facts: &'a HostFacts,
    /// All hosts and the cluster.
    pub all: &'a Facts,
    /// What would be installed, where that is known.
    pub manifest: Option<&'a BundleManifest>,
}

impl Subject<'_> {
    /// Returns what came of the host's probes; nothing where none were made.
    fn outcomes(&self) -> &[(Probe, ProbeOutcome)] {
        let probes = self.all.probes.get(&self.host.name);
        probes.map_or(&[], |probes| &probes.outcomes)
    }

    /// Returns whether this host is this very cluster's.
    fn belongs_to_cluster(&self) -> bool {
        belongs_to_cluster(self.spec, self.all, &self.host.name, &self.facts.existing)
    }

    fn error(
        &self,
        id: &str,
        seen: impl Into<String>,
        why: &str,
        help: impl Into<String>,
    ) -> Finding {
        finding(id, Severity::Error, Some(&self.host.name), seen, why, help)
    }

    fn warning(
        &self,
        id: &str,
        seen: impl Into<String>,
        why: &str,
        help: impl Into<String>,
    ) -> Finding {
        let name = Some(&self.host.name);
        finding(id, Severity::Warning, name, seen, why, help)
    }
}

/// Returns everything that speaks against installing the hosts in `scope`,
/// errors first; errors that the file ignores have become warnings. With a
/// `manifest` the images' own sizes are counted.
pub fn check(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: Option<&BundleManifest>,
    scope: &Scope,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for host in spec.hosts.iter().filter(|host| scope.includes(&host.name)) {
        match facts.hosts.get(&host.name) {
            Some(HostState::Reached(host_facts)) => {
                let subject = Subject {
                    spec,
                    host,
                    facts: host_facts,
                    all: facts,
                    manifest,
                };
                check_host(&subject, &mut found);
            }
            Some(HostState::Unreached { failure }) => found.push(finding(
                "Reachable",
                Severity::Error,
                Some(&host.name),
                failure.to_string(),
                "nothing can be done on a host that cannot be reached",
                failure
                    .help
                    .clone()
                    .unwrap_or_else(|| "mend the connection".to_owned()),
            )),
            None => {}
        }
    }
    uniqueness::check(spec, facts, &mut found);
    clocks::check(facts, scope, &mut found);
    reachability::check(spec, facts, &mut found);
    path_mtu::check(spec, facts, &mut found);
    cluster::check(spec, facts, &mut found);
    settled::check(spec, facts, &mut found);
    ignore(spec, &mut found);
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn check_host(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    host::check(subject, found);
    existing::check(subject, found);
    authorities::check(subject, found);
    external_authorities::check(subject, found);
    leftovers::check(subject, found);
    kernel::check(subject, found);
    system_verification::check(subject, found);
    resources::check(subject, found);
    disks::check(subject, found);
    networks::check(subject, found);
    firewall::check(subject, found);
    resolver::check(subject, found);
    etcd_disk::check(subject, found);
    external_etcd::check(subject, found);
    proxies::check(subject, found);
    runtime::check(subject, found);
    packages::check(subject, found);
}

/// Makes warnings of the errors that the file or the command line ignores.
fn ignore(spec: &ClusterSpec, found: &mut Vec<Finding>) {
    let ignored = &spec.ignore_preflight_errors;
    for finding in found.iter_mut() {
        let is_ignored =
            |id: &String| id.eq_ignore_ascii_case(&finding.id) || id.eq_ignore_ascii_case("all");
        if ignored.iter().any(is_ignored) {
            finding.severity = Severity::Warning;
        }
    }
    let is_known = |id: &&String| {
        let is_id = |known: &&str| known.eq_ignore_ascii_case(id);
        let is_folder = id.to_ascii_lowercase().starts_with("diravailable-");
        id.eq_ignore_ascii_case("all") || is_folder || IDS.iter().any(is_id)
    };
    for id in ignored.iter().filter(|id| !is_known(id)) {
        found.push(finding(
            "IgnorePreflightErrors",
            Severity::Warning,
            None,
            format!("`{id}` is to be ignored, and no check is called that"),
            "an error that should have been ignored still stops the command",
            "take the ID from the brackets of a finding, for example `--ignore-preflight-errors NumCPU`",
        ));
    }
}

/// Returns names in one line: the first three, and how many more there are.
fn few<'a>(names: impl IntoIterator<Item = &'a HostName>) -> String {
    let names: Vec<&str> = names.into_iter().map(HostName::as_str).collect();
    match names.len() {
        0..=4 => names.join(", "),
        count => format!("{} and {} more", names[..3].join(", "), count - 3),
    }
}

fn finding(
    id: &str,
    severity: Severity,
    host: Option<&HostName>,
    seen: impl Into<String>,
    why: &str,
    help: impl Into<String>,
) -> Finding {
    // kubeadm puts the path into this one, which the file may choose.
    debug_assert!(
        IDS.contains(&id) || id.starts_with("DirAvailable-"),
        "{id} is not in the list of IDs"
    );
    Finding {
        id: id.to_owned(),
        severity,
        host: host.cloned(),
        seen: seen.into(),
        why: why.to_owned(),
        help: help.into(),
        fixable: false,
    }
}
