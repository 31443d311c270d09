//! Which images a cluster needs.

use slipway_api::{ClusterSpec, Cni, ImageReference, Release};

/// Returns the images that every node may run: those of addons that are not
/// asked for left out.
pub(crate) fn node_images(spec: &ClusterSpec, release: &Release) -> Vec<ImageReference> {
    let mut images = vec![
        release.pause_image(),
        release.component_image("kube-proxy"),
        release.coredns_image(),
    ];
    if spec.networking.cni == Cni::Flannel {
        images.push(Release::flannel_image());
        images.push(Release::flannel_cni_plugin_image());
    }
    if spec.addons.metrics_server {
        images.push(Release::metrics_server_image());
    }
    images
}
