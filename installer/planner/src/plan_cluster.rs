//! Plans a cluster: everything that must hold on its hosts and in its API.

use std::collections::BTreeSet;

use slipway_api::{
    BundleManifest, ClusterSpec, Facts, HostFacts, HostName, HostSpec, LeftOut, Plan, Release, Role,
};

use crate::PlanError;
use crate::addons::{add_addon_waits, add_cluster_file};
use crate::builder::PlanBuilder;
use crate::control_plane::add_control_plane;
use crate::external_ca::has_external_ca;
use crate::images::Images;
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
    pub release: &'a Release,
    pub manifest: &'a BundleManifest,
    /// Whether the key of the cluster's CA is elsewhere.
    pub has_external_ca: bool,
}

impl<'a> HostInput<'a> {
    /// Returns the cluster's images.
    pub fn images(&self) -> Images<'a> {
        Images::new(self.spec, self.release)
    }
}

/// Returns everything that must hold for the hosts in `scope`, in order.
/// Workers that were not reached are left out.
///
/// # Errors
/// The control-plane host was not reached; the version or the file's shape is
/// not supported; the bundle lacks something.
pub fn plan_cluster(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: &BundleManifest,
    scope: &Scope,
) -> Result<Plan, PlanError> {
    let count = spec.hosts_with_role(Role::ControlPlane).count();
    if count > 1 {
        return Err(PlanError::SeveralControlPlanes { count });
    }
    let release = Release::of(&spec.kubernetes_version)?;
    let mut builder = PlanBuilder::default();
    let first = spec.first_control_plane();
    let mut joinable = Vec::new();
    let mut ready = Vec::new();
    let control_plane_facts = facts
        .host(&first.name)
        .ok_or_else(|| PlanError::HostNotReached {
            host: first.name.clone(),
        })?;
    let control_plane = HostInput {
        spec,
        host: first,
        facts: control_plane_facts,
        release: &release,
        manifest,
        has_external_ca: has_external_ca(spec, facts),
    };
    if scope.includes(&first.name) {
        let steps = add_control_plane(&mut builder, &control_plane)?;
        joinable = steps.joinable;
        ready.push(steps.ready);
    } else {
        // A file with one host more is a new file.
        add_cluster_file(&mut builder, &control_plane, &[]);
    }
    let ca = control_plane_facts.existing.ca_sha256;
    for worker in spec
        .hosts_with_role(Role::Worker)
        .filter(|host| scope.includes(&host.name))
    {
        let Some(facts) = facts.host(&worker.name) else {
            continue;
        };
        let host = HostInput {
            host: worker,
            facts,
            ..control_plane
        };
        ready.push(add_worker(&mut builder, &host, ca, &joinable)?);
    }
    let left_out: Vec<LeftOut> = facts
        .unreached()
        .filter(|it| scope.includes(&it.host))
        .collect();
    // Pods on a node that is down are not available, however long one waits.
    if scope.includes(&first.name) && !has_node_among(&left_out, spec, facts) {
        add_addon_waits(&mut builder, &control_plane, &ready);
    }
    Ok(builder.finish(&spec.name, left_out))
}

/// Returns whether one of `hosts` is a node already.
fn has_node_among(hosts: &[LeftOut], spec: &ClusterSpec, facts: &Facts) -> bool {
    let nodes = facts.cluster.iter().flat_map(|cluster| &cluster.nodes);
    let names: BTreeSet<&str> = nodes.map(|node| node.name.as_str()).collect();
    let mut hosts = hosts.iter().filter_map(|it| spec.host(&it.host));
    hosts.any(|host| names.contains(host.node_name()))
}
