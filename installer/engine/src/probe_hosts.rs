//! Probes: hosts open ports, reach for each other's, and tell what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    ClockOffset, ClusterSpec, Facts, Failure, HostName, HostProbes, Probe, ProbeListener,
};
use slipway_hosts::Host;
use slipway_planner::Scope;
use slipway_planner::preflight::{plan_listeners, plan_probes};

use crate::Fleet;
use crate::observe::unexpected;

/// How often each clock is read: the quickest answer is the most exact one.
const CLOCK_READINGS: usize = 3;

/// After this time ports close by themselves, in seconds.
const LISTENERS_BOUND: u64 = 30;

/// How long one request may take; agents bound what they try themselves.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// How long the last datagrams may be on their way.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(300);

/// What is known of each host so far.
type Found = BTreeMap<HostName, HostProbes>;

/// Lets the hosts probe clocks, network, names and disks, all at once, and
/// returns what came of it. A host that does not answer says so in its part.
///
/// The ports that are opened close at the end, whatever happens: here, with
/// the agents' channels, or at a bound.
pub async fn probe_hosts(
    fleet: &Fleet,
    spec: &ClusterSpec,
    facts: &Facts,
    scope: &Scope,
) -> BTreeMap<HostName, HostProbes> {
    let hosts: BTreeMap<&HostName, &Arc<dyn Host>> = facts
        .hosts
        .keys()
        .filter(|name| facts.host(name).is_some())
        .filter_map(|name| Some((name, fleet.host(name)?)))
        .collect();
    let nonce = nonce();
    let mut found: Found = hosts
        .keys()
        .map(|name| ((*name).clone(), HostProbes::default()))
        .collect();

    let clocks = hosts
        .iter()
        .map(|(name, host)| async move { ((*name).clone(), read_clock(host).await) });
    for (name, clock) in join_all(clocks).await {
        note(&mut found, &name, clock, |probes, clock| {
            probes.clock = Some(clock);
        });
    }

    let wanted = plan_listeners(spec, facts, scope);
    let opening = |_: &HostName, listeners: &Vec<ProbeListener>| Request::OpenListeners {
        nonce: nonce.clone(),
        listeners: listeners.clone(),
        seconds: LISTENERS_BOUND,
    };
    for (name, reply) in ask_all(&hosts, &wanted, opening).await {
        let states = reply.and_then(|reply| {
            if let Reply::Listeners { states } = reply {
                Ok(states)
            } else {
                Err(unexpected(&reply))
            }
        });
        note(&mut found, &name, states, |probes, states| {
            let listeners = wanted.get(&name).into_iter().flatten().copied();
            probes.listeners = listeners.zip(states).collect();
        });
    }

    let planned = plan_probes(spec, facts, scope, &found);
    let trying = |name: &HostName, probes: &Vec<Probe>| Request::RunProbes {
        nonce: nonce.clone(),
        from: name.clone(),
        probes: probes.clone(),
    };
    for (name, reply) in ask_all(&hosts, &planned, trying).await {
        let outcomes = reply.and_then(|reply| {
            if let Reply::Probes { outcomes } = reply {
                Ok(outcomes)
            } else {
                Err(unexpected(&reply))
            }
        });
        note(&mut found, &name, outcomes, |probes, outcomes| {
            let planned = planned.get(&name).into_iter().flatten().cloned();
            probes.outcomes = planned.zip(outcomes).collect();
        });
    }

    tokio::time::sleep(ARRIVAL_PAUSE).await;
    for (name, reply) in ask_all(&hosts, &wanted, |_, _| Request::CloseListeners).await {
        let arrivals = reply.and_then(|reply| {
            if let Reply::Arrivals { arrivals } = reply {
                Ok(arrivals)
            } else {
                Err(unexpected(&reply))
            }
        });
        note(&mut found, &name, arrivals, |probes, arrivals| {
            probes.arrivals = arrivals;
        });
    }
    found
}

/// Asks each host of `wanted` at once.
async fn ask_all<T>(
    hosts: &BTreeMap<&HostName, &Arc<dyn Host>>,
    wanted: &BTreeMap<HostName, T>,
    request: impl Fn(&HostName, &T) -> Request,
) -> Vec<(HostName, Result<Reply, Failure>)> {
    let asking = wanted
        .iter()
        .filter_map(|(name, what)| Some((name, *hosts.get(name)?, request(name, what))))
        .map(|(name, host, request)| async move { (name.clone(), ask(host, request).await) });
    join_all(asking).await
}

async fn ask(host: &Arc<dyn Host>, request: Request) -> Result<Reply, Failure> {
    let asked = host.request(request, &|_| {});
    match tokio::time::timeout(REQUEST_LIMIT, asked).await {
        Ok(reply) => reply.map_err(|error| error.to_failure()),
        Err(_) => Err(Failure::because(format!(
            "no answer within {} s",
            REQUEST_LIMIT.as_secs()
        ))),
    }
}

/// Notes an answer of a host, or the first reason why it has none.
fn note<T>(
    found: &mut Found,
    name: &HostName,
    answer: Result<T, Failure>,
    take: impl FnOnce(&mut HostProbes, T),
) {
    let probes = found.entry(name.clone()).or_default();
    match answer {
        Ok(answer) => take(probes, answer),
        Err(failure) => {
            probes.failure.get_or_insert(failure);
        }
    }
}

/// Reads a host's clock a few times; half of the way is the way back.
async fn read_clock(host: &Arc<dyn Host>) -> Result<ClockOffset, Failure> {
    let mut best: Option<ClockOffset> = None;
    for _ in 0..CLOCK_READINGS {
        let (asked_at, asked) = (Timestamp::now(), Instant::now());
        let reply = ask(host, Request::ReadClock).await?;
        let Reply::Clock { now } = reply else {
            return Err(unexpected(&reply));
        };
        let offset = clock_offset(asked_at, asked.elapsed(), now);
        if best.is_none_or(|best| offset.round_trip_millis < best.round_trip_millis) {
            best = Some(offset);
        }
    }
    best.ok_or_else(|| Failure::because("the clock was not read"))
}

/// Returns how far a clock is ahead that showed `now` halfway through a round
/// trip which began at `asked_at`.
fn clock_offset(asked_at: Timestamp, round_trip: Duration, now: Timestamp) -> ClockOffset {
    let half = SignedDuration::try_from(round_trip / 2).unwrap_or(SignedDuration::MAX);
    let ahead = now.duration_since(asked_at).saturating_sub(half);
    ClockOffset {
        ahead_millis: i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX),
        round_trip_millis: u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Returns what no other probe of this machine is called.
fn nonce() -> String {
    let now = Timestamp::now().as_nanosecond();
    format!("{:x}-{now:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_round_trip_is_taken_off_a_clock() {
        let asked_at: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let cases = [
            ("2026-11-21T12:00:00.050Z", 100, 0),
            ("2026-11-21T12:00:06.050Z", 100, 6000),
            ("2026-11-21T11:59:58.500Z", 1000, -2000),
        ];
        for (now, round_trip, ahead_millis) in cases {
            let offset = clock_offset(
                asked_at,
                Duration::from_millis(round_trip),
                now.parse().unwrap(),
            );
            let expected = ClockOffset {
                ahead_millis,
                round_trip_millis: round_trip,
            };
            assert_eq!(offset, expected, "{now}");
        }
    }
}
