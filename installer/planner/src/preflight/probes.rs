//! Which probes are made: who listens where, and who tries to reach whom.
//!
//! TCP: every host reaches every control-plane host's API server, control-plane
//! hosts reach every kubelet and each other's etcd. UDP: every host sends
//! flannel's port of every other a datagram, up to [`MAX_PEERS`] of them in the
//! file's order and all control-plane hosts, so that a thousand hosts make
//! thousands of datagrams, not a million. Sizes are tried on two paths of each host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use slipway_api::{
    ClusterSpec, Cni, Etcd, ExternalEtcd, Facts, HostFacts, HostName, HostProbes, HostSpec,
    ListenerState, LocalEtcd, Probe, ProbeListener, Release, Role, Transport, paths,
};

use super::firewall::VXLAN_PORT;
use crate::Scope;
use crate::certificate_recipes::CertificateRecipes;
use crate::control_plane_hosts::ControlPlaneHosts;
use crate::external_ca::has_given_kubelet_conf;
use crate::names::API_PORT;

/// The kubelet's port.
pub(super) const KUBELET_PORT: u16 = 10250;
/// etcd's ports for clients and for other members.
pub(super) const ETCD_PORTS: [u16; 2] = [2379, 2380];

/// How many hosts each host sends datagrams, beside control-plane hosts.
const MAX_PEERS: usize = 64;

/// The size of a datagram that only has to arrive.
pub(super) const SMALL: u32 = 512;

/// The largest datagram there is.
const LARGEST: u32 = 65_535;

/// Sizes of packets that links, tunnels and clouds let through.
const SIZES: [u32; 15] = [
    9000, 8950, 8500, 4000, 1500, 1492, 1480, 1460, 1450, 1440, 1420, 1400, 1380, 1340, 1280,
];

/// A host that takes part.
#[derive(Clone, Copy)]
struct Peer<'a> {
    host: &'a HostSpec,
    facts: &'a HostFacts,
    /// Whether its kubelet.conf was put there for a node to come.
    is_given: bool,
}

impl Peer<'_> {
    /// Returns whether it runs Kubernetes, whose ports nobody else may take.
    fn is_node(&self) -> bool {
        let existing = &self.facts.existing;
        existing.slipway_cluster.is_some() || (existing.kubelet_conf && !self.is_given)
    }

    fn is_control_plane(&self) -> bool {
        self.host.role == Role::ControlPlane
    }

    /// Returns whether the kernel itself has flannel's port.
    fn has_vxlan(&self) -> bool {
        let links = &self.facts.links;
        links
            .iter()
            .any(|link| link.kind.as_deref() == Some("vxlan"))
    }

    fn listens_on(&self, port: u16) -> bool {
        let listening = &self.facts.listening;
        listening.iter().any(|listener| listener.port == port)
    }

    /// Returns the MTU of the link that has the node's address.
    fn link_mtu(&self) -> Option<u32> {
        link_mtu(self.facts, self.host.node_ip)
    }
}

/// Returns the MTU of the link that has an address.
pub(super) fn link_mtu(facts: &HostFacts, address: IpAddr) -> Option<u32> {
    let links = &facts.links;
    links
        .iter()
        .find(|link| link.addresses.contains(&address))
        .map(|link| link.mtu)
}

/// Returns the hosts that were reached and have the address others know them by.
fn peers<'a>(spec: &'a ClusterSpec, all: &'a Facts) -> Vec<Peer<'a>> {
    spec.hosts
        .iter()
        .filter_map(|host| {
            let facts = all.host(&host.name)?;
            Some(Peer {
                host,
                facts,
                is_given: has_given_kubelet_conf(spec, all, facts),
            })
        })
        .filter(|peer| peer.link_mtu().is_some())
        .collect()
}

/// Returns the TCP ports on which `to` is reached from `from`.
fn tcp_ports(spec: &ClusterSpec, from: &Peer<'_>, to: &Peer<'_>) -> Vec<u16> {
    let mut ports = Vec::new();
    if to.is_control_plane() {
        ports.push(API_PORT);
    }
    if from.is_control_plane() {
        ports.push(KUBELET_PORT);
        if to.is_control_plane() && local_etcd(spec).is_some() {
            ports.extend(ETCD_PORTS);
        }
    }
    ports
}

