//! Netfilter rules as this host has them, and what of them is Kubernetes'.

mod ipset;
mod iptables;
mod ipvs;
mod nft;
mod ours;
mod table;

pub(crate) use ipset::our_sets;
pub(crate) use iptables::{parse_iptables, removal_script as iptables_script};
pub(crate) use ipvs::{VirtualServer, parse_virtual_servers};
pub(crate) use nft::{parse_nft, removal_script as nft_script};
pub(crate) use ours::{Ours, chains_of_networks};
pub(crate) use table::{Chain, Removal, Rule, Table};
