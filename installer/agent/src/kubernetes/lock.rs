//! The lock that a run holds on a cluster: the Lease `kube-system/slipway`.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;

use super::{ApiClient, FIELD_MANAGER, KUBE_SYSTEM, KubernetesError, LockHolder};

/// How long the lock lasts without being renewed, in seconds.
pub const LOCK_SECONDS: i32 = 60;
/// The Lease's name.
const LEASE: &str = "slipway";
/// How often a change is tried when somebody else changes the Lease at the same time.
const ATTEMPTS: usize = 5;

/// Whether a lock that somebody else holds is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Only once it expired.
    No,
    /// Also while exactly this holder has it, as when its process is known to be dead.
    From(LockHolder),
    /// Also while anybody has it: `--take-lock`.
    FromAnybody,
}

impl ApiClient {
    /// Takes the cluster's lock for `holder` for the next [`LOCK_SECONDS`].
    ///
    /// Expiry is judged by this host's clock.
    ///
    /// # Errors
    /// Somebody else holds it ([`KubernetesError::LockHeld`] names the holder,
    /// see [`LockHolder::is_dead_here`]), or the API server refuses.
    pub async fn acquire_lock(
        &self,
        holder: &LockHolder,
        takeover: &Takeover,
    ) -> Result<(), KubernetesError> {
        let mut attempts = 0;
        loop {
            let found = self.lease().await?;
            let now = Timestamp::now();
            if let Some(lease) = &found {
                refuse_if_held(lease, holder, takeover, now)?;
            }
            attempts += 1;
            match self.write_lease(taken(found, holder, now)).await {
                // Somebody was faster: look again who it is.
                Err(error) if error.is_conflict() && attempts < ATTEMPTS => {}
                answer => return answer,
            }
        }
    }

    /// Makes the lock of `holder` last for another [`LOCK_SECONDS`].
    ///
    /// # Errors
    /// [`KubernetesError::LockLost`] when it is not `holder`'s any more, or the
    /// API server refuses.
    pub async fn renew_lock(&self, holder: &LockHolder) -> Result<(), KubernetesError> {
        let found = self.own_lease(holder).await?;
        self.write_lease(taken(Some(found), holder, Timestamp::now()))
            .await
    }

    /// Gives the lock of `holder` back; a lock that is somebody else's by now
    /// is left alone.
    ///
    /// # Errors
    /// The API server does not answer or refuses.
    pub async fn release_lock(&self, holder: &LockHolder) -> Result<(), KubernetesError> {
        let mut lease = match self.own_lease(holder).await {
            Err(KubernetesError::LockLost { .. }) => return Ok(()),
            lease => lease?,
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        self.write_lease(lease).await
    }

    async fn own_lease(&self, holder: &LockHolder) -> Result<Lease, KubernetesError> {
        let found = self.lease().await?;
        let now = found.as_ref().and_then(held_by).unwrap_or_default();
        match found {
            Some(lease) if now == holder.to_string() => Ok(lease),
            _ => Err(KubernetesError::LockLost {
                holder: now.to_owned(),
            }),
        }
    }

    async fn lease(&self) -> Result<Option<Lease>, KubernetesError> {
        let api = self.namespaced::<Lease>(KUBE_SYSTEM);
        self.call("read the cluster's lock", api.get_opt(LEASE))
            .await
    }

    /// Writes the Lease, but not over a change that was made since it was read.
    async fn write_lease(&self, lease: Lease) -> Result<(), KubernetesError> {
        let api = self.namespaced::<Lease>(KUBE_SYSTEM);
        let parameters = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.to_owned()),
        };
        let doing = "write the cluster's lock";
        if lease.metadata.resource_version.is_some() {
            let written = api.replace(LEASE, &parameters, &lease);
            self.call(doing, written).await?;
        } else {
            self.call(doing, api.create(&parameters, &lease)).await?;
        }
        Ok(())
    }
}

/// Returns the holder, if there is one.
fn held_by(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// Returns the lease as it is once `holder` has it.
fn taken(found: Option<Lease>, holder: &LockHolder, now: Timestamp) -> Lease {
    let mut lease = found.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(LEASE.to_owned()),
            namespace: Some(KUBE_SYSTEM.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let is_new_holder = held_by(&lease) != Some(holder.to_string().as_str());
    let before = lease.spec.take().unwrap_or_default();
    let transitions = before.lease_transitions.unwrap_or(0);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(holder.to_string()),
        lease_duration_seconds: Some(LOCK_SECONDS),
        acquire_time: match before.acquire_time {
            Some(time) if !is_new_holder => Some(time),
            _ => Some(MicroTime(now)),
        },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions + i32::from(is_new_holder)),
        ..before
    });
    lease
}

fn refuse_if_held(
    lease: &Lease,
    holder: &LockHolder,
    takeover: &Takeover,
    now: Timestamp,
) -> Result<(), KubernetesError> {
    let Some(current) = held_by(lease) else {
        return Ok(());
    };
    let may_take = match takeover {
        Takeover::No => false,
        Takeover::From(dead) => current == dead.to_string(),
        Takeover::FromAnybody => true,
    };
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
    let expires_in_seconds = renewed.map_or(0, |renewed| {
        renewed.0.as_second() + i64::from(seconds.unwrap_or(LOCK_SECONDS)) - now.as_second()
    });
    if may_take || current == holder.to_string() || expires_in_seconds <= 0 {
        return Ok(());
    }
    Err(KubernetesError::LockHeld {
        holder: current.to_owned(),
        expires_in_seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pid: u32) -> LockHolder {
        LockHolder {
            user: "ops".to_owned(),
            host: "bastion".to_owned(),
            pid,
            run: "r".to_owned(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_lock_is_kept_until_it_expires() {
        let lease = taken(None, &holder(1), at(1000));
        let refused = refuse_if_held(&lease, &holder(2), &Takeover::No, at(1059)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the cluster is locked by ops@bastion/1/r for another 1 s"
        );
        assert!(refuse_if_held(&lease, &holder(2), &Takeover::No, at(1060)).is_ok());
        assert!(refuse_if_held(&lease, &holder(1), &Takeover::No, at(1001)).is_ok());
    }

    #[test]
    fn a_takeover_names_whom_it_takes_from() {
        let lease = taken(None, &holder(1), at(1000));
        let take = |takeover: Takeover| refuse_if_held(&lease, &holder(2), &takeover, at(1001));
        assert!(take(Takeover::From(holder(1))).is_ok());
        assert!(take(Takeover::From(holder(3))).is_err());
        assert!(take(Takeover::FromAnybody).is_ok());
    }

    #[test]
    fn renewing_keeps_when_the_lock_was_acquired() {
        let first = taken(None, &holder(1), at(1000));
        let renewed = taken(Some(first.clone()), &holder(1), at(1030))
            .spec
            .unwrap();
        assert_eq!(renewed.acquire_time, Some(MicroTime(at(1000))));
        assert_eq!(renewed.lease_transitions, Some(1));
        let moved = taken(Some(first), &holder(2), at(1030)).spec.unwrap();
        assert_eq!(moved.acquire_time, Some(MicroTime(at(1030))));
        assert_eq!(moved.lease_transitions, Some(2));
    }
}
