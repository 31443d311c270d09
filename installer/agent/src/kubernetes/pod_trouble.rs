//! Why a pod is not Ready, in a sentence.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use kube::ResourceExt;

/// Returns whether the pod is Ready.
pub(super) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Returns why a pod is not Ready: its scheduling, or the first container that
/// waits, ended or fails its probe.
pub(super) fn pod_trouble(pod: &Pod) -> String {
    let name = format!(
        "pod {}/{}",
        pod.namespace().unwrap_or_default(),
        pod.name_any()
    );
    if pod.metadata.deletion_timestamp.is_some() {
        return format!("{name} is terminating");
    }
    let scheduled = condition(pod, "PodScheduled");
    if let Some(unscheduled) = scheduled.filter(|condition| condition.status == "False") {
        let why = unscheduled.message.as_deref().unwrap_or("no reason given");
        return format!("{name} is not scheduled: {why}");
    }
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    let mut containers = init.into_iter().chain(main).flatten();
    if let Some(trouble) = containers.find_map(container_trouble) {
        return format!("{name}: {trouble}");
    }
    let phase = status.and_then(|status| status.phase.as_deref());
    format!("{name} is {} and not Ready", phase.unwrap_or("Pending"))
}

fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let name = &container.name;
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("no reason given");
        let message = waiting.message.as_deref();
        let message = message.map(|m| format!(" ({m})")).unwrap_or_default();
        return Some(format!("container {name} waits: {reason}{message}"));
    }
    if let Some(ended) = state
        .terminated
        .as_ref()
        .filter(|ended| ended.exit_code != 0)
    {
        return Some(format!(
            "container {name} ended with code {}",
            ended.exit_code
        ));
    }
    (state.running.is_some() && !container.ready)
        .then(|| format!("container {name} runs and is not ready"))
}

fn condition<'a>(pod: &'a Pod, name: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "coredns-1", "namespace": "kube-system" },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_waiting_container_is_named_with_its_reason() {
        let pod = pod(json!({ "phase": "Pending", "containerStatuses": [ {
            "name": "coredns", "ready": false, "image": "i", "imageID": "", "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff" } },
        } ] }));
        assert_eq!(
            pod_trouble(&pod),
            "pod kube-system/coredns-1: container coredns waits: ImagePullBackOff"
        );
    }

    #[test]
    fn an_unschedulable_pod_repeats_the_schedulers_sentence() {
        let pod = pod(json!({ "phase": "Pending", "conditions": [ {
            "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available",
        } ] }));
        assert_eq!(
            pod_trouble(&pod),
            "pod kube-system/coredns-1 is not scheduled: 0/1 nodes are available"
        );
    }

    #[test]
    fn a_pod_without_status_is_pending() {
        let pod = pod(json!({}));
        assert!(!is_ready(&pod));
        assert_eq!(
            pod_trouble(&pod),
            "pod kube-system/coredns-1 is Pending and not Ready"
        );
    }
}
