//! A host that exists in memory only, for tests of those who use hosts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use slipway_api::protocol::{Reply, Request, StepEvent};
use slipway_api::{
    Blob, Check, EtcdSnapshotSummary, Failure, HostName, Sha256Digest, Step, StepId,
};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::watch;

use crate::HostError;
use crate::agent::hanging;
use crate::host::{BlobReader, EventSink, Host, ProgressSink};

/// What happens to one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The agent answers with this failure and does nothing.
    Fail(Failure),
    /// The answer never comes, and nothing is done; what takes minutes elsewhere is over at once.
    Hang,
    /// The connection is lost before anything is done, and stays lost until [`FakeHost::revive`].
    DieBefore,
    /// The same, but the request has been carried out.
    DieAfter,
}

/// Answers a request, or leaves it to the fake's own answer.
type Script = dyn Fn(&Request, EventSink<'_>) -> Option<Result<Reply, Failure>> + Send + Sync;

/// Says which requests are never answered, however long one waits.
type Unanswered = dyn Fn(&Request) -> bool + Send + Sync;

/// A scripted host: it remembers blobs and applied steps, and fails where it is told to.
///
/// Without a script it reports applied steps as satisfied and all others as needed, applies
/// every step, and answers anything else with a failure.
#[derive(Clone)]
pub struct FakeHost {
    name: HostName,
    script: Option<Arc<Script>>,
    unanswered: Option<Arc<Unanswered>>,
    state: Arc<Mutex<State>>,
    dead: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    blobs: BTreeSet<Sha256Digest>,
    applied: Vec<Step>,
    faults: Vec<(usize, Fault)>,
}

impl FakeHost {
    /// Returns a host without blobs, where no step has been applied.
    pub fn new(name: HostName) -> Self {
        Self {
            name,
            script: None,
            unanswered: None,
            state: Arc::default(),
            dead: watch::Sender::new(false),
        }
    }

    /// Returns the same host, with `script` asked first about every request.
    pub fn with_script(
        mut self,
        script: impl Fn(&Request, EventSink<'_>) -> Option<Result<Reply, Failure>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.script = Some(Arc::new(script));
        self
    }

    /// Returns the same host, which never answers the requests that `which` names.
    pub fn without_answer_to(
        mut self,
        which: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.unanswered = Some(Arc::new(which));
        self
    }

    /// Lets `fault` happen to the request that is the `nth` from the beginning, counted from 0;
    /// uploads count too.
    pub fn fail_at(&self, nth: usize, fault: Fault) {
        self.state().faults.push((nth, fault));
    }

    /// Lets the host die, whether or not anything is asked of it.
    pub fn kill(&self) {
        self.dead.send_replace(true);
    }

    /// Lets a dead host be reached again; what it had done is kept.
    pub fn revive(&self) {
        self.dead.send_replace(false);
    }

    /// Forgets what was applied, as a host that was installed anew.
    pub fn wipe(&self) {
        self.state().applied.clear();
    }

    /// Returns every request so far; an upload shows as [`Request::MissingBlobs`] of its blob.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Returns the steps that have been applied, in order.
    pub fn applied_steps(&self) -> Vec<Step> {
        self.state().applied.clone()
    }

    /// Returns whether the host has a blob.
    pub fn has_blob(&self, sha256: &Sha256Digest) -> bool {
        self.state().blobs.contains(sha256)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn connection_lost(&self) -> HostError {
        HostError::ConnectionLost {
            host: self.name.as_str().to_owned(),
            reason: "the fake host is dead".into(),
        }
    }

    fn failed(&self, failure: Failure) -> HostError {
        HostError::Failed {
            host: self.name.as_str().to_owned(),
            failure: Box::new(failure),
        }
    }

    /// Notes a request and returns the fault that is due, if one is.
    fn note(&self, request: Request) -> Result<Option<Fault>, HostError> {
        if *self.dead.borrow() {
            return Err(self.connection_lost());
        }
        let mut state = self.state();
        let number = state.requests.len();
        state.requests.push(request);
        let due = state.faults.iter().position(|(nth, _)| *nth == number);
        Ok(due.map(|index| state.faults.remove(index).1))
    }

    /// Acts as `fault` says: `Ok` means that the request is carried out first.
    fn suffer(&self, request: &Request, fault: &Option<Fault>) -> Result<(), HostError> {
        match fault {
            None => Ok(()),
            Some(Fault::Fail(failure)) => Err(self.failed(failure.clone())),
            Some(Fault::Hang) => Err(hanging(self.name.as_str(), request)),
            Some(Fault::DieBefore) => {
                self.kill();
                Err(self.connection_lost())
            }
            Some(Fault::DieAfter) => {
                self.kill();
                Ok(())
            }
        }
    }

    fn answer(&self, request: &Request, on_event: EventSink<'_>) -> Result<Reply, Failure> {
        if let Some(answer) = self
            .script
            .as_ref()
            .and_then(|script| script(request, on_event))
        {
            if let (Request::RunStep { step, .. }, Ok(_)) = (request, &answer) {
                self.state().apply(step);
            }
            return answer;
        }
        let mut state = self.state();
        if let Request::CheckSteps { steps } = request {
            let check = |(id, step): &(StepId, Step)| {
                let because = || "not applied yet".to_owned();
                let check = match state.applied.contains(step) {
                    true => Check::Satisfied,
                    false => Check::Needed { because: because() },
                };
                (id.clone(), check)
            };
            return Ok(Reply::Checks {
                checks: steps.iter().map(check).collect(),
            });
        }
        if let Request::MissingBlobs { blobs } = request {
            let digests = blobs.iter().map(|blob| blob.sha256);
            let missing = digests
                .filter(|sha256| !state.blobs.contains(sha256))
                .collect();
            return Ok(Reply::MissingBlobs { missing });
        }
        if let Request::RunStep { step, .. } = request {
            on_event(StepEvent::Log {
                line: format!("fake: {}", step.describe()),
            });
            return Ok(Reply::Done {
                changed: state.apply(step),
            });
        }
        if let Request::Lock { .. } | Request::NoteRun { .. } = request {
            return Ok(Reply::Done { changed: true });
        }
        if let Request::Tidy { blobs, .. } = request {
            let before = state.blobs.len();
            state.blobs.retain(|blob| blobs.contains(blob));
            let changed = state.blobs.len() < before;
            return Ok(Reply::Done { changed });
        }
        Err(Failure::because(
            "the fake host has no script for this request",
        ))
    }
}

impl State {
    /// Applies a step and returns whether that was new.
    fn apply(&mut self, step: &Step) -> bool {
        let is_new = !self.applied.contains(step);
        if is_new {
            self.applied.push(step.clone());
        }
        is_new
    }
}

#[async_trait]
impl Host for FakeHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn request(&self, request: Request, on_event: EventSink<'_>) -> Result<Reply, HostError> {
        let fault = self.note(request.clone())?;
        self.suffer(&request, &fault)?;
        if self.unanswered.as_ref().is_some_and(|it| it(&request)) {
            return Err(Host::lost(self).await);
        }
        let answer = self.answer(&request, on_event);
        if fault.is_some() {
            return Err(self.connection_lost());
        }
        answer.map_err(|failure| self.failed(failure))
    }

    async fn upload(
        &self,
        blob: &Blob,
        mut content: BlobReader,
        on_progress: ProgressSink<'_>,
    ) -> Result<(), HostError> {
        let request = Request::MissingBlobs { blobs: vec![*blob] };
        let fault = self.note(request.clone())?;
        self.suffer(&request, &fault)?;
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .await
            .map_err(|source| HostError::BlobUnreadable {
                host: self.name.as_str().to_owned(),
                sha256: blob.sha256,
                source,
            })?;
        if Sha256Digest::of(&bytes) != blob.sha256 || bytes.len() as u64 != blob.size {
            return Err(self.failed(Failure::because(
                "the blob's bytes are not what its name says",
            )));
        }
        on_progress(blob.size);
        self.state().blobs.insert(blob.sha256);
        if fault.is_some() {
            Err(self.connection_lost())
        } else {
            Ok(())
        }
    }

    async fn lost(&self) -> HostError {
        let mut dead = self.dead.subscribe();
        let _ = dead.wait_for(|is_dead| *is_dead).await;
        self.connection_lost()
    }

    async fn receive_snapshot(
        &self,
        _sink: &mut (dyn AsyncWrite + Send + Unpin),
        _on_progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<EtcdSnapshotSummary, HostError> {
        Err(self.failed(Failure::because("the fake host has no etcd")))
    }

    async fn close(&self) {}
}
