//! What an upgrade meets: pods that move, budgets that forbid it, APIs that go.

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::ListParams;
use slipway_api::{BlockingBudget, DeprecatedApi, UpgradeFacts};

use super::api_client::build;
use super::drain::{is_blocking, must_go, pod_name};
use super::{ApiClient, KubernetesError};

/// The API server's own count of who asks for what goes. Source: Kubernetes' metrics reference;
/// it is stable and never forgets until the server restarts.
const METRIC: &str = "apiserver_requested_deprecated_apis{";

impl ApiClient {
    /// Returns what an upgrade meets in the cluster.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn upgrade_facts(&self) -> Result<UpgradeFacts, KubernetesError> {
        let (all_pods, all_budgets) = (self.all::<Pod>(), self.all::<PodDisruptionBudget>());
        let everything = ListParams::default();
        let pods = self.call("list pods", all_pods.list(&everything));
        let budgets = self.call("list PodDisruptionBudgets", all_budgets.list(&everything));
        let (pods, budgets, metrics) = futures::try_join!(pods, budgets, self.metrics())?;
        let moving: Vec<&Pod> = pods.items.iter().filter(|pod| must_go(pod)).collect();
        let mut evicted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pod in &moving {
            if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) {
                evicted.entry(node).or_default().push(pod_name(pod));
            }
        }
        let blocking = budgets.items.iter().filter_map(|budget| {
            let covered = moving
                .iter()
                .filter(|pod| pod.namespace() == budget.namespace() && is_blocking(budget, pod));
            let pods: Vec<String> = covered.map(|pod| pod_name(pod)).collect();
            let status = budget.status.as_ref();
            (!pods.is_empty()).then(|| BlockingBudget {
                name: format!(
                    "{}/{}",
                    budget.namespace().unwrap_or_default(),
                    budget.name_any()
                ),
                healthy: status.map_or(0, |it| it.current_healthy),
                desired: status.map_or(0, |it| it.desired_healthy),
                pods,
            })
        });
        Ok(UpgradeFacts {
            evicted,
            blocking: blocking.collect(),
            deprecated: deprecated(&metrics),
        })
    }

    async fn metrics(&self) -> Result<String, KubernetesError> {
        let request = build(Request::get("/metrics"), Vec::new());
        self.send_for_text("read the API server's metrics", request)
            .await
    }
}

/// Returns the APIs that the metric names.
fn deprecated(metrics: &str) -> Vec<DeprecatedApi> {
    let found: BTreeSet<DeprecatedApi> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(METRIC)?.split_once('}'))
        .filter(|(_, value)| value.trim() != "0")
        .map(|(labels, _)| {
            let label = |name: &str| {
                let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
                labels[start..].split('"').next().map(str::to_owned)
            };
            let group = label("group").unwrap_or_default();
            let version = label("version").unwrap_or_default();
            DeprecatedApi {
                api_version: match group.as_str() {
                    "" => version,
                    group => format!("{group}/{version}"),
                },
                resource: label("resource").unwrap_or_default(),
                removed_in: label("removed_release").filter(|it| !it.is_empty()),
            }
        })
        .collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_names_what_goes_and_when() {
        let metrics = "# TYPE apiserver_requested_deprecated_apis gauge\n\
            apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.36\",resource=\"poddisruptionbudgets\",subresource=\"status\",version=\"v1beta1\"} 1\n\
            apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.36\",resource=\"poddisruptionbudgets\",subresource=\"\",version=\"v1beta1\"} 1\n\
            apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"componentstatuses\",subresource=\"\",version=\"v1\"} 1\n\
            apiserver_requested_total 5\n";
        let found = deprecated(metrics);
        let shown: Vec<String> = found
            .iter()
            .map(|api| format!("{} {} {:?}", api.api_version, api.resource, api.removed_in))
            .collect();
        assert_eq!(
            shown,
            [
                "policy/v1beta1 poddisruptionbudgets Some(\"1.36\")",
                "v1 componentstatuses None",
            ]
        );
    }
}
