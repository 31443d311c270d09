//! Whether two manifests of a static Pod mean the same.

use serde_json::Value;

/// Returns whether two manifests differ in how they are written only: in order of fields,
/// quotes, comments, or the empty `status` and `creationTimestamp` that kubeadm's have.
///
/// The kubelet starts a static Pod again when its meaning changes; a file that was only
/// written differently would be waited for in vain.
pub(crate) fn is_same_manifest(one: &str, other: &str) -> bool {
    one == other || meaning(one).is_some_and(|it| Some(it) == meaning(other))
}

/// Returns what a manifest says; none where it is not one YAML document.
fn meaning(manifest: &str) -> Option<Value> {
    let mut pod: Value = serde_saphyr::from_str(manifest).ok()?;
    let fields = pod.as_object_mut()?;
    let is_empty = |it: &Value| it.is_null() || it.as_object().is_some_and(|it| it.is_empty());
    if fields.get("status").is_some_and(is_empty) {
        fields.remove("status");
    }
    let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata
        && metadata
            .get("creationTimestamp")
            .is_some_and(Value::is_null)
    {
        metadata.remove("creationTimestamp");
    }
    Some(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: etcd\nspec:\n  containers:\n  - command: [etcd, --name=cp-1]\n    name: etcd\n";
    const KUBEADMS: &str = "kind: Pod\napiVersion: v1\nmetadata:\n  creationTimestamp: null\n  name: \"etcd\"\nspec:\n  # by hand\n  containers:\n  - name: etcd\n    command:\n    - etcd\n    - --name=cp-1\nstatus: {}\n";

    #[test]
    fn how_a_manifest_is_written_does_not_count() {
        assert!(is_same_manifest(OURS, KUBEADMS));
    }

    #[test]
    fn an_argument_or_their_order_counts() {
        assert!(!is_same_manifest(OURS, &KUBEADMS.replace("cp-1", "cp-2")));
        let other_order = "[--name=cp-1, etcd]";
        assert!(!is_same_manifest(
            OURS,
            &OURS.replace("[etcd, --name=cp-1]", other_order)
        ));
        let never_read = KUBEADMS.replace("status: {}", "status: { phase: Failed }");
        assert!(!is_same_manifest(OURS, &never_read));
    }

    #[test]
    fn what_is_no_manifest_is_the_same_as_itself_only() {
        assert!(is_same_manifest("{", "{"));
        assert!(!is_same_manifest("{", "{{"));
    }
}
