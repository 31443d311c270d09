//! Probes for real: agents in this process, each with a loopback address of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{bare_facts, spec};
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    ClusterSpec, Facts, Failure, Finding, HostFacts, HostName, HostState, Listener, ListenerState,
    Probe, ProbeListener, ProbeOutcome, Severity, Transport,
};
use slipway_engine::{Fleet, probe_hosts};
use slipway_hosts::{FakeHost, Fault, Host, LocalHost};
use slipway_planner::{Scope, preflight};
use tempfile::TempDir;

/// Hosts with addresses `127.X.0.N`, and their folders.
struct Scene {
    spec: ClusterSpec,
    facts: Facts,
    hosts: BTreeMap<HostName, Arc<dyn Host>>,
    _folders: Vec<TempDir>,
}

/// Starts an agent for each host of the made-up cluster. `network` keeps tests
/// that run at the same time apart.
async fn scene(network: u8) -> Scene {
    let mut spec = spec();
    for (index, host) in spec.hosts.iter_mut().enumerate() {
        let number = u8::try_from(index + 1).unwrap();
        host.node_ip = Ipv4Addr::new(127, network, 0, number).into();
    }
    let facts = bare_facts(&spec);
    let mut folders = Vec::new();
    let mut hosts: BTreeMap<HostName, Arc<dyn Host>> = BTreeMap::new();
    for host in &spec.hosts {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let agent = LocalHost::start(host.name.clone(), move |reader, writer| {
            slipway_agent::serve(reader, writer, root.clone())
        });
        hosts.insert(host.name.clone(), Arc::new(agent.await.unwrap()));
        folders.push(folder);
    }
    Scene {
        spec,
        facts,
        hosts,
        _folders: folders,
    }
}

impl Scene {
    fn change(&mut self, host: &str, change: impl FnOnce(&mut HostFacts)) {
        match self.facts.hosts.get_mut(&name(host)) {
            Some(HostState::Reached(facts)) => change(facts),
            other => panic!("{host} is not reached: {other:?}"),
        }
    }

    fn address(&self, host: &str) -> IpAddr {
        self.spec.host(&name(host)).unwrap().node_ip
    }

    /// Probes, and returns the findings about network and clocks.
    async fn probe(&mut self) -> Vec<Finding> {
        let fleet = Fleet::of_hosts(self.hosts.values().cloned());
        self.facts.probes = probe_hosts(&fleet, &self.spec, &self.facts, &Scope::All).await;
        let found = preflight::check(&self.spec, &self.facts, None, &Scope::All);
        // Names and disk are those of the machine that runs the test.
        let is_machine_s =
            |finding: &Finding| ["Hostname", "DNS", "EtcdFsync"].contains(&finding.id.as_str());
        found
            .into_iter()
            .filter(|finding| !is_machine_s(finding))
            .collect()
    }

    /// Returns what `from` found when it tried a TCP port of `to`.
    fn connected(&self, from: &str, to: &str, tried: u16) -> Option<&ProbeOutcome> {
        let outcomes = &self.facts.probes[&name(from)].outcomes;
        let found = outcomes.iter().find(|(probe, _)| {
            matches!(probe, Probe::Connect { to: target, port, .. } if *target == name(to) && *port == tried)
        });
        found.map(|(_, outcome)| outcome)
    }
}

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

#[tokio::test]
async fn hosts_that_reach_each_other_have_no_findings() {
    let mut scene = scene(101).await;
    assert_eq!(scene.probe().await, []);
    for worker in ["w-1", "w-2"] {
        let reached = Some(&ProbeOutcome::Reached);
        assert_eq!(scene.connected(worker, "cp-1", 6443), reached);
        assert_eq!(scene.connected("cp-1", worker, 10250), reached);
        assert_eq!(scene.connected("cp-1", worker, 6443), None);
        // The whole of the link's MTU arrived at the next one and at cp-1.
        let arrivals = &scene.facts.probes[&name("cp-1")].arrivals;
        let largest = arrivals.iter().filter(|it| it.from == name(worker));
        assert_eq!(largest.map(|it| it.size).max(), Some(1500), "{worker}");
    }
    let clock = scene.facts.probes[&name("w-1")].clock.unwrap();
    assert!(clock.ahead_millis.abs() < 500, "{clock:?}");
    let synced = |(_, outcome): &(Probe, ProbeOutcome)| matches!(outcome, ProbeOutcome::Synced(_));
    assert!(
        scene.facts.probes[&name("cp-1")]
            .outcomes
            .iter()
            .any(synced)
    );
    assert!(!scene.facts.probes[&name("w-1")].outcomes.iter().any(synced));
}

#[tokio::test]
async fn ports_are_free_again_when_probing_is_over() {
    let mut scene = scene(102).await;
    scene.probe().await;
    for port in [6443, 10250] {
        let address = SocketAddr::new(scene.address("cp-1"), port);
        std::net::TcpListener::bind(address).expect("the port is free");
    }
    let address = SocketAddr::new(scene.address("w-1"), 8472);
    std::net::UdpSocket::bind(address).expect("the port is free");
}

