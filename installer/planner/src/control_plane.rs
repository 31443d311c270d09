//! A control-plane node, in kubeadm's phases.

use std::collections::BTreeMap;

use slipway_api::step::{ApplyObjects, Condition, MarkNode, WaitFor};
use slipway_api::{Cni, Phase, Step, StepId, Taint, TaintEffect};
use slipway_templates::ClusterAdmins;

use crate::PlanError;
use crate::addons::{add_addons, add_cluster_configuration};
use crate::builder::PlanBuilder;
use crate::components::startup_timeout;
use crate::etcd_snapshots::add_etcd_snapshots;
use crate::install::{add_images, add_install};
use crate::manifests::{add_components, add_etcd_manifest};
use crate::names::local_api_url;
use crate::node_certificates::{Keys, add_certificates};
use crate::own_files::add_withdrawals;
use crate::plan_cluster::HostInput;
use crate::static_pods::{PodFiles, add_api_server, add_its_clients};
use crate::worker::{KubeletStart, add_kubelet};

/// How long a component may take to come up, in seconds: kubeadm's
/// `controlPlaneComponentHealthCheck`.
pub(crate) const COMPONENT_TIMEOUT: u64 = 240;

/// The label of control-plane nodes.
const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// The label that keeps cloud load balancers from sending traffic to control-plane nodes.
const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The steps of a control-plane node that others wait for.
pub(crate) struct ControlPlaneSteps {
    /// Others can join.
    pub joinable: Vec<StepId>,
    /// The cluster's authorities and service account keys are there.
    pub authorities: Vec<StepId>,
    /// The API server answers, and so does etcd.
    pub api: StepId,
    /// The node is Ready.
    pub ready: StepId,
}

/// Adds a control-plane node.
pub(crate) fn add_control_plane(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
) -> Result<ControlPlaneSteps, PlanError> {
    let host = &input.host.name;
    let installed = add_install(builder, input)?;
    let images = input.images();
    let mut images_here = images.of_control_plane();
    images_here.extend(images.of_node());
    let images = add_images(builder, input, &images_here, &installed)?;
    let marked = std::slice::from_ref(&installed.marker);
    let mut files = PodFiles {
        writers: add_certificates(builder, input, &Keys::Made { marked }),
        own: BTreeMap::new(),
    };
    let data = add_etcd_manifest(builder, input, &installed, &mut files)?;
    add_components(builder, input, &installed, &installed.all, &mut files)?;

    let mut needs = installed.all.clone();
    needs.extend(images.into_iter().chain(data));
    needs.extend(files.writers.values().cloned());
    let start = KubeletStart {
        server: local_api_url(input.host),
        needs: &needs,
        installed: &installed,
    };
    let kubelet = add_kubelet(builder, input, &start)?;
    let wait = |condition| wait_for(input, condition);
    let pods = add_api_server(builder, input, &files, &kubelet);
    let api = wait(Condition::ApiServerReady);
    let api = builder.add_rerun(host, Phase::WaitControlPlane, api, &[kubelet], &pods);
    add_its_clients(builder, input, &files, &api);
    add_etcd_snapshots(builder, input, std::slice::from_ref(&api))?;

    // Nobody but system:masters may do anything before this binding exists.
    let admins = ClusterAdmins {}
        .render()
        .map_err(|source| PlanError::Render {
            what: "kubeadm:cluster-admins",
            source,
        })?;
    let admins = Step::ApplyObjects(ApplyObjects::new("cluster administrators", admins));
    let admins = builder.add(
        host,
        Phase::UploadConfig,
        admins,
        std::slice::from_ref(&api),
    );
    add_cluster_configuration(builder, input, &admins)?;

    let marks = add_marks(builder, input, &admins);
    let addons = add_addons(builder, input, &marks)?;
    let ready = match input.spec.networking.cni {
        // No node becomes Ready before the user has installed a network.
        Cni::None => marks,
        Cni::Flannel | Cni::Manifests(_) => {
            let node = input.host.node_name().to_owned();
            let ready = wait(Condition::NodeReady { node });
            builder.add(host, Phase::NodeReady, ready, &addons)
        }
    };
    add_withdrawals(builder, input, std::slice::from_ref(&ready));
    let authorities = ["ca", "front-proxy-ca", "etcd-ca", "sa"].into_iter();
    Ok(ControlPlaneSteps {
        joinable: vec![admins],
        authorities: authorities
            .filter_map(|name| files.writers.get(name).cloned())
            .collect(),
        api,
        ready,
    })
}

/// Returns a wait for what a control-plane component does.
pub(crate) fn wait_for(input: &HostInput<'_>, condition: Condition) -> Step {
    Step::WaitFor(WaitFor {
        condition,
        timeout_seconds: u64::from(startup_timeout(input.spec)),
        awaited: None,
        fails_fast: false,
        steady_seconds: 0,
    })
}

/// Adds labels and taints of a control-plane node, once it is registered.
pub(crate) fn add_marks(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &StepId,
) -> StepId {
    let host = &input.host.name;
    let node = input.host.node_name().to_owned();
    let registered = wait_for(input, Condition::NodeRegistered { node });
    let phase = Phase::MarkControlPlane;
    let registered = builder.add(host, phase, registered, std::slice::from_ref(needs));
    let marks = Step::MarkNode(marks(input));
    builder.add(host, phase, marks, &[registered])
}

fn marks(input: &HostInput<'_>) -> MarkNode {
    let mut labels = input.host.labels.clone();
    labels.insert(CONTROL_PLANE_LABEL.to_owned(), String::new());
    labels.insert(EXCLUDE_LABEL.to_owned(), String::new());
    MarkNode {
        node_name: input.host.node_name().to_owned(),
        labels,
        taints: input
            .host
            .taints
            .clone()
            .unwrap_or_else(|| vec![control_plane_taint()]),
    }
}

/// Returns the taint that keeps workloads off control-plane nodes.
pub(crate) fn control_plane_taint() -> Taint {
    Taint {
        key: CONTROL_PLANE_LABEL.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSchedule,
    }
}
