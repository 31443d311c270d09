//! Labels, taints and the cordon of a node.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Taint as LiveTaint};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use slipway_api::{Taint, TaintEffect};

use super::{ApiClient, KubernetesError};

/// Says on a node that Slipway has cordoned it and will end that.
const CORDON_ANNOTATION: &str = "slipway.dev/cordoned-for-upgrade";
/// How often a change is tried when somebody else changes the node at the same time.
const ATTEMPTS: usize = 5;

impl ApiClient {
    /// Gives a node labels and taints, and takes away those that it was given so
    /// earlier and that are not among them; others are left alone. Returns
    /// whether anything was wrong.
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

    /// Returns a sentence for each label and taint that the node lacks or should
    /// not have any more; none means that all is right.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn node_marks_wrong(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        taints: &[Taint],
    ) -> Result<Vec<String>, KubernetesError> {
        Ok(match self.node(name).await? {
            Some(node) => wrong_marks(&node, labels, taints),
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

    /// Keeps new pods away from a node and notes on it that this is for a while; one that
    /// somebody else has cordoned is left as it is. Returns whether anything is new.
    ///
    /// # Errors
    /// The node does not exist, or the API server refuses.
    pub async fn cordon_for_a_while(&self, name: &str) -> Result<bool, KubernetesError> {
        let doing = format!("read node {name}");
        let node = self.call(&doing, self.all::<Node>().get(name)).await?;
        if node
            .spec
            .and_then(|spec| spec.unschedulable)
            .unwrap_or(false)
        {
            return Ok(false);
        }
        let patch = json!({
            "metadata": { "annotations": { CORDON_ANNOTATION: "true" } },
            "spec": { "unschedulable": true },
        });
        self.patch_node(name, "cordon", &patch).await?;
        Ok(true)
    }

    /// Returns whether a node's cordon is one of [`ApiClient::cordon_for_a_while`]; a node that
    /// does not exist has none.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn is_cordoned_by_slipway(&self, name: &str) -> Result<bool, KubernetesError> {
        let node = self.node(name).await?;
        Ok(node.is_some_and(|node| node.annotations().contains_key(CORDON_ANNOTATION)))
    }

    /// Ends a cordon of [`ApiClient::cordon_for_a_while`].
    ///
    /// # Errors
    /// The node does not exist, or the API server refuses.
    pub async fn end_cordon(&self, name: &str) -> Result<(), KubernetesError> {
        let patch = json!({
            "metadata": { "annotations": { CORDON_ANNOTATION: null } },
            "spec": { "unschedulable": false },
        });
        self.patch_node(name, "uncordon", &patch).await.map(drop)
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

/// Returns the merge patch that makes the marks right, if any is wrong.
///
/// A merge patch replaces the whole list of taints, so it carries the version
/// it was made from: a change in between makes it fail instead of being lost.
fn marks_patch(node: &Node, labels: &BTreeMap<String, String>, taints: &[Taint]) -> Option<Value> {
    if wrong_marks(node, labels, taints).is_empty() {
        return None;
    }
    let before = Marks::of(node);
    let mut all: Vec<LiveTaint> = live_taints(node).to_vec();
    all.retain(|live| {
        let is_ours = taints.iter().any(|taint| is_same_taint(live, taint));
        !is_ours && !before.taints.contains(&taint_name(&live.key, &live.effect))
    });
    all.extend(taints.iter().map(|taint| LiveTaint {
        key: taint.key.clone(),
        value: (!taint.value.is_empty()).then(|| taint.value.clone()),
        effect: effect_name(taint.effect).to_owned(),
        time_added: None,
    }));
    let stale = before
        .labels
        .iter()
        .filter(|key| !labels.contains_key(*key));
    let mut all_labels: serde_json::Map<String, Value> =
        stale.map(|key| (key.clone(), Value::Null)).collect();
    all_labels.extend(
        labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value))),
    );
    let marks = serde_json::to_string(&Marks::new(labels, taints)).expect("it has only text");
    Some(json!({
        "metadata": {
            "labels": all_labels,
            "annotations": { MARKS_ANNOTATION: marks },
            "resourceVersion": node.resource_version(),
        },
        "spec": { "taints": all },
    }))
}

