//! A host's etcd joins the others': added as a learner, started, promoted.
//!
//! Whatever a run that was cut off has done of it is found again: etcd's own
//! list of members and the data on this host decide what is left to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slipway_api::step::JoinEtcd;
use slipway_api::{Check, EtcdMember, Failure, paths};

use super::etcd_leftovers::data;
use super::wait_for::component_logs;
use super::{etcd_leftovers, etcd_manifest, needed};
use crate::context::Context;
use crate::etcd::{EtcdClient, EtcdCredentials, EtcdError};
use crate::{AgentError, files};

/// The port on which a member serves clients.
const CLIENT_PORT: u16 = 2379;
/// The mode of the manifest.
const SECRET: u32 = 0o600;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How long etcd may refuse another member: it takes none until the last one
/// has been connected to all others for five seconds, its `HealthInterval`.
const ADD_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn check_join(step: &JoinEtcd, context: &Context) -> Result<Check, AgentError> {
    let Some(manifest) = files::read_text(&manifest_path(context))? else {
        return Ok(needed(Some("etcd is not here yet")));
    };
    if !etcd_manifest::are_alike(&manifest, &step.manifest) {
        return Ok(needed(Some("etcd.yaml differs")));
    }
    Ok(needed(vote_missing(step, context).await))
}

/// Returns why the member on this host has no vote; none where it has one.
async fn vote_missing(step: &JoinEtcd, context: &Context) -> Option<String> {
    let members = async { local(context).await?.members().await };
    let members = match members.await {
        Ok(members) => members,
        // It may be starting by a new manifest: with its data it is the member that the others
        // know.
        Err(error) => match others_view(step, context).await {
            Some(members) => members,
            None => return Some(Failure::of(&error).to_string()),
        },
    };
    match own(&members, step) {
        None => Some("the others do not have it as a member".to_owned()),
        Some(member) if member.is_learner => Some("it has no vote yet".to_owned()),
        Some(_) => None,
    }
}

/// Returns the members as the others see them, where this host has a member's data.
async fn others_view(step: &JoinEtcd, context: &Context) -> Option<Vec<EtcdMember>> {
    if !data(step, context).exists() {
        return None;
    }
    let peers = Peers::find(step, context).await.ok()?;
    peers.members(step).await.ok()
}

pub(super) async fn apply_join(step: &JoinEtcd, context: &Context) -> Result<(), AgentError> {
    let peers = Peers::find(step, context).await?;
    let members = peers.members(step).await?;
    let has_data = data(step, context).exists();
    match own(&members, step) {
        Some(member) if has_data || !member.has_started() => {
            context.log(format!("member {} was added before", member.id));
        }
        Some(member) => {
            // An empty member with the old one's number would vote as if it
            // remembered what the old one promised.
            context.log(format!("member {} has lost its data: it goes", member.id));
            let others = others(&members, step);
            peers.refuse_unhealthy(&others, context).await?;
            let removed = peers.client.remove(member.id).await;
            removed.map_err(failed("remove the member that lost its data"))?;
            etcd_leftovers::forget(step, context).await?;
            peers.add(step, context, &others).await?;
        }
        None => {
            peers.refuse_unhealthy(&members, context).await?;
            etcd_leftovers::forget(step, context).await?;
            peers.add(step, context, &members).await?;
        }
    }
    write_manifest(step, context, &peers).await?;
    let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
    wait_started(step, context, deadline).await?;
    let deadline = Instant::now() + Duration::from_secs(step.timeout_seconds);
    peers.promote(step, context, deadline).await
}

/// Returns what is missing until the member on this host serves; none if nothing is.
pub(super) async fn unhealthy(context: &Context) -> Option<String> {
    let healthy = async {
        let client = local(context).await?;
        client.check_health().await
    };
    let error = healthy.await.err()?;
    Some(Failure::of(&error).to_string())
}

/// The members that this one joins, through one of them that has a quorum.
struct Peers {
    client: EtcdClient,
    credentials: EtcdCredentials,
}

