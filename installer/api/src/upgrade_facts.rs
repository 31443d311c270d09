//! What an upgrade meets in a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an upgrade meets in a cluster, seen from a control-plane host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeFacts {
    /// The pods that a drain evicts, `NAMESPACE/NAME`, by node.
    pub evicted: BTreeMap<String, Vec<String>>,
    /// The PodDisruptionBudgets that allow no disruption now.
    pub blocking: Vec<BlockingBudget>,
    /// APIs that were asked for since the API server started and that a later one does not serve.
    pub deprecated: Vec<DeprecatedApi>,
}

/// A PodDisruptionBudget that allows no disruption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockingBudget {
    /// Its name, `NAMESPACE/NAME`.
    pub name: String,
    /// How many of its pods are healthy.
    pub healthy: i32,
    /// How many must be.
    pub desired: i32,
    /// The pods on nodes that are drained which it covers, `NAMESPACE/NAME`.
    pub pods: Vec<String>,
}

/// An API that a later version of Kubernetes does not serve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeprecatedApi {
    /// Its group and version, `policy/v1beta1`.
    pub api_version: String,
    /// The resource, `poddisruptionbudgets`.
    pub resource: String,
    /// The first version that does not serve it, `1.25`; none where that is not decided.
    pub removed_in: Option<String>,
}

impl DeprecatedApi {
    /// Returns whether a Kubernetes of this minor does not serve it any more.
    pub fn is_gone_in(&self, minor: u64) -> bool {
        let removed = self.removed_in.as_deref();
        let removed = removed.and_then(|it| it.strip_prefix("1.")?.parse::<u64>().ok());
        removed.is_some_and(|removed| removed <= minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_gone_from_the_version_on_that_removes_it() {
        let api = |removed_in: Option<&str>| DeprecatedApi {
            api_version: "policy/v1beta1".to_owned(),
            resource: "poddisruptionbudgets".to_owned(),
            removed_in: removed_in.map(str::to_owned),
        };
        assert!(!api(Some("1.36")).is_gone_in(35));
        assert!(api(Some("1.36")).is_gone_in(36));
        assert!(!api(None).is_gone_in(36));
    }
}
