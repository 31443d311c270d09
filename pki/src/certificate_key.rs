//! The key under which kubeadm keeps the authorities for further control-plane nodes.

use std::fmt;

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, RandomizedNonceKey, UnboundKey,
};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::PkiError;
use crate::hex::to_hex;

/// The key's length in bytes. Source: kubeadm's `CertificateKeySize`.
const LENGTH: usize = 32;

/// A certificate key, a secret: whoever has it and may read the Secret `kubeadm-certs` has the
/// cluster's authorities.
pub struct CertificateKey(Zeroizing<[u8; LENGTH]>);

impl CertificateKey {
    /// Generates a new key.
    ///
    /// # Errors
    /// [`PkiError::Random`] when the random generator fails.
    pub fn generate() -> Result<Self, PkiError> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        rand::fill(&mut *bytes).map_err(|_| PkiError::Random)?;
        Ok(Self(bytes))
    }

    /// Returns the key as `kubeadm join --certificate-key` takes it, 64 hexadecimal digits.
    /// Never log it or put it into a process's arguments.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(to_hex(&*self.0))
    }

    /// Reads a key that was printed: 64 hexadecimal digits, white space around them aside.
    ///
    /// # Errors
    /// [`PkiError::CertificateKey`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, PkiError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 2 * LENGTH {
            return Err(PkiError::CertificateKey);
        }
        let mut bytes = Zeroizing::new([0; LENGTH]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(PkiError::CertificateKey);
            };
            *byte = u8::try_from(high * 16 + low).map_err(|_| PkiError::CertificateKey)?;
        }
        Ok(Self(bytes))
    }

    /// Returns what [`Self::seal`] was given.
    ///
    /// # Errors
    /// [`PkiError::Open`] when another key sealed it, or it was changed since.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, PkiError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(PkiError::Open)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| PkiError::Open)?;
        let key = UnboundKey::new(&AES_256_GCM, &*self.0).map_err(|_| PkiError::Open)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), &mut text);
        let length = opened.map_err(|_| PkiError::Open)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// Returns `plain` as kubeadm encrypts it: a random nonce, then AES-256-GCM's text and tag.
    /// Source: kubeadm's `EncryptBytes`.
    ///
    /// # Errors
    /// [`PkiError::Seal`] when the library refuses.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, PkiError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.0).map_err(|_| PkiError::Seal)?;
        // Room for the tag, so that growing leaves no copy of a key behind.
        let mut text = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(plain);
        let nonce = key
            .seal_in_place_append_tag(Aad::empty(), &mut text)
            .map_err(|_| PkiError::Seal)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(sealed)
    }
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use aes_gcm::aead::Aead;
    use aes_gcm::{Aes256Gcm, KeyInit};

    use super::*;

    /// Opens with another library than the one that sealed, from the printed key.
    fn open(printed: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let digits = printed.as_bytes().chunks(2);
        let key: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let (nonce, text) = sealed.split_at_checked(12)?;
        let cipher = Aes256Gcm::new_from_slice(&key).unwrap();
        cipher.decrypt(nonce.try_into().unwrap(), text).ok()
    }

    #[test]
    fn what_is_sealed_opens_with_the_printed_key_and_no_other() {
        let (key, other) = (
            CertificateKey::generate().unwrap(),
            CertificateKey::generate().unwrap(),
        );
        for plain in [&b""[..], b"-----BEGIN EC PRIVATE KEY-----\n"] {
            let sealed = key.seal(plain).unwrap();
            assert_eq!(sealed.len(), 12 + plain.len() + 16);
            assert_eq!(open(&key.expose(), &sealed).as_deref(), Some(plain));
            assert_eq!(open(&other.expose(), &sealed), None);
            let again = CertificateKey::parse(&format!("{}\n", *key.expose())).unwrap();
            assert_eq!(again.open(&sealed).unwrap().as_slice(), plain);
            assert!(other.open(&sealed).is_err());
            assert!(again.open(&sealed[1..]).is_err());
        }
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_key() {
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(CertificateKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_is_sealed_alike_twice() {
        let key = CertificateKey::generate().unwrap();
        assert_ne!(key.seal(b"key").unwrap(), key.seal(b"key").unwrap());
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_is_not_shown() {
        let key = CertificateKey::generate().unwrap();
        let printed = key.expose();
        assert_eq!(printed.len(), 64);
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(printed.bytes().all(is_digit));
        assert!(!format!("{key:?}").contains(printed.as_str()));
    }
}
