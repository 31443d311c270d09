//! Bytes as lower-case hexadecimal text.

use std::fmt::Write;

/// Returns `bytes` as lower-case hexadecimal digits without separators.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::to_hex;

    #[test]
    fn bytes_keep_their_leading_zeros() {
        assert_eq!(to_hex(&[0x00, 0x0a, 0xff]), "000aff");
    }
}
