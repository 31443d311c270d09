//! Looks at the hosts of a cluster file and plans what is left to do on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    Architecture, ClusterFile, ClusterSpec, EtcdFacts, Facts, Finding, HostName, HostProbes,
    HostSpec, Role, Severity,
};
use slipway_bundle::BlobStore;
use slipway_engine::{EngineError, Fleet, Survey, gather_facts, probe_hosts};
use slipway_planner::{
    Departure, Scope, SkippedPhases, UpgradeOptions, plan_apply, plan_here, plan_upgrade, preflight,
};

use super::etcd;
use crate::args::{ClusterArgs, Output, SourceArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::session::open_blobs;
use crate::show;

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// All hosts, nothing there yet.
    Init,
    /// Hosts that are not nodes yet.
    Join,
    /// Whatever differs.
    Apply,
    /// Whatever differs, to be shown only: what preflight finds stops nothing.
    Plan,
    /// Whatever differs on nodes that are there, one node after the other.
    Upgrade,
    /// The same, to be shown only.
    UpgradePlan,
}

impl Intent {
    /// Returns the command's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Join => "join",
            Self::Apply => "apply",
            Self::Plan => "plan",
            Self::Upgrade => "upgrade apply",
            Self::UpgradePlan => "upgrade plan",
        }
    }

    /// Returns the command that takes in a host which was left out.
    pub fn again(self) -> &'static str {
        match self {
            Self::Init | Self::Join => "join",
            Self::Apply | Self::Plan => "apply",
            Self::Upgrade | Self::UpgradePlan => "upgrade apply",
        }
    }

    fn is_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::UpgradePlan)
    }
}

/// Looks at the hosts of a cluster file and plans what is left to do on them.
pub(crate) struct ClusterLook<'a> {
    pub intent: Intent,
    pub cluster: &'a Cluster,
    /// Phases that are left out.
    pub skipped: SkippedPhases,
    /// How nodes are taken out of service in an upgrade.
    pub upgrade: UpgradeOptions,
    /// What preflight found at the last look.
    pub findings: Vec<Finding>,
    source: &'a SourceArgs,
    names: &'a [HostName],
    output: Output,
    /// Opened at the first look that preflight lets pass.
    blobs: Option<Arc<dyn BlobStore>>,
    /// Hosts that the file last applied has and this one has not.
    departing: Vec<HostSpec>,
    /// What the hosts' probes found at the first look.
    probes: BTreeMap<HostName, HostProbes>,
}

impl<'a> ClusterLook<'a> {
    /// Returns a look at the hosts that are named; at all of the file where none is.
    pub fn new(
        intent: Intent,
        cluster: &'a Cluster,
        source: &'a SourceArgs,
        names: &'a [HostName],
        output: Output,
    ) -> Self {
        Self {
            intent,
            cluster,
            skipped: SkippedPhases::default(),
            upgrade: UpgradeOptions::default(),
            findings: Vec::new(),
            source,
            names,
            output,
            blobs: None,
            departing: Vec::new(),
            probes: BTreeMap::new(),
        }
    }

    /// Connects to the hosts, all control-plane hosts always among them: one
    /// signs certificates and answers for the cluster.
    ///
    /// Where all hosts of the file are meant, those that it no longer has are
    /// connected to as well.
    pub async fn connect(&mut self, args: &ClusterArgs) -> Result<Fleet, CliError> {
        let mut hosts: Vec<&HostSpec> = self.cluster.chosen_hosts(self.names)?;
        for control_plane in self.cluster.control_planes() {
            if !hosts.iter().any(|host| host.name == control_plane.name) {
                hosts.push(control_plane);
            }
        }
        let mut fleet = self.cluster.connect(hosts, args).await?;
        let is_whole = self.names.is_empty() && self.cluster.here.is_none();
        if let (Intent::Apply | Intent::Plan, true) = (self.intent, is_whole)
            && let Some(last) = last_applied(&fleet, self.cluster).await
        {
            let last = Cluster {
                spec: last,
                here: None,
            };
            let is_gone = |host: &&HostSpec| self.cluster.spec.host(&host.name).is_none();
            let gone: Vec<&HostSpec> = last.spec.hosts.iter().filter(is_gone).collect();
            fleet.absorb(last.connect(gone.clone(), args).await?);
            self.departing = gone.into_iter().cloned().collect();
        }
        Ok(fleet)
    }

    /// Returns where binaries and images come from, once a look was taken.
    pub fn blobs(&self) -> Result<Arc<dyn BlobStore>, CliError> {
        self.blobs.clone().ok_or_else(|| {
            let mut error = CliError::bad_input("no host was looked at", "report this");
            error.code = ExitCode::Bug;
            error
        })
    }

