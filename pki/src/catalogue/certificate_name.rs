//! The certificates below `/etc/kubernetes/pki`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::subject_alternative_name::{SubjectAlternativeName, endpoint_host};
use super::{CLUSTER_ADMINS_GROUP, ControlPlaneNames};
use crate::{CertificateProfile, NotBefore, PkiError};

/// A certificate of a control-plane node, named as kubeadm's `init phase certs` names it.
///
/// Source: kubeadm `phases/certs/certlist.go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateName {
    /// The cluster's authority.
    Ca,
    /// The API server's serving certificate.
    Apiserver,
    /// The API server as a client of kubelets.
    ApiserverKubeletClient,
    /// The authority of aggregated API servers' front proxy.
    FrontProxyCa,
    /// The API server as a front proxy.
    FrontProxyClient,
    /// The authority of etcd.
    EtcdCa,
    /// An etcd member towards its clients.
    EtcdServer,
    /// An etcd member towards other members.
    EtcdPeer,
    /// The client of etcd's health checks and of `etcdctl`.
    EtcdHealthcheckClient,
    /// The API server as a client of etcd.
    ApiserverEtcdClient,
}

impl CertificateName {
    /// All certificates in kubeadm's order: every authority stands before what it signs.
    pub const ALL: [Self; 10] = [
        Self::Ca,
        Self::Apiserver,
        Self::ApiserverKubeletClient,
        Self::FrontProxyCa,
        Self::FrontProxyClient,
        Self::EtcdCa,
        Self::EtcdServer,
        Self::EtcdPeer,
        Self::EtcdHealthcheckClient,
        Self::ApiserverEtcdClient,
    ];

