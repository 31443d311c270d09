//! The image registry side of downloads: the OCI distribution protocol's read half.
//!
//! Supported: anonymous pulls with bearer tokens, as the Kubernetes project's registry and
//! GitHub's give them. Not supported: logins; a mirror serves images without any.
//! Source: OCI Distribution Specification 1.1; token requests as in Docker's
//! "Token Authentication Specification".

use std::collections::HashMap;

use reqwest::Url;
use serde::Deserialize;
use slipway_api::{ImageReference, Sha256Digest};
use tokio::sync::Mutex;

use crate::BundleError;
use crate::fetcher::{Fetcher, Request};
use crate::image_manifest::ACCEPTED;

/// The largest token answer, in bytes.
const MAX_TOKEN: u64 = 256 << 10;

/// Builds registry requests and remembers tokens.
#[derive(Default)]
pub(crate) struct Registry {
    tokens: Mutex<HashMap<String, String>>,
}

/// What a registry keeps of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryObject {
    /// An index or manifest by the image's tag.
    Tag,
    /// An index or manifest by digest.
    Manifest(Sha256Digest),
    /// A configuration or layer.
    Blob(Sha256Digest),
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// Returns the request for `object` of `image`, with a token if one is known.
    pub(crate) async fn request(&self, image: &ImageReference, object: RegistryObject) -> Request {
        let repository = format!("{}/v2/{}", base_url(image.registry()), image.repository());
        let (url, accept) = match object {
            RegistryObject::Tag => (format!("{repository}/manifests/{}", image.tag()), ACCEPTED),
            RegistryObject::Manifest(digest) => {
                (format!("{repository}/manifests/sha256:{digest}"), ACCEPTED)
            }
            RegistryObject::Blob(digest) => (format!("{repository}/blobs/sha256:{digest}"), ""),
        };
        let bearer = self.tokens.lock().await.get(&token_key(image)).cloned();
        Request {
            url,
            accept: accept.to_owned(),
            bearer,
        }
    }

    /// Gets the token that the registry's `challenge` asks for.
    pub(crate) async fn authorise(
        &self,
        fetcher: &Fetcher,
        image: &ImageReference,
        challenge: &str,
    ) -> Result<(), BundleError> {
        let refused = |reason: &str| BundleError::Image {
            reference: image.clone(),
            reason: reason.to_owned(),
        };
        let url = token_url(challenge, image)
            .ok_or_else(|| refused("its registry wants a login that is not anonymous"))?;
        let answer = fetcher
            .document(&Request::plain(url.as_str()), MAX_TOKEN)
            .await
            .map_err(|failure| failure.error)?;
        let answer: TokenAnswer = serde_json::from_slice(&answer)
            .map_err(|_| refused("its registry's token service answers no token"))?;
        let token = answer
            .token
            .or(answer.access_token)
            .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| refused("its registry's token service answers no usable token"))?;
        self.tokens.lock().await.insert(token_key(image), token);
        Ok(())
    }
}

/// Returns the registry's URL; plain http on loopback only, as container runtimes do.
fn base_url(registry: &str) -> String {
    let host = registry.split(':').next().unwrap_or(registry);
    let scheme = if host == "localhost" || host == "127.0.0.1" {
        "http"
    } else {
        "https"
    };
    format!("{scheme}://{registry}")
}

fn token_key(image: &ImageReference) -> String {
    format!("{}/{}", image.registry(), image.repository())
}

/// Returns where a `Bearer` challenge says tokens for `image` are given.
fn token_url(challenge: &str, image: &ImageReference) -> Option<Url> {
    let (scheme, parameters) = challenge.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameters = parse_parameters(parameters);
    let mut url = Url::parse(parameters.get("realm")?).ok()?;
    // The token is worth protecting as much as what it opens.
    if url.scheme() != "https" && base_url(image.registry()).starts_with("https:") {
        return None;
    }
    let scope = format!("repository:{}:pull", image.repository());
    if let Some(service) = parameters.get("service") {
        url.query_pairs_mut().append_pair("service", service);
    }
    url.query_pairs_mut().append_pair("scope", &scope);
    Some(url)
}

/// Parses `key="value",key=value`; quoted values may hold commas.
fn parse_parameters(text: &str) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        parameters.insert(
            key.trim_matches([',', ' ']).to_ascii_lowercase(),
            value.to_owned(),
        );
        rest = next;
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_leads_to_the_token_service() {
        let image = ImageReference::new("ghcr.io", "flannel-io/flannel", "v1");
        let url = token_url(
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a:pull,push""#,
            &image,
        );
        assert_eq!(
            url.unwrap().as_str(),
            "https://ghcr.io/token?service=ghcr.io&scope=repository%3Aflannel-io%2Fflannel%3Apull"
        );
    }

    #[test]
    fn other_logins_and_unprotected_token_services_are_refused() {
        let image = ImageReference::new("ghcr.io", "a", "v1");
        for challenge in [
            "Basic realm=\"x\"",
            "Bearer",
            "Bearer realm=\"http://ghcr.io/token\"",
        ] {
            assert_eq!(token_url(challenge, &image), None, "{challenge}");
        }
    }
}
