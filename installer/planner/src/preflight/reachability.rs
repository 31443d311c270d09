//! Which hosts reach which ports of which others.

use std::collections::BTreeMap;

use slipway_api::{
    ClusterSpec, Facts, Finding, HostName, ListenerState, Probe, ProbeOutcome, Severity, Transport,
};

use super::firewall::{VXLAN_PORT, open_command};
use super::probes::{ETCD_PORTS, KUBELET_PORT};
use super::{few, finding};
use crate::names::API_PORT;

/// What a closed port answers.
const REFUSED: &str = "the connection is refused";

/// A port of a host, and why it was not reached.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Trouble<'a> {
    to: &'a HostName,
    port: u16,
    transport: Transport,
    reason: String,
}

pub(super) fn check(spec: &ClusterSpec, facts: &Facts, found: &mut Vec<Finding>) {
    for (host, probes) in &facts.probes {
        if let Some(failure) = &probes.failure {
            found.push(finding(
                "Probes",
                Severity::Warning,
                Some(host),
                format!("it did not answer all probes: {failure}"),
                "what it reaches, and who reaches it, is not known in full",
                "run `slipway preflight` again",
            ));
        }
    }
    let mut troubles: BTreeMap<Trouble<'_>, Vec<&HostName>> = BTreeMap::new();
    for (from, probes) in &facts.probes {
        for (probe, outcome) in &probes.outcomes {
            if let Some(trouble) = trouble(facts, from, probe, outcome) {
                troubles.entry(trouble).or_default().push(from);
            }
        }
    }
    for (trouble, from) in troubles {
        if spec.host(trouble.to).is_some() {
            found.push(told(facts, &trouble, &from));
        }
    }
}

/// Returns what is wrong with a probe of another host's port, if anything is.
fn trouble<'a>(
    facts: &Facts,
    from: &HostName,
    probe: &'a Probe,
    outcome: &ProbeOutcome,
) -> Option<Trouble<'a>> {
    match probe {
        Probe::Connect { to, port, .. } => {
            let reason = match outcome {
                ProbeOutcome::Refused => REFUSED.to_owned(),
                ProbeOutcome::TimedOut => "nothing comes back".to_owned(),
                ProbeOutcome::Stranger => "something else answers".to_owned(),
                ProbeOutcome::Failed { reason } => reason.clone(),
                ProbeOutcome::Reached
                | ProbeOutcome::Sent { .. }
                | ProbeOutcome::Resolved { .. }
                | ProbeOutcome::Answered
                | ProbeOutcome::Folder { .. }
                | ProbeOutcome::Missing { .. }
                | ProbeOutcome::Unfit { .. }
                | ProbeOutcome::EtcdVersion { .. }
                | ProbeOutcome::Synced(_) => return None,
            };
            Some(Trouble {
                to,
                port: *port,
                transport: Transport::Tcp,
                reason,
            })
        }
        Probe::SendDatagrams { to, port, .. } => {
            let target = facts.probes.get(to)?;
            // Without an answer from the target nobody knows what arrived.
            let is_known = target.failure.is_none();
            let has_arrived = target.arrivals.iter().any(|arrival| arrival.from == *from);
            (is_known && !has_arrived).then(|| Trouble {
                to,
                port: *port,
                transport: Transport::Udp,
                reason: datagram_reason(outcome),
            })
        }
        Probe::ResolveName { .. }
        | Probe::AskNameServer { .. }
        | Probe::LookAtFolder { .. }
        | Probe::FindFiles { .. }
        | Probe::JudgeGiven { .. }
        | Probe::AskEtcdVersion { .. }
        | Probe::SyncFile { .. } => None,
    }
}

fn datagram_reason(outcome: &ProbeOutcome) -> String {
    match outcome {
        ProbeOutcome::Failed { reason } => reason.clone(),
        ProbeOutcome::Sent { failures } => match failures.first() {
            Some((_, reason)) => format!("they cannot be sent: {reason}"),
            None => "none arrives".to_owned(),
        },
        ProbeOutcome::Reached
        | ProbeOutcome::Stranger
        | ProbeOutcome::Refused
        | ProbeOutcome::TimedOut
        | ProbeOutcome::Resolved { .. }
        | ProbeOutcome::Answered
        | ProbeOutcome::Folder { .. }
        | ProbeOutcome::Missing { .. }
        | ProbeOutcome::Unfit { .. }
        | ProbeOutcome::EtcdVersion { .. }
        | ProbeOutcome::Synced(_) => "none arrives".to_owned(),
    }
}

fn told(facts: &Facts, trouble: &Trouble<'_>, from: &[&HostName]) -> Finding {
    let Trouble {
        to,
        port,
        transport,
        reason,
    } = trouble;
    let (id, opened) = match transport {
        Transport::Tcp => (format!("PortReachable-{port}"), format!("{port}/tcp")),
        Transport::Udp => (format!("PortReachable-{port}-udp"), format!("{port}/udp")),
    };
    let seen = format!(
        "{transport} port {port} is not reached from {}: {reason}",
        few(from.iter().copied())
    );
    let has_owner = facts.probes.get(*to).is_some_and(|probes| {
        !probes
            .listeners
            .iter()
            .any(|(listener, state)| listener.port == *port && *state == ListenerState::Open)
    });
    let help = match reason.as_str() {
        "something else answers" => format!(
            "find out who has the address: `ip neigh` on {}; a proxy or a second machine may have it",
            from[0]
        ),
        REFUSED if has_owner => format!(
            "the program that listens may be bound to another address: `ss -ltnp 'sport = :{port}'` on {to}"
        ),
        _ => match facts.host(to) {
            Some(host) => format!("on {to}: {}", open_command(host, &[opened.as_str()])),
            None => format!("let {opened} through to {to}"),
        },
    };
    // An etcd that was removed while its host was away starts and ends again and again. It is
    // cleared away before it joins, and its ports are tried for real before it is a member.
    let is_old_member =
        ETCD_PORTS.contains(port) && facts.host(to).is_some_and(|host| host.existing.etcd_data);
    let severity = match reason.as_str() == REFUSED && has_owner && is_old_member {
        true => Severity::Warning,
        false => Severity::Error,
    };
    finding(&id, severity, Some(to), seen, why(*port), help)
}

fn why(port: u16) -> &'static str {
    match port {
        API_PORT => "every node talks to the API server there",
        KUBELET_PORT => "the API server reaches the kubelet there: logs, exec, metrics",
        VXLAN_PORT => "flannel carries packets between pods of different nodes there",
        port if ETCD_PORTS.contains(&port) => "API servers and etcd's members talk there",
        _ => "a component of Kubernetes is reached there",
    }
}
