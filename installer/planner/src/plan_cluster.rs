//! Plans a cluster: everything that must hold on its hosts and in its API.

use std::collections::BTreeSet;

use ipnet::IpNet;
use slipway_api::{
    BundleManifest, CertificateSummary, ClusterSpec, Facts, HostFacts, HostName, HostSpec,
    KubernetesVersion, LeftOut, Plan, Release, Role, StepId,
};

use crate::PlanError;
use crate::addons::{add_addon_waits, add_cluster_file};
use crate::builder::PlanBuilder;
use crate::control_plane::add_control_plane;
use crate::control_plane_hosts::{ControlPlaneHosts, is_established};
use crate::images::Images;
use crate::joined_control_plane::{Chain, add_joined_control_plane};
use crate::supply::{Renewal, Supply};
use crate::worker::add_worker;

/// Which hosts a plan is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All hosts of the file.
    All,
    /// These hosts only; steps for them on a control-plane host are included.
    Hosts(BTreeSet<HostName>),
}

impl Scope {
    /// Returns whether the plan is about `host`.
    pub fn includes(&self, host: &HostName) -> bool {
        match self {
            Self::All => true,
            Self::Hosts(hosts) => hosts.contains(host),
        }
    }
}

/// What one host's steps are made from.
#[derive(Clone, Copy)]
pub(crate) struct HostInput<'a> {
    pub spec: &'a ClusterSpec,
    pub host: &'a HostSpec,
    pub facts: &'a HostFacts,
    /// Which part of the pods' subnet the cluster has given to the host's node.
    pub pod_subnet: Option<IpNet>,
    pub control_plane: &'a ControlPlaneHosts<'a>,
    pub release: &'a Release,
    pub supply: Supply<'a>,
}

impl<'a> HostInput<'a> {
    /// Returns whether the key of the cluster's CA is elsewhere.
    pub fn has_external_ca(&self) -> bool {
        self.control_plane.has_external("ca")
    }

    /// Returns the same for another host; none where it was not reached.
    fn on(self, host: &'a HostSpec, facts: &'a Facts) -> Option<Self> {
        let pod_subnet = pod_subnet(host, facts);
        let facts = facts.host(&host.name)?;
        Some(Self {
            host,
            facts,
            pod_subnet,
            ..self
        })
    }

    /// Returns the bundle with binaries and images; none where what is installed stays.
    pub fn bundle(&self) -> Option<&'a BundleManifest> {
        match self.supply {
            Supply::Bundle(manifest) | Supply::Upgrade { manifest, .. } => Some(manifest),
            Supply::Certificates(_) => None,
        }
    }

    /// Returns the serial number of the certificate of this name, where it is to be renewed.
    pub fn replaced(&self, name: &str) -> Option<String> {
        let renewal = match self.supply {
            Supply::Certificates(renewal) => renewal,
            Supply::Upgrade { renews: true, .. } if !self.has_target_kubelet() => &Renewal::All,
            Supply::Bundle(_) | Supply::Upgrade { .. } => return None,
        };
        let is_forced = match renewal {
            Renewal::All => name != CertificateSummary::KUBELET_CLIENT,
            Renewal::Named(_) => renewal.includes(name),
        };
        let mut all = self.facts.existing.certificates.iter();
        let found = all.find(|it| is_forced && it.name == name)?;
        Some(found.serial_number.clone())
    }

    /// Returns whether the kubelet that is installed is the one to be: it changes last, so an
    /// upgrade of this node has come through then.
    fn has_target_kubelet(&self) -> bool {
        let installed = self.facts.kubelet.as_ref();
        let version = installed.and_then(|it| it.version.as_deref()?.parse().ok());
        version.is_some_and(|it: KubernetesVersion| it == self.spec.kubernetes_version)
    }

    /// Returns the cluster's images.
    pub fn images(&self) -> Images<'a> {
        Images::new(self.spec, self.release)
    }
}

