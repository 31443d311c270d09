//! What the parts of the file must agree on.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::path::Path;

use super::address::Address;
use super::cluster::ClusterDraft;
use super::documents::Documents;
use super::etcd_snapshots::check_etcd_snapshots;
use super::host::HostDraft;
use super::kubelet_args::check_removed_flags;
use super::problems::{Place, Problems, excerpt};
use super::runtime::socket_path;
use super::subnets::{NodeMasks, check_overlaps, check_sizes};
use super::tree::Node;
use crate::spec::{Role, defaults};

/// The kubelet labels its node `kubernetes.io/hostname` with the node's name,
/// and a label's value has at most this many characters.
const MAX_NODE_NAME: usize = 63;

/// Reports where the parts of the file contradict each other.
pub(super) fn check_agreement(
    cluster: &ClusterDraft,
    documents: &Documents<'_>,
    problems: &mut Problems,
) {
    check_uniqueness(cluster, problems);
    check_node_names(&cluster.hosts, problems);
    check_roles(cluster, problems);
    let (pods, services) = (
        cluster.networking.pods.as_ref(),
        cluster.networking.services.as_ref(),
    );
    let masks = NodeMasks::of(&cluster.kubeadm.controller_manager);
    check_sizes(pods, services, masks.as_ref(), &cluster.hosts, problems);
    let endpoint = cluster.endpoint.as_ref();
    check_overlaps(pods, services, &cluster.hosts, endpoint, problems);
    if let Some(release) = &cluster.release {
        for host in &cluster.hosts {
            check_removed_flags(&host.kubelet_extra_args, release, problems);
        }
    }
    if let Some(snapshots) = &cluster.etcd_snapshots {
        check_etcd_snapshots(snapshots, &cluster.kubeadm.etcd, problems);
    }
    check_kubelet_configuration(cluster, documents.kubelet, problems);
    check_kube_proxy_configuration(cluster, documents.kube_proxy, problems);
}

fn check_uniqueness(cluster: &ClusterDraft, problems: &mut Problems) {
    let hosts = &cluster.hosts;
    let names = hosts.iter().filter_map(|host| {
        let name = host.name.as_ref()?;
        Some((name.value.as_str(), &name.place))
    });
    each_once(names, problems, |name, line| {
        (
            format!(
                "the host name `{}` is already taken on line {line}",
                excerpt(name)
            ),
            "give each host a name of its own".to_owned(),
        )
    });

    // Several hosts may stand behind one address with different ports, or
    // behind different bastions with the same private address.
    let addresses: Vec<_> = hosts
        .iter()
        .filter_map(|host| Some((connection_of(host, cluster)?, &host.address.as_ref()?.place)))
        .collect();
    each_once(addresses, problems, |(address, port, _), line| {
        let address = match address {
            Address::Ip(ip) => ip.to_string(),
            Address::Name(name) => excerpt(name),
        };
        (
            format!("the address `{address}` with port {port} is already taken on line {line}"),
            "give each host an address, or at least a `port`, of its own".to_owned(),
        )
    });

    let mut seen: HashMap<IpAddr, (usize, Option<Connection>)> = HashMap::new();
    for host in hosts {
        let connection = connection_of(host, cluster);
        for node_ip in host.node_ips() {
            let place = &node_ip.place;
            let line = place.mark.line;
            let Some((first, other)) = seen.get(&node_ip.value) else {
                seen.insert(node_ip.value, (line, connection.clone()));
                continue;
            };
            // Hosts that share their SSH address have been told so above.
            if *other != connection {
                problems.report(
                    place,
                    format!(
                        "the node address `{}` is already taken on line {first}",
                        node_ip.value
                    ),
                    "give each host an `internalAddress` of its own",
                );
            }
        }
    }
}

type Connection = (Address, u16, Option<String>);

fn connection_of(host: &HostDraft, cluster: &ClusterDraft) -> Option<Connection> {
    let port = host.connection.port.or(cluster.ssh.port);
    let jump = host.connection.proxy_jump.as_ref();
    Some((
        host.address.as_ref()?.value.clone(),
        port.unwrap_or(defaults::SSH_PORT),
        jump.or(cluster.ssh.proxy_jump.as_ref()).cloned(),
    ))
}

