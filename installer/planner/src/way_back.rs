//! How a node comes back to what it was when its upgrade fails.

use slipway_api::step::{Condition, ForgetKept, PutNodeBack, UncordonNode, WaitFor};
use slipway_api::{HostName, HostSpec, Phase, PlannedStep, Role, Step, StepId, WayBack};

use crate::control_plane::COMPONENT_TIMEOUT;
use crate::plan_upgrade::settled;
use crate::upgrade_stage::CONTAINERD_UNIT;

/// Returns the way back of a node whose steps are `guarded`, through `speaker`'s API server: its
/// files as they were kept, everything that reads them started again in the order in which it
/// depends on each other, and its pods back.
pub(crate) fn way_back(
    host: &HostSpec,
    upgrade: &str,
    speaker: &HostName,
    guarded: &[PlannedStep],
) -> WayBack {
    let mut way = Way { steps: Vec::new() };
    let own = &host.name;
    way.add(
        own,
        Step::PutNodeBack(PutNodeBack {
            upgrade: upgrade.to_owned(),
        }),
    );
    let unit = |name: &str| {
        let mut steps = guarded.iter().map(|it| &it.step);
        steps.find(|step| matches!(step, Step::EnsureUnit(step) if step.unit == name))
    };
    for step in unit(CONTAINERD_UNIT).into_iter().chain(unit(KUBELET_UNIT)) {
        way.add(own, step.clone());
    }
    way.wait(own, Condition::KubeletHealthy);
    for planned in guarded {
        if let Step::EnsureStaticPod(pod) = &planned.step {
            way.add(own, planned.step.clone());
            match pod.name.as_str() {
                "etcd" => way.wait(own, Condition::EtcdHealthy),
                "kube-apiserver" => way.wait(own, Condition::ApiServerReady),
                _client => {}
            }
        }
    }
    if host.role == Role::ControlPlane {
        way.add(own, settled());
    }
    let node = host.node_name().to_owned();
    way.wait(speaker, Condition::NodeReady { node: node.clone() });
    way.add(
        speaker,
        Step::UncordonNode(UncordonNode { node_name: node }),
    );
    way.add(own, Step::ForgetKept(ForgetKept {}));
    WayBack {
        host: own.clone(),
        guards: guarded.iter().map(|it| it.id.clone()).collect(),
        steps: way.steps,
    }
}

/// The kubelet's unit.
const KUBELET_UNIT: &str = "kubelet.service";

/// The steps of a way back, each after the one before it.
struct Way {
    steps: Vec<PlannedStep>,
}

impl Way {
    fn wait(&mut self, host: &HostName, condition: Condition) {
        let wait = WaitFor {
            condition,
            timeout_seconds: COMPONENT_TIMEOUT,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        };
        self.add(host, Step::WaitFor(wait));
    }

    /// Adds a step after the one before it.
    fn add(&mut self, host: &HostName, step: Step) {
        let needs = self.steps.last().map(|it| it.id.clone());
        self.steps.push(PlannedStep {
            id: StepId::of(host, Phase::PutBack, &step),
            host: host.clone(),
            phase: Phase::PutBack,
            step,
            needs: needs.into_iter().collect(),
            reruns_after: Vec::new(),
            only_with: Vec::new(),
            because: "its upgrade failed".to_owned(),
        });
    }
}
