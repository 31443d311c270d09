//! What is wrong with a cluster, what soon will be, and what to do about it.

use slipway_api::{
    BackendHealth, BalancerBackend, ClusterFacts, ClusterSpec, EtcdFacts, Facts, Failure,
    KubernetesVersion, NodeFacts, Role,
};

use crate::balancer::has_balancer;
use crate::{CertificateExpiry, etcd_troubles};

/// Certificates that live no longer are told. kubeadm renews with every upgrade, and
/// upgrades come three times a year.
const EXPIRES_SOON_DAYS: i64 = 30;

/// How many minors a kubelet may be older than its API server.
/// Source: Kubernetes' version skew policy.
const KUBELET_SKEW: u64 = 3;

/// What is wrong with a cluster, each with a help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterHealth {
    /// What does not work.
    pub unhealthy: Vec<Failure>,
    /// What works and should be seen to.
    pub warnings: Vec<Failure>,
}

/// What `status` has seen, beside the facts.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// etcd, where a member answered.
    pub etcd: Option<&'a EtcdFacts>,
    /// Why none did, where etcd is the cluster's own.
    pub etcd_silent: Option<&'a Failure>,
    /// Nodes whose kubelets serve with certificates of their own making.
    pub self_signed: &'a [String],
    /// Now, in seconds since 1970.
    pub now: i64,
}

impl ClusterHealth {
    /// Judges a cluster by what was seen of it.
    pub fn of(spec: &ClusterSpec, facts: &Facts, seen: Seen<'_>) -> Self {
        let mut health = Self::default();
        for lost in facts.unreached() {
            let help = lost.failure.help.clone();
            health.unhealthy(
                format!("host {} cannot be reached: {}", lost.host, lost.failure),
                help.unwrap_or_else(|| "mend the connection".to_owned()),
            );
        }
        match &facts.cluster {
            None => health.unhealthy(
                "no API server answers",
                match has_member(facts) {
                    true => "the hosts have a control plane: what stands below may be why; on them, `journalctl -u kubelet`",
                    false => "bring it up with `slipway init`, or look at its host: `journalctl -u kubelet`",
                },
            ),
            Some(cluster) => {
                health.judge_nodes(spec, cluster);
                for line in &cluster.unhealthy {
                    health.unhealthy(
                        line.clone(),
                        "`kubectl -n kube-system get pods -o wide` shows its pods, `kubectl describe` why one does not run",
                    );
                }
            }
        }
        health.judge_certificates(spec, facts, seen.now);
        health.judge_balancers(spec, facts);
        if let Some(failure) = seen.etcd_silent.filter(|_| has_member(facts)) {
            let help = failure.help.clone();
            health.unhealthy(
                format!("no member of etcd answers: {failure}"),
                help.unwrap_or_else(|| "on their hosts, `crictl ps -a --name etcd`".to_owned()),
            );
        }
        let of_etcd = seen.etcd.map(|etcd| etcd_troubles(spec, etcd));
        health.unhealthy.extend(of_etcd.unwrap_or_default());
        if !seen.self_signed.is_empty() {
            health.warn(
                format!(
                    "the kubelets of these nodes serve with certificates of their own making: {}",
                    seen.self_signed.join(", ")
                ),
                "`slipway apply -f FILE` with them in the file gives them the cluster's",
            );
        }
        health
    }

    fn judge_nodes(&mut self, spec: &ClusterSpec, cluster: &ClusterFacts) {
        for node in &cluster.nodes {
            let is_known = spec.hosts.iter().any(|host| host.node_name() == node.name);
            if !node.ready {
                let help = match has_balancer(spec, Role::Worker) && !is_known {
                    // kubeadm's joins bring none, and kube-proxy goes through it.
                    true => {
                        "it has no balancer to reach the API: write it into the file, and `slipway apply`"
                    }
                    false => {
                        "`kubectl describe node` says why; on the host, `journalctl -u kubelet`"
                    }
                };
                self.unhealthy(format!("node {} is not Ready", node.name), help);
            }
            if node.unschedulable {
                self.warn(
                    format!("node {} takes no new pods", node.name),
                    format!(
                        "when its maintenance is over: `kubectl uncordon {}`",
                        node.name
                    ),
                );
            }
            self.judge_skew(node, &cluster.api_server_version);
        }
        let is_node = |name: &str| cluster.nodes.iter().any(|node| node.name == name);
        for host in spec.hosts.iter().filter(|host| !is_node(host.node_name())) {
            self.warn(
                format!("host {} is in the file and no node", host.name),
                "`slipway join` takes it in",
            );
        }
        let wanted = &spec.kubernetes_version;
        let runs = cluster.api_server_version.parse::<KubernetesVersion>();
        if runs.is_ok_and(|runs| runs < *wanted) {
            self.warn(
                format!(
                    "the file says Kubernetes {wanted}, and the API server is {}",
                    cluster.api_server_version
                ),
                "`slipway plan` shows what differs",
            );
        }
    }

    fn judge_skew(&mut self, node: &NodeFacts, api_server: &str) {
        let (Ok(kubelet), Ok(server)) = (
            node.kubelet_version.parse::<KubernetesVersion>(),
            api_server.parse::<KubernetesVersion>(),
        ) else {
            return;
        };
        let name = &node.name;
        if kubelet.minor() > server.minor() {
            self.unhealthy(
                format!("node {name} has a kubelet {kubelet}, newer than the API server {server}"),
                "upgrade the control plane, or install an older kubelet: nothing promises that they get on",
            );
        } else if server.minor() - kubelet.minor() > KUBELET_SKEW {
            self.unhealthy(
                format!("node {name} has a kubelet {kubelet}, too old for the API server {server}"),
                "upgrade the node: at most three minors lie between them",
            );
        } else if kubelet != server {
            self.warn(
                format!("node {name} has a kubelet {kubelet}, and the API server is {server}"),
                "allowed; an upgrade of the node ends it",
            );
        }
    }

