//! Plans this machine alone, for clusters without a file.

use std::collections::BTreeSet;

use slipway_api::step::WriteFile;
use slipway_api::{
    BundleManifest, ClusterSpec, Facts, HostName, Phase, Plan, PlannedStep, Step, StepId, paths,
};

use crate::addons::shown_file;
use crate::{PlanError, Scope, plan_cluster};

/// Returns everything that must hold on the control-plane host `here`, which
/// also keeps a copy of the cluster file: nobody else has one, and until the
/// API server runs it is the only place where the cluster's settings stand.
///
/// # Errors
/// As [`plan_cluster`].
pub fn plan_here(
    spec: &ClusterSpec,
    facts: &Facts,
    manifest: &BundleManifest,
    here: &HostName,
) -> Result<Plan, PlanError> {
    let scope = Scope::Hosts(BTreeSet::from([here.clone()]));
    let mut plan = plan_cluster(spec, facts, manifest, &scope)?;
    let is_marker = |step: &PlannedStep| {
        step.host == *here
            && matches!(&step.step, Step::WriteFile(file) if file.path == paths::CLUSTER_MARKER)
    };
    if let Some(marker) = plan.steps.iter().position(is_marker) {
        let file = WriteFile::new(paths::CLUSTER_FILE, 0o600, shown_file(spec));
        let step = Step::WriteFile(file);
        let copy = PlannedStep {
            id: StepId::of(here, Phase::Install, &step),
            host: here.clone(),
            phase: Phase::Install,
            step,
            needs: vec![plan.steps[marker].id.clone()],
            reruns_after: Vec::new(),
            only_with: Vec::new(),
            because: "it is part of the cluster".to_owned(),
        };
        // Nothing may be made before the settings it is made from are kept.
        for later in plan.steps.iter_mut().skip(marker + 1) {
            if later.host == *here && later.needs == [copy.needs[0].clone()] {
                later.needs.push(copy.id.clone());
            }
        }
        plan.steps.insert(marker + 1, copy);
    }
    Ok(plan)
}
