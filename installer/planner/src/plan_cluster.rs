//! Plans a cluster: everything that must hold on its hosts and in its API.

use std::collections::BTreeSet;

use slipway_api::{
    BundleManifest, ClusterSpec, Facts, HostFacts, HostName, HostSpec, Plan, Release, Role,
};

use crate::PlanError;
use crate::addons::add_addon_waits;
use crate::builder::PlanBuilder;
use crate::control_plane::add_control_plane;
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
}

/// Returns everything that must hold for the hosts in `scope`, in order.
///
/// # Errors
/// A host in scope, or the control-plane host, was not reached; the version or
/// the file's shape is not supported; the bundle lacks something.
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
    let input = |host: &'_ HostSpec| -> Result<&HostFacts, PlanError> {
        facts
            .host(&host.name)
            .ok_or_else(|| PlanError::HostNotReached {
                host: host.name.clone(),
            })
    };
    let first = spec.first_control_plane();
    let mut joinable = Vec::new();
    let mut ready = Vec::new();
    let control_plane_facts = input(first)?;
    let control_plane = HostInput {
        spec,
        host: first,
        facts: control_plane_facts,
        release: &release,
        manifest,
    };
    if scope.includes(&first.name) {
        let steps = add_control_plane(&mut builder, &control_plane)?;
        joinable = steps.joinable;
        ready.push(steps.ready);
    }
    let ca = control_plane_facts.existing.ca_sha256;
    for worker in spec
        .hosts_with_role(Role::Worker)
        .filter(|host| scope.includes(&host.name))
    {
        let host = HostInput {
            host: worker,
            facts: input(worker)?,
            ..control_plane
        };
        ready.push(add_worker(&mut builder, &host, ca, &joinable)?);
    }
    if scope.includes(&first.name) {
        add_addon_waits(&mut builder, &control_plane, &ready);
    }
    Ok(builder.finish(&spec.name))
}
