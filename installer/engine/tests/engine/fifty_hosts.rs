//! Fifty hosts behind a fake transport, brought up by running the plan on them: how long a
//! look at them takes, and what one more worker asks of all the others.
//!
//! What hosts tell of themselves follows from the steps that were applied on them, and so
//! does what their checks say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    Arrival, CONTAINERD_VERSION, Check, ClusterFacts, ClusterFile, ClusterSpec, HostFacts,
    HostName, HostSpec, Listener, ListenerState, NodeFacts, Outcome, Probe, ProbeOutcome, RunId,
    RuntimeFacts, Severity, Step, SyncLatency, paths,
};
use slipway_engine::{
    EngineError, Fleet, LockRequest, RunRequest, Survey, agree, gather_facts, probe_hosts,
    run_plan, tidy,
};
use slipway_hosts::{FakeHost, Host};
use slipway_planner::{Scope, plan_cluster, preflight};

use crate::fakes::{NamedBlobs, answer};
use crate::support::{bare_host, manifest};

/// How many workers there are beside the control-plane host.
const WORKERS: usize = 49;

/// How long a look at hosts where nothing is left to do may take: five times the goal.
const BOUND: Duration = Duration::from_secs(25);

/// The step before which no node is Ready.
const READY: &str = "wait until node ";

/// A cluster of fake hosts.
struct Harbour {
    spec: ClusterSpec,
    fakes: Vec<FakeHost>,
}

impl Harbour {
    /// Returns bare hosts: `cp-1`, and `w-1` and so on.
    fn bare(workers: usize) -> Self {
        let spec = spec(workers);
        let fakes = spec.hosts.iter().map(|host| fake(host, &spec)).collect();
        Self { spec, fakes }
    }

    /// Returns the same hosts and one more worker, which is bare.
    fn with_one_more(self) -> Self {
        let spec = spec(self.spec.hosts.len());
        let known = self.fakes.iter();
        let mut fakes: Vec<FakeHost> = known
            .zip(&spec.hosts)
            .map(|(fake, host)| script(fake.clone(), host, &spec))
            .collect();
        fakes.extend(spec.hosts.last().map(|host| fake(host, &spec)));
        Self { spec, fakes }
    }

    fn fleet(&self) -> Fleet {
        let connected = |fake: &FakeHost| Arc::new(fake.clone()) as Arc<dyn Host>;
        Fleet::of_hosts(self.fakes.iter().map(connected))
    }

    /// Looks at all hosts as `plan` and `apply` do.
    async fn look(&self, fleet: &mut Fleet) -> Result<Survey, EngineError> {
        let spec = &self.spec;
        let manifest = manifest(&spec.kubernetes_version);
        let mut facts = gather_facts(fleet, spec).await;
        facts.probes = probe_hosts(fleet, spec, &facts, &Scope::All).await;
        let findings = preflight::check(spec, &facts.reached(), Some(&manifest), &Scope::All);
        let is_error = |severity| severity == Severity::Error;
        assert!(
            !findings.iter().any(|it| is_error(it.severity)),
            "{findings:#?}"
        );
        Survey::take(fleet, facts, |facts| {
            plan_cluster(spec, facts, &manifest, &Scope::All)
        })
        .await
    }

    /// Does what `apply -y` does; returns what was to be done.
    async fn apply(&self) -> Survey {
        let mut fleet = self.fleet();
        let first = &self.spec.first_control_plane().name;
        let lock = LockRequest {
            holder: "ops@laptop/42/run",
            first,
        };
        let look = async |fleet: &mut Fleet| self.look(fleet).await;
        let survey = agree(&mut fleet, lock, look, None).await.expect("a plan");
        if survey.plan.is_empty() {
            return survey;
        }
        let blobs = NamedBlobs::new();
        let (_stop, stop) = tokio::sync::watch::channel(false);
        let request = RunRequest {
            run: RunId::new(Timestamp::UNIX_EPOCH, 1),
            command: "apply".to_owned(),
            plan: &survey.plan,
            blobs: &blobs,
            stop,
        };
        let state = run_plan(&fleet, request, &mut |_| {})
            .await
            .expect("it runs");
        assert_eq!(state.outcome, Some(Outcome::Succeeded));
        assert_eq!(
            tidy(&fleet, &survey, &self.spec.kubernetes_version).await,
            []
        );
        survey
    }

    /// Returns how many requests each host has had.
    fn counts(&self) -> Vec<usize> {
        self.fakes.iter().map(|it| it.requests().len()).collect()
    }
}

/// Returns a cluster of one control-plane host and so many workers.
fn spec(workers: usize) -> ClusterSpec {
    let mut text = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: { name: harbour }\n\
                    spec:\n  kubernetesVersion: 1.36.3\n  hosts:\n"
        .to_owned();
    for number in 0..=workers {
        let (name, role) = match number {
            0 => ("cp-1".to_owned(), "control-plane"),
            _ => (format!("w-{number}"), "worker"),
        };
        let address = format!("192.0.2.{}", number + 10);
        let _ = writeln!(
            text,
            "    - {{ name: {name}, address: {address}, role: {role} }}"
        );
    }
    let file = ClusterFile::parse(&text, "harbour.yaml");
    file.expect("the file is right").spec
}

