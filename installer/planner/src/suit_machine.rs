//! What a machine alone needs where no file says otherwise.

use serde_json::{Value, json};
use slipway_api::{ClusterSpec, HostFacts};

use crate::preflight::CGROUP_V1_REFUSED_FROM;

/// Adds to `spec` the component settings without which Kubernetes does not
/// start on this very machine; preflight warns of each.
///
/// A cluster file would say them, and a machine alone has none: with cgroup v1
/// the kubelet must be told to start, and inside a container kube-proxy must
/// not touch the kernel's connection tracking table, which it may not change.
pub fn suit_machine(spec: &mut ClusterSpec, facts: &HostFacts) {
    if facts.cgroup_version == 1 && spec.kubernetes_version.minor() >= CGROUP_V1_REFUSED_FROM {
        let kubelet = spec.kubelet_configuration.get_or_insert_with(|| {
            json!({
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
            })
        });
        set_default(kubelet, "failCgroupV1", json!(false));
    }
    if facts.container.is_some() {
        let proxy = spec.kube_proxy_configuration.get_or_insert_with(|| {
            json!({
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
            })
        });
        set_default(proxy, "conntrack", json!({ "maxPerCore": 0, "min": 0 }));
    }
}

fn set_default(document: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = document {
        fields.entry(key).or_insert(value);
    }
}
