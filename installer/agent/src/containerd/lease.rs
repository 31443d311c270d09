//! Leases: what is made under one is safe from garbage collection until it ends.

use std::collections::HashMap;

use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::{CreateRequest, DeleteRequest};
use jiff::{SignedDuration, Timestamp};

use super::{ContainerdClient, ContainerdError};

/// How long a lease, and what was made under it, outlives a failed import.
const LEASE_LIFE: SignedDuration = SignedDuration::from_hours(1);

impl ContainerdClient {
    /// Returns the same client working under a new lease.
    pub(super) async fn under_lease(&self) -> Result<Self, ContainerdError> {
        let now = Timestamp::now();
        let message = CreateRequest {
            id: format!("slipway-{}-{}", std::process::id(), now.as_nanosecond()),
            labels: HashMap::from([(
                "containerd.io/gc.expire".to_owned(),
                (now + LEASE_LIFE).to_string(),
            )]),
        };
        let id = message.id.clone();
        let mut leases = LeasesClient::new(self.channel.clone());
        let created = leases.create(self.request(message));
        self.call("create a lease", created).await?;
        let lease = id.parse().expect("the lease's ID is plain ASCII");
        Ok(Self {
            lease: Some(lease),
            ..self.clone()
        })
    }

    /// Ends the client's lease; what nothing else refers to is collected then.
    pub(super) async fn end_lease(&self) -> Result<(), ContainerdError> {
        let Some(lease) = self.lease.as_ref().and_then(|lease| lease.to_str().ok()) else {
            return Ok(());
        };
        let message = DeleteRequest {
            id: lease.to_owned(),
            sync: false,
        };
        let mut leases = LeasesClient::new(self.channel.clone());
        let deleted = leases.delete(self.request(message));
        self.call("end a lease", deleted).await
    }
}
