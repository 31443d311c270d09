//! Plans that are shown, agreed to, and still right when they run.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{Blob, EtcdSnapshotSummary, Failure, HostName};
use slipway_engine::{EngineError, Fleet, LockRequest, Survey, agree};
use slipway_hosts::{
    BlobReader, EventSink, FakeHost, Fault, Host, HostError, LocalHost, ProgressSink,
};
use tempfile::TempDir;
use tokio::io::AsyncWrite;

use crate::fakes::{answer, fakes, fleet, look, run};

const MINE: &str = "ops@laptop/42/20261121-101500-0000002a";
const OTHER: &str = "ci@runner/7/20261121-101501-00000007";

fn lock<'a>(holder: &'a str, first: &'a HostName) -> LockRequest<'a> {
    LockRequest { holder, first }
}

fn cp_1() -> HostName {
    "cp-1".parse().unwrap()
}

/// A fake host whose lock is the real agent's, in a folder that stands for the host.
struct LockedHost {
    fake: FakeHost,
    agent: LocalHost,
}

impl LockedHost {
    async fn connect(fake: &FakeHost, folder: &TempDir) -> Self {
        let root = folder.path().to_owned();
        let serve = move |reader, writer| slipway_agent::serve(reader, writer, root.clone());
        let agent = LocalHost::start(fake.name().clone(), serve).await.unwrap();
        Self {
            fake: fake.clone(),
            agent,
        }
    }
}

#[async_trait]
impl Host for LockedHost {
    fn name(&self) -> &HostName {
        self.fake.name()
    }

    async fn request(&self, request: Request, on_event: EventSink<'_>) -> Result<Reply, HostError> {
        if let Request::Lock { .. } = request {
            return self.agent.request(request, on_event).await;
        }
        self.fake.request(request, on_event).await
    }

    async fn upload(
        &self,
        blob: &Blob,
        content: BlobReader,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        self.fake.upload(blob, content, on_progress).await
    }

    async fn lost(&self) -> HostError {
        self.agent.lost().await
    }

    async fn receive_snapshot(
        &self,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        on_progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<EtcdSnapshotSummary, HostError> {
        self.fake.receive_snapshot(sink, on_progress).await
    }

    async fn close(&self) {
        self.agent.close().await;
    }
}

async fn locked_fleet(fakes: &[FakeHost], folders: &[TempDir]) -> Fleet {
    let mut hosts: Vec<Arc<dyn Host>> = Vec::new();
    for (fake, folder) in fakes.iter().zip(folders) {
        hosts.push(Arc::new(LockedHost::connect(fake, folder).await));
    }
    Fleet::of_hosts(hosts)
}

#[tokio::test]
async fn the_second_run_at_once_is_told_who_holds_the_hosts() {
    let fakes = fakes();
    let folders: Vec<TempDir> = fakes.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let (mut mine, mut other) = (
        locked_fleet(&fakes, &folders).await,
        locked_fleet(&fakes, &folders).await,
    );
    let first = cp_1();
    agree::<EngineError>(&mut mine, lock(MINE, &first), look, None)
        .await
        .unwrap();
    let error = agree::<EngineError>(&mut other, lock(OTHER, &first), look, None)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("another run holds cp-1: {MINE}"));
    for fake in &fakes {
        let looks = fake
            .requests()
            .into_iter()
            .filter(|it| *it == Request::GatherFacts);
        assert_eq!(looks.count(), 1, "the second run did not even look");
    }

