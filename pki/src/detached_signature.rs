//! The signature by which holders of a bootstrap token recognise their cluster.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::BootstrapToken;

impl BootstrapToken {
    /// Returns the token's signature of `content`, as Kubernetes' bootstrap
    /// signer puts it into `cluster-info` under `jws-kubeconfig-<id>`: a JWS
    /// (RFC 7515) with HS256 whose middle part, the content, is left out.
    pub fn sign(&self, content: &str) -> String {
        sign_detached(content, self.id(), self.expose_secret())
    }

    /// Returns whether `signature` is this token's of `content`. Header and
    /// signature must be the very bytes that [`Self::sign`] makes: another
    /// algorithm that the header asks for is refused with them.
    pub fn has_signed(&self, content: &str, signature: &str) -> bool {
        let expected = self.sign(content);
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).is_ok()
    }
}

fn sign_detached(content: &str, id: &str, secret: &str) -> String {
    // Go's encoder writes the keys in this order and without spaces.
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{id}"}}"#));
    let signed = Zeroizing::new(format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_kubernetes_own_tests() {
        // k8s.io/cluster-bootstrap/token/jws/jws_test.go
        assert_eq!(
            sign_detached(
                "Hello from the other side. I must have called a thousand times.",
                "joshua",
                "my voice is my passcode",
            ),
            "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"
        );
    }

    #[test]
    fn only_the_same_token_and_the_same_content_verify() {
        let token: BootstrapToken = "abcdef.0123456789abcdef".parse().unwrap();
        let signature = token.sign("kind: Config\n");
        assert!(token.has_signed("kind: Config\n", &signature));
        assert!(!token.has_signed("kind: Config", &signature));
        let other_secret: BootstrapToken = "abcdef.0123456789abcdeg".parse().unwrap();
        assert!(!other_secret.has_signed("kind: Config\n", &signature));
        let other_id: BootstrapToken = "abcdeg.0123456789abcdef".parse().unwrap();
        assert!(!other_id.has_signed("kind: Config\n", &signature));
        for damaged in ["", "..", &signature[1..], &signature.replace("..", ".x.")] {
            assert!(!token.has_signed("kind: Config\n", damaged), "{damaged}");
        }
    }

    #[test]
    fn a_header_that_asks_for_no_algorithm_is_refused() {
        let token: BootstrapToken = "abcdef.0123456789abcdef".parse().unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"abcdef"}"#);
        assert!(!token.has_signed("x", &format!("{none}..")));
    }
}
