//! What a living cluster has settled once and for all, against the file.

use serde_json::Value;
use slipway_api::{ClusterSpec, Etcd, Facts, Finding, HostState, Severity, Subnets};

use super::finding;

pub(super) fn check(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    check_node_names(spec, facts, found);
    let Some(configuration) = facts
        .cluster
        .as_ref()
        .and_then(|cluster| cluster.configuration.as_ref())
    else {
        return;
    };
    let (local, external) = match &spec.cluster_configuration.etcd {
        Etcd::Local(etcd) => (etcd.data_dir.clone(), String::new()),
        Etcd::External(etcd) => (String::new(), etcd.endpoints.join(",")),
    };
    let networking = &spec.networking;
    let settled = [
        (
            "/networking/podSubnet",
            "podSubnet",
            networking.pod_subnet.to_string(),
            "nodes and pods have addresses of it",
        ),
        (
            "/networking/serviceSubnet",
            "serviceSubnet",
            networking.service_subnet.to_string(),
            "Services and certificates have addresses of it",
        ),
        (
            "/networking/dnsDomain",
            "dnsDomain",
            networking.dns_domain.clone(),
            "certificates, service accounts and running pods know it",
        ),
        (
            "/etcd/local/dataDir",
            "etcd.local.dataDir",
            local,
            "a member that starts with an empty folder has lost the cluster",
        ),
        (
            "/etcd/external/endpoints",
            "etcd.external.endpoints",
            external,
            "another etcd has nothing of this cluster",
        ),
    ];
    for (pointer, name, wanted, why) in settled {
        let is = configuration
            .pointer(pointer)
            .map_or_else(String::new, text_of);
        // A subnet is the same however it is written.
        let is = is
            .parse()
            .map_or(is, |subnets: Subnets| subnets.to_string());
        let is_settled = match pointer {
            // Members of an external etcd may come and go.
            "/etcd/external/endpoints" => is.is_empty() || wanted.is_empty(),
            "/etcd/local/dataDir" => true,
            // kubeadm makes clusters without a pod subnet.
            _ => !is.is_empty(),
        };
        if is != wanted && is_settled {
            let shown = |text: &str| match text {
                "" => "nothing".to_owned(),
                text => text.to_owned(),
            };
            found.push(finding(
                "ClusterSettings",
                Severity::Error,
                None,
                format!(
                    "`{name}` is {} in the cluster and {} in the file",
                    shown(&is),
                    shown(&wanted)
                ),
                why,
                match is.as_str() {
                    "" => format!(
                        "take `{name}` out of the file: a living cluster keeps what it began with"
                    ),
                    is => {
                        format!("write {is} in the file: a living cluster keeps what it began with")
                    }
                },
            ));
        }
    }
}

fn check_node_names(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    for host in &spec.hosts {
        let Some(HostState::Reached(facts)) = facts.hosts.get(&host.name) else {
            continue;
        };
        let existing = &facts.existing;
        let is_ours = existing.slipway_cluster.as_deref() == Some(&spec.name);
        if let Some(name) = existing.node_name.as_deref().filter(|_| is_ours)
            && name != host.node_name()
        {
            found.push(finding(
                "NodeName",
                Severity::Error,
                Some(&host.name),
                format!("the host is node {name}, the file calls it {}", host.node_name()),
                "a node's name is in its certificates, its pods and etcd's members; Kubernetes cannot change it",
                format!("call it {name} in the file, or `slipway reset --host` it under its old name first"),
            ));
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
