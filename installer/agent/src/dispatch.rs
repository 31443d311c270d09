//! Answers requests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use slipway_api::protocol::{Attachment, Reply, Request, StepEvent};
use slipway_api::{Discovery, Event, RunId, Step, StepId, paths};
use slipway_pki::BootstrapToken;
use tokio::sync::{mpsc, watch};

use crate::blob_store::BlobStore;
use crate::context::Context;
use crate::etcd::{SnapshotFolder, gather_etcd_facts};
use crate::etcd_ports::{EtcdPorts, unreached};
use crate::facts::gather_facts;
use crate::journal::Journal;
use crate::kubelet_serving::self_signed_nodes;
use crate::kubernetes::{Patience, discover};
use crate::lock::HostLock;
use crate::probes::{OpenListeners, run_probes};
use crate::server::under;
use crate::tidy::tidy;
use crate::user_certificate::sign_user;
use crate::{AgentError, certificate_upload, cluster, steps, stored_cluster, tokens};

/// How long a run waits for the lock of one that was cut off and finishes its step.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// The longest that ports of a probe stay open, whatever is asked.
const LISTENERS_BOUND: Duration = Duration::from_secs(60);

/// Answers the requests of one control channel.
pub(crate) struct Dispatcher {
    root: PathBuf,
    /// Held until the channel closes.
    lock: Mutex<Option<HostLock>>,
    /// Open until they are closed, or the channel is.
    listeners: Mutex<Option<OpenListeners>>,
    /// As long.
    etcd_ports: Mutex<Option<EtcdPorts>>,
    /// The bootstrap token of a machine that joins, as long.
    token: Mutex<Option<Arc<BootstrapToken>>>,
    /// Whether the channel has ended.
    abandoned: watch::Sender<bool>,
}

