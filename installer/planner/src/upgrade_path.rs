//! From which version to which, through which minors.

use slipway_api::{ClusterFacts, ClusterSpec, Facts, KubernetesVersion, Release, Role};

/// The versions that a cluster goes through, the target last.
///
/// A control plane takes every minor: its API servers may be one minor apart and no more.
/// Workers go once, to the target, since a kubelet may be three minors older than its API
/// server. Source: Kubernetes' version skew policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradePath {
    /// The oldest version that a control-plane node has now.
    pub from: KubernetesVersion,
    /// The versions, in order; the target alone where no minor lies between.
    pub hops: Vec<KubernetesVersion>,
}

/// The cluster cannot go to the version that was named.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WrongTarget {
    /// It is older than what runs.
    #[error("the cluster runs {running}, and {target} is older: Kubernetes does not go back")]
    Older {
        /// What runs.
        running: KubernetesVersion,
        /// What was named.
        target: KubernetesVersion,
    },
    /// Nobody answers for the cluster and no kubelet tells its version.
    #[error("no control-plane host tells which version runs")]
    Unknown,
}

impl UpgradePath {
    /// Returns the path to the version in `spec`. `known` are the versions that can be
    /// installed: of each minor in between the newest of them is taken, or the one that this
    /// build was tested with.
    ///
    /// # Errors
    /// The target is older than what runs, or nobody knows what runs.
    pub fn of(
        spec: &ClusterSpec,
        facts: &Facts,
        known: &[KubernetesVersion],
    ) -> Result<Self, WrongTarget> {
        let target = spec.kubernetes_version.clone();
        let api_server = facts.cluster.as_ref().and_then(api_server_version);
        let control_planes = spec.hosts_with_role(Role::ControlPlane);
        let kubelets = control_planes.filter_map(|host| {
            let installed = facts.host(&host.name)?.kubelet.as_ref()?;
            installed.version.as_deref()?.parse().ok()
        });
        let kubelets: Vec<KubernetesVersion> = kubelets.collect();
        let newest = kubelets.iter().chain(&api_server).max();
        let newest = newest.ok_or(WrongTarget::Unknown)?.clone();
        if newest > target {
            return Err(WrongTarget::Older {
                running: newest,
                target,
            });
        }
        let oldest = kubelets.iter().chain(&api_server).min();
        let oldest = oldest.ok_or(WrongTarget::Unknown)?.clone();
        // An old kubelet beside a new API server is no reason to go back to its minor.
        let first = oldest.minor().max(newest.minor().saturating_sub(1));
        let between = (first + 1)..target.minor();
        let mut hops: Vec<KubernetesVersion> = between.map(|it| choose(it, known)).collect();
        hops.push(target);
        Ok(Self { from: oldest, hops })
    }

    /// Returns whether there is nothing to go through but the version that runs.
    pub fn is_same_version(&self) -> bool {
        self.hops == [self.from.clone()]
    }
}

fn api_server_version(cluster: &ClusterFacts) -> Option<KubernetesVersion> {
    cluster.api_server_version.parse().ok()
}

fn choose(minor: u64, known: &[KubernetesVersion]) -> KubernetesVersion {
    let of_minor = known.iter().filter(|it| it.minor() == minor);
    of_minor
        .max()
        .cloned()
        .unwrap_or_else(|| Release::tested(minor))
}
