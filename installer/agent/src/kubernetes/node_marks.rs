//! Labels, taints and the cordon of a node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Taint as LiveTaint};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use slipway_api::{Taint, TaintEffect};

use super::{ApiClient, KubernetesError};

/// How often a change is tried when somebody else changes the node at the same time.
const ATTEMPTS: usize = 5;

impl ApiClient {
    /// Gives a node labels and taints; others are left alone. Returns whether
    /// anything was missing.
    ///
    /// # Errors
    /// The node does not exist, or the API server refuses.
    pub async fn mark_node(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        taints: &[Taint],
    ) -> Result<bool, KubernetesError> {
        let mut attempts = 0;
        loop {
            let doing = format!("read node {name}");
            let node = self.call(&doing, self.all::<Node>().get(name)).await?;
            let Some(patch) = marks_patch(&node, labels, taints) else {
                return Ok(false);
            };
            attempts += 1;
            match self.patch_node(name, "mark", &patch).await {
                Err(error) if error.is_conflict() && attempts < ATTEMPTS => {}
                answer => return answer.map(|_| true),
            }
        }
    }

    /// Returns a sentence for each label and taint that the node lacks; none
    /// means that it has them all.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn node_marks_missing(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        taints: &[Taint],
    ) -> Result<Vec<String>, KubernetesError> {
        Ok(match self.node(name).await? {
            Some(node) => missing_marks(&node, labels, taints),
            None => vec![format!("node {name} is not registered")],
        })
    }

    /// Keeps new pods away from a node and returns whether that is new.
    ///
    /// # Errors
    /// The node does not exist, or the API server refuses.
    pub async fn cordon(&self, name: &str) -> Result<bool, KubernetesError> {
        self.set_unschedulable(name, true).await
    }

    /// Lets new pods onto a node again and returns whether that is new.
    ///
    /// # Errors
    /// The node does not exist, or the API server refuses.
    pub async fn uncordon(&self, name: &str) -> Result<bool, KubernetesError> {
        self.set_unschedulable(name, false).await
    }

    async fn set_unschedulable(&self, name: &str, wanted: bool) -> Result<bool, KubernetesError> {
        let doing = format!("read node {name}");
        let node = self.call(&doing, self.all::<Node>().get(name)).await?;
        let now = node.spec.and_then(|spec| spec.unschedulable);
        if now.unwrap_or(false) == wanted {
            return Ok(false);
        }
        let verb = if wanted { "cordon" } else { "uncordon" };
        let patch = json!({ "spec": { "unschedulable": wanted } });
        self.patch_node(name, verb, &patch).await?;
        Ok(true)
    }

    async fn patch_node(
        &self,
        name: &str,
        verb: &str,
        patch: &Value,
    ) -> Result<Node, KubernetesError> {
        let api = self.all::<Node>();
        let parameters = PatchParams::default();
        let patch = Patch::Merge(patch);
        let sent = api.patch(name, &parameters, &patch);
        self.call(&format!("{verb} node {name}"), sent).await
    }
}

/// Returns the merge patch that adds what is missing, if anything is.
///
/// A merge patch replaces the whole list of taints, so it carries the version
/// it was made from: a change in between makes it fail instead of being lost.
fn marks_patch(node: &Node, labels: &BTreeMap<String, String>, taints: &[Taint]) -> Option<Value> {
    if missing_marks(node, labels, taints).is_empty() {
        return None;
    }
    let mut all: Vec<LiveTaint> = live_taints(node).to_vec();
    all.retain(|live| !taints.iter().any(|taint| is_same_taint(live, taint)));
    all.extend(taints.iter().map(|taint| LiveTaint {
        key: taint.key.clone(),
        value: (!taint.value.is_empty()).then(|| taint.value.clone()),
        effect: effect_name(taint.effect).to_owned(),
        time_added: None,
    }));
    Some(json!({
        "metadata": { "labels": labels, "resourceVersion": node.resource_version() },
        "spec": { "taints": all },
    }))
}

fn missing_marks(node: &Node, labels: &BTreeMap<String, String>, taints: &[Taint]) -> Vec<String> {
    let name = node.name_any();
    let live = node.labels();
    let missing_labels = labels
        .iter()
        .filter(|(key, value)| live.get(*key) != Some(*value))
        .map(|(key, value)| format!("node {name} lacks the label {key}={value}"));
    let missing_taints = taints
        .iter()
        .filter(|taint| {
            let value = |live: &LiveTaint| live.value.clone().unwrap_or_default();
            !live_taints(node)
                .iter()
                .any(|live| is_same_taint(live, taint) && value(live) == taint.value)
        })
        .map(|taint| {
            let effect = effect_name(taint.effect);
            let value = match taint.value.as_str() {
                "" => String::new(),
                value => format!("={value}"),
            };
            format!("node {name} lacks the taint {}{value}:{effect}", taint.key)
        });
    missing_labels.chain(missing_taints).collect()
}

fn live_taints(node: &Node) -> &[LiveTaint] {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default()
}

/// Returns whether the two would replace each other: Kubernetes tells taints
/// apart by key and effect.
fn is_same_taint(live: &LiveTaint, taint: &Taint) -> bool {
    live.key == taint.key && live.effect == effect_name(taint.effect)
}

fn effect_name(effect: TaintEffect) -> &'static str {
    match effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        serde_json::from_value(json!({
            "metadata": {
                "name": "cp-1", "resourceVersion": "7",
                "labels": { "disk": "ssd", "foreign": "kept" },
            },
            "spec": { "taints": [
                { "key": "foreign", "effect": "NoExecute" },
                { "key": "team", "value": "old", "effect": "NoSchedule" },
            ] },
        }))
        .unwrap()
    }

    fn taint(key: &str, value: &str) -> Taint {
        Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: TaintEffect::NoSchedule,
        }
    }

    #[test]
    fn a_node_that_has_all_marks_needs_no_patch() {
        let labels = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
        assert_eq!(marks_patch(&node(), &labels, &[taint("team", "old")]), None);
    }

    #[test]
    fn missing_marks_are_sentences() {
        let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
        let taints = [taint("team", "new"), taint("gpu", "")];
        assert_eq!(
            missing_marks(&node(), &labels, &taints),
            [
                "node cp-1 lacks the label zone=a",
                "node cp-1 lacks the taint team=new:NoSchedule",
                "node cp-1 lacks the taint gpu:NoSchedule",
            ]
        );
    }

    #[test]
    fn a_patch_keeps_foreign_taints_and_its_version() {
        let patch = marks_patch(&node(), &BTreeMap::new(), &[taint("team", "new")]).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(
            patch["spec"]["taints"],
            json!([
                { "key": "foreign", "effect": "NoExecute" },
                { "key": "team", "value": "new", "effect": "NoSchedule" },
            ])
        );
    }
}
