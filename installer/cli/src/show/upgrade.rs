//! The way to a version: what each node has now and then, what is met, every step.

use serde_json::{Value, json};
use slipway_api::{Finding, HostState, KubernetesVersion, Release, Severity, Step, UpgradeFacts};
use slipway_engine::Survey;

use super::{json, plan_with_findings, table};
use crate::args::Output;

/// The way to a version.
pub(crate) struct UpgradePage<'a> {
    pub cluster: &'a str,
    pub from: &'a KubernetesVersion,
    pub target: &'a KubernetesVersion,
    /// What is to be done for each version on the way, and what preflight finds.
    pub hops: Vec<(KubernetesVersion, Survey, Vec<Finding>)>,
    /// What is met in the cluster; none where no API server answers.
    pub meets: Option<UpgradeFacts>,
}

/// How long a node's change takes, in seconds, as seen in labs: a component's swap, the
/// kubelet's start, and a drain without pods that take their time.
const COMPONENT: usize = 12;
const KUBELET: usize = 10;
const DRAIN: usize = 15;

impl UpgradePage<'_> {
    /// Prints the page on stdout.
    pub fn show(&self, output: Output) {
        match output {
            Output::Json => json(&self.document()),
            Output::Text => self.page(),
        }
    }

    fn document(&self) -> Value {
        let hops = self.hops.iter().map(|(version, survey, findings)| {
            json!({ "version": version, "plan": survey.plan, "findings": findings })
        });
        json!({
            "cluster": self.cluster,
            "from": self.from,
            "to": self.target,
            "nodes": self.nodes(),
            "meets": self.meets,
            "estimatedSeconds": self.estimate(),
            "hops": hops.collect::<Vec<_>>(),
        })
    }

    fn page(&self) {
        let hops: Vec<String> = self.hops.iter().map(|it| it.0.to_string()).collect();
        outln!("{}: {} -> {}\n", self.cluster, self.from, hops.join(" -> "));
        out!("{}", table(&self.node_rows()));
        outln!("");
        for line in self.met() {
            outln!("{line}");
        }
        for (version, survey, findings) in &self.hops {
            if self.hops.len() > 1 {
                let who = match version == self.target {
                    true => "the control plane and then the workers",
                    false => "the control plane alone",
                };
                outln!("\nto {version}: {who}\n");
            }
            plan_with_findings(survey, findings, Output::Text);
        }
        if let Some(seconds) = self.estimate().filter(|it| *it > 0) {
            outln!(
                "\nAbout {} min, drains of busy nodes aside.",
                seconds.div_ceil(60).max(1)
            );
        }
    }

    /// Returns one line for each thing that a person may want to mend before.
    fn met(&self) -> Vec<String> {
        let Some(meets) = &self.meets else {
            return vec![
                "No API server answers: pods, budgets and APIs in use are not known.".to_owned(),
            ];
        };
        let mut lines = Vec::new();
        for (node, pods) in &meets.evicted {
            if self.is_drained(node) {
                lines.push(format!("{node} is drained: {} move", pods.join(", ")));
            }
        }
        for budget in &meets.blocking {
            lines.push(format!(
                "PodDisruptionBudget {} allows no disruption now ({} healthy, {} wanted): {} would hold up a drain",
                budget.name,
                budget.healthy,
                budget.desired,
                budget.pods.join(", ")
            ));
        }
        for api in &meets.deprecated {
            let name = format!("{} {}", api.api_version, api.resource);
            match api.is_gone_in(self.target.minor()) {
                true => lines.push(format!(
                    "{name} is asked for by somebody, and {} does not serve it",
                    self.target
                )),
                false => lines.push(format!(
                    "{name} is asked for by somebody and is deprecated{}",
                    api.removed_in
                        .as_deref()
                        .map_or_else(String::new, |it| format!(", gone in {it}"))
                )),
            }
        }
        lines
    }

    fn is_drained(&self, node: &str) -> bool {
        let mut steps = self.hops.iter().flat_map(|it| &it.1.plan.steps);
        steps.any(|it| matches!(&it.step, Step::DrainNode(step) if step.node_name == node))
    }

    fn node_rows(&self) -> Vec<Vec<String>> {
        let head = [
            "HOST",
            "KUBELET",
            "THEN",
            "CONTROL PLANE",
            "THEN",
            "ETCD THEN",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        for node in self.nodes() {
            let fields = [
                "host",
                "kubelet",
                "kubeletThen",
                "controlPlane",
                "controlPlaneThen",
                "etcdThen",
            ];
            rows.push(fields.map(|field| text(&node[field])).to_vec());
        }
        rows
    }

    /// Returns what each node has now and then.
    fn nodes(&self) -> Vec<Value> {
        let Some((_, survey, _)) = self.hops.last() else {
            return Vec::new();
        };
        let release = Release::of(self.target).ok();
        let cluster = survey.facts.cluster.as_ref();
        let api_server = cluster.map(|it| it.api_server_version.clone());
        let nodes = survey.facts.hosts.iter().filter_map(|(host, state)| {
            let HostState::Reached(facts) = state else {
                return None;
            };
            let kubelet = facts.kubelet.as_ref()?.version.clone()?;
            let kubelet = kubelet.trim_start_matches("Kubernetes ").to_owned();
            let runs = !facts.existing.manifests.is_empty();
            Some(json!({
                "host": host,
                "kubelet": kubelet,
                "kubeletThen": self.target,
                "controlPlane": runs.then_some(&api_server),
                "controlPlaneThen": runs.then_some(self.target),
                "etcdThen": release.as_ref().filter(|_| runs).map(|it| it.etcd_tag),
            }))
        });
        nodes.collect()
    }

    /// Returns about how long it takes, in seconds.
    fn estimate(&self) -> Option<usize> {
        let steps = self.hops.iter().flat_map(|it| &it.1.plan.steps);
        let seconds = steps.map(|it| {
            if matches!(it.step, Step::EnsureStaticPod(_)) {
                COMPONENT
            } else if matches!(it.step, Step::EnsureUnit(_)) {
                KUBELET
            } else if matches!(it.step, Step::DrainNode(_)) {
                DRAIN
            } else {
                0
            }
        });
        let has_errors = self
            .hops
            .iter()
            .flat_map(|it| &it.2)
            .any(|it| it.severity == Severity::Error);
        (!has_errors).then(|| seconds.sum())
    }
}
