//! Bootstrap tokens, kept as the Secrets that kubeadm makes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};

use super::{ApiClient, FIELD_MANAGER, KUBE_SYSTEM, KubernetesError};

/// The type of the Secrets that the API server accepts as bootstrap tokens.
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// The prefix of their names.
pub(super) const NAME_PREFIX: &str = "bootstrap-token-";
/// The prefix of the keys that allow a usage.
const USAGE_PREFIX: &str = "usage-bootstrap-";

/// The public half of a bootstrap token: six lower-case letters or digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootstrapTokenId(String);

impl fmt::Display for BootstrapTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BootstrapTokenId {
    type Err = KubernetesError;

    fn from_str(text: &str) -> Result<Self, KubernetesError> {
        if !is_plain(text, 6) {
            return Err(KubernetesError::InvalidToken {
                part: "ID",
                expected: "six lower-case letters or digits",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

/// A bootstrap token. Its secret half is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    /// The public half.
    pub id: BootstrapTokenId,
    secret: String,
    /// When it stops working; never, if absent.
    pub expires_at: Option<Timestamp>,
    /// What it is for, in the words of who made it.
    pub description: String,
    /// What it may be used for: `signing`, `authentication`.
    pub usages: Vec<String>,
    /// The groups that it authenticates as, beside `system:bootstrappers`.
    pub groups: Vec<String>,
}

impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapToken")
            .field("id", &self.id)
            .field("secret", &"[redacted]")
            .field("expires_at", &self.expires_at)
            .field("description", &self.description)
            .field("usages", &self.usages)
            .field("groups", &self.groups)
            .finish()
    }
}

impl BootstrapToken {
    /// Returns the token with this ID and secret, for the usages and the group
    /// that kubeadm gives by default, which never expires.
    ///
    /// # Errors
    /// The secret does not have kubeadm's form.
    pub fn new(id: BootstrapTokenId, secret: &str) -> Result<Self, KubernetesError> {
        if !is_plain(secret, 16) {
            return Err(KubernetesError::InvalidToken {
                part: "secret",
                expected: "sixteen lower-case letters or digits",
            });
        }
        Ok(Self {
            id,
            secret: secret.to_owned(),
            expires_at: None,
            description: String::new(),
            usages: vec!["signing".to_owned(), "authentication".to_owned()],
            groups: vec!["system:bootstrappers:kubeadm:default-node-token".to_owned()],
        })
    }

    /// Returns the same token, which works for `ttl` from now on.
    #[must_use]
    pub fn expiring_in(mut self, ttl: Duration) -> Self {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        // Past the end of time means never.
        let end = Timestamp::now().as_second().saturating_add(seconds);
        self.expires_at = Timestamp::from_second(end).ok();
        self
    }

    /// Returns the secret half; it must not reach logs, plans or arguments.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    fn from_secret(secret: &Secret) -> Option<Self> {
        let text = |key: &str| {
            let bytes = &secret.data.as_ref()?.get(key)?.0;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let keys = secret.data.iter().flat_map(BTreeMap::keys);
        let usages = keys
            .filter_map(|key| key.strip_prefix(USAGE_PREFIX))
            .filter(|usage| text(&format!("{USAGE_PREFIX}{usage}")).as_deref() == Some("true"));
        let groups = text("auth-extra-groups").unwrap_or_default();
        Some(Self {
            id: text("token-id")?.parse().ok()?,
            secret: text("token-secret")?,
            expires_at: text("expiration").and_then(|time| time.parse().ok()),
            description: text("description").unwrap_or_default(),
            usages: usages.map(str::to_owned).collect(),
            groups: groups
                .split(',')
                .filter(|group| !group.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    fn to_secret(&self) -> Secret {
        let mut data = BTreeMap::from([
            ("token-id".to_owned(), self.id.to_string()),
            ("token-secret".to_owned(), self.secret.clone()),
        ]);
        if let Some(end) = self.expires_at {
            data.insert("expiration".to_owned(), end.to_string());
        }
        if !self.description.is_empty() {
            data.insert("description".to_owned(), self.description.clone());
        }
        if !self.groups.is_empty() {
            data.insert("auth-extra-groups".to_owned(), self.groups.join(","));
        }
        for usage in &self.usages {
            data.insert(format!("{USAGE_PREFIX}{usage}"), "true".to_owned());
        }
        let data = data
            .into_iter()
            .map(|(key, text)| (key, ByteString(text.into_bytes())));
        Secret {
            metadata: ObjectMeta {
                name: Some(format!("{NAME_PREFIX}{}", self.id)),
                namespace: Some(KUBE_SYSTEM.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(SECRET_TYPE.to_owned()),
            data: Some(data.collect()),
            ..Secret::default()
        }
    }
}

impl ApiClient {
    /// Creates a bootstrap token; one that exists with the same secret gets
    /// the new expiry, usages and groups.
    ///
    /// # Errors
    /// There is another token with this ID, or the API server refuses.
    pub async fn create_token(&self, token: &BootstrapToken) -> Result<(), KubernetesError> {
        let api = self.namespaced::<Secret>(KUBE_SYSTEM);
        let parameters = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let doing = format!("create bootstrap token {}", token.id);
        let mut wanted = token.to_secret();
        let created = self.call(&doing, api.create(&parameters, &wanted)).await;
        match created {
            Err(error) if error.is_conflict() => {}
            answer => return answer.map(|_| ()),
        }
        let name = wanted.name_any();
        let found = self.call(&doing, api.get(&name)).await?;
        let is_same =
            BootstrapToken::from_secret(&found).is_some_and(|found| found.secret == token.secret);
        if !is_same {
            return Err(KubernetesError::TokenExists {
                id: token.id.to_string(),
            });
        }
        wanted.metadata.resource_version = found.metadata.resource_version;
        let replaced = api.replace(&name, &parameters, &wanted);
        self.call(&doing, replaced).await.map(|_| ())
    }

    /// Returns all bootstrap tokens, sorted by ID; Secrets that are none in
    /// spite of their type are left out.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn list_tokens(&self) -> Result<Vec<BootstrapToken>, KubernetesError> {
        let api = self.namespaced::<Secret>(KUBE_SYSTEM);
        let wanted = ListParams::default().fields(&format!("type={SECRET_TYPE}"));
        let found = self
            .call("list bootstrap tokens", api.list(&wanted))
            .await?;
        let mut tokens: Vec<BootstrapToken> = found
            .items
            .iter()
            .filter_map(BootstrapToken::from_secret)
            .collect();
        tokens.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(tokens)
    }

    /// Deletes a bootstrap token and returns whether there was one.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn delete_token(&self, id: &BootstrapTokenId) -> Result<bool, KubernetesError> {
        let api = self.namespaced::<Secret>(KUBE_SYSTEM);
        let name = format!("{NAME_PREFIX}{id}");
        let doing = format!("delete bootstrap token {id}");
        match self
            .call(&doing, api.delete(&name, &DeleteParams::default()))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_plain(text: &str, length: usize) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() == length && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> BootstrapToken {
        let id = "abcdef".parse().unwrap();
        BootstrapToken::new(id, "0123456789abcdef")
            .unwrap()
            .expiring_in(Duration::from_secs(86_400))
    }

    #[test]
    fn a_token_survives_its_secret() {
        let mut read = BootstrapToken::from_secret(&token().to_secret()).unwrap();
        // The usages come back in the order of their keys.
        read.usages.reverse();
        assert_eq!(read.usages, token().usages);
        assert_eq!(read.secret(), token().secret());
        assert_eq!(read.groups, token().groups);
    }

    #[test]
    fn the_secret_is_what_kubeadm_makes() {
        let secret = token().to_secret();
        assert_eq!(secret.name_any(), "bootstrap-token-abcdef");
        assert_eq!(secret.namespace().as_deref(), Some("kube-system"));
        let kind = secret.type_.as_deref();
        assert_eq!(kind, Some("bootstrap.kubernetes.io/token"));
        let data = secret.data.unwrap();
        let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
        // As `kubeadm init --dry-run` of 1.34, 1.35 and 1.36 shows it.
        for (key, value) in [
            (
                "auth-extra-groups",
                "system:bootstrappers:kubeadm:default-node-token",
            ),
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            ("usage-bootstrap-signing", "true"),
        ] {
            assert_eq!(text(key), value, "{key}");
        }
        assert_eq!(data.len(), 6, "and when it expires");
        let expiry = &data["expiration"].0;
        // Go's RFC 3339 without fractions of a second.
        assert_eq!(expiry.len(), "2026-11-22T09:00:00Z".len());
    }

    #[test]
    fn the_secret_half_is_never_shown() {
        let shown = format!("{:?}", token());
        assert!(shown.contains("abcdef") && !shown.contains("0123456789abcdef"));
    }

    #[test]
    fn malformed_halves_are_refused() {
        assert!("ABCDEF".parse::<BootstrapTokenId>().is_err());
        let error = BootstrapToken::new("abcdef".parse().unwrap(), "short").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a bootstrap token's secret is sixteen lower-case letters or digits"
        );
    }
}
