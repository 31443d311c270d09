//! PEM blocks, read as leniently as Go reads them and written as Go writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::PkiError;

/// Label of an X.509 certificate.
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a PKCS#10 certificate request.
pub(crate) const CERTIFICATE_REQUEST: &str = "CERTIFICATE REQUEST";
/// Label of a PKCS#1 RSA private key.
pub(crate) const RSA_PRIVATE_KEY: &str = "RSA PRIVATE KEY";
/// Label of a SEC 1 elliptic curve private key.
pub(crate) const EC_PRIVATE_KEY: &str = "EC PRIVATE KEY";
/// Label of a PKCS#8 private key.
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY";
/// Label of a PKCS#8 private key behind a passphrase.
pub(crate) const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";
/// Label of a PKIX public key.
pub(crate) const PUBLIC_KEY: &str = "PUBLIC KEY";

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Characters of base64 in a line, as in RFC 7468.
const LINE: usize = 64;

/// One block of a PEM text.
pub(crate) struct PemBlock {
    pub(crate) label: String,
    /// Whether the block has the old header that says it is encrypted (RFC 1421).
    pub(crate) is_encrypted: bool,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Returns all blocks of `text`; text around them is skipped.
pub(crate) fn parse_pem(text: &str) -> Result<Vec<PemBlock>, PkiError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let after_begin = &rest[begin + BEGIN.len()..];
        let (label, body_and_rest) =
            after_begin
                .split_once(DASHES)
                .ok_or_else(|| PkiError::PemDamaged {
                    label: first_word(after_begin),
                })?;
        let damaged = || PkiError::PemDamaged {
            label: label.to_owned(),
        };
        let (body, after_end) = body_and_rest
            .split_once(&format!("-----END {label}-----"))
            .ok_or_else(damaged)?;
        blocks.push(parse_block(label, body).ok_or_else(damaged)?);
        rest = after_end;
    }
    Ok(blocks)
}

/// Returns `der` as one PEM block with a final line break.
pub(crate) fn encode_pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let mut base64 = Zeroizing::new(String::with_capacity(der.len() * 4 / 3 + 4));
    STANDARD.encode_string(der, &mut base64);

    // Reserved in full, so that no growing leaves copies of a key behind.
    let capacity = base64.len() + base64.len() / LINE + 2 * label.len() + 40;
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    text.push_str(BEGIN);
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest: &str = &base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

fn parse_block(label: &str, body: &str) -> Option<PemBlock> {
    // Base64 has no colon: a line with one is a header of RFC 1421.
    let (headers, lines): (Vec<&str>, Vec<&str>) =
        body.lines().partition(|line| line.contains(':'));
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(
        lines
            .into_iter()
            .flat_map(|line| line.chars().filter(|c| !c.is_ascii_whitespace())),
    );

    let is_encrypted = headers.iter().any(|header| header.contains("ENCRYPTED"));
    let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
    STANDARD.decode_vec(base64.as_bytes(), &mut der).ok()?;
    Some(PemBlock {
        label: label.to_owned(),
        is_encrypted,
        der,
    })
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_back_whatever_its_length() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let der = vec![0xa5; length];
            let text = encode_pem(CERTIFICATE, &der);
            assert!(text.lines().all(|line| line.len() <= LINE));
            let blocks = parse_pem(&text).unwrap();
            assert_eq!(blocks.len(), 1);
            assert_eq!(*blocks[0].der, der);
        }
    }

    #[test]
    fn text_between_blocks_and_windows_line_ends_are_skipped() {
        let text = "subject=/CN=a\r\n-----BEGIN A-----\r\nAQ==\r\n-----END A-----\r\nnote\r\n\
                    -----BEGIN B-----\r\n AgM=\r\n-----END B-----";
        let blocks = parse_pem(text).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(*blocks[0].der, [1]);
        assert_eq!(*blocks[1].der, [2, 3]);
    }

    #[test]
    fn a_damaged_block_is_named_without_its_content() {
        for text in [
            "-----BEGIN A-----\nAQ==\n",
            "-----BEGIN A-----\n*secret*\n-----END A-----\n",
            "-----BEGIN A",
        ] {
            let error = parse_pem(text).err().unwrap();
            assert_eq!(error.to_string(), "the PEM block `A` is damaged");
        }
    }
}
