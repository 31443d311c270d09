//! Brings blobs to hosts: each once, only where missing, ahead of the steps that need them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Blob, Failure, HostName, Plan, Sha256Digest, StepId};
use slipway_bundle::BlobStore;
use slipway_hosts::Host;
use tokio::sync::Mutex;

use crate::observe::unexpected;

/// The blobs that a plan needs on its hosts.
pub(crate) struct BlobDelivery<'a> {
    store: &'a dyn BlobStore,
    hosts: BTreeMap<HostName, HostBlobs>,
}

/// What one host needs.
struct HostBlobs {
    host: Arc<dyn Host>,
    /// Wanted blobs in the plan's order, each with the first step that needs it.
    wanted: Vec<(StepId, Blob)>,
    /// Blobs the host lacks; locked while one is on its way, so that two steps
    /// that share a layer send it once.
    missing: BTreeMap<Sha256Digest, Mutex<bool>>,
}

impl<'a> BlobDelivery<'a> {
    /// Asks every host which of the plan's blobs it lacks.
    pub async fn prepare(
        plan: &Plan,
        hosts: &BTreeMap<HostName, Arc<dyn Host>>,
        store: &'a dyn BlobStore,
    ) -> Result<Self, (HostName, Failure)> {
        let mut delivery = Self {
            store,
            hosts: BTreeMap::new(),
        };
        for (name, host) in hosts {
            let mut seen = BTreeSet::new();
            let steps = plan.steps.iter().filter(|step| step.host == *name);
            let wanted: Vec<(StepId, Blob)> = steps
                .flat_map(|step| {
                    step.step
                        .blobs()
                        .into_iter()
                        .map(|blob| (step.id.clone(), blob))
                })
                .filter(|(_, blob)| seen.insert(blob.sha256))
                .collect();
            let blobs = wanted.iter().map(|(_, blob)| *blob).collect();
            let reply = host.request(Request::MissingBlobs { blobs }, &|_| {}).await;
            let missing = match reply {
                Ok(Reply::MissingBlobs { missing }) => missing,
                Ok(other) => return Err((name.clone(), unexpected(&other))),
                Err(error) => return Err((name.clone(), error.to_failure())),
            };
            let missing = missing
                .into_iter()
                .map(|sha256| (sha256, Mutex::new(true)))
                .collect();
            let blobs = HostBlobs {
                host: Arc::clone(host),
                wanted,
                missing,
            };
            delivery.hosts.insert(name.clone(), blobs);
        }
        Ok(delivery)
    }

    /// Sends everything a host lacks, in the plan's order. Failures are left to
    /// the steps, which ask again and report.
    pub async fn send_ahead(
        &self,
        host: &HostName,
        on_progress: &(dyn Fn(&StepId, u64, u64) + Send + Sync),
    ) {
        let Some(blobs) = self.hosts.get(host) else {
            return;
        };
        for (step, blob) in &blobs.wanted {
            let progress = |sent| on_progress(step, sent, blob.size);
            if self.ensure(host, blob, &progress).await.is_err() {
                return;
            }
        }
    }

    /// Returns once the host has the blob, sending it if need be.
    pub async fn ensure(
        &self,
        host: &HostName,
        blob: &Blob,
        on_progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), Failure> {
        let Some(blobs) = self.hosts.get(host) else {
            return Ok(());
        };
        let Some(missing) = blobs.missing.get(&blob.sha256) else {
            return Ok(());
        };
        let mut missing = missing.lock().await;
        if *missing {
            let reader = self
                .store
                .open(blob)
                .await
                .map_err(|error| Failure::of(&error))?;
            let reader = Box::pin(reader);
            let sent = blobs.host.upload(blob, reader, on_progress).await;
            sent.map_err(|error| error.to_failure())?;
            *missing = false;
        }
        Ok(())
    }
}
