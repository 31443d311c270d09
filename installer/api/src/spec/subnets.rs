//! One subnet, or an IPv4 and an IPv6 one.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use crate::text_form::serde_as_text;

/// One subnet, or two of different families for dual stack; written with a
/// comma between them, the first being the one that counts where there can be
/// only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnets {
    first: IpNet,
    second: Option<IpNet>,
}

impl Subnets {
    /// Returns a single subnet.
    pub const fn single(subnet: IpNet) -> Self {
        Self {
            first: subnet,
            second: None,
        }
    }

    /// Returns the first subnet.
    pub const fn first(&self) -> IpNet {
        self.first
    }

    /// Returns the subnets.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> {
        std::iter::once(self.first).chain(self.second)
    }

    /// Returns whether one of them is an IPv6 subnet.
    pub fn has_ipv6(&self) -> bool {
        self.iter().any(|subnet| matches!(subnet, IpNet::V6(_)))
    }

    /// Returns whether one of them is an IPv4 subnet.
    pub fn has_ipv4(&self) -> bool {
        self.iter().any(|subnet| matches!(subnet, IpNet::V4(_)))
    }
}

impl fmt::Display for Subnets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.second {
            None => write!(f, "{}", self.first),
            Some(second) => write!(f, "{},{second}", self.first),
        }
    }
}

/// Why a text is not [`Subnets`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSubnets {
    /// A part is no subnet.
    #[error("`{0}` is not a subnet")]
    NoSubnet(String),
    /// A part is an address with a prefix length.
    #[error("`{0}` is an address inside a subnet, not the subnet itself")]
    Address(IpNet),
    /// There are two of one family, or more than two.
    #[error("`{0}` is neither one subnet nor an IPv4 and an IPv6 one")]
    NotDualStack(String),
}

impl FromStr for Subnets {
    type Err = InvalidSubnets;

    fn from_str(text: &str) -> Result<Self, InvalidSubnets> {
        let short = |text: &str| text.chars().take(60).collect::<String>();
        let mut subnets = Vec::new();
        for part in text.split(',').take(3) {
            let subnet: IpNet = part
                .parse()
                .map_err(|_| InvalidSubnets::NoSubnet(short(part)))?;
            if subnet != subnet.trunc() {
                return Err(InvalidSubnets::Address(subnet));
            }
            subnets.push(subnet);
        }
        let is_v4 = |subnet: &IpNet| matches!(subnet, IpNet::V4(_));
        match subnets[..] {
            [first] => Ok(Self::single(first)),
            [first, second] if is_v4(&first) != is_v4(&second) => Ok(Self {
                first,
                second: Some(second),
            }),
            _ => Err(InvalidSubnets::NotDualStack(short(text))),
        }
    }
}

serde_as_text!(Subnets);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subnet_or_one_of_each_family_survive_a_round_trip() {
        for text in [
            "10.244.0.0/16",
            "fd00::/56",
            "10.96.0.0/12,fd00::/112",
            "fd00::/112,10.96.0.0/12",
        ] {
            assert_eq!(text.parse::<Subnets>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.1/16",
            "10.0.0.0/16,10.1.0.0/16",
            "10.0.0.0/16,fd00::/56,fd01::/56",
            "10.0.0.0/16, fd00::/56",
        ] {
            assert!(text.parse::<Subnets>().is_err(), "{text}");
        }
    }
}