    /// Gathers facts, checks them, plans, and asks the hosts what is left to
    /// do. Warnings are told at the first look.
    ///
    /// # Errors
    /// The control-plane host cannot be reached, preflight finds errors, or no
    /// plan can be made.
    pub async fn take(&mut self, fleet: &mut Fleet) -> Result<Survey, CliError> {
        let cluster = self.cluster;
        let spec = &cluster.spec;
        let mut facts = gather_facts(fleet, spec).await;
        let mut control_planes = cluster.control_planes().into_iter();
        if control_planes.all(|host| fleet.host(&host.name).is_none()) {
            return Err(EngineError::Unreachable(fleet.unreachable()).into());
        }
        let scope = self.scope(&facts)?;
        // Network, clocks and disks are what they are: probed once.
        if self.blobs.is_none() && !self.skipped.has_preflight() {
            self.probes = probe_hosts(fleet, spec, &facts, &scope).await;
        }
        facts.probes = self.probes.clone();
        self.judge(&facts, &scope)?;
        let is_first = self.blobs.is_none();
        let blobs = match &self.blobs {
            Some(blobs) => Arc::clone(blobs),
            None => self.open_blobs(&facts, &scope).await?,
        };
        let manifest = blobs.manifest();
        let etcd = match self.departing.is_empty() {
            true => None,
            false => etcd::look_at(fleet, cluster.control_planes().into_iter())
                .await
                .ok(),
        };
        let etcd = etcd.as_ref().map(|(_, etcd)| &**etcd);
        let departing = self.still_here(&facts, etcd);
        if is_first && self.output == Output::Text {
            tell_departures(&departing);
        }
        let departure = Departure {
            hosts: &departing,
            etcd,
        };
        let survey = Survey::take(fleet, facts, |facts| {
            if self.intent.is_upgrade() {
                return plan_upgrade(spec, facts, manifest, &self.upgrade);
            }
            let plan = match &self.cluster.here {
                Some(here) if here.keeps_file => plan_here(spec, facts, manifest, &here.name),
                Some(_) | None => plan_apply(spec, facts, manifest, &scope, departure),
            };
            Ok(self.skipped.without(plan?))
        });
        Ok(survey.await?)
    }

    /// Returns those of the hosts that the file no longer has of which anything
    /// is left, in the cluster or on themselves.
    fn still_here(&self, facts: &Facts, etcd: Option<&EtcdFacts>) -> Vec<HostSpec> {
        let is_node = |host: &HostSpec| {
            let nodes = facts.cluster.iter().flat_map(|cluster| &cluster.nodes);
            nodes.into_iter().any(|node| node.name == host.node_name())
        };
        let has_marks = |host: &HostSpec| {
            let existing = facts.host(&host.name).map(|facts| &facts.existing);
            existing.is_some_and(|it| it.slipway_cluster.is_some() || it.kubelet_conf)
        };
        // A node of the same name may have come in its place.
        let is_named = |host: &HostSpec| {
            let mut hosts = self.cluster.spec.hosts.iter();
            hosts.any(|it| it.node_name() == host.node_name())
        };
        // A host that was lost while it joined may have a member and no node.
        let is_member = |host: &HostSpec| {
            let members = etcd.iter().flat_map(|etcd| &etcd.members);
            let mut members = members.into_iter().map(|it| &it.member);
            members.any(|member| member.is_of(host.node_name(), host.node_ip))
        };
        let is_counted = |host: &HostSpec| is_node(host) || is_member(host);
        let left = |host: &&HostSpec| (is_counted(host) && !is_named(host)) || has_marks(host);
        self.departing.iter().filter(left).cloned().collect()
    }

    /// Checks what is known. Hosts that were not reached are no error here:
    /// they are left out.
    fn judge(&mut self, facts: &Facts, scope: &Scope) -> Result<(), CliError> {
        if self.skipped.has_preflight() {
            return Ok(());
        }
        let cluster = self.cluster;
        let spec = &cluster.spec;
        let manifest = self.blobs.as_ref().map(|blobs| blobs.manifest());
        self.findings = preflight::check(spec, &facts.reached(), manifest, scope);
        if self.intent.is_upgrade() {
            // That is what it is for.
            self.findings
                .retain(|it| it.id != preflight::VERSION_CHANGE);
        }
        match self.intent {
            Intent::Plan | Intent::UpgradePlan => Ok(()),
            Intent::Init | Intent::Join | Intent::Apply | Intent::Upgrade => {
                stop_at_errors(&self.findings, self.output)
            }
        }
    }