fn fake(host: &HostSpec, spec: &ClusterSpec) -> FakeHost {
    script(FakeHost::new(host.name.clone()), host, spec)
}

/// Lets a host answer as a member of the cluster of `spec`, by what was applied on it.
fn script(fake: FakeHost, host: &HostSpec, spec: &ClusterSpec) -> FakeHost {
    let (seen, host) = (fake.clone(), host.clone());
    let names: Vec<HostName> = spec.hosts.iter().map(|it| it.name.clone()).collect();
    fake.with_script(move |request, _| {
        if *request == Request::GatherFacts {
            return Some(Ok(Reply::Facts(Box::new(facts(&seen, &host)))));
        }
        if *request == Request::GatherClusterFacts {
            let facts = cluster_facts(&seen);
            return Some(Ok(Reply::ClusterFacts { facts }));
        }
        let checked = || checked(request, &seen);
        let reply = probed(request, &names).or_else(checked);
        reply.or_else(|| answer(request)).map(Ok)
    })
}

/// Answers checks by what was applied; a node without marks needs none.
fn checked(request: &Request, seen: &FakeHost) -> Option<Reply> {
    let Request::CheckSteps { steps } = request else {
        return None;
    };
    let applied = seen.applied_steps();
    let is_plain = |step: &Step| matches!(step, Step::MarkNode(marks) if marks.labels.is_empty() && marks.taints.is_empty());
    let checks = steps.iter().map(|(id, step)| {
        let because = "not applied yet".to_owned();
        let check = match is_plain(step) || applied.contains(step) {
            true => Check::Satisfied,
            false => Check::Needed { because },
        };
        (id.clone(), check)
    });
    let checks = checks.collect();
    Some(Reply::Checks { checks })
}

/// Answers probes as hosts do that reach each other.
fn probed(request: &Request, names: &[HostName]) -> Option<Reply> {
    if *request == Request::ReadClock {
        let now = Timestamp::now();
        return Some(Reply::Clock { now });
    }
    if let Request::OpenListeners { listeners, .. } = request {
        let states = vec![ListenerState::Open; listeners.len()];
        return Some(Reply::Listeners { states });
    }
    if let Request::RunProbes { probes, .. } = request {
        let outcomes = probes.iter().map(outcome).collect();
        return Some(Reply::Probes { outcomes });
    }
    if *request == Request::CloseListeners {
        let arrived = |from: &HostName| Arrival {
            from: from.clone(),
            size: 1500,
        };
        let arrivals = names.iter().map(arrived).collect();
        return Some(Reply::Arrivals { arrivals });
    }
    None
}

fn outcome(probe: &Probe) -> ProbeOutcome {
    match probe {
        Probe::Connect { .. } => ProbeOutcome::Reached,
        Probe::SendDatagrams { .. } => ProbeOutcome::Sent { failures: vec![] },
        Probe::ResolveName { .. } => ProbeOutcome::Resolved {
            addresses: vec![[192, 0, 2, 10].into()],
        },
        Probe::AskNameServer { .. } => ProbeOutcome::Answered,
        Probe::SyncFile { .. } => ProbeOutcome::Synced(SyncLatency {
            writes: 200,
            median_micros: 500,
            p99_micros: 900,
        }),
        Probe::LookAtFolder { .. }
        | Probe::FindFiles { .. }
        | Probe::JudgeGiven { .. }
        | Probe::AskEtcdVersion { .. } => ProbeOutcome::Failed {
            reason: "this cluster has no such probe".to_owned(),
        },
    }
}

/// Returns the facts of a host on which so much was applied.
fn facts(seen: &FakeHost, host: &HostSpec) -> HostFacts {
    let mut facts = bare_host(host.name.as_str(), host.node_ip);
    let mut listens = |port, program: &str| {
        facts.listening.push(Listener {
            port,
            program: Some(program.to_owned()),
        });
    };
    let existing = &mut facts.existing;
    for step in seen.applied_steps() {
        if let Step::WriteFile(step) = &step
            && step.path == paths::CLUSTER_MARKER
        {
            existing.slipway_cluster = Some(step.content.trim().to_owned());
        } else if let Step::EnsureKubeletClient(step) = &step {
            existing.kubelet_conf = true;
            existing.node_name = Some(step.node_name.clone());
        } else if let Step::EnsureUnit(step) = &step {
            if step.unit == "kubelet.service" {
                listens(10250, "kubelet");
            } else if step.unit == "containerd.service" {
                existing.runtime_is_ours = true;
                facts.runtime = Some(RuntimeFacts {
                    socket: paths::CONTAINERD_SOCKET.to_owned(),
                    name: "containerd".to_owned(),
                    version: CONTAINERD_VERSION.to_owned(),
                    cgroup_driver: Some("systemd".to_owned()),
                    ready: true,
                    is_ours: true,
                });
            }
        } else if let Step::EnsureStaticPod(step) = &step {
            existing.manifests.push(format!("{}.yaml", step.name));
            match step.name.as_str() {
                "kube-apiserver" => listens(6443, "kube-apiserver"),
                "etcd" => listens(2379, "etcd"),
                _ => {}
            }
        }
    }
    facts
}