/// Returns which part of the pods' subnet the cluster has given to a host's node.
pub(crate) fn pod_subnet(host: &HostSpec, facts: &Facts) -> Option<IpNet> {
    let nodes = &facts.cluster.as_ref()?.nodes;
    let node = nodes.iter().find(|node| node.name == host.node_name())?;
    node.pod_subnet.as_deref()?.parse().ok()
}

/// Returns everything that must hold for the hosts in `scope`, in order.
/// Hosts that were not reached are left out.
///
/// # Errors
/// No control-plane host can lead; the version or the file's shape is not
/// supported; the bundle lacks something.
pub fn plan_cluster(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: &BundleManifest,
    scope: &Scope,
) -> Result<Plan, PlanError> {
    let mut builder = PlanBuilder::default();
    let supply = Supply::Bundle(manifest);
    let (_, left_out) = add_cluster(&mut builder, spec, facts, supply, scope, &[])?;
    Ok(builder.finish(&spec.name, left_out))
}

/// Adds everything that must hold; returns the steps after which its nodes are
/// Ready, and the hosts that are left out. etcd takes members after `needs`.
pub(crate) fn add_cluster(
    builder: &mut PlanBuilder,
    spec: &ClusterSpec,
    facts: &Facts,
    supply: Supply<'_>,
    scope: &Scope,
    needs: &[StepId],
) -> Result<(Vec<StepId>, Vec<LeftOut>), PlanError> {
    let control_plane = ControlPlaneHosts::of(spec, facts)?;
    let release = Release::of(&spec.kubernetes_version)?;
    let first = control_plane.lead;
    let lead_facts = facts
        .host(&first.name)
        .ok_or_else(|| PlanError::HostNotReached {
            host: first.name.clone(),
        })?;
    let lead = HostInput {
        spec,
        host: first,
        facts: lead_facts,
        pod_subnet: pod_subnet(first, facts),
        control_plane: &control_plane,
        release: &release,
        supply,
    };
    let mut chain = Chain::after(needs);
    let mut ready = Vec::new();
    let mut joinable = Vec::new();
    if scope.includes(&first.name) {
        let steps = add_control_plane(builder, &lead)?;
        joinable.clone_from(&steps.joinable);
        ready.push(steps.ready.clone());
        chain.begin(&lead, steps);
    } else {
        // A file with one host more is a new file.
        add_cluster_file(builder, &lead, &[]);
        chain.found(&lead);
    }
    let others = control_plane.others.iter().copied();
    for host in others.filter_map(|host| lead.on(host, facts)) {
        let name = &host.host.name;
        if scope.includes(name) {
            let runs = is_established(facts, name);
            ready.push(add_joined_control_plane(builder, &host, &mut chain, runs)?);
        } else if is_established(facts, name) {
            chain.found(&host);
        }
    }
    let ca = lead.facts.existing.ca_sha256;
    let workers = spec
        .hosts_with_role(Role::Worker)
        .filter(|host| scope.includes(&host.name));
    for worker in workers.filter_map(|host| lead.on(host, facts)) {
        ready.push(add_worker(builder, &worker, ca, &joinable)?);
    }
    let left_out: Vec<LeftOut> = facts
        .unreached()
        .filter(|it| scope.includes(&it.host))
        .collect();
    // Pods on a node that is down are not available, however long one waits.
    if scope.includes(&first.name) && !has_node_among(&left_out, spec, facts) {
        add_addon_waits(builder, &lead, &ready);
    }
    Ok((ready, left_out))
}

/// Returns whether one of `hosts` is a node already.
fn has_node_among(hosts: &[LeftOut], spec: &ClusterSpec, facts: &Facts) -> bool {
    let nodes = facts.cluster.iter().flat_map(|cluster| &cluster.nodes);
    let names: BTreeSet<&str> = nodes.map(|node| node.name.as_str()).collect();
    let mut hosts = hosts.iter().filter_map(|it| spec.host(&it.host));
    hosts.any(|host| names.contains(host.node_name()))
}
