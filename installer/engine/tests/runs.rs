//! Runs against fake hosts: cut off anywhere, run again, the same end.

#[cfg(test)]
#[path = "../../planner/tests/planner/support.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    Blob, BundleManifest, Entry, Event, Failure, HostName, Outcome, Plan, Progress, RunId,
    RunState, Sha256Digest, Step,
};
use slipway_bundle::{BlobReader, BlobStore, BundleError};
use slipway_engine::{Fleet, RunRequest, pending_plan, run_plan};
use slipway_hosts::{FakeHost, Fault, Host};
use slipway_planner::{Scope, plan_cluster};
use support::{bare_facts, manifest, spec};

/// The blobs of the made-up bundle: each holds its own name.
struct NamedBlobs {
    manifest: BundleManifest,
    contents: BTreeMap<Sha256Digest, Vec<u8>>,
}

impl NamedBlobs {
    fn new() -> Self {
        let manifest = manifest(&spec().kubernetes_version);
        let of_artifacts = manifest.artifacts.iter().map(|it| it.name.clone());
        let of_images = manifest.images.iter().flat_map(|image| {
            ["manifest", "config", "layer"].map(|part| format!("{part} of {}", image.reference))
        });
        let contents = of_artifacts
            .chain(of_images)
            .chain(["a layer that all share".to_owned()])
            .map(|name| (Sha256Digest::of(&name), name.into_bytes()))
            .collect();
        Self { manifest, contents }
    }
}

#[async_trait]
impl BlobStore for NamedBlobs {
    fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        let content = self.contents[&blob.sha256].clone();
        Ok(Box::new(std::io::Cursor::new(content)))
    }
}

fn fake(name: &HostName) -> FakeHost {
    FakeHost::new(name.clone()).with_script(|request, _| signing(request).map(Ok))
}

/// Answers what certificates and public files need; nobody looks at the texts.
fn signing(request: &Request) -> Option<Reply> {
    if let Request::PrepareCertificate { .. } = request {
        let request_pem = "request".to_owned();
        return Some(Reply::CertificateRequest { request_pem });
    }
    if let Request::SignCertificate { .. } = request {
        return Some(Reply::Certificate {
            certificate_pem: "certificate".to_owned(),
            authority_pem: "authority".to_owned(),
        });
    }
    if let Request::ReadPublicFile { .. } = request {
        let text = "authority".to_owned();
        return Some(Reply::Text { text });
    }
    None
}

fn fakes() -> Vec<FakeHost> {
    spec().hosts.iter().map(|host| fake(&host.name)).collect()
}

fn fleet(fakes: &[FakeHost]) -> Fleet {
    Fleet::of_hosts(
        fakes
            .iter()
            .map(|fake| Arc::new(fake.clone()) as Arc<dyn Host>),
    )
}

fn whole_plan() -> Plan {
    let spec = spec();
    plan_cluster(
        &spec,
        &bare_facts(&spec),
        &manifest(&spec.kubernetes_version),
        &Scope::All,
    )
    .expect("the bundle has everything")
}

/// Runs what is left of the plan; `stop_after` ends it after so many finished steps.
async fn run(fakes: &[FakeHost], stop_after: Option<usize>) -> (RunState, Vec<Entry>) {
    let fleet = fleet(fakes);
    let plan = pending_plan(&fleet, whole_plan())
        .await
        .expect("every host is alive");
    let blobs = NamedBlobs::new();
    let (stop_sender, stop) = tokio::sync::watch::channel(false);
    let request = RunRequest {
        run: RunId::new(Timestamp::UNIX_EPOCH, 1),
        command: "init".to_owned(),
        plan: &plan,
        blobs: &blobs,
        stop,
    };
    let mut entries = Vec::new();
    let state = run_plan(&fleet, request, &mut |entry| {
        entries.push(entry.clone());
        let finished = entries
            .iter()
            .filter(|entry| matches!(entry.event, Event::StepFinished { .. }))
            .count();
        if stop_after.is_some_and(|limit| finished >= limit) {
            let _ = stop_sender.send(true);
        }
    })
    .await
    .expect("every host answers before the first step");
    (state, entries)
}

/// Returns what has been applied on each host, in any order.
fn applied(fakes: &[FakeHost]) -> Vec<BTreeSet<String>> {
    let steps = |fake: &FakeHost| fake.applied_steps().iter().map(Step::describe).collect();
    fakes.iter().map(steps).collect()
}

