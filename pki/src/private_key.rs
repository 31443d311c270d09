//! Private keys, in the PEM forms that kubeadm writes.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use pkcs8::PrivateKeyInfoRef;
use zeroize::Zeroizing;

use crate::encoding::SignatureAlgorithm;
use crate::pem::{
    EC_PRIVATE_KEY, ENCRYPTED_PRIVATE_KEY, PRIVATE_KEY, PUBLIC_KEY, PemBlock, RSA_PRIVATE_KEY,
    encode_pem, parse_pem,
};
use crate::{KeyAlgorithm, PkiError};

/// An RSA or ECDSA private key; clones share the key.
#[derive(Clone)]
pub struct PrivateKey {
    pair: Arc<Pair>,
}

enum Pair {
    Rsa(RsaKeyPair),
    EcdsaP256(EcdsaKeyPair),
    EcdsaP384(EcdsaKeyPair),
}

impl PrivateKey {
    /// Generates a new key.
    ///
    /// # Errors
    /// [`PkiError::GenerateKey`] when the random generator fails.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, PkiError> {
        let pair = match algorithm {
            KeyAlgorithm::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            KeyAlgorithm::Rsa3072 => RsaKeyPair::generate(KeySize::Rsa3072).map(Pair::Rsa),
            KeyAlgorithm::Rsa4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(Pair::Rsa),
            KeyAlgorithm::EcdsaP256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Pair::EcdsaP256)
            }
            KeyAlgorithm::EcdsaP384 => {
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Pair::EcdsaP384)
            }
        };
        pair.map(Self::from)
            .map_err(|_| PkiError::GenerateKey { algorithm })
    }

    /// Reads the first private key of a PEM text: PKCS#1, SEC 1 or PKCS#8.
    ///
    /// # Errors
    /// [`PkiError::PemBlockMissing`] without a key, [`PkiError::KeyEncrypted`] with a passphrase,
    /// [`PkiError::KeyUnsupported`] for other algorithms, sizes and damaged keys.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        for block in parse_pem(text)? {
            if let Some(key) = Self::from_block(&block)? {
                return Ok(key);
            }
        }
        Err(PkiError::PemBlockMissing {
            wanted: "private key",
        })
    }

    /// Returns the key as kubeadm writes it: `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC 1).
    pub fn to_pem(&self) -> Zeroizing<String> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'_> =
                    pair.as_der().expect("a sound RSA key has a PKCS#8 form");
                // PKCS#8 wraps PKCS#1, which is what kubeadm writes.
                let info = PrivateKeyInfoRef::try_from(document.as_ref())
                    .expect("the PKCS#8 form was written by the library a line above");
                encode_pem(RSA_PRIVATE_KEY, info.private_key.as_bytes())
            }
            Pair::EcdsaP256(pair) | Pair::EcdsaP384(pair) => {
                let private_key = pair.private_key();
                let document: EcPrivateKeyRfc5915Der<'_> = private_key
                    .as_der()
                    .expect("a sound ECDSA key has a SEC 1 form");
                encode_pem(EC_PRIVATE_KEY, document.as_ref())
            }
        }
    }

    /// Returns the public half as `PUBLIC KEY` (PKIX), the form of `sa.pub`.
    pub fn public_pem(&self) -> String {
        encode_pem(PUBLIC_KEY, &self.public_key_info()).to_string()
    }

    /// Returns whether `public_pem` holds this key's public half, possibly among others as in an
    /// `sa.pub` that still knows an older key; `None` if it holds no `PUBLIC KEY` (PKIX) to compare.
    ///
    /// # Errors
    /// [`PkiError::PemDamaged`].
    pub fn is_known_to(&self, public_pem: &str) -> Result<Option<bool>, PkiError> {
        let blocks = parse_pem(public_pem)?;
        let mut keys = blocks
            .iter()
            .filter(|block| block.label == PUBLIC_KEY)
            .peekable();
        if keys.peek().is_none() {
            return Ok(None);
        }
        let own = self.public_key_info();
        Ok(Some(keys.any(|block| block.der[..] == own[..])))
    }

    /// Returns the key's algorithm, or `None` for an RSA key of a size that kubeadm does not make.
    pub fn algorithm(&self) -> Option<KeyAlgorithm> {
        match &*self.pair {
            Pair::Rsa(pair) => match pair.public_modulus_len() * 8 {
                2048 => Some(KeyAlgorithm::Rsa2048),
                3072 => Some(KeyAlgorithm::Rsa3072),
                4096 => Some(KeyAlgorithm::Rsa4096),
                _ => None,
            },
            Pair::EcdsaP256(_) => Some(KeyAlgorithm::EcdsaP256),
            Pair::EcdsaP384(_) => Some(KeyAlgorithm::EcdsaP384),
        }
    }

    /// Returns the DER of the public key's SubjectPublicKeyInfo.
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        let document: Result<PublicKeyX509Der<'_>, _> = match &*self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::EcdsaP256(pair) | Pair::EcdsaP384(pair) => pair.public_key().as_der(),
        };
        let document = document.expect("a sound key has a public half");
        document.as_ref().to_vec()
    }

    /// Returns what the BIT STRING of the SubjectPublicKeyInfo holds.
    pub(crate) fn public_key_bytes(&self) -> &[u8] {
        match &*self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::EcdsaP256(pair) | Pair::EcdsaP384(pair) => pair.public_key().as_ref(),
        }
    }

    /// Returns the algorithm of this key's signatures, the one that Go chooses for such a key.
    pub(crate) fn signature_algorithm(&self) -> SignatureAlgorithm {
        match &*self.pair {
            Pair::Rsa(_) => SignatureAlgorithm::RsaSha256,
            Pair::EcdsaP256(_) => SignatureAlgorithm::EcdsaSha256,
            Pair::EcdsaP384(_) => SignatureAlgorithm::EcdsaSha384,
        }
    }

    /// Signs `message` with [`Self::signature_algorithm`].
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| PkiError::Sign)?;
                Ok(signature)
            }
            Pair::EcdsaP256(pair) | Pair::EcdsaP384(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| PkiError::Sign),
        }
    }

    fn from_block(block: &PemBlock) -> Result<Option<Self>, PkiError> {
        let der = block.der.as_slice();
        let pair = match block.label.as_str() {
            ENCRYPTED_PRIVATE_KEY => return Err(PkiError::KeyEncrypted),
            RSA_PRIVATE_KEY | EC_PRIVATE_KEY if block.is_encrypted => {
                return Err(PkiError::KeyEncrypted);
            }
            RSA_PRIVATE_KEY => RsaKeyPair::from_der(der).ok().map(Pair::Rsa),
            EC_PRIVATE_KEY => parse_ecdsa(der),
            PRIVATE_KEY => RsaKeyPair::from_pkcs8(der)
                .ok()
                .map(Pair::Rsa)
                .or_else(|| parse_ecdsa(der)),
            _ => return Ok(None),
        };
        pair.map(|pair| Some(Self::from(pair)))
            .ok_or(PkiError::KeyUnsupported)
    }
}

