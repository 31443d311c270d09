//! The certificates and kubeconfigs of a node as recipes, in kubeadm's order.

use slipway_api::step::{EnsureCertificate, EnsureKubeconfig};
use slipway_api::{ClusterSpec, Etcd, ExistingCluster, HostName, HostSpec, Release, Role};

use crate::PlanError;
use crate::names::{administrator_url, control_plane_names, local_api_url, node_url};

/// The certificates that kubeadm makes beside the authorities, each with its own.
const CERTIFICATES: [(&str, &str); 7] = [
    ("apiserver", "ca"),
    ("apiserver-kubelet-client", "ca"),
    ("front-proxy-client", "front-proxy-ca"),
    ("etcd-server", "etcd-ca"),
    ("etcd-peer", "etcd-ca"),
    ("etcd-healthcheck-client", "etcd-ca"),
    ("apiserver-etcd-client", "etcd-ca"),
];

/// What kubeadm's certificates and kubeconfigs of one node say; no keys, no dates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CertificateRecipes {
    /// The certificates.
    pub certificates: Vec<EnsureCertificate>,
    /// The kubeconfigs.
    pub kubeconfigs: Vec<EnsureKubeconfig>,
}

/// Returns everything for which a node needs certificates of an authority
/// whose key is elsewhere: of a worker, only the kubelet's.
///
/// # Errors
/// The host is not in the file, or the version is not supported.
pub fn certificate_requests(
    spec: &ClusterSpec,
    host: &HostName,
) -> Result<CertificateRecipes, PlanError> {
    let host = spec
        .host(host)
        .ok_or_else(|| PlanError::UnknownHost { host: host.clone() })?;
    match host.role {
        Role::ControlPlane => {
            let release = Release::of(&spec.kubernetes_version)?;
            Ok(CertificateRecipes::of_control_plane(
                spec,
                host,
                &release,
                |_| true,
            ))
        }
        Role::Worker => Ok(CertificateRecipes::of_worker(spec, host)),
    }
}

/// Returns the authority that signs a certificate, by kubeadm's names.
pub(crate) fn authority_of(certificate: &str) -> &'static str {
    CERTIFICATES
        .iter()
        .find(|(name, _)| *name == certificate)
        .map_or("ca", |(_, authority)| authority)
}

impl CertificateRecipes {
    /// Returns those of a control-plane host; an authority `is_external` if its
    /// key is elsewhere. The kubelet's kubeconfig is among them only then.
    pub(crate) fn of_control_plane(
        spec: &ClusterSpec,
        host: &HostSpec,
        release: &Release,
        is_external: impl Fn(&str) -> bool,
    ) -> Self {
        let configuration = &spec.cluster_configuration;
        let algorithm = &configuration.encryption_algorithm;
        let validity_seconds = configuration.certificate_validity_period.as_secs();
        let has_etcd = matches!(configuration.etcd, Etcd::Local(_));
        let names = control_plane_names(spec, host, release.kubelet_client_is_admin);
        let certificates = CERTIFICATES
            .into_iter()
            .filter(|(name, _)| has_etcd || !name.contains("etcd"))
            .map(|(name, authority)| EnsureCertificate {
                name: name.to_owned(),
                names: names.clone(),
                algorithm: algorithm.clone(),
                validity_seconds,
                is_external: is_external(authority),
                replaces: None,
            });
        let is_external = is_external("ca");
        let public = administrator_url(spec, host);
        let local = local_api_url(host);
        let kubeconfigs = [
            ("admin", &public),
            ("super-admin", &public),
            ("kubelet", &local),
            ("controller-manager", &local),
            ("scheduler", &local),
        ];
        let kubeconfigs = kubeconfigs
            .into_iter()
            .filter(|(name, _)| is_external || *name != "kubelet")
            .map(|(name, server)| EnsureKubeconfig {
                is_external,
                // kubeadm advises to keep it somewhere else.
                only_at_first: name == "super-admin",
                ..kubeconfig(spec, host, name, server.clone())
            });
        Self {
            certificates: certificates.collect(),
            kubeconfigs: kubeconfigs.collect(),
        }
    }

    /// Returns those of a worker under an authority whose key is elsewhere.
    fn of_worker(spec: &ClusterSpec, host: &HostSpec) -> Self {
        let kubelet = given_kubelet(spec, host, node_url(spec));
        Self {
            certificates: Vec::new(),
            kubeconfigs: vec![kubelet],
        }
    }

    /// Returns what somebody else must have issued for a host, where the
    /// control-plane host has the authorities of `existing`.
    pub(crate) fn given(
        spec: &ClusterSpec,
        host: &HostSpec,
        release: &Release,
        existing: &ExistingCluster,
    ) -> Self {
        let mut recipes = match host.role {
            Role::ControlPlane => {
                Self::of_control_plane(spec, host, release, |name| existing.has_external(name))
            }
            Role::Worker if existing.has_external("ca") => Self::of_worker(spec, host),
            Role::Worker => Self::default(),
        };
        recipes.certificates.retain(|it| it.is_external);
        recipes.kubeconfigs.retain(|it| it.is_external);
        recipes
    }
}

/// Returns the kubelet's kubeconfig as somebody else must have issued it.
pub(crate) fn given_kubelet(
    spec: &ClusterSpec,
    host: &HostSpec,
    server: String,
) -> EnsureKubeconfig {
    EnsureKubeconfig {
        is_external: true,
        ..kubeconfig(spec, host, "kubelet", server)
    }
}

fn kubeconfig(spec: &ClusterSpec, host: &HostSpec, name: &str, server: String) -> EnsureKubeconfig {
    let configuration = &spec.cluster_configuration;
    EnsureKubeconfig {
        name: name.to_owned(),
        node_name: host.node_name().to_owned(),
        server,
        cluster_name: configuration.cluster_name.clone(),
        algorithm: configuration.encryption_algorithm.clone(),
        validity_seconds: configuration.certificate_validity_period.as_secs(),
        only_at_first: false,
        is_external: false,
        replaces: None,
    }
}
