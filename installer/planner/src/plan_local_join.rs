//! Plans a machine that joins a cluster by itself, with a bootstrap token.
//!
//! No other host takes part: the kubelet asks the API for its certificate, and
//! everything else that a worker needs is the same as on every other worker.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use slipway_api::step::{
    Condition, EnsureKubeletBootstrap, RemovalScope, RemovePath, WaitFor, WriteFile,
};
use slipway_api::{
    BundleManifest, ClusterFile, ClusterSpec, Cni, DiscoveredCluster, HostFacts, HostName,
    KubernetesVersion, Phase, Plan, Release, Role, Step, paths,
};

use crate::PlanError;
use crate::balancer::add_balancer;
use crate::builder::PlanBuilder;
use crate::control_plane::COMPONENT_TIMEOUT;
use crate::control_plane_hosts::ControlPlaneHosts;
use crate::install::{add_images, add_install};
use crate::plan_cluster::HostInput;
use crate::supply::Supply;
use crate::worker::{KubeletStart, add_kubelet_files, add_kubelet_unit};

/// How long the API may take to give a kubelet its first certificate, in
/// seconds: kubeadm's `tlsBootstrap`.
const BOOTSTRAP_TIMEOUT: u64 = 300;

/// How many minors a kubelet may be older than its API server.
const KUBELET_SKEW: u64 = 3;

/// The smallest file there is: what it leaves out has its default.
const SMALLEST_FILE: &str = "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: { name: kubernetes }
spec:
  kubernetesVersion: v1.36.3
  hosts:
    - { name: api-server, address: 192.0.2.1, role: control-plane }
    - { name: joining, address: 192.0.2.2, role: worker }
";

/// What the control plane is called where the machine itself is `api-server`.
const STAND_IN: &str = "api-server-of-the-cluster";

/// A machine that joins by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoiningNode {
    /// The node's name.
    pub name: HostName,
    /// Its address.
    pub address: IpAddr,
    /// Where the API server is that kubelet.conf will name.
    pub api_address: SocketAddr,
    /// The public half of the bootstrap token.
    pub token_id: String,
    /// The socket of the container runtime, where one is asked for.
    pub runtime_socket: Option<PathBuf>,
}

/// Returns the cluster as a file would describe it, as far as a token shows
/// it: the machine that joins as a worker, and in the control plane's place
/// who answers at the API's address, whom nobody connects to.
pub fn joining_spec(discovered: &DiscoveredCluster, node: &JoiningNode) -> ClusterSpec {
    let mut spec = ClusterFile::parse(SMALLEST_FILE, "the smallest file")
        .expect("the smallest file is right")
        .spec;
    spec.name.clone_from(&discovered.name);
    spec.kubernetes_version
        .clone_from(&discovered.kubernetes_version);
    spec.networking
        .service_subnet
        .clone_from(&discovered.service_subnet);
    if let Some(subnet) = &discovered.pod_subnet {
        spec.networking.pod_subnet.clone_from(subnet);
    }
    spec.networking
        .dns_domain
        .clone_from(&discovered.dns_domain);
    if !discovered.is_ours {
        // Which network it has, the token does not tell.
        spec.networking.cni = Cni::None;
    }
    spec.kubelet_configuration = Some(discovered.kubelet_configuration.clone());
    if let Some(socket) = &node.runtime_socket {
        spec.runtime.socket.clone_from(socket);
    }
    for host in &mut spec.hosts {
        let address = match host.role {
            Role::ControlPlane => node.api_address.ip(),
            Role::Worker => node.address,
        };
        host.address = address.to_string();
        host.node_ip = address;
        if host.role == Role::Worker {
            host.name.clone_from(&node.name);
        } else if host.name == node.name {
            host.name = STAND_IN.parse().expect("it is a host name");
        }
    }
    spec
}

/// Returns everything that must hold on the machine that joins.
///
/// # Errors
/// It belongs to another cluster, a living node has its name, its kubelet would
/// not go with the API server, or the bundle lacks something.
pub fn plan_local_join(
    discovered: &DiscoveredCluster,
    node: &JoiningNode,
    facts: &HostFacts,
    manifest: &BundleManifest,
) -> Result<Plan, PlanError> {
    refuse(discovered, node, facts)?;
    let spec = joining_spec(discovered, node);
    let release = Release::of(&spec.kubernetes_version)?;
    let host = spec
        .host(&node.name)
        .ok_or_else(|| PlanError::UnknownHost {
            host: node.name.clone(),
        })?;
    let control_plane = ControlPlaneHosts::single(&spec, discovered.is_balanced);
    let input = HostInput {
        spec: &spec,
        host,
        facts,
        pod_subnet: None,
        control_plane: &control_plane,
        release: &release,
        supply: Supply::Bundle(manifest),
    };
    let mut builder = PlanBuilder::default();
    add_joining(&mut builder, &input, discovered, node)?;
    Ok(builder.finish(&spec.name, Vec::new()))
}

