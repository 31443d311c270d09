//! Which images a cluster needs, and where they come from.

use slipway_api::{ClusterConfiguration, ClusterSpec, Cni, Etcd, ImageReference, Release};

/// The images of one cluster: the release's, from the repositories and with the
/// tags that the `ClusterConfiguration` names.
///
/// Source of the rules: kubeadm's `images/images.go`.
#[derive(Clone, Copy)]
pub(crate) struct Images<'a> {
    spec: &'a ClusterSpec,
    release: &'a Release,
}

impl<'a> Images<'a> {
    /// Returns the images of `spec`, whose version is `release`'s.
    pub fn new(spec: &'a ClusterSpec, release: &'a Release) -> Self {
        Self { spec, release }
    }

    /// Returns the image of a Kubernetes component such as `kube-apiserver`.
    pub fn component(self, name: &str) -> ImageReference {
        self.moved(self.release.component_image(name), None)
    }

    /// Returns the pause image.
    pub fn pause(self) -> ImageReference {
        self.moved(self.release.pause_image(), None)
    }

    /// Returns the image of etcd; none where etcd is somebody else's.
    pub fn etcd(self) -> Option<ImageReference> {
        match &self.configuration().etcd {
            Etcd::External(_) => None,
            Etcd::Local(etcd) => {
                let image = self.moved(self.release.etcd_image(), etcd.image_repository.as_deref());
                Some(tagged(image, etcd.image_tag.as_deref()))
            }
        }
    }

    /// Returns the image of CoreDNS.
    pub fn coredns(self) -> ImageReference {
        let dns = &self.configuration().dns;
        let image = self.moved(
            self.release.coredns_image(),
            dns.image_repository.as_deref(),
        );
        tagged(image, dns.image_tag.as_deref())
    }

    /// Returns the images that a control-plane node runs and others do not.
    pub fn of_control_plane(self) -> Vec<ImageReference> {
        let components = [
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        ];
        let components = components.map(|name| self.component(name));
        components.into_iter().chain(self.etcd()).collect()
    }

    /// Returns the images that every node may run, those of addons that are
    /// not asked for left out.
    pub fn of_node(self) -> Vec<ImageReference> {
        let mut images = vec![self.pause()];
        if !self.configuration().proxy.disabled {
            images.push(self.component("kube-proxy"));
        }
        if !self.configuration().dns.disabled {
            images.push(self.coredns());
        }
        if self.spec.networking.cni == Cni::Flannel {
            images.push(Release::flannel_image());
            images.push(Release::flannel_cni_plugin_image());
        }
        if self.spec.addons.metrics_server {
            images.push(Release::metrics_server_image());
        }
        images
    }

    fn configuration(self) -> &'a ClusterConfiguration {
        &self.spec.cluster_configuration
    }

    /// Returns `image` as it is called in a repository: the one given, or the
    /// cluster's.
    fn moved(self, image: ImageReference, repository: Option<&str>) -> ImageReference {
        let repository = repository.unwrap_or(&self.configuration().image_repository);
        if repository == ClusterConfiguration::IMAGE_REPOSITORY {
            return image;
        }
        // Only the official registry keeps CoreDNS in a folder of its own.
        let name = image.repository();
        let name = name.rsplit('/').next().unwrap_or(name);
        let (registry, path) = match repository.split_once('/') {
            Some((registry, path)) => (registry, format!("{path}/{name}")),
            None => (repository, name.to_owned()),
        };
        ImageReference::new(registry, &path, image.tag())
    }
}

/// Returns every image that the hosts of `spec` are given, each once.
pub fn cluster_images(spec: &ClusterSpec, release: &Release) -> Vec<ImageReference> {
    let images = Images::new(spec, release);
    let mut all = images.of_control_plane();
    all.extend(images.of_node());
    all
}

fn tagged(image: ImageReference, tag: Option<&str>) -> ImageReference {
    match tag {
        Some(tag) => ImageReference::new(image.registry(), image.repository(), tag),
        None => image,
    }
}