/// Returns a sentence for each mark that is missing, and for each that was
/// given earlier and is not wanted any more.
fn wrong_marks(node: &Node, labels: &BTreeMap<String, String>, taints: &[Taint]) -> Vec<String> {
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
    let (before, wanted) = (Marks::of(node), Marks::new(labels, taints));
    let stale_labels = before
        .labels
        .difference(&wanted.labels)
        .filter(|key| live.contains_key(*key))
        .map(|key| format!("node {name} still has the label {key}"));
    let stale_taints = before
        .taints
        .difference(&wanted.taints)
        .filter(|stale| {
            let is_stale = |live: &LiveTaint| taint_name(&live.key, &live.effect) == **stale;
            live_taints(node).iter().any(is_stale)
        })
        .map(|taint| format!("node {name} still has the taint {taint}"));
    let mut wrong: Vec<String> = missing_labels
        .chain(missing_taints)
        .chain(stale_labels)
        .chain(stale_taints)
        .collect();
    if wrong.is_empty() && before != wanted {
        wrong.push(format!(
            "node {name} does not say which marks are Slipway's"
        ));
    }
    wrong
}

/// Remembers on the node which of its marks are Slipway's, so that one that is
/// taken out of the file goes, and nobody else's does.
const MARKS_ANNOTATION: &str = "slipway.dev/marks";

/// The marks of a node that are Slipway's, without their values.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Marks {
    /// The labels' keys.
    labels: BTreeSet<String>,
    /// The taints as `key:Effect`.
    taints: BTreeSet<String>,
}

impl Marks {
    fn new(labels: &BTreeMap<String, String>, taints: &[Taint]) -> Self {
        let name = |taint: &Taint| taint_name(&taint.key, effect_name(taint.effect));
        Self {
            labels: labels.keys().cloned().collect(),
            taints: taints.iter().map(name).collect(),
        }
    }

    /// Reads them from a node; none where nobody wrote them down.
    fn of(node: &Node) -> Self {
        let text = node.annotations().get(MARKS_ANNOTATION);
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

fn taint_name(key: &str, effect: &str) -> String {
    format!("{key}:{effect}")
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
                "labels": { "disk": "ssd", "old": "1", "foreign": "kept" },
                "annotations": {
                    "slipway.dev/marks":
                        r#"{"labels":["disk","old"],"taints":["team:NoSchedule","gone:NoExecute"]}"#,
                },
            },
            "spec": { "taints": [
                { "key": "foreign", "effect": "NoExecute" },
                { "key": "team", "value": "old", "effect": "NoSchedule" },
            ] },
        }))
        .unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    fn taint(key: &str, value: &str) -> Taint {
        Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: TaintEffect::NoSchedule,
        }
    }

    #[test]
    fn a_node_that_has_all_marks_and_says_so_needs_no_patch() {
        let mut node = node();
        let marks = r#"{"labels":["disk"],"taints":["team:NoSchedule"]}"#;
        node.annotations_mut()
            .insert(MARKS_ANNOTATION.to_owned(), marks.to_owned());
        let labels = labels(&[("disk", "ssd")]);
        assert_eq!(marks_patch(&node, &labels, &[taint("team", "old")]), None);
        node.annotations_mut().clear();
        let wrong = wrong_marks(&node, &labels, &[taint("team", "old")]);
        assert_eq!(wrong, ["node cp-1 does not say which marks are Slipway's"]);
        assert_eq!(marks_patch(&node, &BTreeMap::new(), &[]), None);
    }

    #[test]
    fn wrong_marks_are_sentences() {
        let labels = labels(&[("zone", "a"), ("disk", "ssd")]);
        let taints = [taint("team", "new"), taint("gpu", "")];
        assert_eq!(
            wrong_marks(&node(), &labels, &taints),
            [
                "node cp-1 lacks the label zone=a",
                "node cp-1 lacks the taint team=new:NoSchedule",
                "node cp-1 lacks the taint gpu:NoSchedule",
                "node cp-1 still has the label old",
            ]
        );
        let wrong = wrong_marks(&node(), &labels, &[]);
        assert!(wrong.contains(&"node cp-1 still has the taint team:NoSchedule".to_owned()));
    }

    #[test]
    fn a_patch_removes_our_old_marks_and_keeps_foreign_ones_and_its_version() {
        let labels = labels(&[("disk", "ssd")]);
        let patch = marks_patch(&node(), &labels, &[taint("gpu", "a")]).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(
            patch["metadata"]["labels"],
            json!({ "old": null, "disk": "ssd" })
        );
        assert_eq!(
            patch["metadata"]["annotations"][MARKS_ANNOTATION],
            r#"{"labels":["disk"],"taints":["gpu:NoSchedule"]}"#
        );
        assert_eq!(
            patch["spec"]["taints"],
            json!([
                { "key": "foreign", "effect": "NoExecute" },
                { "key": "gpu", "value": "a", "effect": "NoSchedule" },
            ])
        );
    }
}
