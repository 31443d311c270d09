//! The bytes of a user's file on their way to a host.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The bytes of a file that may be a secret: printed as `[redacted]`, wiped
/// from memory when dropped, written as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent(Zeroizing<Vec<u8>>);

impl FileContent {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileContent([redacted])")
    }
}

impl Serialize for FileContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(STANDARD.encode(&*self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The cause would quote a byte of the content.
        let bytes = STANDARD.decode(&*text);
        let bytes = bytes.map_err(|_| serde::de::Error::custom("the content is not base64"))?;
        Ok(Self::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_survives_the_way_and_is_never_printed() {
        let content = FileContent::new(b"hunter2\0\xff".to_vec());
        let json = serde_json::to_string(&content).unwrap();
        assert_eq!(serde_json::from_str::<FileContent>(&json).unwrap(), content);
        assert!(!format!("{content:?}").contains("hunter"));
        let error = serde_json::from_str::<FileContent>("\"hunter!\"").unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
}