    /// Opens what hosts get their binaries and images from, and checks again
    /// with the sizes that are known then. Warnings are told.
    async fn open_blobs(
        &mut self,
        facts: &Facts,
        scope: &Scope,
    ) -> Result<Arc<dyn BlobStore>, CliError> {
        let cluster = self.cluster;
        let spec = &cluster.spec;
        let opened = open_blobs(spec, self.source, architectures(spec, facts)).await;
        if let Ok(blobs) = &opened {
            self.blobs = Some(Arc::clone(blobs));
            self.judge(facts, scope)?;
        }
        // A bundle that is missing hides nothing of what is known without it.
        if self.output == Output::Text {
            show::warnings(&self.findings);
        }
        opened
    }

    fn scope(&self, facts: &Facts) -> Result<Scope, CliError> {
        let named: BTreeSet<HostName> = match &self.cluster.here {
            Some(here) => BTreeSet::from([here.name.clone()]),
            None => self.names.iter().cloned().collect(),
        };
        match self.intent {
            // Hosts that are no nodes yet wait for `apply`.
            Intent::Upgrade | Intent::UpgradePlan => {
                let nodes = self.cluster.spec.hosts.iter().filter(|host| {
                    let facts = facts.host(&host.name);
                    facts.is_some_and(|it| it.existing.kubelet_conf)
                });
                Ok(Scope::Hosts(nodes.map(|host| host.name.clone()).collect()))
            }
            Intent::Init | Intent::Apply | Intent::Plan if named.is_empty() => Ok(Scope::All),
            Intent::Init | Intent::Apply | Intent::Plan => Ok(Scope::Hosts(named)),
            Intent::Join => {
                if facts.cluster.is_none() {
                    return Err(CliError::bad_input(
                        "there is no cluster to join yet: its API server does not answer",
                        "bring it up first: `slipway init -f cluster.yaml`",
                    ));
                }
                // Nodes that are complete drop out by themselves: their steps are satisfied.
                let cluster = self.cluster;
                let spec = &cluster.spec;
                let is_named = |host: &&HostSpec| named.is_empty() || named.contains(&host.name);
                if named.is_empty() && spec.hosts_with_role(Role::ControlPlane).count() > 1 {
                    // A second control-plane node changes how all others reach the API.
                    return Ok(Scope::All);
                }
                let is_first = |host: &HostSpec| facts.cluster_from.as_ref() == Some(&host.name);
                let new = spec.hosts.iter().filter(is_named);
                let new = new.filter(|host| !is_first(host));
                Ok(Scope::Hosts(new.map(|host| host.name.clone()).collect()))
            }
        }
    }
}

/// Tells which hosts go because the file has them no more.
fn tell_departures(hosts: &[HostSpec]) {
    if hosts.is_empty() {
        return;
    }
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    noteln!(
        "no longer in the file: {}; what is left of Kubernetes there goes, and its data",
        names.join(", ")
    );
}

/// Returns the file that the cluster was last made from; none where there is no
/// cluster, another's name is in the file, or nobody answers for it.
async fn last_applied(fleet: &Fleet, cluster: &Cluster) -> Option<ClusterSpec> {
    for host in cluster.control_planes() {
        let Some(host) = fleet.host(&host.name) else {
            continue;
        };
        let reply = host.request(Request::ReadStoredCluster, &|_| {}).await;
        if let Ok(Reply::StoredCluster {
            text: Some(text), ..
        }) = reply
        {
            let last = ClusterFile::parse(&text, "kube-system/slipway-cluster")
                .ok()?
                .spec;
            return (last.name == cluster.spec.name).then_some(last);
        }
    }
    None
}

/// Shows what preflight found, and refuses to go on where anything of it is an error.
pub(super) fn stop_at_errors(findings: &[Finding], output: Output) -> Result<(), CliError> {
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    if errors == 0 {
        return Ok(());
    }
    show::findings_of_run(findings, output);
    let checks = if errors == 1 {
        "check speaks"
    } else {
        "checks speak"
    };
    let mut error = CliError::bad_input(
        format!("{errors} preflight {checks} against it"),
        "mend what is named above; `--ignore-preflight-errors ID` goes on in spite of a check",
    );
    error.code = ExitCode::Preflight;
    Err(error)
}

/// Returns the architectures of the hosts that were reached, each once.
pub(crate) fn architectures(spec: &ClusterSpec, facts: &Facts) -> Vec<Architecture> {
    let of_hosts = spec
        .hosts
        .iter()
        .filter_map(|host| Some(facts.host(&host.name)?.architecture));
    let once: BTreeSet<Architecture> = of_hosts.collect();
    once.into_iter().collect()
}
