//! Fake hosts for the made-up cluster `harbour`, and runs on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    Blob, BundleManifest, ClusterSpec, Entry, Event, Facts, HostName, Plan, RunId, RunState,
    Sha256Digest, Step,
};
use slipway_bundle::{BlobReader, BlobStore, BundleError};
use slipway_engine::{EngineError, Fleet, RunRequest, Survey, gather_facts, run_plan};
use slipway_hosts::{FakeHost, Host};
use slipway_planner::{PlanError, Scope, plan_cluster};

use crate::support::{bare_facts, bare_host, manifest, spec};

/// The blobs of the made-up bundle: each holds its own name.
pub struct NamedBlobs {
    manifest: BundleManifest,
    contents: BTreeMap<Sha256Digest, Vec<u8>>,
}

/// The same blobs, made once for runs that are many.
static BLOBS: LazyLock<NamedBlobs> = LazyLock::new(NamedBlobs::new);

impl NamedBlobs {
    pub fn new() -> Self {
        let manifest = manifest(&spec().kubernetes_version);
        let of_artifacts = manifest.artifacts.iter().map(|it| it.name.clone());
        let of_images = manifest.images.iter().flat_map(|image| {
            ["manifest", "config", "layer"].map(|part| format!("{part} of {}", image.reference))
        });
        let contents = of_artifacts
            .chain(of_images)
            .chain(["a layer that all share", "snapshot"].map(str::to_owned))
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

/// Returns the fake hosts of the cluster, all bare.
pub fn fakes() -> Vec<FakeHost> {
    spec().hosts.iter().map(|host| fake(&host.name)).collect()
}

fn fake(name: &HostName) -> FakeHost {
    FakeHost::new(name.clone()).with_script(|request, _| answer(request).map(Ok))
}

/// Answers what facts, certificates and public files need; nobody looks at the texts.
pub fn answer(request: &Request) -> Option<Reply> {
    if *request == Request::GatherFacts {
        // Every host has the same facts: plans take little from them.
        let facts = bare_host("cp-1", "192.0.2.11".parse().expect("an address"));
        return Some(Reply::Facts(Box::new(facts)));
    }
    if *request == Request::GatherClusterFacts {
        return Some(Reply::ClusterFacts { facts: None });
    }
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

/// Returns a new connection to each of the hosts.
pub fn fleet(fakes: &[FakeHost]) -> Fleet {
    Fleet::of_hosts(
        fakes
            .iter()
            .map(|fake| Arc::new(fake.clone()) as Arc<dyn Host>),
    )
}

/// Returns everything that must hold, as far as hosts were reached.
pub fn desired(facts: &Facts) -> Result<Plan, PlanError> {
    desired_of(&spec(), facts)
}

/// Returns the same for another cluster. Hosts have the same facts always, so that one plan
/// is made for each set of them.
pub fn desired_of(spec: &ClusterSpec, facts: &Facts) -> Result<Plan, PlanError> {
    static MADE: Mutex<BTreeMap<String, Plan>> = Mutex::new(BTreeMap::new());
    let unreached: Vec<_> = facts.unreached().collect();
    let hosts: Vec<_> = facts.hosts.keys().collect();
    let key = format!("{unreached:?} {hosts:?}");
    if let Some(plan) = MADE.lock().expect("nobody panics with it").get(&key) {
        return Ok(plan.clone());
    }
    let manifest = manifest(&spec.kubernetes_version);
    let plan = plan_cluster(spec, facts, &manifest, &Scope::All)?;
    let mut made = MADE.lock().expect("nobody panics with it");
    made.insert(key, plan.clone());
    Ok(plan)
}

/// Returns everything that must hold.
pub fn whole_plan() -> Plan {
    desired(&bare_facts(&spec())).expect("the bundle has everything")
}

/// Gathers facts and asks what is left to do.
pub async fn look(fleet: &mut Fleet) -> Result<Survey, EngineError> {
    let facts = gather_facts(fleet, &spec()).await;
    Survey::take(fleet, facts, desired).await
}

/// Runs what is left of the plan.
pub async fn run(fakes: &[FakeHost]) -> Result<(RunState, Vec<Entry>), EngineError> {
    run_until(fakes, usize::MAX).await
}

/// Runs what is left of `plan` on hosts of which `seen` was seen.
pub async fn run_plan_of(
    fakes: &[FakeHost],
    seen: &Facts,
    plan: &Plan,
) -> Result<RunState, EngineError> {
    run_plan_telling(fakes, seen, plan, &mut |_| {}).await
}

/// Does the same, and tells `on_entry` of each of the journal's entries.
pub async fn run_plan_telling(
    fakes: &[FakeHost],
    seen: &Facts,
    plan: &Plan,
    on_entry: &mut (dyn FnMut(&Entry) + Send),
) -> Result<RunState, EngineError> {
    let mut fleet = fleet(fakes);
    let survey = Survey::take(&mut fleet, seen.clone(), |_| Ok(plan.clone()));
    let plan = survey.await?.plan;
    let request = RunRequest {
        run: RunId::new(Timestamp::UNIX_EPOCH, 1),
        command: "apply".to_owned(),
        plan: &plan,
        blobs: &*BLOBS,
        stop: tokio::sync::watch::channel(false).1,
    };
    run_plan(&fleet, request, on_entry).await
}

/// Runs what is left of the plan and begins nothing more after `limit` finished steps.
pub async fn run_until(
    fakes: &[FakeHost],
    limit: usize,
) -> Result<(RunState, Vec<Entry>), EngineError> {
    let mut fleet = fleet(fakes);
    let plan = look(&mut fleet).await?.plan;
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
        if finished >= limit {
            let _ = stop_sender.send(true);
        }
    })
    .await?;
    Ok((state, entries))
}

/// Returns what has been applied on each host, in any order.
pub fn applied(fakes: &[FakeHost]) -> Vec<BTreeSet<String>> {
    let steps = |fake: &FakeHost| fake.applied_steps().iter().map(Step::describe).collect();
    fakes.iter().map(steps).collect()
}
