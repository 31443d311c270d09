//! Brings blobs to hosts: each once, only where missing, ahead of the steps that need them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{Blob, Failure, FileContent, HostName, Plan, Sha256Digest, StepId};
use slipway_bundle::BlobStore;
use slipway_hosts::Host;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::step_error::StepError;

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
    /// that share a layer send it once. An error where the host did not say.
    missing: Result<BTreeMap<Sha256Digest, Mutex<bool>>, StepError>,
}

impl<'a> BlobDelivery<'a> {
    /// Asks every host which of the plan's blobs it lacks, all at once. A host
    /// that does not say fails the steps that need blobs.
    pub async fn prepare(
        plan: &Plan,
        hosts: &BTreeMap<HostName, Arc<dyn Host>>,
        store: &'a dyn BlobStore,
    ) -> Self {
        let asking = hosts.iter().map(|(name, host)| async move {
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
            let missing = if wanted.is_empty() {
                Ok(BTreeMap::new())
            } else {
                let blobs = wanted.iter().map(|(_, blob)| *blob).collect();
                missing_on(name, host, blobs).await
            };
            let blobs = HostBlobs {
                host: Arc::clone(host),
                wanted,
                missing,
            };
            (name.clone(), blobs)
        });
        Self {
            store,
            hosts: join_all(asking).await.into_iter().collect(),
        }
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

    /// Reads a small blob whole: one that goes with a request and stays in no store.
    pub async fn read(&self, blob: &Blob) -> Result<FileContent, Failure> {
        let failed = |error: std::io::Error| Failure::of(&error);
        let reader = self.store.open(blob).await;
        let mut reader = reader.map_err(|error| Failure::of(&error))?;
        // Room for all of it, so that growing leaves no copies behind.
        let size = usize::try_from(blob.size).unwrap_or(0).min(1 << 24);
        let mut bytes = Vec::with_capacity(size + 1);
        reader.read_to_end(&mut bytes).await.map_err(failed)?;
        Ok(FileContent::new(bytes))
    }

    /// Returns once the host has the blob, sending it if need be.
    pub async fn ensure(
        &self,
        host: &HostName,
        blob: &Blob,
        on_progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), StepError> {
        let Some(blobs) = self.hosts.get(host) else {
            return Ok(());
        };
        let missing = blobs.missing.as_ref().map_err(Clone::clone)?;
        let Some(missing) = missing.get(&blob.sha256) else {
            return Ok(());
        };
        let mut missing = missing.lock().await;
        if *missing {
            let reader = self.store.open(blob).await;
            let reader = Box::pin(reader.map_err(|error| Failure::of(&error))?);
            let sent = blobs.host.upload(blob, reader, on_progress).await;
            sent.map_err(StepError::on(host))?;
            *missing = false;
        }
        Ok(())
    }
}

async fn missing_on(
    name: &HostName,
    host: &Arc<dyn Host>,
    blobs: Vec<Blob>,
) -> Result<BTreeMap<Sha256Digest, Mutex<bool>>, StepError> {
    let reply = host.request(Request::MissingBlobs { blobs }, &|_| {}).await;
    let reply = reply.map_err(StepError::on(name))?;
    let Reply::MissingBlobs { missing } = reply else {
        return Err(StepError::unexpected(&reply));
    };
    let missing = missing.into_iter();
    Ok(missing.map(|sha256| (sha256, Mutex::new(true))).collect())
}