    /// Returns the name of kubeadm's phase, for example `etcd-healthcheck-client`.
    pub fn phase_name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Apiserver => "apiserver",
            Self::ApiserverKubeletClient => "apiserver-kubelet-client",
            Self::FrontProxyCa => "front-proxy-ca",
            Self::FrontProxyClient => "front-proxy-client",
            Self::EtcdCa => "etcd-ca",
            Self::EtcdServer => "etcd-server",
            Self::EtcdPeer => "etcd-peer",
            Self::EtcdHealthcheckClient => "etcd-healthcheck-client",
            Self::ApiserverEtcdClient => "apiserver-etcd-client",
        }
    }

    /// Returns the path below the certificates directory without its ending, for example
    /// `etcd/server`.
    pub fn base_path(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Apiserver => "apiserver",
            Self::ApiserverKubeletClient => "apiserver-kubelet-client",
            Self::FrontProxyCa => "front-proxy-ca",
            Self::FrontProxyClient => "front-proxy-client",
            Self::EtcdCa => "etcd/ca",
            Self::EtcdServer => "etcd/server",
            Self::EtcdPeer => "etcd/peer",
            Self::EtcdHealthcheckClient => "etcd/healthcheck-client",
            Self::ApiserverEtcdClient => "apiserver-etcd-client",
        }
    }

    /// Returns the certificate's path below the certificates directory, for example
    /// `etcd/server.crt`.
    pub fn certificate_path(self) -> String {
        format!("{}.crt", self.base_path())
    }

    /// Returns the private key's path below the certificates directory.
    pub fn key_path(self) -> String {
        format!("{}.key", self.base_path())
    }

    /// Returns the authority that signs this certificate, `None` for the authorities themselves.
    pub fn signer(self) -> Option<Self> {
        match self {
            Self::Ca | Self::FrontProxyCa | Self::EtcdCa => None,
            Self::Apiserver | Self::ApiserverKubeletClient => Some(Self::Ca),
            Self::FrontProxyClient => Some(Self::FrontProxyCa),
            Self::EtcdServer
            | Self::EtcdPeer
            | Self::EtcdHealthcheckClient
            | Self::ApiserverEtcdClient => Some(Self::EtcdCa),
        }
    }

    /// Returns whether this is an authority.
    pub fn is_authority(self) -> bool {
        self.signer().is_none()
    }

    /// Returns the common name where it is the same in all clusters; `None` where it is the name
    /// of the node.
    pub fn fixed_common_name(self) -> Option<&'static str> {
        match self {
            Self::Ca => Some("kubernetes"),
            Self::Apiserver => Some("kube-apiserver"),
            Self::ApiserverKubeletClient => Some("kube-apiserver-kubelet-client"),
            Self::FrontProxyCa => Some("front-proxy-ca"),
            Self::FrontProxyClient => Some("front-proxy-client"),
            Self::EtcdCa => Some("etcd-ca"),
            Self::EtcdServer | Self::EtcdPeer => None,
            Self::EtcdHealthcheckClient => Some("kube-etcd-healthcheck-client"),
            Self::ApiserverEtcdClient => Some("kube-apiserver-etcd-client"),
        }
    }

    /// Returns what the certificate says on the control-plane node that `names` describes.
    ///
    /// An authority's profile has its common name also as DNS name and no use: it is for
    /// comparing, [`crate::CertificateAuthority::create`] makes authorities.
    ///
    /// # Errors
    /// [`PkiError::InvalidName`] and [`PkiError::InvalidEndpoint`].
    pub fn profile(self, names: &ControlPlaneNames) -> Result<CertificateProfile, PkiError> {
        let mut profile = CertificateProfile {
            common_name: self
                .fixed_common_name()
                .unwrap_or(&names.node_name)
                .to_owned(),
            not_before: NotBefore::Backdated,
            ..CertificateProfile::default()
        };
        match self {
            Self::Ca | Self::FrontProxyCa | Self::EtcdCa => {
                profile.dns_sans = vec![profile.common_name.clone()];
            }
            Self::Apiserver => {
                profile.server_auth = true;
                add_apiserver_names(&mut profile, names)?;
            }
            Self::ApiserverKubeletClient => {
                profile.client_auth = true;
                if names.kubelet_client_in_admins_group {
                    profile.organizations = vec![CLUSTER_ADMINS_GROUP.to_owned()];
                }
            }
            // etcd presents its serving certificate as a client to itself (etcd-io/etcd#9785).
            Self::EtcdServer => {
                profile.server_auth = true;
                profile.client_auth = true;
                add_etcd_names(&mut profile, names, &names.etcd_server_sans)?;
            }
            Self::EtcdPeer => {
                profile.server_auth = true;
                profile.client_auth = true;
                add_etcd_names(&mut profile, names, &names.etcd_peer_sans)?;
            }
            Self::FrontProxyClient | Self::EtcdHealthcheckClient | Self::ApiserverEtcdClient => {
                profile.client_auth = true;
            }
        }
        Ok(profile.normalized())
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phase_name())
    }
}

/// Source: kubeadm `pkiutil.GetAPIServerAltNames`.
fn add_apiserver_names(
    profile: &mut CertificateProfile,
    names: &ControlPlaneNames,
) -> Result<(), PkiError> {
    profile.dns_sans = vec![
        names.node_name.clone(),
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
    ];
    if !names.dns_domain.is_empty() {
        profile
            .dns_sans
            .push(format!("kubernetes.default.svc.{}", names.dns_domain));
    }
    profile.ip_sans = vec![names.first_service_ip, names.advertise_address];
    if let Some(endpoint) = &names.control_plane_endpoint {
        endpoint_host(endpoint)?.add_to(profile);
    }
    add_extra_names(profile, &names.extra_sans)
}