/// Returns the pairs of hosts, sender first, of which `scope` has at least one,
/// and how far the second is from the first in the file's order, as in a ring.
fn pairs<'a>(peers: &[Peer<'a>], scope: &Scope) -> Vec<(Peer<'a>, Peer<'a>, usize)> {
    let mut pairs = Vec::new();
    for (index, from) in peers.iter().enumerate() {
        for distance in 1..peers.len() {
            let to = peers[(index + distance) % peers.len()];
            if scope.includes(&from.host.name) || scope.includes(&to.host.name) {
                pairs.push((*from, to, distance));
            }
        }
    }
    pairs
}

/// Returns the ports that hosts open. A host that is a node already opens none:
/// its ports are Kubernetes' own, and are probed by connecting to those who have them.
pub fn plan_listeners(
    spec: &ClusterSpec,
    facts: &Facts,
    scope: &Scope,
) -> BTreeMap<HostName, Vec<ProbeListener>> {
    let peers = peers(spec, facts);
    let mut planned: BTreeMap<HostName, Vec<ProbeListener>> = BTreeMap::new();
    for (from, to, _) in pairs(&peers, scope) {
        if to.is_node() {
            continue;
        }
        let tcp = tcp_ports(spec, &from, &to)
            .into_iter()
            .map(|port| (port, Transport::Tcp));
        let has_udp = spec.networking.cni == Cni::Flannel && !to.has_vxlan();
        let udp = has_udp.then_some((VXLAN_PORT, Transport::Udp));
        let listeners = planned.entry(to.host.name.clone()).or_default();
        for (port, transport) in tcp.chain(udp) {
            let listener = ProbeListener {
                address: to.host.node_ip,
                port,
                transport,
            };
            if !listeners.contains(&listener) {
                listeners.push(listener);
            }
        }
    }
    planned
}

/// Returns what hosts try, once it is known which ports are open.
pub fn plan_probes(
    spec: &ClusterSpec,
    facts: &Facts,
    scope: &Scope,
    opened: &BTreeMap<HostName, HostProbes>,
) -> BTreeMap<HostName, Vec<Probe>> {
    let peers = peers(spec, facts);
    let first = &spec.first_control_plane().name;
    let mut planned: BTreeMap<HostName, Vec<Probe>> = BTreeMap::new();
    for (from, to, distance) in pairs(&peers, scope) {
        let probes = planned.entry(from.host.name.clone()).or_default();
        for port in tcp_ports(spec, &from, &to) {
            if let Some(expects_listener) = answers(&to, port, Transport::Tcp, opened) {
                probes.push(Probe::Connect {
                    to: to.host.name.clone(),
                    address: to.host.node_ip,
                    port,
                    expects_listener,
                });
            }
        }
        let is_near = distance <= MAX_PEERS || to.is_control_plane() || from.is_control_plane();
        if is_near && answers(&to, VXLAN_PORT, Transport::Udp, opened) == Some(true) {
            let is_sized = distance == 1 || to.host.name == *first;
            probes.push(Probe::SendDatagrams {
                to: to.host.name.clone(),
                address: to.host.node_ip,
                port: VXLAN_PORT,
                sizes: sizes(is_sized.then(|| from.link_mtu()).flatten()),
            });
        }
    }
    for peer in &peers {
        if scope.includes(&peer.host.name) {
            let probes = planned.entry(peer.host.name.clone()).or_default();
            probes.extend(own_probes(spec, peer));
            probes.extend(given_files(spec, facts, peer));
        }
    }
    planned
}

/// Returns whether a listener of ours answers on a port (true) or its owner
/// (false); nothing where nobody does.
fn answers(
    to: &Peer<'_>,
    port: u16,
    transport: Transport,
    opened: &BTreeMap<HostName, HostProbes>,
) -> Option<bool> {
    let probes = opened.get(&to.host.name)?;
    let state = probes
        .listeners
        .iter()
        .find(|(listener, _)| listener.port == port && listener.transport == transport)
        .map(|(_, state)| state);
    match state {
        Some(ListenerState::Open) => Some(true),
        Some(ListenerState::Taken) if transport == Transport::Tcp => Some(false),
        Some(ListenerState::Taken | ListenerState::Failed { .. }) => None,
        None => (transport == Transport::Tcp && to.listens_on(port)).then_some(false),
    }
}

/// Returns the sizes to send: one that only has to arrive, and with a link's
/// MTU all that the path might stop at.
fn sizes(link_mtu: Option<u32>) -> Vec<u32> {
    let Some(mtu) = link_mtu else {
        return vec![SMALL];
    };
    let mtu = mtu.min(LARGEST);
    let smaller = SIZES.into_iter().filter(|size| *size < mtu);
    [SMALL, mtu].into_iter().chain(smaller).collect()
}

