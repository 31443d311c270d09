//! Gathers how etcd's members are, each asked by itself.

use std::path::Path;

use futures::future::join_all;
use slipway_api::{EtcdFacts, EtcdMember, EtcdMemberFacts, EtcdMemberStatus, Failure};

use super::{EtcdClient, EtcdCredentials, EtcdError};
use crate::AgentError;

/// Returns how the members are, as the one on this control-plane node lists them. Without a
/// quorum too: then no member is healthy.
///
/// # Errors
/// The member on this node does not answer.
pub(crate) async fn gather_etcd_facts(root: &Path) -> Result<EtcdFacts, AgentError> {
    let client = EtcdClient::local(root).await?;
    let credentials = EtcdCredentials::of_host(root);
    let members = client.members().await?;
    let asked = members.into_iter().map(|member| look(member, &credentials));
    // Even reading alarms takes a quorum; without one the members' failures tell.
    let (members, alarms) = futures::join!(join_all(asked), client.alarms());
    Ok(EtcdFacts {
        members,
        alarms: alarms.unwrap_or_default(),
    })
}

async fn look(member: EtcdMember, credentials: &EtcdCredentials) -> EtcdMemberFacts {
    let (status, failure) = match member.client_urls.first() {
        None => (None, Some(Failure::because("it has never started"))),
        Some(endpoint) => ask(endpoint, credentials).await,
    };
    EtcdMemberFacts {
        member,
        status,
        failure,
    }
}

/// Returns what a member says of itself, and why it cannot serve.
async fn ask(
    endpoint: &str,
    credentials: &EtcdCredentials,
) -> (Option<EtcdMemberStatus>, Option<Failure>) {
    let failure = |error: EtcdError| AgentError::from(error).failure();
    let client = match EtcdClient::connect(endpoint, credentials).await {
        Ok(client) => client,
        Err(error) => return (None, Some(failure(error))),
    };
    let status = match client.status().await {
        Ok(status) => status,
        Err(error) => return (None, Some(failure(error))),
    };
    // A learner serves no reads that take a quorum, and is none the worse for it.
    let health = match status.is_learner {
        true => Ok(()),
        false => client.check_health().await,
    };
    (Some(status), health.err().map(failure))
}
