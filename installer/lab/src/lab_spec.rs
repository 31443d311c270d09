//! What a lab should be: how many hosts, and for which Kubernetes version.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use slipway_api::{KubernetesVersion, Role};

use crate::LabError;

/// The most control-plane hosts: their addresses end in 11 to 19.
const MAX_CONTROL_PLANES: u8 = 9;

/// The most worker hosts: their addresses end in 21 to 220.
const MAX_WORKERS: u8 = 200;

/// The longest name of a lab: container and volume names are made from it.
const MAX_NAME: usize = 32;

/// A lab's name and shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSpec {
    /// The lab's and the cluster's name: an RFC 1123 label of at most 32 characters.
    pub name: String,
    /// How many hosts are to be control-plane nodes: 1 to 9.
    pub control_planes: u8,
    /// How many hosts are to be worker nodes: 0 to 200.
    pub workers: u8,
    /// The version that the cluster file asks for, with or without the leading `v`.
    pub kubernetes_version: String,
}

/// One host that a lab has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedHost {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) role: Role,
}

impl LabSpec {
    /// Checks the name, the numbers and the version.
    ///
    /// # Errors
    /// [`LabError::InvalidSpec`].
    pub fn validate(&self) -> Result<(), LabError> {
        check_name(&self.name)?;
        let invalid = |reason: String| Err(LabError::InvalidSpec { reason });
        if !(1..=MAX_CONTROL_PLANES).contains(&self.control_planes) {
            return invalid(format!(
                "a lab has 1 to {MAX_CONTROL_PLANES} control-plane hosts, not {}",
                self.control_planes
            ));
        }
        if self.workers > MAX_WORKERS {
            return invalid(format!(
                "a lab has at most {MAX_WORKERS} worker hosts, not {}",
                self.workers
            ));
        }
        match self.kubernetes_version.parse::<KubernetesVersion>() {
            Ok(_) => Ok(()),
            Err(error) => invalid(error.to_string()),
        }
    }

    /// Returns the hosts with their addresses in `subnet`, control-plane hosts first.
    pub(crate) fn planned_hosts(&self, subnet: Ipv4Net) -> Vec<PlannedHost> {
        let network = u32::from(subnet.network());
        let host = |prefix: &str, number: u8, base: u32, role: Role| PlannedHost {
            name: format!("{prefix}-{number}"),
            address: Ipv4Addr::from(network + base + u32::from(number)),
            role,
        };
        let control_planes =
            (1..=self.control_planes).map(|number| host("cp", number, 10, Role::ControlPlane));
        let workers = (1..=self.workers).map(|number| host("w", number, 20, Role::Worker));
        control_planes.chain(workers).collect()
    }
}

/// Checks that `name` can name a lab: it becomes part of paths and container names.
///
/// # Errors
/// [`LabError::InvalidSpec`].
pub(crate) fn check_name(name: &str) -> Result<(), LabError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| is_plain(byte) || byte == b'-')
        && name.bytes().next().is_some_and(is_plain)
        && name.bytes().last().is_some_and(is_plain);
    if fits {
        return Ok(());
    }
    Err(LabError::InvalidSpec {
        reason: format!(
            "`{}` cannot name a lab: lower-case letters, digits and `-`, beginning and ending with a letter or digit, at most {MAX_NAME} characters",
            name.chars().take(80).collect::<String>()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, control_planes: u8, workers: u8, version: &str) -> LabSpec {
        LabSpec {
            name: name.to_owned(),
            control_planes,
            workers,
            kubernetes_version: version.to_owned(),
        }
    }

    #[test]
    fn a_small_lab_is_valid() {
        assert!(spec("dev", 1, 2, "v1.36.3").validate().is_ok());
        assert!(spec("a-1", 1, 0, "1.35.4").validate().is_ok());
    }

    #[test]
    fn impossible_shapes_names_and_versions_are_refused() {
        for refused in [
            spec("dev", 0, 2, "1.36.3"),
            spec("dev", 10, 2, "1.36.3"),
            spec("dev", 1, 201, "1.36.3"),
            spec("dev", 1, 2, "1.36"),
            spec("", 1, 2, "1.36.3"),
            spec("../x", 1, 2, "1.36.3"),
            spec("-x", 1, 2, "1.36.3"),
            spec("Dev", 1, 2, "1.36.3"),
        ] {
            assert!(refused.validate().is_err(), "{refused:?}");
        }
    }

    #[test]
    fn control_plane_hosts_come_first_and_addresses_never_meet() {
        let subnet = "10.77.3.0/24".parse().expect("a subnet");
        let hosts = spec("dev", 9, 200, "1.36.3").planned_hosts(subnet);
        assert_eq!(hosts[0].name, "cp-1");
        assert_eq!(hosts[0].address, Ipv4Addr::new(10, 77, 3, 11));
        assert_eq!(hosts[9].name, "w-1");
        assert_eq!(hosts[9].address, Ipv4Addr::new(10, 77, 3, 21));
        let mut addresses: Vec<_> = hosts.iter().map(|host| host.address).collect();
        addresses.dedup();
        assert_eq!(addresses.len(), 209);
        assert!(addresses.iter().all(|address| subnet.contains(address)));
    }
}