fn add_joining(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    discovered: &DiscoveredCluster,
    node: &JoiningNode,
) -> Result<(), PlanError> {
    let host = &node.name;
    let installed = add_install(builder, input)?;
    let balancer = add_balancer(builder, input, &installed.marker)?;
    let images = if discovered.is_ours {
        input.images().of_node()
    } else {
        // Nor which addons.
        let images = input.images();
        vec![images.pause(), images.component("kube-proxy")]
    };
    let images = add_images(builder, input, &images, &installed)?;
    let authority = WriteFile::new(paths::CLUSTER_CA, 0o644, discovered.ca_pem.clone());
    let marker = std::slice::from_ref(&installed.marker);
    let authority = builder.add(
        host,
        Phase::KubeletStart,
        Step::WriteFile(authority),
        marker,
    );

    let mut needs = installed.all.clone();
    needs.extend(images);
    needs.push(authority);
    // kube-proxy goes through it, and without kube-proxy no node becomes Ready.
    needs.extend(balancer);
    let start = KubeletStart {
        server: discovered.server.clone(),
        needs: &needs,
        installed: &installed,
    };
    let mut files = add_kubelet_files(builder, input, &start)?;
    let bootstrap = Step::EnsureKubeletBootstrap(EnsureKubeletBootstrap {
        node_name: node.name.to_string(),
        server: discovered.server.clone(),
        cluster_name: discovered.kubeconfig_name.clone(),
        ca_pem: discovered.ca_pem.clone(),
        token_id: node.token_id.clone(),
    });
    let bootstrap = builder.add(host, Phase::KubeletStart, bootstrap, &needs);
    // A new token restarts the kubelet; the file with it is gone once it was used,
    // so what a later run compares is the CA, which the kubelet reads too.
    files.push((bootstrap.clone(), paths::CLUSTER_CA.to_owned()));
    let healthy = add_kubelet_unit(builder, input, &start, files);

    let wait = |condition, timeout_seconds| {
        Step::WaitFor(WaitFor {
            condition,
            timeout_seconds,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        })
    };
    let name = node.name.to_string();
    let phase = Phase::KubeletWaitBootstrap;
    let has_certificate = Condition::KubeletBootstrapped { node: name.clone() };
    let step = wait(has_certificate, BOOTSTRAP_TIMEOUT);
    let bootstrapped = builder.add(host, phase, step, &[healthy]);
    let forget = Step::RemovePath(RemovePath {
        path: paths::BOOTSTRAP_KUBELET_CONF.to_owned(),
        scope: RemovalScope::Everything,
    });
    // It is not there before it is written: its own check would drop it.
    let forgotten = builder.add_rerun(host, phase, forget, &[bootstrapped], &[bootstrap]);
    let is_ready = Condition::OwnNodeReady {
        node: name,
        api_address: node.api_address,
    };
    let step = wait(is_ready, COMPONENT_TIMEOUT);
    builder.add(host, Phase::NodeReady, step, &[forgotten]);
    Ok(())
}

fn refuse(
    discovered: &DiscoveredCluster,
    node: &JoiningNode,
    facts: &HostFacts,
) -> Result<(), PlanError> {
    let existing = &facts.existing;
    if existing.admin_conf {
        return Err(PlanError::IsControlPlane {
            host: node.name.clone(),
        });
    }
    let is_known = |pin: &String| discovered.ca_pins.contains(pin);
    if existing.ca_pin.as_ref().is_some_and(|pin| !is_known(pin)) {
        return Err(PlanError::OtherAuthority {
            host: node.name.clone(),
        });
    }
    let is_this_one = existing.node_name.as_deref() == Some(node.name.as_str());
    if discovered.node_is_ready && !is_this_one {
        return Err(PlanError::NodeExists {
            node: node.name.clone(),
        });
    }
    let kubelet = &discovered.kubernetes_version;
    if let Ok(api_server) = discovered.api_server_version.parse::<KubernetesVersion>() {
        let is_too_new = kubelet.minor() > api_server.minor();
        let is_too_old = kubelet.minor() + KUBELET_SKEW < api_server.minor();
        if is_too_new || is_too_old {
            return Err(PlanError::KubeletSkew {
                kubelet: kubelet.clone(),
                api_server,
            });
        }
    }
    Ok(())
}
