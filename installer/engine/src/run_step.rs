//! Runs one step: brings what it needs from elsewhere, then lets its host do it.

use std::collections::BTreeMap;
use std::sync::Arc;

use slipway_api::protocol::{Attachment, Reply, Request, StepEvent};
use slipway_api::step::EtcdPeer;
use slipway_api::{Check, Failure, HostName, PlannedStep, RunId, Step};
use slipway_hosts::Host;

use crate::blob_delivery::BlobDelivery;
use crate::etcd_proof::prove_etcd_ports;
use crate::run_notes::RunNotes;
use crate::step_error::StepError;

/// The hosts of a run.
pub(crate) type Hosts = BTreeMap<HostName, Arc<dyn Host>>;

/// Returns the hosts that a step needs: its own, and those that it takes
/// something from, proves something with, or waits for.
pub(crate) fn hosts_of(planned: &PlannedStep) -> impl Iterator<Item = &HostName> {
    let mut peers: &[EtcdPeer] = &[];
    let source = if let Step::FetchFile(step) = &planned.step {
        Some(&step.from)
    } else if let Step::CopyAuthorities(step) = &planned.step {
        Some(&step.from)
    } else if let Step::JoinEtcd(step) = &planned.step {
        peers = &step.peers;
        None
    } else {
        planned.step.signer().or_else(|| planned.step.awaited())
    };
    let peers = peers.iter().map(|peer| &peer.host);
    std::iter::once(&planned.host).chain(source).chain(peers)
}

/// Runs a step and returns whether it changed anything.
pub(crate) async fn run_step(
    run: &RunId,
    planned: &PlannedStep,
    hosts: &Hosts,
    delivery: &BlobDelivery<'_>,
    notes: &RunNotes<'_>,
    on_event: &(dyn Fn(StepEvent) + Send + Sync),
) -> Result<bool, StepError> {
    let host = find(hosts, &planned.host)?;
    notes.ensure(&planned.host, host.as_ref()).await?;
    let blobs = planned.step.blobs();
    for (index, blob) in blobs.iter().enumerate() {
        let progress = |sent| {
            let doing = format!("uploading {} of {}", index + 1, blobs.len());
            on_event(StepEvent::Progress {
                done: sent,
                total: blob.size,
                doing,
            });
        };
        delivery.ensure(&planned.host, blob, &progress).await?;
    }
    let attachment = match (&planned.step, planned.step.signer()) {
        (Step::FetchFile(step), _) => {
            let source = find(hosts, &step.from)?;
            let request = Request::ReadPublicFile { file: step.file };
            let reply = source.request(request, &|_| {}).await;
            let reply = reply.map_err(StepError::on(&step.from))?;
            let Reply::Text { text } = reply else {
                return Err(StepError::unexpected(&reply));
            };
            Attachment {
                text: Some(text),
                ..Attachment::default()
            }
        }
        (Step::PlaceFile(step), _) => {
            // A secret travels only where it is missing.
            if is_satisfied(planned, host).await? {
                return Ok(false);
            }
            Attachment {
                content: Some(delivery.read(&step.content).await?),
                ..Attachment::default()
            }
        }
        (Step::CopyAuthorities(step), _) => {
            // Secrets travel only where they are needed.
            if is_satisfied(planned, host).await? {
                return Ok(false);
            }
            let source = find(hosts, &step.from)?;
            let names = step.names.clone();
            let reply = source.request(Request::ReadAuthorities { names }, &|_| {});
            let reply = reply.await.map_err(StepError::on(&step.from))?;
            let Reply::Authorities { files } = reply else {
                return Err(StepError::unexpected(&reply));
            };
            Attachment {
                authorities: files,
                ..Attachment::default()
            }
        }
        (Step::JoinEtcd(step), _) => {
            if is_satisfied(planned, host).await? {
                return Ok(false);
            }
            prove_etcd_ports(&planned.host, step, hosts).await?;
            Attachment::default()
        }
        (_, Some(signer)) => {
            // A certificate that fits is not asked for again.
            if is_satisfied(planned, host).await? {
                return Ok(false);
            }
            signed(planned, host, signer, find(hosts, signer)?).await?
        }
        (_, None) => Attachment::default(),
    };
    let request = Request::RunStep {
        run: run.clone(),
        id: planned.id.clone(),
        step: Box::new(planned.step.clone()),
        attachment,
    };
    let asked = host.request(request, on_event);
    let reply = match planned.step.awaited() {
        None => asked.await,
        Some(name) => {
            let awaited = find(hosts, name)?;
            tokio::select! {
                biased;
                reply = asked => reply,
                // The agent goes on waiting until its channel ends: it holds up nobody.
                error = awaited.lost() => return Err(StepError::on(name)(error)),
            }
        }
    };
    let reply = reply.map_err(StepError::on(&planned.host))?;
    let Reply::Done { changed } = reply else {
        return Err(StepError::unexpected(&reply));
    };
    Ok(changed)
}

async fn is_satisfied(planned: &PlannedStep, host: &Arc<dyn Host>) -> Result<bool, StepError> {
    let steps = vec![(planned.id.clone(), planned.step.clone())];
    let request = Request::CheckSteps { steps };
    let reply = host.request(request, &|_| {}).await;
    let reply = reply.map_err(StepError::on(&planned.host))?;
    let Reply::Checks { checks } = reply else {
        return Err(StepError::unexpected(&reply));
    };
    Ok(checks.get(&planned.id) == Some(&Check::Satisfied))
}

/// Has a key made on `host` and its request signed on `signer`. Only the
/// request and the certificate pass through here; the key stays where it is.
async fn signed(
    planned: &PlannedStep,
    host: &Arc<dyn Host>,
    signer_name: &HostName,
    signer: &Arc<dyn Host>,
) -> Result<Attachment, StepError> {
    let step = &planned.step;
    let request = Request::PrepareCertificate {
        step: Box::new(step.clone()),
    };
    let reply = host.request(request, &|_| {}).await;
    let reply = reply.map_err(StepError::on(&planned.host))?;
    let Reply::CertificateRequest { request_pem } = reply else {
        return Err(StepError::unexpected(&reply));
    };
    let request = Request::SignCertificate {
        step: Box::new(step.clone()),
        request_pem,
    };
    let reply = signer.request(request, &|_| {}).await;
    let reply = reply.map_err(StepError::on(signer_name))?;
    let Reply::Certificate {
        certificate_pem,
        authority_pem,
    } = reply
    else {
        return Err(StepError::unexpected(&reply));
    };
    Ok(Attachment {
        certificate_pem: Some(certificate_pem),
        authority_pem: Some(authority_pem),
        ..Attachment::default()
    })
}

pub(crate) fn find<'a>(hosts: &'a Hosts, name: &HostName) -> Result<&'a Arc<dyn Host>, Failure> {
    hosts
        .get(name)
        .ok_or_else(|| Failure::because(format!("host {name} is needed and is not connected")))
}
