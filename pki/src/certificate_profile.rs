//! What a certificate shall say, without keys, dates or serial numbers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::PkiError;

/// What a certificate shall say about its subject; it holds no secret and travels in plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateProfile {
    /// Common name of the subject, for clients the user name.
    pub common_name: String,
    /// Organizations of the subject, for clients the groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// DNS names that the certificate is valid for; sorted and without repeats when issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_sans: Vec<String>,
    /// IP addresses that the certificate is valid for; without repeats when issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_sans: Vec<IpAddr>,
    /// Whether a TLS server may present the certificate.
    #[serde(default)]
    pub server_auth: bool,
    /// Whether a TLS client may present the certificate.
    #[serde(default)]
    pub client_auth: bool,
    /// From when on the certificate is valid.
    #[serde(default)]
    pub not_before: NotBefore,
}

/// From when on a certificate is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NotBefore {
    /// From five minutes before it is issued, so that slow clocks accept it.
    #[default]
    Backdated,
    /// From the start of its authority, as kubeadm does for the certificates in kubeconfigs.
    Authority,
}

impl CertificateProfile {
    /// Returns the profile of a client's certificate in a kubeconfig.
    pub fn client(common_name: impl Into<String>, organizations: &[&str]) -> Self {
        Self {
            common_name: common_name.into(),
            organizations: organizations.iter().map(|&o| o.to_owned()).collect(),
            client_auth: true,
            not_before: NotBefore::Authority,
            ..Self::default()
        }
    }

    /// Returns the profile as it is issued: DNS names sorted, nothing twice.
    ///
    /// IP addresses keep their order, as kubeadm leaves them.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut profile = self.clone();
        profile.dns_sans.sort();
        profile.dns_sans.dedup();
        profile.ip_sans.clear();
        for address in self.ip_sans.iter().map(IpAddr::to_canonical) {
            if !profile.ip_sans.contains(&address) {
                profile.ip_sans.push(address);
            }
        }
        profile
    }

    /// Checks what kubeadm checks before it issues: a common name and at least one use.
    pub(crate) fn check_complete(&self) -> Result<(), PkiError> {
        let missing = if self.common_name.is_empty() {
            "common name"
        } else if !self.server_auth && !self.client_auth {
            "use: neither server nor client authentication"
        } else {
            return Ok(());
        };
        Err(PkiError::ProfileIncomplete {
            common_name: self.common_name.clone(),
            missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizing_sorts_names_and_keeps_the_order_of_addresses() {
        let profile = CertificateProfile {
            dns_sans: ["b", "a", "b"].map(String::from).to_vec(),
            ip_sans: ["192.0.2.9", "10.96.0.1", "::ffff:192.0.2.9"]
                .map(|a| a.parse().unwrap())
                .to_vec(),
            ..CertificateProfile::default()
        };
        let normalized = profile.normalized();
        assert_eq!(normalized.dns_sans, ["a", "b"]);
        let addresses: Vec<_> = normalized.ip_sans.iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses, ["192.0.2.9", "10.96.0.1"]);
    }

    #[test]
    fn a_profile_survives_json_and_may_leave_defaults_out() {
        let profile = CertificateProfile::client("kubernetes-admin", &["system:masters"]);
        let json = serde_json::to_string(&profile).unwrap();
        let read: CertificateProfile = serde_json::from_str(&json).unwrap();
        assert_eq!(read, profile);
        let short: CertificateProfile = serde_json::from_str(r#"{"commonName":"x"}"#).unwrap();
        assert_eq!(short.not_before, NotBefore::Backdated);
    }
}
