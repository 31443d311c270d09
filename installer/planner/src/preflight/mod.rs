//! Preflight: pure verdicts over facts. Each finding says what was seen, why
//! it matters and what mends it; IDs are kubeadm's where kubeadm has the check.

mod cluster;
mod host;
mod kernel;
mod resources;
mod runtime;
mod uniqueness;

use slipway_api::{
    ClusterSpec, Facts, Finding, HostFacts, HostName, HostSpec, HostState, Severity,
};

use crate::Scope;

/// One host under check.
pub(crate) struct Subject<'a> {
    pub spec: &'a ClusterSpec,
    pub host: &'a HostSpec,
    pub facts: &'a HostFacts,
}

impl Subject<'_> {
    /// Returns whether Slipway installed this host for this very cluster, or began to.
    fn belongs_to_cluster(&self) -> bool {
        self.facts.existing.slipway_cluster.as_deref() == Some(&self.spec.name)
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
        finding(
            id,
            Severity::Warning,
            Some(&self.host.name),
            seen,
            why,
            help,
        )
    }
}

/// Returns everything that speaks against installing the hosts in `scope`,
/// errors first; errors that the file ignores have become warnings.
pub fn check(spec: &ClusterSpec, facts: &Facts, scope: &Scope) -> Vec<Finding> {
    let mut found = Vec::new();
    for host in spec.hosts.iter().filter(|host| scope.includes(&host.name)) {
        match facts.hosts.get(&host.name) {
            Some(HostState::Reached(facts)) => {
                let subject = Subject { spec, host, facts };
                host::check(&subject, &mut found);
                kernel::check(&subject, &mut found);
                resources::check(&subject, &mut found);
                runtime::check(&subject, &mut found);
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
    cluster::check(spec, facts, &mut found);
    for finding in &mut found {
        let is_ignored =
            |id: &String| id.eq_ignore_ascii_case(&finding.id) || id.eq_ignore_ascii_case("all");
        if spec.ignore_preflight_errors.iter().any(is_ignored) {
            finding.severity = Severity::Warning;
        }
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn finding(
    id: &str,
    severity: Severity,
    host: Option<&HostName>,
    seen: impl Into<String>,
    why: &str,
    help: impl Into<String>,
) -> Finding {
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
