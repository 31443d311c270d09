//! The cluster on one page.

use jiff::Timestamp;
use slipway_api::{
    BackendHealth, BalancerBackend, ClusterFacts, ClusterSpec, EtcdFacts, Facts, NodeFacts,
};
use slipway_planner::{CertificateExpiry, ClusterHealth};

use super::etcd::{member_table, print_troubles};
use super::table;
use crate::args::Output;

/// The cluster on one page.
pub(crate) struct StatusPage<'a> {
    /// What the cluster should be.
    pub spec: &'a ClusterSpec,
    /// What was seen.
    pub facts: &'a Facts,
    /// etcd, where a member answered.
    pub etcd: Option<&'a EtcdFacts>,
    /// Nodes whose kubelets serve with certificates of their own making.
    pub self_signed: &'a [String],
    /// What is wrong.
    pub health: ClusterHealth,
    /// When it was looked at.
    pub now: Timestamp,
}

impl StatusPage<'_> {
    /// Prints the page on stdout.
    pub fn print(&self, output: Output) {
        if output == Output::Json {
            return super::json(&serde_json::json!({
                "cluster": self.spec.name,
                "facts": self.facts,
                "etcd": self.etcd,
                "selfSignedKubelets": self.self_signed,
                "unhealthy": self.health.unhealthy,
                "warnings": self.health.warnings,
            }));
        }
        match &self.facts.cluster {
            None => outln!("{}: no API server answers", self.spec.name),
            Some(cluster) => self.print_cluster(cluster),
        }
        let balancers = self.balancers();
        if !balancers.is_empty() {
            outln!("");
            out!("{}", table(&balancers));
        }
        if let Some(etcd) = self.etcd {
            outln!("");
            out!("{}", member_table(self.spec, etcd));
        }
        let certificates = self.certificates();
        if !certificates.is_empty() {
            outln!("");
            out!("{}", table(&certificates));
        }
        if let Some(cluster) = &self.facts.cluster
            && cluster.unhealthy.is_empty()
        {
            outln!("\nAddons are healthy.");
        }
        if !self.health.unhealthy.is_empty() {
            outln!("");
            print_troubles(&self.health.unhealthy);
        }
        if !self.health.warnings.is_empty() {
            outln!("");
        }
        for warning in &self.health.warnings {
            outln!("warning: {warning}");
            if let Some(help) = &warning.help {
                outln!("  help: {help}");
            }
        }
    }

    fn print_cluster(&self, cluster: &ClusterFacts) {
        outln!(
            "{}: Kubernetes {}",
            self.spec.name,
            cluster.api_server_version
        );
        if let Some(endpoint) = cluster.control_plane_endpoint() {
            outln!("endpoint: {endpoint}");
        }
        outln!("");
        let head = ["NODE", "STATE", "ROLES", "KUBELET", "ADDRESS"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(cluster.nodes.iter().map(node_row));
        let is_node = |name: &str| cluster.nodes.iter().any(|node| node.name == name);
        for host in self.spec.hosts.iter().filter(|it| !is_node(it.node_name())) {
            let cells = [
                host.node_name(),
                "not a node",
                "",
                "",
                host.address.as_str(),
            ];
            rows.push(cells.map(str::to_owned).to_vec());
        }
        out!("{}", table(&rows));
    }

    /// Returns a row for each balancer, below a head; nothing where there is none.
    fn balancers(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for host in &self.spec.hosts {
            let existing = self.facts.host(&host.name).map(|facts| &facts.existing);
            let Some(existing) = existing.filter(|existing| existing.balancer) else {
                continue;
            };
            let seen = match &existing.balancer_state {
                None => "it does not run".to_owned(),
                Some(state) => {
                    let shown = state.backends.iter().map(backend);
                    shown.collect::<Vec<_>>().join(", ")
                }
            };
            rows.push(vec![host.name.to_string(), seen]);
        }
        if !rows.is_empty() {
            rows.insert(0, ["BALANCER", "API SERVERS"].map(str::to_owned).to_vec());
        }
        rows
    }

    /// Returns each host's certificate that expires first, below a head; nothing where there is
    /// none.
    fn certificates(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for host in &self.spec.hosts {
            let existing = self.facts.host(&host.name).map(|facts| &facts.existing);
            let all = existing.into_iter().flat_map(|it| &it.certificates);
            let Some(first) = all.min_by_key(|it| it.not_after) else {
                continue;
            };
            let days = CertificateExpiry::days_left(first, self.now.as_second());
            rows.push(vec![
                host.name.to_string(),
                first.name.clone(),
                days.to_string(),
            ]);
        }
        if !rows.is_empty() {
            let head = ["HOST", "CERTIFICATE THAT EXPIRES FIRST", "DAYS LEFT"];
            rows.insert(0, head.map(str::to_owned).to_vec());
        }
        rows
    }
}

fn backend(backend: &BalancerBackend) -> String {
    let health = match backend.health {
        BackendHealth::Ready => "ready",
        BackendHealth::Unknown => "not asked yet",
        BackendHealth::NotReady => "not ready",
        BackendHealth::Unreachable => "unreachable",
    };
    format!("{} {health}", backend.address)
}

fn node_row(node: &NodeFacts) -> Vec<String> {
    let ready = if node.ready { "Ready" } else { "NotReady" };
    let cordoned = if node.unschedulable {
        ",SchedulingDisabled"
    } else {
        ""
    };
    let roles = match node.roles.is_empty() {
        true => "<none>".to_owned(),
        false => node.roles.join(","),
    };
    vec![
        node.name.clone(),
        format!("{ready}{cordoned}"),
        roles,
        node.kubelet_version.clone(),
        node.internal_ip.clone().unwrap_or_default(),
    ]
}