impl Peers {
    async fn find(step: &JoinEtcd, context: &Context) -> Result<Self, AgentError> {
        let credentials = EtcdCredentials::of_host(&context.at("/"));
        let mut reasons = Vec::new();
        for peer in &step.peers {
            let address = SocketAddr::new(peer.address, CLIENT_PORT);
            let endpoint = format!("https://{address}");
            let found = async {
                let client = EtcdClient::connect(&endpoint, &credentials).await?;
                client.check_health().await?;
                Ok::<_, EtcdError>(client)
            };
            match found.await {
                Ok(client) => {
                    return Ok(Self {
                        client,
                        credentials,
                    });
                }
                Err(error) => reasons.push(format!("{}: {}", peer.host, Failure::of(&error))),
            }
        }
        Err(AgentError::Blocked {
            message: format!("no member of etcd takes writes: {}", reasons.join("; ")),
            help: "mend etcd first: `slipway status` shows what is wrong".to_owned(),
        })
    }

    async fn members(&self, step: &JoinEtcd) -> Result<Vec<EtcdMember>, AgentError> {
        let members = self.client.agreed_members().await;
        let members = members.map_err(failed("list etcd's members"))?;
        let taken = members
            .iter()
            .find(|member| member.name == step.member_name && !has_url(member, step));
        match taken {
            None => Ok(members),
            Some(member) => Err(AgentError::Blocked {
                message: format!(
                    "etcd has a member {} already, at {}",
                    member.name,
                    member.peer_urls.join(", ")
                ),
                help: "take the old one out first, or name this node otherwise: `hostnameOverride`"
                    .to_owned(),
            }),
        }
    }

    /// Refuses to change the members while any of `members` is not well, or
    /// while another is on its way: with one more to count, the quorum that is
    /// there now may not be one.
    async fn refuse_unhealthy(
        &self,
        members: &[EtcdMember],
        context: &Context,
    ) -> Result<(), AgentError> {
        if let Some(learner) = members.iter().find(|member| member.is_learner) {
            return Err(AgentError::Blocked {
                message: format!(
                    "another member is on its way: {} at {}",
                    shown_name(learner),
                    learner.peer_urls.join(", ")
                ),
                help: "finish it with the same command for that host, or take the host out: `slipway reset --host NAME`"
                    .to_owned(),
            });
        }
        let mut sick = Vec::new();
        for member in members {
            if let Err(error) = self.look_at(member).await {
                sick.push(format!("{}: {}", shown_name(member), Failure::of(&error)));
            }
        }
        let voters = members.len() + 1;
        if sick.is_empty() {
            context.log(format!(
                "{} members are healthy, {voters} will need {}",
                members.len(),
                voters / 2 + 1
            ));
            return Ok(());
        }
        Err(AgentError::Blocked {
            message: format!(
                "etcd's members change only while all are healthy, and {} of {} are not: {}",
                sick.len(),
                members.len(),
                sick.join("; ")
            ),
            help:
                "mend that host, or take it out first: `slipway reset -f cluster.yaml --host NAME`"
                    .to_owned(),
        })
    }

