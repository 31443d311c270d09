//! What belongs to one Kubernetes release: the one table of per-minor facts.

use crate::{ImageReference, KubernetesVersion};

/// The facts of one Kubernetes release that Slipway installs.
///
/// Source of the tags: `cmd/kubeadm/app/constants/constants.go` of each minor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The Kubernetes version.
    pub kubernetes: KubernetesVersion,
    /// The tag of the etcd image, for example `3.6.8-0`.
    pub etcd_tag: &'static str,
    /// The tag of the CoreDNS image, for example `v1.14.2`.
    pub coredns_tag: &'static str,
    /// The tag of the pause image.
    pub pause_tag: &'static str,
    /// Whether `apiserver-kubelet-client` carries the organisation
    /// `kubeadm:cluster-admins`; from 1.36 on a ClusterRoleBinding of its own
    /// takes the organisation's place.
    pub kubelet_client_is_admin: bool,
    /// Whether the kubelet still knows `--pod-infra-container-image`.
    pub pod_infra_container_image_flag: bool,
}

/// The oldest and the newest minor that Slipway installs.
pub const SUPPORTED_MINORS: std::ops::RangeInclusive<u64> = 34..=36;

/// The containerd version that Slipway installs where no runtime is present.
pub const CONTAINERD_VERSION: &str = "2.4.2";
/// The runc version that containerd's release of [`CONTAINERD_VERSION`] is tested with
/// (`script/setup/runc-version` in its repository).
pub const RUNC_VERSION: &str = "1.5.2";
/// The version of the reference CNI plugins.
pub const CNI_PLUGINS_VERSION: &str = "1.9.1";
/// The version of flannel.
pub const FLANNEL_VERSION: &str = "0.28.4";
/// The version of metrics-server.
pub const METRICS_SERVER_VERSION: &str = "0.9.0";

/// The version is not one that Slipway can install.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "Kubernetes {0} is not supported: this build installs 1.{first} to 1.{last}",
    first = SUPPORTED_MINORS.start(),
    last = SUPPORTED_MINORS.end()
)]
pub struct UnsupportedVersion(pub KubernetesVersion);

impl Release {
    /// Returns the newest version that this build was tested with: what is
    /// installed where nobody names one.
    pub fn newest_tested() -> KubernetesVersion {
        Self::tested(*SUPPORTED_MINORS.end())
    }

    /// Returns the version of `minor` that this build was tested with; of a minor that it does
    /// not install, the first.
    pub fn tested(minor: u64) -> KubernetesVersion {
        let patch = match minor {
            34 | 35 => 4,
            36 => 3,
            _other => 0,
        };
        KubernetesVersion::new(minor, patch)
    }

    /// Returns the facts of `version`.
    ///
    /// # Errors
    /// The minor is outside [`SUPPORTED_MINORS`].
    pub fn of(version: &KubernetesVersion) -> Result<Self, UnsupportedVersion> {
        let (etcd_tag, coredns_tag, pause_tag) = match version.minor() {
            34 => ("3.6.5-0", "v1.12.1", "3.10.1"),
            35 => ("3.6.6-0", "v1.13.1", "3.10.1"),
            36 => ("3.6.8-0", "v1.14.2", "3.10.2"),
            _ => return Err(UnsupportedVersion(version.clone())),
        };
        Ok(Self {
            kubernetes: version.clone(),
            etcd_tag,
            coredns_tag,
            pause_tag,
            kubelet_client_is_admin: version.minor() < 36,
            pod_infra_container_image_flag: version.minor() < 35,
        })
    }

    /// Returns the etcd version without the image's build suffix: `3.6.8`.
    pub fn etcd_version(&self) -> &'static str {
        self.etcd_tag.split('-').next().unwrap_or(self.etcd_tag)
    }

    /// Returns the image of a Kubernetes component such as `kube-apiserver`.
    pub fn component_image(&self, component: &str) -> ImageReference {
        ImageReference::new("registry.k8s.io", component, &self.kubernetes.to_string())
    }

    /// Returns the etcd image.
    pub fn etcd_image(&self) -> ImageReference {
        ImageReference::new("registry.k8s.io", "etcd", self.etcd_tag)
    }

    /// Returns the CoreDNS image.
    pub fn coredns_image(&self) -> ImageReference {
        ImageReference::new("registry.k8s.io", "coredns/coredns", self.coredns_tag)
    }

    /// Returns the pause image.
    pub fn pause_image(&self) -> ImageReference {
        ImageReference::new("registry.k8s.io", "pause", self.pause_tag)
    }

    /// Returns flannel's image.
    pub fn flannel_image() -> ImageReference {
        ImageReference::new(
            "ghcr.io",
            "flannel-io/flannel",
            &format!("v{FLANNEL_VERSION}"),
        )
    }

    /// Returns the image that carries flannel's CNI plugin.
    pub fn flannel_cni_plugin_image() -> ImageReference {
        ImageReference::new(
            "ghcr.io",
            "flannel-io/flannel-cni-plugin",
            "v1.9.1-flannel1",
        )
    }

    /// Returns the metrics-server image.
    pub fn metrics_server_image() -> ImageReference {
        let tag = format!("v{METRICS_SERVER_VERSION}");
        ImageReference::new("registry.k8s.io", "metrics-server/metrics-server", &tag)
    }

    /// Returns the images that only control-plane nodes run.
    pub fn control_plane_images(&self) -> Vec<ImageReference> {
        vec![
            self.component_image("kube-apiserver"),
            self.component_image("kube-controller-manager"),
            self.component_image("kube-scheduler"),
            self.etcd_image(),
        ]
    }

    /// Returns the images that every node may run, addons included.
    pub fn node_images(&self) -> Vec<ImageReference> {
        vec![
            self.pause_image(),
            self.component_image("kube-proxy"),
            self.coredns_image(),
            Self::flannel_image(),
            Self::flannel_cni_plugin_image(),
            Self::metrics_server_image(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_supported_minor_has_its_own_images() {
        let release = Release::of(&KubernetesVersion::new(36, 3)).unwrap();
        assert_eq!(
            release.etcd_image().to_string(),
            "registry.k8s.io/etcd:3.6.8-0"
        );
        assert_eq!(release.etcd_version(), "3.6.8");
        assert!(!release.kubelet_client_is_admin);
        assert!(
            Release::of(&KubernetesVersion::new(34, 4))
                .unwrap()
                .pod_infra_container_image_flag
        );
    }

    #[test]
    fn other_minors_are_refused_with_the_range() {
        let error = Release::of(&KubernetesVersion::new(37, 0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Kubernetes v1.37.0 is not supported: this build installs 1.34 to 1.36"
        );
    }
}