#[tokio::test]
async fn a_whole_run_applies_every_step_once_and_brings_every_blob() {
    let fakes = fakes();
    let (state, _) = run(&fakes, None).await;
    assert_eq!(state.outcome, Some(Outcome::Succeeded));
    assert_eq!(state.done(), whole_plan().steps.len());
    for fake in &fakes {
        let steps = fake.applied_steps();
        let once: BTreeSet<_> = steps.iter().map(Step::describe).collect();
        assert_eq!(once.len(), steps.len());
        for blob in steps.iter().flat_map(Step::blobs) {
            assert!(fake.has_blob(&blob.sha256));
        }
    }
}

#[tokio::test]
async fn every_step_is_announced_before_it_is_asked_for() {
    let fakes = fakes();
    let (_, entries) = run(&fakes, None).await;
    let mut started = BTreeSet::new();
    for entry in &entries {
        match &entry.event {
            Event::StepStarted { step } => assert!(started.insert(step.clone())),
            Event::StepFinished { step, .. } => assert!(started.contains(step)),
            Event::RunStarted { .. }
            | Event::StepProgress { .. }
            | Event::StepLog { .. }
            | Event::StepFailed { .. }
            | Event::RunFinished { .. } => {}
        }
    }
}

#[tokio::test]
async fn a_second_run_has_nothing_to_do() {
    let fakes = fakes();
    run(&fakes, None).await;
    let plan = pending_plan(&fleet(&fakes), whole_plan()).await.unwrap();
    assert!(plan.is_empty(), "{:?}", plan.steps.first());
}

#[tokio::test]
async fn a_run_stopped_after_any_step_ends_the_same_when_run_again() {
    let whole = fakes();
    run(&whole, None).await;
    for stop_after in 0..whole_plan().steps.len() {
        let fakes = fakes();
        let (state, _) = run(&fakes, Some(stop_after)).await;
        assert_ne!(state.outcome, Some(Outcome::Failed));
        let (state, _) = run(&fakes, None).await;
        assert_eq!(
            state.outcome,
            Some(Outcome::Succeeded),
            "stopped after {stop_after}"
        );
        assert_eq!(
            applied(&fakes),
            applied(&whole),
            "stopped after {stop_after}"
        );
    }
}

#[tokio::test]
async fn a_host_that_dies_at_any_request_ends_the_same_when_run_again() {
    let whole = fakes();
    run(&whole, None).await;
    // The checks come first; before them a run has not begun.
    for (index, fake) in whole.iter().enumerate() {
        for nth in 2..fake.requests().len() {
            for fault in [Fault::DieBefore, Fault::DieAfter] {
                let fakes = fakes();
                fakes[index].fail_at(nth, fault.clone());
                let (state, _) = run(&fakes, None).await;
                let lost = state.failures().count();
                assert!(lost > 0, "{} {nth} {fault:?}", fake.name());
                fakes.iter().for_each(FakeHost::revive);
                let (state, _) = run(&fakes, None).await;
                assert_eq!(
                    state.outcome,
                    Some(Outcome::Succeeded),
                    "{} {nth} {fault:?}",
                    fake.name()
                );
                assert_eq!(
                    applied(&fakes),
                    applied(&whole),
                    "{} {nth} {fault:?}",
                    fake.name()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_refuses_any_request_ends_the_same_when_asked_again() {
    let whole = fakes();
    run(&whole, None).await;
    for (index, fake) in whole.iter().enumerate() {
        for nth in 2..fake.requests().len() {
            let fakes = fakes();
            fakes[index].fail_at(nth, Fault::Fail(Failure::because("no space")));
            run(&fakes, None).await;
            let (state, _) = run(&fakes, None).await;
            assert_eq!(
                state.outcome,
                Some(Outcome::Succeeded),
                "{} {nth}",
                fake.name()
            );
            assert_eq!(applied(&fakes), applied(&whole), "{} {nth}", fake.name());
        }
    }
}

#[tokio::test]
async fn a_failed_step_holds_up_what_needs_it_and_nothing_else() {
    let mut fakes = fakes();
    let host = fakes[1].clone().with_script(|request, _| {
        if let Request::RunStep { step, .. } = request
            && step.describe().starts_with("install runc")
        {
            return Some(Err(Failure::because("no space").with_help("make room")));
        }
        signing(request).map(Ok)
    });
    fakes[1] = host;
    let (state, _) = run(&fakes, None).await;
    assert_eq!(state.outcome, Some(Outcome::Failed));
    let failures: Vec<_> = state.failures().collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].1.help.as_deref(), Some("make room"));
    for step in &state.steps {
        let is_other_worker = step.summary.host.as_str() == "w-2";
        assert!(
            !is_other_worker || matches!(step.progress, Progress::Done { .. }),
            "{}",
            step.summary.id
        );
        let is_kubelet = step.summary.id.as_str() == "w-1/kubelet-start/start kubelet.service";
        assert!(!is_kubelet || step.progress == Progress::Waiting);
    }
}
