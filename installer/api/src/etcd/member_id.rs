//! The number by which etcd knows a member.

use std::fmt;
use std::str::FromStr;

use crate::text_form::serde_as_text;

/// The number by which etcd knows a member, written as etcdctl writes it: hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtcdMemberId(u64);

impl EtcdMemberId {
    /// Returns the ID with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EtcdMemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:x}", self.0))
    }
}

impl fmt::Debug for EtcdMemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtcdMemberId({self})")
    }
}

/// The text is no member's ID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not the ID of an etcd member such as `8e9e05c52164694d`")]
pub struct InvalidEtcdMemberId(String);

impl FromStr for EtcdMemberId {
    type Err = InvalidEtcdMemberId;

    fn from_str(text: &str) -> Result<Self, InvalidEtcdMemberId> {
        let number = u64::from_str_radix(text, 16);
        number
            .map(Self)
            .map_err(|_| InvalidEtcdMemberId(text.chars().take(40).collect()))
    }
}

serde_as_text!(EtcdMemberId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_json_where_numbers_would_be_rounded() {
        let id = EtcdMemberId::new(0x8e9e_05c5_2164_694d);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"8e9e05c52164694d\"");
        assert_eq!(serde_json::from_str::<EtcdMemberId>(&json).unwrap(), id);
        assert!("member".parse::<EtcdMemberId>().is_err());
    }
}
