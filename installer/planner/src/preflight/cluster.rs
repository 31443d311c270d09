//! The cluster that is there already: versions.

use slipway_api::{ClusterSpec, Facts, Finding, KubernetesVersion, Severity};

use super::{VERSION_CHANGE, finding};

/// How many minors a kubelet may be older than its API server.
const KUBELET_SKEW: u64 = 3;

pub(super) fn check(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    let Some(cluster) = &facts.cluster else {
        return;
    };
    let target = &spec.kubernetes_version;
    let Ok(running) = cluster.api_server_version.parse::<KubernetesVersion>() else {
        return;
    };
    if running > *target {
        found.push(finding(
            "KubernetesVersion",
            Severity::Error,
            None,
            format!("the cluster runs {running}, the file names {target}"),
            "Kubernetes cannot go back to an older version",
            format!("name {running} in the file"),
        ));
    } else if running < *target {
        found.push(finding(
            VERSION_CHANGE,
            Severity::Error,
            None,
            format!("the cluster runs {running}, the file names {target}"),
            "a new version goes one node at a time, which this command does not do",
            "`slipway upgrade plan` shows the way, `slipway upgrade apply` goes it",
        ));
    }
    for node in &cluster.nodes {
        let Ok(kubelet) = node.kubelet_version.parse::<KubernetesVersion>() else {
            continue;
        };
        let is_too_new = kubelet.minor() > target.minor();
        let is_too_old = kubelet.minor() + KUBELET_SKEW < target.minor();
        if is_too_new || is_too_old {
            found.push(finding(
                "VersionSkew",
                Severity::Error,
                None,
                format!(
                    "the kubelet of {} is {kubelet}, the control plane {target}",
                    node.name
                ),
                "a kubelet may be up to three minors older than its API server, and never newer",
                "bring that node to a version in between",
            ));
        }
    }
}