    mine.close().await;
    // The agent notices the end of its connection a moment later.
    for attempt in 0.. {
        match agree::<EngineError>(&mut other, lock(OTHER, &first), look, None).await {
            Ok(_) => break,
            Err(error) => assert!(attempt < 100, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_locked_is_left_out() {
    let mut fakes = fakes();
    let index = fakes.iter().position(|fake| fake.name().as_str() == "w-1");
    let index = index.expect("it is there");
    fakes[index] = fakes[index].clone().with_script(|request, _| {
        if let Request::Lock { .. } = request {
            return Some(Err(Failure::because("the file system is read-only")));
        }
        answer(request).map(Ok)
    });
    let first = cp_1();
    let mut fleet = fleet(&fakes);
    let survey = agree::<EngineError>(&mut fleet, lock(MINE, &first), look, None);
    let left_out = survey.await.unwrap().plan.left_out;
    assert_eq!(left_out.len(), 1);
    assert_eq!(
        left_out[0].failure.message,
        "w-1: the file system is read-only"
    );
}

#[tokio::test]
async fn with_consent_in_advance_hosts_are_locked_before_they_are_looked_at() {
    let fakes = fakes();
    let first = cp_1();
    agree::<EngineError>(&mut fleet(&fakes), lock(MINE, &first), look, None)
        .await
        .unwrap();
    for fake in &fakes {
        let requests = fake.requests();
        assert!(matches!(requests[0], Request::Lock { .. }), "{requests:?}");
        let looks = requests
            .iter()
            .filter(|request| **request == Request::GatherFacts);
        assert_eq!(looks.count(), 1);
    }
}

/// Agrees on a plan with somebody who says yes; returns the plans that were
/// shown and the one that is to run. `meanwhile` happens at the first question.
async fn asked(fakes: &[FakeHost], mut meanwhile: impl FnMut()) -> (Vec<Survey>, Survey) {
    let mut shown = Vec::new();
    let mut ask = |survey: &Survey| {
        if shown.is_empty() {
            meanwhile();
        }
        shown.push(survey.clone());
        Ok(())
    };
    let first = cp_1();
    let mut fleet = fleet(fakes);
    let agreed = agree::<EngineError>(&mut fleet, lock(MINE, &first), look, Some(&mut ask));
    let agreed = agreed.await.unwrap();
    (shown, agreed)
}

#[tokio::test]
async fn a_plan_that_did_not_change_while_it_was_read_is_asked_about_once() {
    let fakes = fakes();
    let (shown, agreed) = asked(&fakes, || {}).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].plan, agreed.plan);
}

#[tokio::test]
async fn a_plan_that_grew_while_it_was_read_is_asked_about_again() {
    let fakes = fakes();
    run(&fakes).await.unwrap();
    let [worker, other] = ["w-1", "w-2"].map(|name| {
        let mut found = fakes.iter().filter(|fake| fake.name().as_str() == name);
        found.next().unwrap().clone()
    });
    worker.wipe();
    let (shown, agreed) = asked(&fakes, || other.wipe()).await;
    assert_eq!(shown.len(), 2);
    assert!(shown[0].plan.hosts().contains(worker.name()));
    assert!(!shown[0].plan.hosts().contains(other.name()));
    assert!(agreed.plan.hosts().contains(other.name()));
    assert_eq!(shown[1].plan, agreed.plan);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_run_has_done_meanwhile_is_not_done_again() {
    let fakes = fakes();
    let (done, others) = (fakes.clone(), tokio::runtime::Handle::current());
    // The other run begins after the plan was shown, and ends before the yes.
    let meanwhile = move || {
        let (done, others) = (done.clone(), others.clone());
        let run = std::thread::spawn(move || others.block_on(run(&done)).map(drop));
        run.join().unwrap().unwrap();
    };
    let (shown, agreed) = tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(asked(&fakes, meanwhile))
    });
    assert_eq!(shown.len(), 1);
    assert!(agreed.plan.is_empty());
}

#[tokio::test]
async fn a_host_that_dies_while_the_plan_is_read_is_asked_about() {
    let fakes = fakes();
    let worker = fakes.iter().find(|fake| fake.name().as_str() == "w-2");
    let worker = worker.unwrap().clone();
    let (shown, agreed) = asked(&fakes, || {
        worker.fail_at(worker.requests().len(), Fault::DieBefore);
    })
    .await;
    assert_eq!(shown.len(), 2);
    assert!(shown[0].plan.left_out.is_empty());
    assert_eq!(agreed.plan.left_out[0].host, *worker.name());
}

#[tokio::test]
async fn a_no_leaves_every_host_unlocked() {
    let fakes = fakes();
    let mut ask = |_: &Survey| Err(EngineError::Unreachable(Vec::new()));
    let first = cp_1();
    let refused = agree(&mut fleet(&fakes), lock(MINE, &first), look, Some(&mut ask)).await;
    assert!(refused.is_err());
    for fake in &fakes {
        let is_lock = |request: &Request| matches!(request, Request::Lock { .. });
        assert!(!fake.requests().iter().any(is_lock));
    }
}