impl Dispatcher {
    /// Returns a dispatcher for the host whose file tree is at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            lock: Mutex::new(None),
            listeners: Mutex::new(None),
            etcd_ports: Mutex::new(None),
            token: Mutex::new(None),
            abandoned: watch::Sender::new(false),
        }
    }

    /// Ends what only waits: the channel has ended, and nobody hears the answer. What acts
    /// goes on to its end.
    pub fn abandon(&self) {
        self.abandoned.send_replace(true);
    }

    /// Answers one request; `on_event` is called while a step runs.
    pub async fn handle(
        &self,
        request: Request,
        on_event: impl Fn(StepEvent) + Send + 'static,
    ) -> Result<Reply, AgentError> {
        match request {
            Request::GatherFacts => gather_facts(&self.root)
                .await
                .map(|facts| Reply::Facts(Box::new(facts))),
            Request::GatherClusterFacts => {
                let facts = cluster::gather_cluster_facts(&self.root).await?;
                Ok(Reply::ClusterFacts { facts })
            }
            Request::SignUser(request) => {
                let signed = sign_user(&request, &self.root)?;
                Ok(Reply::UserCertificate(signed))
            }
            Request::ReadFoundCluster => {
                if !under(&self.root, paths::ADMIN_CONF).exists() {
                    return Ok(Reply::FoundCluster { found: None });
                }
                let context = self.quiet_context();
                let client = steps::client(&context, paths::ADMIN_CONF).await?;
                let found = client.found_cluster().await;
                let found = found.map_err(steps::failed("read the cluster".to_owned()))?;
                Ok(Reply::FoundCluster {
                    found: found.map(Box::new),
                })
            }
            Request::GatherUpgradeFacts => {
                let context = self.quiet_context();
                let client = steps::client(&context, paths::ADMIN_CONF).await?;
                let facts = client.upgrade_facts().await;
                let facts = facts.map_err(steps::failed("look at pods and budgets".to_owned()))?;
                Ok(Reply::UpgradeFacts(Box::new(facts)))
            }
            Request::GatherEtcdFacts => {
                let facts = gather_etcd_facts(&self.root).await?;
                Ok(Reply::EtcdFacts(Box::new(facts)))
            }
            Request::KeepEtcdSnapshot { cluster, dir, keep } => {
                let folder = SnapshotFolder {
                    cluster,
                    dir: under(&self.root, &dir),
                    keep: usize::from(keep),
                };
                let kept = folder.take(&self.root, false).await?;
                let kept = kept.expect("whoever takes it, it is taken");
                Ok(Reply::SnapshotKept(kept))
            }
            Request::CheckSteps { steps } => self.check(steps).await,
            Request::MissingBlobs { blobs } => {
                let store = BlobStore::new(under(&self.root, paths::BLOB_DIR));
                let missing = blobs.iter().filter(|blob| !store.has(blob));
                Ok(Reply::MissingBlobs {
                    missing: missing.map(|blob| blob.sha256).collect(),
                })
            }
            Request::RunStep {
                run,
                id,
                step,
                attachment,
            } => self.run_step(run, id, *step, attachment, on_event).await,
            Request::PrepareCertificate { step } => {
                let request_pem = steps::prepare_request(&step, &self.quiet_context())?;
                Ok(Reply::CertificateRequest { request_pem })
            }
            Request::SignCertificate { step, request_pem } => {
                let (certificate_pem, authority_pem) =
                    steps::sign_request(&step, &request_pem, &self.quiet_context())?;
                Ok(Reply::Certificate {
                    certificate_pem,
                    authority_pem,
                })
            }
            Request::ReadPublicFile { file } => self.read(file.path()),
            Request::ReadAuthorities { names } => {
                let files = steps::read_authorities(&names, &self.root)?;
                Ok(Reply::Authorities { files })
            }
            Request::ReadRecoveryFiles => {
                let files = steps::read_recovery_files(&self.root)?;
                Ok(Reply::Authorities { files })
            }
            Request::ReadAdminKubeconfig => self.read(paths::ADMIN_CONF),
            Request::ReadStoredCluster => stored_cluster::read_stored_cluster(&self.root).await,
            Request::ReadJournal { run } => {
                let journal = Journal::new(&under(&self.root, paths::RUN_DIR));
                Ok(Reply::Journal {
                    entries: journal.read(run.as_ref())?,
                })
            }
            Request::NoteRun { run, event } => {
                let is_runs =
                    matches!(*event, Event::RunStarted { .. } | Event::RunFinished { .. });
                if !is_runs {
                    return Err(AgentError::BadRequest(format!("{event:?} is no run's")));
                }
                Journal::new(&under(&self.root, paths::RUN_DIR)).append(&run, *event)?;
                Ok(Reply::Done { changed: true })
            }
            Request::Lock { holder } => {
                let path = under(&self.root, paths::LOCK_FILE);
                let lock = match HostLock::wait_and_take(&path, &holder, LOCK_PATIENCE).await {
                    Err(AgentError::Locked { holder }) => return Ok(Reply::Held { holder }),
                    lock => lock?,
                };
                *self.lock.lock().expect("nobody panics while holding it") = Some(lock);
                Ok(Reply::Done { changed: true })
            }
            Request::Tidy { version, blobs } => {
                if self
                    .lock
                    .lock()
                    .expect("nobody panics while holding it")
                    .is_none()
                {
                    let why = "only a run that holds the host may tidy it";
                    return Err(AgentError::BadRequest(why.to_owned()));
                }
                let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
                let changed = tidy(&self.root, &own, &version, blobs)?;
                Ok(Reply::Done { changed })
            }
            Request::ReadClock => Ok(Reply::Clock {
                now: Timestamp::now(),
            }),
            Request::OpenListeners {
                nonce,
                listeners,
                seconds,
            } => {
                let bound = Duration::from_secs(seconds).min(LISTENERS_BOUND);
                let (open, states) = OpenListeners::open(&listeners, &nonce, bound).await;
                self.exchange_listeners(Some(open));
                Ok(Reply::Listeners { states })
            }
            Request::RunProbes {
                nonce,
                from,
                probes,
            } => {
                let outcomes = run_probes(&probes, &nonce, &from, &self.root).await;
                Ok(Reply::Probes { outcomes })
            }
            Request::CloseListeners => {
                let open = self.exchange_listeners(None);
                let arrivals = match open {
                    Some(open) => open.close().await,
                    None => Vec::new(),
                };
                Ok(Reply::Arrivals { arrivals })
            }
            Request::OpenEtcdPorts { address, seconds } => {
                let bound = Duration::from_secs(seconds).min(LISTENERS_BOUND);
                let open = EtcdPorts::open(&self.root, address, bound).await?;
                self.exchange_etcd_ports(Some(open));
                Ok(Reply::Done { changed: true })
            }
            Request::CloseEtcdPorts => {
                self.exchange_etcd_ports(None);
                Ok(Reply::Done { changed: true })
            }
            Request::TryEtcdPorts { address } => {
                let unreached = unreached(&self.root, address).await?;
                Ok(Reply::EtcdPorts { unreached })
            }
            Request::UploadCertificates => certificate_upload::handle(&self.root).await,
            Request::Token(request) => tokens::handle(request, &self.root).await,
            Request::Discover(discovery) => self.discover(&discovery, on_event).await,
            Request::ForgetToken => self.forget_token(),
            Request::FindSelfSigned => {
                let nodes = self_signed_nodes(&self.root).await?;
                Ok(Reply::SelfSigned { nodes })
            }
        }
    }

    /// Puts other listeners, or none, in the place of those that are open.
    fn exchange_listeners(&self, listeners: Option<OpenListeners>) -> Option<OpenListeners> {
        let mut open = self
            .listeners
            .lock()
            .expect("nobody panics while holding it");
        std::mem::replace(&mut *open, listeners)
    }

    fn exchange_etcd_ports(&self, ports: Option<EtcdPorts>) {
        *self
            .etcd_ports
            .lock()
            .expect("nobody panics while holding it") = ports;
    }

    async fn check(&self, steps: Vec<(StepId, Step)>) -> Result<Reply, AgentError> {
        let context = self.quiet_context();
        let checks = steps.into_iter().map(|(id, step)| {
            let context = context.clone();
            async move {
                // A check that cannot tell says so as a reason: running the step
                // will meet the same trouble and report it in full.
                let check = steps::check(&step, &context).await.unwrap_or_else(|error| {
                    slipway_api::Check::Needed {
                        because: error.failure().to_string(),
                    }
                });
                (id, check)
            }
        });
        let checks: BTreeMap<_, _> = futures::future::join_all(checks)
            .await
            .into_iter()
            .collect();
        Ok(Reply::Checks { checks })
    }

    async fn run_step(
        &self,
        run: RunId,
        id: StepId,
        step: Step,
        attachment: Attachment,
        on_event: impl Fn(StepEvent) + Send + 'static,
    ) -> Result<Reply, AgentError> {
        let journal = Journal::new(&under(&self.root, paths::RUN_DIR));
        journal.append(&run, Event::StepStarted { step: id.clone() })?;
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let context = Context::new(&self.root, sender, attachment)
            .with_token(self.token())
            .until(self.abandoned.subscribe());
        let events = tokio::spawn(async move {
            while let Some(event) = receiver.recv().await {
                on_event(event);
            }
        });
        let result = steps::run(&step, &context).await;
        drop(context);
        // The reply must come after the step's last event.
        let _ = events.await;
        match result {
            Ok(changed) => {
                journal.append(&run, Event::StepFinished { step: id, changed })?;
                Ok(Reply::Done { changed })
            }
            Err(error) => {
                let failure = error.failure();
                journal.append(&run, Event::StepFailed { step: id, failure })?;
                Err(error)
            }
        }
    }

    fn quiet_context(&self) -> Context {
        let events = mpsc::unbounded_channel().0;
        Context::new(&self.root, events, Attachment::default()).with_token(self.token())
    }

    async fn discover(
        &self,
        discovery: &Discovery,
        on_event: impl Fn(StepEvent) + Send + 'static,
    ) -> Result<Reply, AgentError> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let events = tokio::spawn(async move {
            while let Some(line) = receiver.recv().await {
                on_event(StepEvent::Log { line });
            }
        });
        let on_wait = move |line| {
            let _ = sender.send(line);
        };
        let found = discover(discovery, Patience::default(), &on_wait).await;
        drop(on_wait);
        let _ = events.await;
        let found = found.map_err(|error| AgentError::Discovery(Box::new(error)))?;
        let token = discovery.token.expose().parse::<BootstrapToken>();
        let token = token.map_err(AgentError::pki("keep the bootstrap token"))?;
        *self.held_token() = Some(Arc::new(token));
        Ok(Reply::Discovered(Box::new(found)))
    }

    fn forget_token(&self) -> Result<Reply, AgentError> {
        *self.held_token() = None;
        let path = under(&self.root, paths::BOOTSTRAP_KUBELET_CONF);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(Reply::Done { changed: true }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Reply::Done { changed: false })
            }
            Err(error) => Err(AgentError::file("delete", &path)(error)),
        }
    }

    fn token(&self) -> Option<Arc<BootstrapToken>> {
        self.held_token().clone()
    }

    fn held_token(&self) -> MutexGuard<'_, Option<Arc<BootstrapToken>>> {
        self.token.lock().expect("nobody panics while holding it")
    }

    fn read(&self, path: &str) -> Result<Reply, AgentError> {
        let path = under(&self.root, path);
        let text = std::fs::read_to_string(&path).map_err(AgentError::file("read", &path))?;
        Ok(Reply::Text { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_with_the_channel_that_asked_for_it() {
        let root = tempfile::tempdir().unwrap();
        let dispatcher = Dispatcher::new(root.path().to_owned());
        let step = Step::WaitFor(slipway_api::step::WaitFor {
            condition: slipway_api::step::Condition::ApiServerReady,
            timeout_seconds: 3600,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        });
        let host = "cp-1".parse().unwrap();
        let wait = Request::RunStep {
            run: RunId::parse("run-1").unwrap(),
            id: StepId::of(&host, slipway_api::Phase::WaitControlPlane, &step),
            step: Box::new(step),
            attachment: Attachment::default(),
        };
        let (said, mut heard) = mpsc::unbounded_channel();
        let waiting = dispatcher.handle(wait, move |event| {
            let _ = said.send(event);
        });
        let ending = async {
            heard.recv().await;
            dispatcher.abandon();
        };
        let (ended, ()) = tokio::join!(waiting, ending);
        assert!(
            matches!(ended, Err(AgentError::Abandoned { .. })),
            "{ended:?}"
        );
        let journal = Journal::new(&under(root.path(), paths::RUN_DIR));
        let last = journal.read(None).unwrap().pop().map(|entry| entry.event);
        assert!(matches!(last, Some(Event::StepFailed { .. })), "{last:?}");
    }

    #[tokio::test]
    async fn only_a_run_that_holds_the_host_may_tidy_it() {
        let root = tempfile::tempdir().unwrap();
        let dispatcher = Dispatcher::new(root.path().to_owned());
        let tidy = Request::Tidy {
            version: slipway_api::KubernetesVersion::new(36, 3),
            blobs: Default::default(),
        };
        let refused = dispatcher.handle(tidy.clone(), |_| {}).await;
        assert!(
            matches!(refused, Err(AgentError::BadRequest(_))),
            "{refused:?}"
        );
        let holder = "ops@laptop/42/run-1".to_owned();
        let lock = Request::Lock { holder };
        dispatcher.handle(lock, |_| {}).await.unwrap();
        let done = dispatcher.handle(tidy, |_| {}).await.unwrap();
        assert_eq!(done, Reply::Done { changed: false });
    }
}