fn check_node_names(hosts: &[HostDraft], problems: &mut Problems) {
    let mut seen: HashMap<&str, (usize, bool)> = HashMap::new();
    for host in hosts {
        let (name, place, is_override) = match (&host.hostname_override, &host.name) {
            (Some(name), _) => (name.value.as_str(), &name.place, true),
            (None, Some(name)) => (name.value.as_str(), &name.place, false),
            (None, None) => continue,
        };
        if name.len() > MAX_NODE_NAME {
            problems.report(
                place,
                format!("the node's name has {} characters", name.len()),
                format!("use at most {MAX_NODE_NAME}: the kubelet writes it into a label"),
            );
        }
        // Equal host names are reported as such; here an override meets another node's name.
        match seen.get(name) {
            None => {
                seen.insert(name, (place.mark.line, is_override));
            }
            Some((line, first_is_override)) if is_override || *first_is_override => {
                problems.report(
                    place,
                    format!(
                        "the node name `{}` is already taken on line {line}",
                        excerpt(name)
                    ),
                    "give each node a name of its own",
                );
            }
            Some(_) => {}
        }
    }
}

fn check_roles(cluster: &ClusterDraft, problems: &mut Problems) {
    let hosts = &cluster.hosts;
    let is_control_plane = |host: &HostDraft| host.role == Some(Role::ControlPlane);
    // A host whose role could not be read may have been meant to be one.
    let all_known = hosts
        .iter()
        .all(|host| host.role.is_some() || !host.has_role);
    if !hosts.is_empty() && all_known && !hosts.iter().any(is_control_plane) {
        problems.report(
            &cluster.hosts_place,
            "no host has the role `control-plane`",
            "write `role: control-plane` for at least one host",
        );
    }
}

fn check_kubelet_configuration(
    cluster: &ClusterDraft,
    document: Option<&Node>,
    problems: &mut Problems,
) {
    let Some(document) = document else { return };
    if let Some(domain) = &cluster.networking.dns_domain {
        let field = ("clusterDomain", "spec.networking.dnsDomain");
        check_equal(document, field, domain, |given| given == domain, problems);
    }
    let socket = &cluster.runtime.socket;
    let shown = socket.display().to_string();
    let field = ("containerRuntimeEndpoint", "spec.runtime.socket");
    let is_same =
        |given: &str| without_var(Path::new(socket_path(given))) == without_var(socket.as_path());
    check_equal(document, field, &shown, is_same, problems);
}

fn check_kube_proxy_configuration(
    cluster: &ClusterDraft,
    document: Option<&Node>,
    problems: &mut Problems,
) {
    if let (Some(document), Some(pods)) = (document, &cluster.networking.pods) {
        let subnet = pods.subnets.to_string();
        let field = ("clusterCIDR", "spec.networking.podSubnet");
        check_equal(document, field, &subnet, |given| given == subnet, problems);
    }
}

/// Reports a field of Kubernetes' document that says something else than ours.
fn check_equal(
    document: &Node,
    (field, ours): (&str, &str),
    expected: &str,
    is_same: impl Fn(&str) -> bool,
    problems: &mut Problems,
) {
    let Some(entry) = document.entry(field) else {
        return;
    };
    let Some(given) = entry.value.scalar_text() else {
        return;
    };
    if !given.is_empty() && !is_same(given) {
        problems.report(
            &Place::document(entry.mark).field(entry.value.mark, field),
            format!(
                "`{field}` is `{}`, and `{ours}` is `{expected}`",
                excerpt(given)
            ),
            format!("remove `{field}`, and set `{ours}` to the value you want"),
        );
    }
}

/// `/var/run` is a link to `/run`.
fn without_var(path: &Path) -> &Path {
    match path.strip_prefix("/var") {
        Ok(rest) if rest.starts_with("run") => rest,
        Ok(_) | Err(_) => path.strip_prefix("/").unwrap_or(path),
    }
}

/// Reports every value that was there before, with the line of the first.
fn each_once<'a, T: Hash + Eq>(
    values: impl IntoIterator<Item = (T, &'a Place)>,
    problems: &mut Problems,
    message: impl Fn(&T, usize) -> (String, String),
) {
    let mut seen: HashMap<T, usize> = HashMap::new();
    for (value, place) in values {
        if let Some(line) = seen.get(&value) {
            let (message, help) = message(&value, *line);
            problems.report(place, message, help);
        } else {
            seen.insert(value, place.mark.line);
        }
    }
}
