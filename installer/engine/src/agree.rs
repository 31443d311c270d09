//! Agrees on a plan that is still right once the hosts are locked.

use slipway_api::HostName;

use crate::{EngineError, Fleet, Survey};

/// Who takes the hosts' locks.
#[derive(Clone, Copy, Debug)]
pub struct LockRequest<'a> {
    /// The run that will hold them: `user@host/pid/run`.
    pub holder: &'a str,
    /// The host that is locked before all others.
    pub first: &'a HostName,
}

/// Shows a plan and returns without error if the answer is yes.
pub type Ask<'a, E> = &'a mut dyn FnMut(&Survey) -> Result<(), E>;

/// Locks the hosts and returns what is to be done there, as seen under the locks.
///
/// `look` makes a survey of the hosts. With `ask`, a plan is made and shown
/// first, without holding anybody up; the hosts are locked after the yes and
/// looked at again, and a plan that then goes beyond the one agreed to is asked
/// about in turn. Without `ask` the hosts are locked before the only look. An
/// empty plan is never asked about.
///
/// # Errors
/// Another run holds a host, `look` fails, or `ask` does: the answer was no.
pub async fn agree<E: From<EngineError>>(
    fleet: &mut Fleet,
    lock: LockRequest<'_>,
    mut look: impl AsyncFnMut(&mut Fleet) -> Result<Survey, E>,
    ask: Option<Ask<'_, E>>,
) -> Result<Survey, E> {
    let Some(ask) = ask else {
        fleet.lock(lock.holder, lock.first).await?;
        return look(fleet).await;
    };
    let shown = look(fleet).await?;
    if shown.plan.is_empty() {
        return Ok(shown);
    }
    ask(&shown)?;
    fleet.lock(lock.holder, lock.first).await?;
    let found = look(fleet).await?;
    if !found.plan.is_empty() && !found.plan.is_within(&shown.plan) {
        ask(&found)?;
    }
    Ok(found)
}
