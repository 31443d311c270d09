//! The one template engine: every template is embedded and parsed once.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;
use tera::{Context, Tera};

use crate::TemplateError;
use crate::quoting;

/// Lists templates by name with their embedded text.
macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../files/", $name)))),+]
    };
}

static TERA: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::default();
    // Nothing here is HTML; the filters below quote.
    tera.autoescape_on(Vec::new());
    tera.register_filter("yaml", yaml);
    tera.register_filter("quote", quote);
    tera.register_filter("block", block);
    tera.add_raw_templates(embedded![
        "addons/Corefile",
        "addons/coredns.yaml",
        "addons/flannel.yaml",
        "addons/kube-proxy-config.yaml",
        "addons/kube-proxy-kubeconfig.yaml",
        "addons/kube-proxy.yaml",
        "addons/metrics-server.yaml",
        "cluster/apiserver-kubelet-client.yaml",
        "cluster/bootstrap-token-rbac.yaml",
        "cluster/cluster-admins.yaml",
        "cluster/cluster-configuration.yaml",
        "cluster/cluster-info.yaml",
        "cluster/kubeadm-config.yaml",
        "cluster/kubelet-config.yaml",
        "containerd/config.toml",
        "containerd/containerd.service",
        "containerd/hosts.toml",
        "host/apiserver-proxy.service",
        "host/etcd-snapshot.service",
        "host/etcd-snapshot.timer",
        "host/modules-load.conf",
        "host/service-route.service",
        "host/sysctl.conf",
        "kubelet/10-kubeadm.conf",
        "kubelet/config.yaml",
        "kubelet/instance-config.yaml",
        "kubelet/kubeadm-flags.env",
        "kubelet/kubelet.service",
        "static-pod.yaml",
    ])
    .expect("the embedded templates parse, as every test of this crate shows");
    tera
});

/// Renders one embedded template.
pub(crate) fn render(
    template: &'static str,
    context: &impl Serialize,
) -> Result<String, TemplateError> {
    Context::from_serialize(context)
        .and_then(|context| TERA.render(template, &context))
        .map_err(|source| TemplateError::Render { template, source })
}

/// `{{ value | yaml }}`: one YAML scalar, or JSON for anything that is not a string.
fn yaml(value: &Value, _: &HashMap<String, Value>) -> tera::Result<Value> {
    Ok(Value::from(match value.as_str() {
        Some(text) => quoting::scalar(text),
        None => quoting::quoted(value),
    }))
}

/// `{{ value | quote }}`: always quoted, for TOML and for flow context.
fn quote(value: &Value, _: &HashMap<String, Value>) -> tera::Result<Value> {
    Ok(Value::from(quoting::quoted(value)))
}

/// `{{ text | block(indent=4) }}`: a literal block, its lines indented by that much.
fn block(value: &Value, arguments: &HashMap<String, Value>) -> tera::Result<Value> {
    let indent = arguments.get("indent").and_then(Value::as_u64);
    match (value.as_str(), indent.and_then(|n| usize::try_from(n).ok())) {
        (Some(text), Some(indent)) => Ok(Value::from(quoting::block(text, indent))),
        (_, _) => Err(tera::Error::msg("`block` takes a text and an indent")),
    }
}
