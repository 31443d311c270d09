//! The cluster on one page.

use jiff::Timestamp;
use slipway_api::{ClusterSpec, Facts, HostState};

use super::table;
use crate::args::Output;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Prints the cluster's state on stdout.
///
/// `self_signed` are nodes whose kubelets serve with certificates of their own.
pub(crate) fn status(spec: &ClusterSpec, facts: &Facts, self_signed: &[String], output: Output) {
    if output == Output::Json {
        return super::json(&serde_json::json!({
            "cluster": spec.name,
            "facts": facts,
            "selfSignedKubelets": self_signed,
        }));
    }
    for (host, state) in &facts.hosts {
        if let HostState::Unreached { failure } = state {
            outln!("{host} cannot be reached: {failure}\n");
        }
    }
    let Some(cluster) = &facts.cluster else {
        outln!("{}: no API server answers", spec.name);
        outln!(
            "\nhelp: bring it up with `slipway init`, or look at its host: `journalctl -u kubelet`"
        );
        return;
    };
    outln!("{}: Kubernetes {}\n", spec.name, cluster.api_server_version);
    let mut rows = vec![
        ["NODE", "STATE", "ROLES", "KUBELET", "ADDRESS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for node in &cluster.nodes {
        let ready = if node.ready { "Ready" } else { "NotReady" };
        let cordoned = if node.unschedulable {
            ",SchedulingDisabled"
        } else {
            ""
        };
        rows.push(vec![
            node.name.clone(),
            format!("{ready}{cordoned}"),
            if node.roles.is_empty() {
                "<none>".to_owned()
            } else {
                node.roles.join(",")
            },
            node.kubelet_version.clone(),
            node.internal_ip.clone().unwrap_or_default(),
        ]);
    }
    for host in &spec.hosts {
        if !cluster
            .nodes
            .iter()
            .any(|node| node.name == host.node_name())
        {
            let cells = [
                host.node_name(),
                "not a node",
                "",
                "",
                host.address.as_str(),
            ];
            rows.push(cells.map(str::to_owned).to_vec());
        }
    }
    out!("{}", table(&rows));
    let now = Timestamp::now().as_second();
    let mut rows = vec![["CERTIFICATE", "DAYS LEFT"].map(str::to_owned).to_vec()];
    for certificate in &cluster.certificates {
        let days = (certificate.not_after.as_second() - now) / DAY;
        rows.push(vec![certificate.name.clone(), days.to_string()]);
    }
    outln!("");
    out!("{}", table(&rows));
    outln!("");
    if cluster.unhealthy.is_empty() {
        outln!("Addons are healthy.");
    }
    cluster
        .unhealthy
        .iter()
        .for_each(|line| outln!("unhealthy: {line}"));
    if !self_signed.is_empty() {
        outln!(
            "\nThe kubelets of these nodes serve with certificates of their own making: {}",
            self_signed.join(", ")
        );
        outln!("help: `slipway apply -f FILE` with them in the file gives them the cluster's");
    }
}
