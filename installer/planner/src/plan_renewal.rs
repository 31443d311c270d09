//! Plans new certificates, node by node while the cluster serves.

use std::collections::BTreeSet;

use slipway_api::step::Condition;
use slipway_api::{ClusterSpec, Facts, HostName, HostSpec, LeftOut, Plan, Role, Step, StepId};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::plan_cluster::{Scope, add_cluster};
use crate::supply::{Renewal, Supply};

/// Returns the steps that renew certificates on the hosts in `scope` and restart what reads
/// them. The names in new certificates are those that the file asks for now.
///
/// While an API server answers, one node follows the other, each once the one before it is
/// healthy. Where none does, expired certificates may be why: then all control-plane hosts get
/// theirs at once, since etcd's members need each other's, and workers after them.
///
/// # Errors
/// A name is no certificate's, or of one that is issued elsewhere; no control-plane host can
/// lead; the version or the file's shape is not supported.
pub fn plan_renewal(
    spec: &ClusterSpec,
    facts: &Facts,
    scope: &Scope,
    renewal: &Renewal,
) -> Result<Plan, PlanError> {
    let left_out = facts.unreached().filter(|it| scope.includes(&it.host));
    let left_out: Vec<LeftOut> = left_out.collect();
    let is_meant =
        |host: &&HostSpec| scope.includes(&host.name) && facts.host(&host.name).is_some();
    let of_role = |role| spec.hosts_with_role(role).filter(is_meant);
    let hosts: Vec<&HostSpec> = of_role(Role::ControlPlane)
        .chain(of_role(Role::Worker))
        .collect();
    check_names(facts, &hosts, renewal)?;

    let is_serving = facts.cluster.is_some();
    let mut steps = Vec::new();
    let mut before: Vec<StepId> = Vec::new();
    let mut control_planes: Vec<StepId> = Vec::new();
    for host in hosts {
        let needs = match (is_serving, host.role) {
            (true, _) => &before,
            (false, Role::Worker) => &control_planes,
            (false, Role::ControlPlane) => &Vec::new(),
        };
        let own = plan_of(spec, facts, &host.name, renewal)?;
        let ends = ends(&own);
        for mut step in own.steps {
            if step.needs.is_empty() {
                step.needs.clone_from(needs);
            }
            steps.push(step);
        }
        if host.role == Role::ControlPlane {
            control_planes.extend(ends.iter().cloned());
        }
        if !ends.is_empty() {
            before = ends;
        }
    }
    Ok(Plan {
        cluster: spec.name.clone(),
        steps,
        left_out,
        ways_back: Vec::new(),
    })
}

/// Returns what is to be done for one host.
fn plan_of(
    spec: &ClusterSpec,
    facts: &Facts,
    host: &HostName,
    renewal: &Renewal,
) -> Result<Plan, PlanError> {
    let mut builder = PlanBuilder::default();
    let scope = Scope::Hosts(BTreeSet::from([host.clone()]));
    let supply = Supply::Certificates(renewal);
    add_cluster(&mut builder, spec, facts, supply, &scope, &[])?;
    let plan = builder.finish(&spec.name, Vec::new());
    Ok(plan.without(|planned| !is_part(&planned.step, renewal)))
}

/// Returns whether a step of a node's is part of a renewal.
fn is_part(step: &Step, renewal: &Renewal) -> bool {
    match certificate_of(step) {
        Some((name, is_external)) => !is_external && renewal.includes(&name),
        None => is_restart(step),
    }
}

/// Returns the name of the certificate that a step issues, and whether somebody else issues it.
fn certificate_of(step: &Step) -> Option<(String, bool)> {
    use slipway_api::CertificateSummary as Certificate;
    if let Step::EnsureCertificate(step) = step {
        return Some((step.name.clone(), step.is_external));
    }
    if let Step::EnsureKubeconfig(step) = step {
        return Some((format!("{}.conf", step.name), step.is_external));
    }
    if let Step::EnsureKubeletClient(_) = step {
        return Some((Certificate::KUBELET_CLIENT.to_owned(), false));
    }
    if let Step::EnsureKubeletServing(_) = step {
        return Some((Certificate::KUBELET_SERVING.to_owned(), false));
    }
    None
}

/// Returns whether a step restarts what reads certificates, or waits until it serves again.
fn is_restart(step: &Step) -> bool {
    if let Step::EnsureUnit(step) = step {
        return step.unit == "kubelet.service";
    }
    if let Step::WaitFor(step) = step {
        return match step.condition {
            Condition::KubeletHealthy
            | Condition::EtcdHealthy
            | Condition::ApiServerReady
            | Condition::ControllerManagerHealthy
            | Condition::SchedulerHealthy
            | Condition::ControlPlaneHealthy
            | Condition::NodeUpgraded { .. }
            | Condition::NodeReady { .. } => true,
            Condition::NodeRegistered { .. }
            | Condition::KubeletBootstrapped { .. }
            | Condition::OwnNodeReady { .. }
            | Condition::DeploymentAvailable { .. } => false,
        };
    }
    matches!(step, Step::EnsureStaticPod(_))
}

/// Returns the steps that no other of the plan waits for.
fn ends(plan: &Plan) -> Vec<StepId> {
    let needed: BTreeSet<&StepId> = plan.steps.iter().flat_map(|it| &it.needs).collect();
    let ids = plan.steps.iter().map(|it| &it.id);
    ids.filter(|id| !needed.contains(id)).cloned().collect()
}

/// Refuses names that no host has a certificate of.
fn check_names(facts: &Facts, hosts: &[&HostSpec], renewal: &Renewal) -> Result<(), PlanError> {
    let Renewal::Named(names) = renewal else {
        return Ok(());
    };
    let existing = hosts.iter().filter_map(|host| facts.host(&host.name));
    let existing: Vec<_> = existing.map(|facts| &facts.existing).collect();
    let known: BTreeSet<&str> = existing
        .iter()
        .flat_map(|existing| &existing.certificates)
        .filter(|it| it.authority.is_some())
        .map(|it| it.name.as_str())
        .collect();
    for name in names {
        if !known.contains(name.as_str()) {
            return Err(PlanError::UnknownCertificate {
                name: name.clone(),
                known: known.iter().map(|it| (*it).to_owned()).collect(),
            });
        }
        let has_external = existing.iter().any(|existing| {
            let mut all = existing.certificates.iter().filter(|it| it.name == *name);
            all.any(|it| {
                it.authority
                    .as_deref()
                    .is_some_and(|of| existing.has_external(of))
            })
        });
        if has_external {
            return Err(PlanError::IssuedElsewhere { name: name.clone() });
        }
    }
    Ok(())
}
