//! Lets control-plane hosts prove that their etcds will reach each other,
//! before one of them becomes a member.

use std::net::IpAddr;
use std::sync::Arc;

use futures::future::join_all;
use slipway_api::protocol::{Reply, Request};
use slipway_api::step::JoinEtcd;
use slipway_api::{Failure, HostName};
use slipway_hosts::Host;

use crate::run_step::{Hosts, find};
use crate::step_error::StepError;

/// After this time ports close by themselves, in seconds.
const BOUND: u64 = 30;

/// One way between two hosts.
struct Way<'a> {
    from: &'a HostName,
    to: &'a HostName,
    address: IpAddr,
}

/// Opens etcd's ports on `host` and lets it and every member try each other's,
/// over TLS with etcd's own certificates.
///
/// # Errors
/// Some way is blocked: all that are, are named with both hosts.
pub(crate) async fn prove_etcd_ports(
    host: &HostName,
    step: &JoinEtcd,
    hosts: &Hosts,
) -> Result<(), StepError> {
    let joining = find(hosts, host)?;
    let request = Request::OpenEtcdPorts {
        address: step.address,
        seconds: BOUND,
    };
    done(host, joining, request).await?;
    let ways = step.peers.iter().flat_map(|peer| {
        let there = Way {
            from: host,
            to: &peer.host,
            address: peer.address,
        };
        let back = Way {
            from: &peer.host,
            to: host,
            address: step.address,
        };
        [there, back]
    });
    let tried = join_all(ways.map(|way| blocked(way, hosts))).await;
    // Whatever came of it, etcd itself needs the ports now.
    done(host, joining, Request::CloseEtcdPorts).await?;
    let mut blocked = Vec::new();
    for found in tried {
        blocked.extend(found?);
    }
    if blocked.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::because(format!(
        "etcd on {host} was not added to the others: {}",
        blocked.join("; ")
    ));
    failure.help = Some(
        "let 2379/tcp and 2380/tcp through in both directions between control-plane hosts, and run the same command again"
            .to_owned(),
    );
    Err(failure.into())
}

/// Returns what is blocked on one way.
async fn blocked(way: Way<'_>, hosts: &Hosts) -> Result<Vec<String>, StepError> {
    let host = find(hosts, way.from)?;
    let request = Request::TryEtcdPorts {
        address: way.address,
    };
    let reply = host.request(request, &|_| {}).await;
    let reply = reply.map_err(StepError::on(way.from))?;
    let Reply::EtcdPorts { unreached } = reply else {
        return Err(StepError::unexpected(&reply));
    };
    let name = |(port, reason): (u16, String)| {
        format!(
            "{} does not reach TCP port {port} of {}: {reason}",
            way.from, way.to
        )
    };
    Ok(unreached.into_iter().map(name).collect())
}

async fn done(name: &HostName, host: &Arc<dyn Host>, request: Request) -> Result<(), StepError> {
    let reply = host.request(request, &|_| {}).await;
    let reply = reply.map_err(StepError::on(name))?;
    let Reply::Done { .. } = reply else {
        return Err(StepError::unexpected(&reply));
    };
    Ok(())
}