/// Returns the nodes that were seen Ready from this host; no cluster before the first.
fn cluster_facts(seen: &FakeHost) -> Option<ClusterFacts> {
    let steps = seen.applied_steps();
    let described: Vec<String> = steps.iter().map(Step::describe).collect();
    let nodes: Vec<NodeFacts> = described
        .iter()
        .filter_map(|it| it.strip_prefix(READY)?.strip_suffix(" is Ready"))
        .map(|name| NodeFacts {
            name: name.to_owned(),
            ready: true,
            roles: Vec::new(),
            kubelet_version: "v1.36.3".to_owned(),
            internal_ip: None,
            unschedulable: false,
            pod_subnet: None,
        })
        .collect();
    (!nodes.is_empty()).then(|| ClusterFacts {
        api_server_version: "v1.36.3".to_owned(),
        nodes,
        unhealthy: Vec::new(),
        configuration: None,
    })
}

/// Returns the kind of a request, as the protocol names it.
fn kind(request: &Request) -> String {
    let value = serde_json::to_value(request).expect("requests are JSON");
    value["request"].as_str().expect("it is tagged").to_owned()
}

/// Returns the kinds of the requests that hosts had after so many, with how often each came.
fn kinds_after(fakes: &[FakeHost], counts: &[usize]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for (fake, count) in fakes.iter().zip(counts) {
        for request in fake.requests().iter().skip(*count) {
            *kinds.entry(kind(request)).or_default() += 1;
        }
    }
    kinds
}

/// Prints a figure as a row of `make bench`, and fails beyond the bound.
fn told(what: &str, began: Instant) {
    let took = began.elapsed();
    println!("{what:<66} {:>8.1}   under 5", took.as_secs_f64());
    assert!(took < BOUND, "{what}: {took:?}");
}

#[tokio::test]
async fn fifty_hosts_that_are_as_they_should_be_are_found_so_in_time() {
    let harbour = Harbour::bare(WORKERS);
    let began = Instant::now();
    let survey = harbour.look(&mut harbour.fleet()).await.expect("a plan");
    told("plan of 50 bare hosts, fake transport", began);
    assert_eq!(survey.plan.hosts().len(), WORKERS + 1);
    harbour.apply().await;

    let counts = harbour.counts();
    let began = Instant::now();
    let survey = harbour.apply().await;
    told("apply without a change on 50 hosts, fake transport", began);
    assert!(survey.plan.is_empty(), "{:?}", survey.plan.steps.first());
    let asked = kinds_after(&harbour.fakes, &counts);
    let kinds: BTreeSet<&str> = asked.keys().map(String::as_str).collect();
    let reading = [
        "check-steps",
        "gather-cluster-facts",
        "gather-facts",
        "lock",
    ];
    let probing = ["read-clock", "run-probes"];
    assert_eq!(
        kinds,
        reading.into_iter().chain(probing).collect(),
        "{asked:?}"
    );
}

#[tokio::test]
async fn one_more_worker_asks_nothing_of_the_others_that_writes() {
    let harbour = Harbour::bare(WORKERS);
    harbour.apply().await;
    let harbour = harbour.with_one_more();
    let (new, others) = (&harbour.fakes[WORKERS + 1], &harbour.fakes[1..=WORKERS]);
    let counts = harbour.counts();
    let began = Instant::now();
    let survey = harbour.apply().await;
    told(
        "apply of one more worker beside 50 hosts, fake transport",
        began,
    );
    let hosts: Vec<HostName> = survey.plan.hosts();
    assert_eq!(
        hosts.iter().map(HostName::as_str).collect::<BTreeSet<_>>(),
        ["cp-1", new.name().as_str()].into()
    );

    // The file that says what is kept is written only where that is new.
    let asked = kinds_after(others, &counts[1..=WORKERS]);
    let once = ["check-steps", "gather-facts", "lock", "run-probes", "tidy"];
    let expected = once.map(|kind| (kind.to_owned(), WORKERS));
    let clocks = ("read-clock".to_owned(), 3 * WORKERS);
    assert_eq!(asked, expected.into_iter().chain([clocks]).collect());

    // The control plane takes the node in, through the API: no file of its own changes.
    let first = &harbour.fakes[0];
    let ran: BTreeSet<String> = first.requests()[counts[0]..]
        .iter()
        .filter_map(|request| {
            let Request::RunStep { step, .. } = request else {
                return None;
            };
            Some(step.describe())
        })
        .collect();
    let node = new.name();
    let expected = [
        "apply slipway-cluster".to_owned(),
        format!("wait until node {node} is Ready"),
        format!("wait until node {node} is registered"),
    ];
    assert_eq!(ran, expected.into());
    assert!(new.applied_steps().len() > 20);
}
