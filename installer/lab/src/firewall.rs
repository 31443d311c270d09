//! The table that keeps a lab's traffic inside and counts what tried to leave.

use serde_json::Value;

use crate::LabError;
use crate::command::Program;

/// The counter's name in the lab's table.
const COUNTER: &str = "escaped";
/// The set that says from where to where the counted packets went, for whoever
/// wonders: `nft list set inet slipway-lab-NAME escaped-from-to`.
const SOURCES_AND_DESTINATIONS: &str = "escaped-from-to";
/// kubeadm's default Service subnet and flannel's usual pod subnet. Until
/// kube-proxy has written its rules, and after a node with its pods left,
/// packets to such addresses follow the host's default route: they go nowhere on
/// any host, are dropped here too, and are no attempt to leave the lab.
const CLUSTER_SUBNETS: &str = "{ 10.96.0.0/12, 10.244.0.0/16 }";

/// Closes the lab's bridge: what this machine would forward out of the lab is
/// counted and dropped, what others would send in is dropped.
///
/// The table's own chain runs before the usual filter chains (priority
/// `mangle`), so no engine's rule can let a packet pass. Traffic between hosts
/// and with this machine is not touched. A packet that this machine has no
/// route for never reaches the chain: it is answered "unreachable", not counted.
///
/// # Errors
/// `nft` cannot be run or refuses.
pub(crate) async fn close_bridge(lab: &str, bridge: &str) -> Result<(), LabError> {
    let rules = table_text(lab, bridge);
    Program::new("nft")
        .args(["-f", "-"])
        .stdin(rules)
        .run()
        .await
        .map(drop)
}

/// Returns whether the lab's table exists.
///
/// # Errors
/// `nft` cannot be run.
pub(crate) async fn is_closed(lab: &str) -> Result<bool, LabError> {
    let list = Program::new("nft").args(["list", "counter", "inet", &table(lab), COUNTER]);
    Ok(list.output().await?.is_success())
}

/// Removes the lab's table; returns whether there was one.
///
/// # Errors
/// `nft` cannot be run or refuses.
pub(crate) async fn remove_table(lab: &str) -> Result<bool, LabError> {
    if !is_closed(lab).await? {
        return Ok(false);
    }
    let delete = Program::new("nft").args(["delete", "table", "inet", &table(lab)]);
    delete.run().await.map(|_| true)
}

/// Returns how many packets were kept from leaving the lab.
///
/// # Errors
/// [`LabError::NoCounter`] when the table is gone.
pub(crate) async fn escaped_packets(lab: &str) -> Result<u64, LabError> {
    let list = Program::new("nft").args(["-j", "list", "counter", "inet", &table(lab), COUNTER]);
    let output = list.output().await?;
    let no_counter = || LabError::NoCounter {
        name: lab.to_owned(),
    };
    if !output.is_success() {
        return Err(no_counter());
    }
    let listing = serde_json::from_str(&output.stdout).map_err(|source| LabError::Unreadable {
        what: "the output of `nft -j list counter`".to_owned(),
        source,
    })?;
    parse_packets(&listing).ok_or_else(no_counter)
}

fn table(lab: &str) -> String {
    format!("slipway-lab-{lab}")
}

fn table_text(lab: &str, bridge: &str) -> String {
    let table = table(lab);
    format!(
        r#"table inet {table} {{
  counter {COUNTER} {{
  }}
  set {SOURCES_AND_DESTINATIONS} {{
    type ipv4_addr . ipv4_addr
    size 1024
    flags dynamic
  }}
  chain forward {{
    type filter hook forward priority -150; policy accept;
    iifname "{bridge}" oifname != "{bridge}" ip daddr {CLUSTER_SUBNETS} drop
    iifname "{bridge}" oifname != "{bridge}" add @{SOURCES_AND_DESTINATIONS} {{ ip saddr . ip daddr }}
    iifname "{bridge}" oifname != "{bridge}" counter name "{COUNTER}" drop
    oifname "{bridge}" iifname != "{bridge}" drop
  }}
}}
"#
    )
}

fn parse_packets(listing: &Value) -> Option<u64> {
    let items = listing.get("nftables")?.as_array()?;
    items
        .iter()
        .find_map(|item| item.get("counter")?.get("packets")?.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_before_it_drops_and_names_only_the_lab_s_bridge() {
        let text = table_text("dev", "podman7");
        assert!(text.starts_with("table inet slipway-lab-dev {"));
        assert!(
            text.contains(r#"iifname "podman7" oifname != "podman7" counter name "escaped" drop"#)
        );
        assert_eq!(text.matches("drop").count(), 3);
    }

    #[test]
    fn packets_are_read_from_nft_s_json() {
        let listing = serde_json::json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"counter": {"family": "inet", "name": "escaped", "packets": 7, "bytes": 420}},
        ]});
        assert_eq!(parse_packets(&listing), Some(7));
        assert_eq!(parse_packets(&serde_json::json!({"nftables": []})), None);
    }
}