    fn judge_balancers(&mut self, spec: &ClusterSpec, facts: &Facts) {
        for host in &spec.hosts {
            let existing = facts.host(&host.name).map(|facts| &facts.existing);
            let Some(existing) = existing.filter(|existing| existing.balancer) else {
                continue;
            };
            let help = "on the host, `journalctl -u slipway-apiserver-proxy` says why";
            let Some(state) = &existing.balancer_state else {
                self.unhealthy(format!("the balancer on {} does not run", host.name), help);
                continue;
            };
            let ready = |it: &&BalancerBackend| it.health == BackendHealth::Ready;
            if !state.backends.iter().any(|it| ready(&it)) {
                self.unhealthy(
                    format!(
                        "the balancer on {} reaches no API server that is ready",
                        host.name
                    ),
                    help,
                );
                continue;
            }
            for sick in state.backends.iter().filter(|it| !ready(it)) {
                let why = sick.reason.as_deref().unwrap_or("it is not ready");
                self.warn(
                    format!(
                        "the balancer on {} leaves out {}: {why}",
                        host.name, sick.address
                    ),
                    "the others serve the node; mend that API server, or the way to it",
                );
            }
        }
    }

    fn judge_certificates(&mut self, spec: &ClusterSpec, facts: &Facts, now: i64) {
        for host in &spec.hosts {
            let existing = facts.host(&host.name).map(|facts| &facts.existing);
            for certificate in existing.into_iter().flat_map(|it| &it.certificates) {
                let what = format!("certificate {} of {}", certificate.name, host.name);
                let help = match certificate.authority {
                    Some(_) => "`slipway certs renew` renews it",
                    None => "a new authority is a new cluster to all that trusts this one",
                };
                let left = CertificateExpiry::days_left(certificate, now);
                match CertificateExpiry::of(certificate, now) {
                    CertificateExpiry::Past => self.unhealthy(format!("{what} has expired"), help),
                    CertificateExpiry::Within(days) if days <= EXPIRES_SOON_DAYS => {
                        self.warn(format!("{what} expires in {left} days"), help);
                    }
                    CertificateExpiry::Within(_) | CertificateExpiry::Later => {}
                }
            }
        }
    }

    fn unhealthy(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.unhealthy.push(Failure::because(what).with_help(help));
    }

    fn warn(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Failure::because(what).with_help(help));
    }
}

/// Returns whether a host that was reached has data of etcd.
fn has_member(facts: &Facts) -> bool {
    let mut hosts = facts.hosts.keys().filter_map(|name| facts.host(name));
    hosts.any(|host| host.existing.etcd_data)
}

#[cfg(test)]
mod tests {
    use slipway_api::ClusterFile;

    use super::*;
    use crate::plan_defragment::tests::three_members;

    const NOW: i64 = 1_800_000_000;

    fn spec() -> ClusterSpec {
        let text = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: { name: harbour }\n\
            spec:\n  kubernetesVersion: 1.36.3\n  hosts:\n\
            \x20 - { name: cp-1, address: 10.0.0.1, role: control-plane }\n\
            \x20 - { name: w-1, address: 10.0.0.2, role: worker }\n";
        ClusterFile::parse(text, "cluster.yaml").unwrap().spec
    }

    fn node(name: &str, kubelet: &str) -> NodeFacts {
        NodeFacts {
            name: name.to_owned(),
            ready: true,
            roles: Vec::new(),
            kubelet_version: kubelet.to_owned(),
            internal_ip: None,
            unschedulable: false,
            pod_subnet: None,
        }
    }

    fn facts(nodes: Vec<NodeFacts>) -> Facts {
        Facts {
            cluster: Some(ClusterFacts {
                api_server_version: "v1.36.3".to_owned(),
                nodes,
                unhealthy: Vec::new(),
                configuration: None,
            }),
            ..Facts::default()
        }
    }

    fn judge(facts: &Facts) -> (Vec<String>, Vec<String>) {
        let etcd = three_members();
        let seen = Seen {
            etcd: Some(&etcd),
            etcd_silent: None,
            self_signed: &[],
            now: NOW,
        };
        let health = ClusterHealth::of(&spec(), facts, seen);
        let told = |list: Vec<Failure>| list.into_iter().map(|it| it.message).collect();
        (told(health.unhealthy), told(health.warnings))
    }

    #[test]
    fn a_cluster_as_the_file_says_is_healthy() {
        let facts = facts(vec![node("cp-1", "v1.36.3"), node("w-1", "v1.36.3")]);
        assert_eq!(judge(&facts), (Vec::new(), Vec::new()));
    }

    #[test]
    fn skew_is_a_warning_while_it_is_allowed() {
        let nodes = vec![
            node("cp-1", "v1.37.0"),
            node("w-1", "v1.34.4"),
            node("w-2", "v1.32.1"),
        ];
        let (unhealthy, warnings) = judge(&facts(nodes));
        assert_eq!(
            unhealthy,
            [
                "node cp-1 has a kubelet v1.37.0, newer than the API server v1.36.3",
                "node w-2 has a kubelet v1.32.1, too old for the API server v1.36.3",
            ]
        );
        assert_eq!(
            warnings,
            ["node w-1 has a kubelet v1.34.4, and the API server is v1.36.3"]
        );
    }

    #[test]
    fn without_an_api_server_that_is_what_is_told() {
        let (unhealthy, _) = judge(&Facts::default());
        assert_eq!(unhealthy, ["no API server answers"]);
    }
}
