//! The real binary against SSH servers in this process, with fake hosts behind them.

#[cfg(test)]
mod certs;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod left_out;
#[cfg(test)]
mod output;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod ssh_host;
#[cfg(test)]
#[allow(dead_code, reason = "not all of the shared facts are needed here")]
#[path = "../../../planner/tests/planner/support.rs"]
mod support;
#[cfg(test)]
mod upload_certs;
