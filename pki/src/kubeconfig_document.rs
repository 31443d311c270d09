//! The YAML of kubeconfigs, field by field in client-go's order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Credentials, PkiError};

/// Room for a kubeconfig with RSA keys, so that growing leaves no copies of a key behind.
const USUAL_SIZE: usize = 32 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct KubeconfigDocument {
    #[serde(rename = "apiVersion", default = "api_version")]
    api_version: String,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    current_context: String,
    #[serde(default = "kind")]
    kind: String,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NamedCluster {
    pub(crate) cluster: Cluster,
    pub(crate) name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Cluster {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_authority_data: Option<String>,
    pub(crate) server: String,
}

#[derive(Serialize, Deserialize)]
struct NamedContext {
    context: Context,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NamedUser {
    pub(crate) name: String,
    pub(crate) user: User,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key_data: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Zeroizing<String>>,
}

impl KubeconfigDocument {
    pub(crate) fn new(cluster_name: &str, server: &str, ca_pem: &str, user: NamedUser) -> Self {
        let context_name = format!("{}@{cluster_name}", user.name);
        Self {
            api_version: api_version(),
            clusters: vec![NamedCluster::new(cluster_name, server, ca_pem)],
            contexts: vec![NamedContext {
                context: Context {
                    cluster: cluster_name.to_owned(),
                    user: user.name.clone(),
                },
                name: context_name.clone(),
            }],
            current_context: context_name,
            kind: kind(),
            users: vec![user],
        }
    }

    /// Returns the cluster and the user of the current context.
    pub(crate) fn current(&self) -> Result<(&NamedCluster, &NamedUser), PkiError> {
        let missing = |missing| PkiError::KubeconfigIncomplete { missing };
        let context = &self
            .contexts
            .iter()
            .find(|context| context.name == self.current_context)
            .ok_or_else(|| missing("context of the name in `current-context`"))?
            .context;
        let cluster = self.clusters.iter().find(|c| c.name == context.cluster);
        let user = self.users.iter().find(|u| u.name == context.user);
        Ok((
            cluster.ok_or_else(|| missing("cluster of the current context"))?,
            user.ok_or_else(|| missing("user of the current context"))?,
        ))
    }
}

impl NamedCluster {
    fn new(name: &str, server: &str, ca_pem: &str) -> Self {
        Self {
            cluster: Cluster {
                certificate_authority_data: (!ca_pem.is_empty()).then(|| STANDARD.encode(ca_pem)),
                server: server.to_owned(),
            },
            name: name.to_owned(),
        }
    }

    /// Returns the authorities' certificates.
    pub(crate) fn authority_pem(&self) -> Result<String, PkiError> {
        self.cluster
            .certificate_authority_data
            .as_deref()
            .and_then(decode)
            .map(|text| text.to_string())
            .ok_or(PkiError::KubeconfigIncomplete {
                missing: "readable `certificate-authority-data`",
            })
    }
}

impl User {
    pub(crate) fn embedded(cert_pem: &str, key_pem: &str) -> Self {
        Self {
            client_certificate_data: Some(STANDARD.encode(cert_pem)),
            client_key_data: Some(Zeroizing::new(STANDARD.encode(key_pem))),
            ..Self::default()
        }
    }

    pub(crate) fn files(client_certificate: &str, client_key: &str) -> Self {
        Self {
            client_certificate: Some(client_certificate.to_owned()),
            client_key: Some(client_key.to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn key_alone(key_pem: &str) -> Self {
        Self {
            client_key_data: Some(Zeroizing::new(STANDARD.encode(key_pem))),
            ..Self::default()
        }
    }

    pub(crate) fn token(token: &Zeroizing<String>) -> Self {
        Self {
            token: Some(token.clone()),
            ..Self::default()
        }
    }

    /// Returns the user's credentials; data inside the file wins over paths, as in client-go.
    pub(crate) fn credentials(&self) -> Result<Credentials, PkiError> {
        let missing = |missing| PkiError::KubeconfigIncomplete { missing };
        if let (Some(certificate), Some(key)) =
            (&self.client_certificate_data, &self.client_key_data)
        {
            return Ok(Credentials::Embedded {
                cert_pem: decode(certificate)
                    .ok_or_else(|| missing("readable `client-certificate-data`"))?
                    .to_string(),
                key_pem: decode(key).ok_or_else(|| missing("readable `client-key-data`"))?,
            });
        }
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            return Ok(Credentials::Files {
                client_certificate: certificate.clone(),
                client_key: key.clone(),
            });
        }
        self.token
            .clone()
            .map(Credentials::Token)
            .ok_or_else(|| missing("client certificate with key and no token for its user"))
    }
}

/// Returns a document as YAML in the layout of Kubernetes' own files.
pub(crate) fn write_document<T: Serialize>(document: &T) -> Option<Zeroizing<String>> {
    let options = serde_saphyr::ser_options! {
        indent_step: 2,
        compact_list_indent: true,
        // Base64 stays on one line, however long.
        prefer_block_scalars: false,
    };
    let mut text = Zeroizing::new(String::with_capacity(USUAL_SIZE));
    serde_saphyr::to_fmt_writer_with_options(&mut *text, document, options).ok()?;
    Some(text)
}

/// Reads a document; errors name the place and never quote the text.
pub(crate) fn read_document(text: &str) -> Result<KubeconfigDocument, PkiError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let location = error.location();
        PkiError::KubeconfigSyntax {
            line: location.as_ref().map_or(0, |place| place.line()),
            column: location.as_ref().map_or(0, |place| place.column()),
        }
    })
}

fn decode(base64: &str) -> Option<Zeroizing<String>> {
    let bytes = STANDARD.decode(base64.trim()).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

fn api_version() -> String {
    "v1".to_owned()
}

fn kind() -> String {
    "Config".to_owned()
}
