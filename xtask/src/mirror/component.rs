//! The parts that a mirror is built of, and in which order.

use slipway_api::{
    CNI_PLUGINS_VERSION, CONTAINERD_VERSION, FLANNEL_VERSION, KubernetesVersion,
    METRICS_SERVER_VERSION, RUNC_VERSION, Release, Sha256Digest,
};

use super::workbench::Workbench;
use super::{addons, agnhost, debian_base, etcd, kubernetes, node_tools, pause};
use crate::error::Error;

/// One part of the mirror, built and published as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// The layers that images are put on, from Debian packages.
    DebianBase,
    /// The programs of one Kubernetes version.
    Kubernetes(Release),
    /// The images made of those programs.
    KubernetesImages(Release),
    /// etcd's archive and image.
    Etcd(Release),
    /// The CoreDNS image.
    Coredns(Release),
    /// The pause image.
    Pause(Release),
    /// containerd's archive.
    Containerd,
    /// runc.
    Runc,
    /// The archive of the reference CNI plugins.
    CniPlugins,
    /// flannel's two images.
    Flannel,
    /// The metrics-server image.
    MetricsServer,
    /// The image that tests run in Pods.
    Agnhost,
}

impl Component {
    /// Returns everything that `releases` need, the first release complete before the next.
    pub fn all(releases: &[Release]) -> Vec<Self> {
        let mut all = Vec::new();
        for release in releases {
            all.extend([
                Self::DebianBase,
                Self::Kubernetes(release.clone()),
                Self::KubernetesImages(release.clone()),
                Self::Etcd(release.clone()),
                Self::Pause(release.clone()),
                Self::Containerd,
                Self::Runc,
                Self::CniPlugins,
                Self::Flannel,
                Self::Coredns(release.clone()),
                Self::MetricsServer,
                Self::Agnhost,
            ]);
        }
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|component| seen.insert(component.id()));
        all
    }

    /// Returns the name without a version, as `--components` takes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DebianBase => "debian-base",
            Self::Kubernetes(_) => "kubernetes",
            Self::KubernetesImages(_) => "kubernetes-images",
            Self::Etcd(_) => "etcd",
            Self::Coredns(_) => "coredns",
            Self::Pause(_) => "pause",
            Self::Containerd => "containerd",
            Self::Runc => "runc",
            Self::CniPlugins => "cni-plugins",
            Self::Flannel => "flannel",
            Self::MetricsServer => "metrics-server",
            Self::Agnhost => "agnhost",
        }
    }

    /// Returns the name and version: two releases share a component when this is equal.
    pub fn id(&self) -> String {
        let version = match self {
            Self::DebianBase => return self.name().to_owned(),
            Self::Kubernetes(release) | Self::KubernetesImages(release) => {
                release.kubernetes.to_string()
            }
            Self::Etcd(release) => release.etcd_tag.to_owned(),
            Self::Coredns(release) => release.coredns_tag.to_owned(),
            Self::Pause(release) => release.pause_tag.to_owned(),
            Self::Containerd => CONTAINERD_VERSION.to_owned(),
            Self::Runc => RUNC_VERSION.to_owned(),
            Self::CniPlugins => CNI_PLUGINS_VERSION.to_owned(),
            Self::Flannel => FLANNEL_VERSION.to_owned(),
            Self::MetricsServer => METRICS_SERVER_VERSION.to_owned(),
            Self::Agnhost => agnhost::TAG.to_owned(),
        };
        format!("{}-{version}", self.name())
    }

    /// Returns whether `other` must be in the mirror before this is built.
    pub fn needs(&self, other: &Self) -> bool {
        match self {
            Self::DebianBase
            | Self::Kubernetes(_)
            | Self::Containerd
            | Self::Runc
            | Self::CniPlugins => false,
            Self::KubernetesImages(release) => {
                *other == Self::DebianBase || *other == Self::Kubernetes(release.clone())
            }
            Self::Etcd(_)
            | Self::Coredns(_)
            | Self::Pause(_)
            | Self::Flannel
            | Self::MetricsServer
            | Self::Agnhost => *other == Self::DebianBase,
        }
    }

    /// Returns the digest of what decides the result, whatever it was built on.
    ///
    /// A component is built again when this changes: by another version or by a
    /// raised revision.
    pub fn recipe(&self) -> Sha256Digest {
        let base = format!("debian-base {}", debian_base::REVISION);
        let own = match self {
            Self::DebianBase => base.clone(),
            Self::Kubernetes(_) => format!("{}", kubernetes::REVISION),
            Self::KubernetesImages(_) => format!("{} {base}", kubernetes::IMAGES_REVISION),
            Self::Etcd(_) => format!("{} {base}", etcd::REVISION),
            Self::Coredns(_) => format!("{} {base}", addons::COREDNS_REVISION),
            Self::Pause(_) => format!("{} {base}", pause::REVISION),
            Self::Containerd => format!("{}", node_tools::CONTAINERD_REVISION),
            Self::Runc => format!("{}", node_tools::RUNC_REVISION),
            Self::CniPlugins => format!("{}", node_tools::CNI_PLUGINS_REVISION),
            Self::Flannel => format!("{} {base}", addons::FLANNEL_REVISION),
            Self::MetricsServer => format!("{} {base}", addons::METRICS_SERVER_REVISION),
            Self::Agnhost => format!("{} {base}", agnhost::REVISION),
        };
        Sha256Digest::of(format!("{} {own}", self.id()))
    }

    /// Builds the component and stages its results.
    ///
    /// # Errors
    /// A source cannot be had or a build fails.
    pub fn build(&self, bench: &Workbench<'_>) -> Result<(), Error> {
        match self {
            Self::DebianBase => debian_base::build(bench),
            Self::Kubernetes(release) => kubernetes::build(bench, &release.kubernetes),
            Self::KubernetesImages(release) => kubernetes::build_images(bench, release),
            Self::Etcd(release) => etcd::build(bench, release),
            Self::Coredns(release) => addons::build_coredns(bench, release),
            Self::Pause(release) => pause::build(bench, release),
            Self::Containerd => node_tools::build_containerd(bench),
            Self::Runc => node_tools::build_runc(bench),
            Self::CniPlugins => node_tools::build_cni_plugins(bench),
            Self::Flannel => addons::build_flannel(bench),
            Self::MetricsServer => addons::build_metrics_server(bench),
            Self::Agnhost => agnhost::build(bench),
        }
    }
}

