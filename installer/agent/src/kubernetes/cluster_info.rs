//! What `kube-public/cluster-info` says: the one object that anybody may read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use slipway_pki::CertificateFacts;

use super::DiscoveryError;

/// The cluster as `cluster-info` describes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClusterInfo {
    /// The API server's URL.
    pub(super) server: String,
    /// The certificates of the cluster's CA.
    pub(super) ca_pem: String,
    /// The pins of those certificates.
    pub(super) ca_pins: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    clusters: Vec<NamedCluster>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    #[serde(default)]
    server: String,
    #[serde(default)]
    certificate_authority_data: String,
}

impl ClusterInfo {
    /// Reads the kubeconfig in `cluster-info`, which has a cluster and neither
    /// a user nor a context.
    pub(super) fn parse(kubeconfig: &str) -> Result<Self, DiscoveryError> {
        let malformed = |reason: String| DiscoveryError::Malformed { reason };
        let document: Document = serde_saphyr::from_str(kubeconfig)
            .map_err(|error| malformed(format!("it cannot be read: {error}")))?;
        let named = document.clusters.into_iter().next();
        let cluster = named
            .ok_or_else(|| malformed("it names no cluster".to_owned()))?
            .cluster;
        let host = cluster.server.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() {
            let server = cluster.server;
            return Err(malformed(format!("`{server}` is no https URL")));
        }
        let ca_pem = STANDARD
            .decode(cluster.certificate_authority_data.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| malformed("its CA certificate cannot be read".to_owned()))?;
        let authorities = CertificateFacts::parse_all(&ca_pem)
            .map_err(|error| malformed(format!("its CA certificate cannot be read: {error}")))?;
        Ok(Self {
            server: cluster.server,
            ca_pins: authorities.iter().map(|it| it.public_key_pin()).collect(),
            ca_pem,
        })
    }

    /// Makes sure that one of the CA's certificates has a key that is pinned;
    /// without pins nothing is asked for.
    pub(super) fn check_pins(&self, pins: &[String]) -> Result<(), DiscoveryError> {
        let is_pinned = |found: &String| pins.iter().any(|pin| pin.eq_ignore_ascii_case(found));
        if pins.is_empty() || self.ca_pins.iter().any(is_pinned) {
            return Ok(());
        }
        Err(DiscoveryError::NotPinned {
            found: self.ca_pins.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use slipway_pki::{AUTHORITY_VALIDITY, CertificateAuthority, KeyAlgorithm, PrivateKey};

    use super::*;

    fn authority() -> String {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let now = jiff::Timestamp::now();
        CertificateAuthority::create("kubernetes", &key, now, AUTHORITY_VALIDITY)
            .unwrap()
            .certificate_pem()
            .to_owned()
    }

    fn info(server: &str, ca_pem: &str) -> String {
        let data = STANDARD.encode(ca_pem);
        format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {data}\n\
             \x20   server: {server}\n  name: \"\"\ncontexts: null\nkind: Config\nusers: null\n"
        )
    }

    #[test]
    fn any_certificate_of_a_bundle_may_be_the_pinned_one() {
        let (old, new) = (authority(), authority());
        let text = info("https://192.0.2.11:6443", &format!("{old}{new}"));
        let found = ClusterInfo::parse(&text).unwrap();
        assert_eq!(found.server, "https://192.0.2.11:6443");
        let pin = slipway_pki::public_key_pin(&new).unwrap();
        found.check_pins(std::slice::from_ref(&pin)).unwrap();
        found.check_pins(&[pin.to_uppercase()]).unwrap();
        found.check_pins(&[]).unwrap();
        let other = slipway_pki::public_key_pin(&authority()).unwrap();
        let error = found.check_pins(&[other]).unwrap_err();
        assert!(error.to_string().contains(&pin), "{error}");
    }

    #[test]
    fn what_is_no_kubeconfig_with_a_ca_is_refused() {
        for text in [
            "",
            "kind: Config\n",
            "clusters: []\n",
            "{",
            &info("http://192.0.2.11:6443", &authority()),
            &info("https://", &authority()),
            &info("https://192.0.2.11:6443", "no certificate"),
        ] {
            let error = ClusterInfo::parse(text).unwrap_err();
            assert!(matches!(error, DiscoveryError::Malformed { .. }), "{error}");
        }
    }
}