    /// Reads through a member, wherever it says that it serves.
    async fn look_at(&self, member: &EtcdMember) -> Result<(), EtcdError> {
        let mut last = Err(EtcdError::Endpoint {
            endpoint: shown_name(member),
            reason: "it has not started".to_owned(),
        });
        for endpoint in &member.client_urls {
            last = match EtcdClient::connect(endpoint, &self.credentials).await {
                Ok(client) => client.check_health().await,
                Err(error) => Err(error),
            };
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn add(
        &self,
        step: &JoinEtcd,
        context: &Context,
        members: &[EtcdMember],
    ) -> Result<(), AgentError> {
        let names: Vec<String> = members.iter().map(shown_name).collect();
        context.log(format!("adding a learner beside {}", names.join(", ")));
        let deadline = Instant::now() + ADD_LIMIT;
        loop {
            let Err(error) = self.client.add_learner(&[peer_url(step)]).await else {
                return Ok(());
            };
            // The answer may have been lost on its way.
            if own(&self.members(step).await?, step).is_some() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(failed("add the member")(error));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn promote(
        &self,
        step: &JoinEtcd,
        context: &Context,
        deadline: Instant,
    ) -> Result<(), AgentError> {
        let mut said = String::new();
        loop {
            let members = self.members(step).await?;
            let Some(member) = own(&members, step) else {
                return Err(AgentError::NotTaken {
                    because: "somebody has removed the member meanwhile".to_owned(),
                });
            };
            let seen = if member.is_learner {
                match self.client.promote(member.id).await {
                    Ok(()) => continue,
                    Err(error) => Failure::of(&error).to_string(),
                }
            } else {
                match unhealthy(context).await {
                    None => return Ok(()),
                    Some(seen) => seen,
                }
            };
            if seen != said {
                context.log(seen.clone());
                said.clone_from(&seen);
            }
            if Instant::now() >= deadline {
                return Err(timed_out(step, "the new member of etcd votes", seen).await);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Writes the manifest; a member with data keeps what it was told of the others.
async fn write_manifest(
    step: &JoinEtcd,
    context: &Context,
    peers: &Peers,
) -> Result<(), AgentError> {
    let path = manifest_path(context);
    let found = files::read_text(&path)?;
    let told = found.as_deref().and_then(etcd_manifest::initial_cluster);
    let text = match told {
        Some((members, _)) if data(step, context).exists() => {
            etcd_manifest::with_members(step, members)
        }
        _ => {
            let members = peers.members(step).await?;
            etcd_manifest::joining(step, &members, &peer_url(step))
        }
    };
    let is_right = found.as_deref().is_some_and(|found| {
        found == text || (told.is_some() && etcd_manifest::are_alike(found, &text))
    });
    if is_right && data(step, context).exists() {
        return Ok(());
    }
    files::write(&path, SECRET, text.as_bytes())
}

async fn wait_started(
    step: &JoinEtcd,
    context: &Context,
    deadline: Instant,
) -> Result<(), AgentError> {
    loop {
        let started = async { local(context).await?.status().await };
        let Err(error) = started.await else {
            return Ok(());
        };
        if Instant::now() >= deadline {
            let seen = Failure::of(&error).to_string();
            return Err(timed_out(step, "etcd starts", seen).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn timed_out(step: &JoinEtcd, condition: &str, seen: String) -> AgentError {
    AgentError::TimedOut {
        condition: condition.to_owned(),
        seconds: step.timeout_seconds,
        seen,
        log_tail: component_logs(&step.socket, &["etcd"]).await,
        help: "the same command goes on from here; to undo it: `slipway reset -f cluster.yaml --host NAME`"
            .to_owned(),
    }
}

async fn local(context: &Context) -> Result<EtcdClient, EtcdError> {
    EtcdClient::local(&context.at("/")).await
}

fn own<'a>(members: &'a [EtcdMember], step: &JoinEtcd) -> Option<&'a EtcdMember> {
    members.iter().find(|member| has_url(member, step))
}

fn others(members: &[EtcdMember], step: &JoinEtcd) -> Vec<EtcdMember> {
    let others = members.iter().filter(|member| !has_url(member, step));
    others.cloned().collect()
}

fn has_url(member: &EtcdMember, step: &JoinEtcd) -> bool {
    member.peer_urls.contains(&peer_url(step))
}

/// Returns the URL by which a member is known, whoever it is.
fn peer_url(step: &JoinEtcd) -> String {
    EtcdMember::peer_url(step.address)
}

fn shown_name(member: &EtcdMember) -> String {
    match member.has_started() {
        true => member.name.clone(),
        false => format!("a member that never started ({})", member.id),
    }
}

fn manifest_path(context: &Context) -> PathBuf {
    context.at(&format!("{}/etcd.yaml", paths::MANIFESTS_DIR))
}

/// Names what could not be done to etcd.
pub(super) fn failed(doing: &'static str) -> impl FnOnce(EtcdError) -> AgentError {
    move |error| AgentError::Runtime {
        doing: doing.to_owned(),
        source: Box::new(error),
    }
}