/// Returns what a host tries by itself: names, name servers, and etcd's disk
/// where etcd is to run and does not run yet.
fn own_probes(spec: &ClusterSpec, peer: &Peer<'_>) -> Vec<Probe> {
    let mut names = vec![peer.host.node_name().to_owned()];
    let endpoint = spec.control_plane_endpoint.as_ref();
    names.extend(endpoint.map(|endpoint| endpoint.host.clone()));
    names.retain(|name| name.parse::<IpAddr>().is_err());
    let mut probes: Vec<Probe> = names
        .into_iter()
        .map(|name| Probe::ResolveName { name })
        .collect();
    let servers = peer.facts.resolver.nameservers.iter();
    probes.extend(
        servers
            .filter_map(|server| server.parse::<IpAddr>().ok())
            .filter(|address| !address.is_loopback())
            .map(|address| Probe::AskNameServer { address }),
    );
    if peer.is_control_plane() {
        probes.extend(etcd_probes(spec, peer));
    }
    probes
}

/// Returns how a host looks at what others issued for it; nothing where the
/// keys of all authorities are at home.
fn given_files(spec: &ClusterSpec, facts: &Facts, peer: &Peer<'_>) -> Option<Probe> {
    let lead = ControlPlaneHosts::of(spec, facts).ok()?.lead;
    let first = &facts.host(&lead.name)?.existing;
    let release = Release::of(&spec.kubernetes_version).ok()?;
    let mut given = CertificateRecipes::given(spec, peer.host, &release, first);
    if peer.is_node() || peer.host.name != lead.name {
        // Once there is a cluster, whoever took super-admin.conf away meant it.
        given.kubeconfigs.retain(|step| !step.only_at_first);
    }
    let CertificateRecipes {
        certificates,
        kubeconfigs,
    } = given;
    if certificates.is_empty() && kubeconfigs.is_empty() {
        return None;
    }
    Some(Probe::JudgeGiven {
        certificates,
        kubeconfigs,
        ca_pin: first.ca_pin.clone(),
    })
}

/// Returns what a control-plane host tries for etcd's sake.
fn etcd_probes(spec: &ClusterSpec, peer: &Peer<'_>) -> Vec<Probe> {
    let etcd = match &spec.cluster_configuration.etcd {
        Etcd::Local(etcd) => etcd,
        Etcd::External(etcd) => return external_etcd_probes(etcd, peer.host),
    };
    let folder = &etcd.data_dir;
    let existing = &peer.facts.existing;
    let has_data = existing.etcd_data && folder == paths::ETCD_DIR;
    let mut probes = Vec::new();
    if folder != paths::ETCD_DIR {
        let folder = folder.clone();
        probes.push(Probe::LookAtFolder { folder });
    }
    if !has_data && !existing.manifests.iter().any(|name| name == "etcd.yaml") {
        let folder = folder.clone();
        probes.push(Probe::SyncFile { folder });
    }
    probes
}

/// Returns how somebody else's etcd is asked. A client's file that the cluster file itself
/// brings to the host is neither looked for nor shown to etcd: it may not be there yet.
fn external_etcd_probes(etcd: &ExternalEtcd, host: &HostSpec) -> Vec<Probe> {
    let files = [&etcd.ca_file, &etcd.cert_file, &etcd.key_file];
    let files = files.into_iter().filter(|path| !path.is_empty());
    let (brought, paths): (Vec<String>, Vec<String>) = files
        .cloned()
        .partition(|path| host.files.iter().any(|file| file.dest == *path));
    let found = (!paths.is_empty()).then_some(Probe::FindFiles { paths });
    if !brought.is_empty() {
        return found.into_iter().collect();
    }
    let urls = match &etcd.http_endpoints[..] {
        [] => &etcd.endpoints,
        _ => &etcd.http_endpoints,
    };
    let asks = urls.iter().map(|endpoint| Probe::AskEtcdVersion {
        endpoint: endpoint.clone(),
        ca_file: etcd.ca_file.clone(),
        cert_file: etcd.cert_file.clone(),
        key_file: etcd.key_file.clone(),
    });
    found.into_iter().chain(asks).collect()
}

/// Returns how the cluster's own etcd is set up; none where it is somebody else's.
pub(super) fn local_etcd(spec: &ClusterSpec) -> Option<&LocalEtcd> {
    match &spec.cluster_configuration.etcd {
        Etcd::Local(etcd) => Some(etcd),
        Etcd::External(_) => None,
    }
}