impl From<Pair> for PrivateKey {
    fn from(pair: Pair) -> Self {
        Self {
            pair: Arc::new(pair),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// SEC 1 may leave the curve out, so the curves are tried in turn.
fn parse_ecdsa(der: &[u8]) -> Option<Pair> {
    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
        .map(Pair::EcdsaP256)
        .or_else(|_| {
            EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_ASN1_SIGNING, der)
                .map(Pair::EcdsaP384)
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_survives_its_pem_form() {
        for algorithm in KeyAlgorithm::ALL {
            let key = PrivateKey::generate(algorithm).unwrap();
            let read = PrivateKey::from_pem(&key.to_pem()).unwrap();
            assert_eq!(read.algorithm(), Some(algorithm));
            assert_eq!(read.to_pem(), key.to_pem());
            assert_eq!(read.public_pem(), key.public_pem());
        }
    }

    #[test]
    fn debug_output_does_not_show_the_key() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "[redacted]");
    }

    #[test]
    fn keys_that_cannot_be_used_are_told_apart() {
        let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQ==\n\
                         -----END RSA PRIVATE KEY-----\n";
        let damaged = "-----BEGIN EC PRIVATE KEY-----\nAQ==\n-----END EC PRIVATE KEY-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            PrivateKey::from_pem(encrypted),
            Err(PkiError::KeyEncrypted)
        ));
        assert!(matches!(
            PrivateKey::from_pem(damaged),
            Err(PkiError::KeyUnsupported)
        ));
        assert!(matches!(
            PrivateKey::from_pem(certificate),
            Err(PkiError::PemBlockMissing { .. })
        ));
    }
}