#[tokio::test]
async fn a_port_with_an_owner_is_probed_by_connecting_to_the_owner() {
    let mut scene = scene(103).await;
    // A node: it opens nothing, and its kubelet is reached.
    let kubelet = SocketAddr::new(scene.address("w-1"), 10250);
    let kubelet = std::net::TcpListener::bind(kubelet).unwrap();
    scene.change("w-1", |host| {
        host.existing.slipway_cluster = Some("harbour".into());
        host.listening.push(Listener {
            port: 10250,
            program: Some("kubelet".into()),
        });
    });
    // No node yet, and somebody has the port: told as such, reached all the same.
    let stranger = SocketAddr::new(scene.address("w-2"), 10250);
    let stranger = std::net::TcpListener::bind(stranger).unwrap();
    assert_eq!(scene.probe().await, []);
    assert_eq!(scene.facts.probes[&name("w-1")].listeners, []);
    let taken = |(listener, state): &(ProbeListener, ListenerState)| {
        listener.port == 10250 && *state == ListenerState::Taken
    };
    assert!(scene.facts.probes[&name("w-2")].listeners.iter().any(taken));
    for worker in ["w-1", "w-2"] {
        let reached = Some(&ProbeOutcome::Reached);
        assert_eq!(scene.connected("cp-1", worker, 10250), reached);
    }
    drop((kubelet, stranger));
}

#[tokio::test]
async fn a_node_whose_kubelet_is_down_is_not_probed_for_it() {
    let mut scene = scene(104).await;
    scene.change("w-1", |host| host.existing.kubelet_conf = true);
    let found = scene.probe().await;
    let is_about_ports = |finding: &&Finding| finding.id.starts_with("PortReachable");
    assert_eq!(found.iter().filter(is_about_ports).count(), 0);
    assert_eq!(scene.connected("cp-1", "w-1", 10250), None);
}

#[tokio::test]
async fn flannel_s_port_is_left_to_a_vxlan_link() {
    let mut scene = scene(105).await;
    scene.change("w-1", |host| {
        let mut link = host.links[0].clone();
        link.name = "flannel.1".into();
        link.addresses = Vec::new();
        link.kind = Some("vxlan".into());
        host.links.push(link);
    });
    scene.probe().await;
    let is_udp =
        |(listener, _): &(ProbeListener, ListenerState)| listener.transport == Transport::Udp;
    assert!(
        !scene.facts.probes[&name("w-1")]
            .listeners
            .iter()
            .any(is_udp)
    );
    assert!(
        scene.facts.probes[&name("w-2")]
            .listeners
            .iter()
            .any(is_udp)
    );
    let sent_there = |(probe, _): &(Probe, ProbeOutcome)| matches!(probe, Probe::SendDatagrams { to, .. } if *to == name("w-1"));
    let sent = scene.facts.probes[&name("cp-1")].outcomes.iter();
    assert_eq!(sent.filter(|outcome| sent_there(outcome)).count(), 0);
}

#[tokio::test]
async fn ports_close_with_the_connection_and_at_their_bound() {
    let scene = scene(106).await;
    let open = async |host: &str, seconds: u64| {
        let listener = ProbeListener {
            address: scene.address(host),
            port: 6443,
            transport: Transport::Tcp,
        };
        let request = Request::OpenListeners {
            nonce: "n".into(),
            listeners: vec![listener],
            seconds,
        };
        let reply = scene.hosts[&name(host)].request(request, &|_| {}).await;
        let Ok(Reply::Listeners { states }) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(states, [ListenerState::Open]);
        SocketAddr::new(listener.address, listener.port)
    };
    let cut_off = open("cp-1", 60).await;
    assert!(std::net::TcpListener::bind(cut_off).is_err());
    scene.hosts[&name("cp-1")].close().await;
    wait_until_free(cut_off).await;
    let forgotten = open("w-1", 1).await;
    wait_until_free(forgotten).await;
}

async fn wait_until_free(address: SocketAddr) {
    let began = Instant::now();
    while std::net::TcpListener::bind(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_host_that_refuses_holds_up_nobody_and_all_ports_are_closed() {
    let mut scene = scene(107).await;
    // The clock is read three times; the fourth request opens ports.
    let fake = FakeHost::new(name("w-1")).with_script(|request, _| {
        let now = jiff::Timestamp::now();
        (*request == Request::ReadClock).then_some(Ok(Reply::Clock { now }))
    });
    fake.fail_at(3, Fault::Fail(Failure::because("no descriptors left")));
    scene.hosts.insert(name("w-1"), Arc::new(fake.clone()));
    let found = scene.probe().await;
    let told: Vec<_> = found
        .iter()
        .map(|finding| (finding.severity, finding.id.as_str()))
        .collect();
    assert_eq!(told, [(Severity::Warning, "Probes")]);
    assert!(
        found[0].seen.contains("no descriptors left"),
        "{}",
        found[0].seen
    );
    let reached = Some(&ProbeOutcome::Reached);
    assert_eq!(scene.connected("w-2", "cp-1", 6443), reached);
    assert_eq!(fake.requests().last(), Some(&Request::CloseListeners));
}