/// Returns the components of `wanted` names with what they need, in building order.
///
/// # Errors
/// A name is unknown.
pub fn select(all: Vec<Component>, wanted: &[String]) -> Result<Vec<Component>, Error> {
    if wanted.is_empty() {
        return Ok(all);
    }
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !all.iter().any(|component| component.name() == **name))
    {
        let names: std::collections::BTreeSet<_> = all.iter().map(Component::name).collect();
        let names: Vec<_> = names.into_iter().collect();
        return Err(Error::Usage(format!(
            "there is no component `{unknown}`; there are {}",
            names.join(", ")
        )));
    }
    let is_wanted = |component: &Component| wanted.iter().any(|name| name == component.name());
    let picked: Vec<_> = all.iter().filter(|one| is_wanted(one)).cloned().collect();
    Ok(all
        .into_iter()
        .filter(|one| is_wanted(one) || picked.iter().any(|other| other.needs(one)))
        .collect())
}

/// Returns the releases of `versions`.
///
/// # Errors
/// A version is not supported.
pub fn releases(versions: &[KubernetesVersion]) -> Result<Vec<Release>, Error> {
    versions
        .iter()
        .map(|version| Release::of(version).map_err(|error| Error::Usage(error.to_string())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Component> {
        let versions = [(36, 3), (35, 4), (34, 4)].map(|(a, b)| KubernetesVersion::new(a, b));
        Component::all(&releases(&versions).unwrap())
    }

    #[test]
    fn releases_share_what_has_the_same_version() {
        let ids: Vec<_> = all().iter().map(Component::id).collect();
        let count = |id: &str| ids.iter().filter(|one| *one == id).count();
        assert_eq!(count("pause-3.10.1"), 1);
        assert_eq!(count("containerd-2.4.2"), 1);
        assert_eq!(count("etcd-3.6.6-0"), 1);
        assert_eq!(
            ids.iter()
                .filter(|id| id.starts_with("kubernetes-v"))
                .count(),
            3
        );
    }

    #[test]
    fn every_component_comes_after_what_it_needs() {
        let all = all();
        for (at, component) in all.iter().enumerate() {
            assert!(
                !all[at..].iter().any(|later| component.needs(later)),
                "{component:?}"
            );
        }
    }

    #[test]
    fn selecting_brings_what_is_needed_and_unknown_names_are_refused() {
        let picked = select(all(), &["kubernetes-images".to_owned()]).unwrap();
        let mut names: Vec<_> = picked.iter().map(Component::name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, ["debian-base", "kubernetes", "kubernetes-images"]);
        assert!(select(all(), &["docker".to_owned()]).is_err());
    }
}