/// Source: kubeadm `pkiutil.getAltNames`.
fn add_etcd_names(
    profile: &mut CertificateProfile,
    names: &ControlPlaneNames,
    extra: &[String],
) -> Result<(), PkiError> {
    profile.dns_sans = vec![names.node_name.clone(), "localhost".to_owned()];
    profile.ip_sans = vec![
        names.advertise_address,
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    add_extra_names(profile, extra)
}

fn add_extra_names(profile: &mut CertificateProfile, extra: &[String]) -> Result<(), PkiError> {
    for name in extra {
        name.parse::<SubjectAlternativeName>()?.add_to(profile);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ControlPlaneNames {
        ControlPlaneNames {
            node_name: "cp-1".to_owned(),
            advertise_address: "192.0.2.10".parse().unwrap(),
            first_service_ip: "10.96.0.1".parse().unwrap(),
            dns_domain: "cluster.local".to_owned(),
            control_plane_endpoint: None,
            extra_sans: Vec::new(),
            etcd_server_sans: Vec::new(),
            etcd_peer_sans: Vec::new(),
            kubelet_client_in_admins_group: false,
        }
    }

    #[test]
    fn every_authority_stands_before_what_it_signs() {
        let position = |name| CertificateName::ALL.iter().position(|&n| n == name);
        for name in CertificateName::ALL {
            if let Some(signer) = name.signer() {
                assert!(signer.is_authority());
                assert!(position(signer) < position(name), "{name}");
            }
        }
    }

    #[test]
    fn serde_and_display_use_the_phase_name() {
        for name in CertificateName::ALL {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{}\"", name.phase_name()));
            assert_eq!(name.to_string(), name.phase_name());
        }
    }

    #[test]
    fn the_endpoint_becomes_a_name_or_an_address_of_the_api_server() {
        for (endpoint, dns, ip) in [
            ("api.example:6443", Some("api.example"), None),
            ("api.example", Some("api.example"), None),
            ("198.51.100.7:6443", None, Some("198.51.100.7")),
            ("[2001:db8::7]:6443", None, Some("2001:db8::7")),
            ("2001:db8::7", None, Some("2001:db8::7")),
        ] {
            let names = ControlPlaneNames {
                control_plane_endpoint: Some(endpoint.to_owned()),
                ..names()
            };
            let profile = CertificateName::Apiserver.profile(&names).unwrap();
            if let Some(dns) = dns {
                assert!(profile.dns_sans.iter().any(|n| n == dns), "{endpoint}");
            }
            if let Some(ip) = ip {
                let address = ip.parse().unwrap();
                assert!(profile.ip_sans.contains(&address), "{endpoint}");
            }
        }
    }

    #[test]
    fn extra_names_go_only_where_they_are_meant() {
        let names = ControlPlaneNames {
            extra_sans: ["127.0.0.1", "localhost"].map(String::from).to_vec(),
            etcd_server_sans: vec!["etcd.example".to_owned()],
            etcd_peer_sans: vec!["peer.example".to_owned()],
            ..names()
        };
        let has = |certificate: CertificateName, name: &str| {
            let profile = certificate.profile(&names).unwrap();
            profile.dns_sans.iter().any(|n| n == name)
        };
        assert!(has(CertificateName::Apiserver, "localhost"));
        assert!(!has(CertificateName::Apiserver, "etcd.example"));
        assert!(has(CertificateName::EtcdServer, "etcd.example"));
        assert!(!has(CertificateName::EtcdServer, "peer.example"));
        assert!(has(CertificateName::EtcdPeer, "peer.example"));
    }

    #[test]
    fn only_minors_before_1_36_put_the_kubelet_client_into_the_admins_group() {
        let new = CertificateName::ApiserverKubeletClient.profile(&names());
        assert!(new.unwrap().organizations.is_empty());
        let old = CertificateName::ApiserverKubeletClient.profile(&ControlPlaneNames {
            kubelet_client_in_admins_group: true,
            ..names()
        });
        assert_eq!(old.unwrap().organizations, ["kubeadm:cluster-admins"]);
    }

    #[test]
    fn a_wrong_extra_name_is_an_error_that_quotes_it() {
        let names = ControlPlaneNames {
            extra_sans: vec!["under_score".to_owned()],
            ..names()
        };
        let error = CertificateName::Apiserver.profile(&names).unwrap_err();
        assert!(error.to_string().starts_with("`under_score` is neither"));
    }
}
