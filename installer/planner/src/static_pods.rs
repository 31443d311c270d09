//! Waits for the static Pods of a control plane, and restarts those whose files changed.

use std::collections::BTreeMap;

use slipway_api::step::EnsureStaticPod;
use slipway_api::{Phase, Step, StepId, paths};

use crate::builder::PlanBuilder;
use crate::components::startup_timeout;
use crate::install::runtime_socket;
use crate::own_files::OwnFile;
use crate::plan_cluster::HostInput;

/// A component and what it reads when it starts, by kubeadm's names of
/// certificates and kubeconfigs.
///
/// Some of them notice new certificates by themselves, in some versions and for
/// some of their files; kubeadm's advice is to restart them all, and so it is here.
struct Component {
    name: &'static str,
    reads: &'static [&'static str],
}

const ETCD: Component = Component {
    name: "etcd",
    reads: &["etcd-ca", "etcd-server", "etcd-peer"],
};

const API_SERVER: Component = Component {
    name: "kube-apiserver",
    reads: &[
        "ca",
        "front-proxy-ca",
        "etcd-ca",
        "apiserver",
        "apiserver-kubelet-client",
        "front-proxy-client",
        "apiserver-etcd-client",
        "sa",
    ],
};

const CONTROLLER_MANAGER: Component = Component {
    name: "kube-controller-manager",
    reads: &["ca", "front-proxy-ca", "sa", "controller-manager"],
};

const SCHEDULER: Component = Component {
    name: "kube-scheduler",
    reads: &["scheduler"],
};

/// The steps that write what static Pods read, by what they write: kubeadm's
/// names of certificates and kubeconfigs, and the components' of manifests.
pub(crate) type Writers = BTreeMap<String, StepId>;

/// What static Pods read when they start.
pub(crate) struct PodFiles {
    /// The steps that write it.
    pub writers: Writers,
    /// The user's own files that are mounted, by component.
    pub own: BTreeMap<&'static str, Vec<OwnFile>>,
}

/// Adds etcd, and returns its step; none where it is somebody else's.
pub(crate) fn add_etcd_pod(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    files: &PodFiles,
    needs: &StepId,
) -> Option<StepId> {
    add(builder, input, files, &ETCD, needs)
}

/// Adds the API server alone, and returns its step.
pub(crate) fn add_api_server_pod(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    files: &PodFiles,
    needs: &StepId,
) -> Option<StepId> {
    add(builder, input, files, &API_SERVER, needs)
}

/// Adds etcd and the API server, and returns their steps.
pub(crate) fn add_api_server(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    files: &PodFiles,
    kubelet: &StepId,
) -> Vec<StepId> {
    let etcd = add(builder, input, files, &ETCD, kubelet);
    let before = etcd.as_ref().unwrap_or(kubelet);
    let api_server = add(builder, input, files, &API_SERVER, before);
    etcd.into_iter().chain(api_server).collect()
}

/// Adds the components that work through the API server.
pub(crate) fn add_its_clients(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    files: &PodFiles,
    api_server: &StepId,
) {
    for component in [&CONTROLLER_MANAGER, &SCHEDULER] {
        add(builder, input, files, component, api_server);
    }
}

/// Adds a component; none where it has no manifest.
fn add(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    files: &PodFiles,
    component: &Component,
    needs: &StepId,
) -> Option<StepId> {
    let writers = &files.writers;
    let manifest = writers.get(component.name)?;
    let read = component
        .reads
        .iter()
        .filter(|name| writers.contains_key(**name));
    let mut after: Vec<StepId> = vec![manifest.clone()];
    for writer in read.clone().map(|name| &writers[*name]) {
        // One step may bring several of them.
        if !after.contains(writer) {
            after.push(writer.clone());
        }
    }
    let own = files.own.get(component.name).map_or(&[][..], Vec::as_slice);
    after.extend(own.iter().map(|(id, _)| id.clone()));
    let own = own.iter().map(|(_, path)| path.clone());
    let step = EnsureStaticPod {
        name: component.name.to_owned(),
        files: read.map(|name| file(name)).chain(own).collect(),
        socket: runtime_socket(input),
        timeout_seconds: u64::from(startup_timeout(input.spec)),
    };
    let step = Step::EnsureStaticPod(step);
    let phase = Phase::WaitControlPlane;
    let needs = std::slice::from_ref(needs);
    Some(builder.add_rerun(&input.host.name, phase, step, needs, &after))
}

/// Returns a file that is new whenever the certificate or kubeconfig is.
fn file(name: &str) -> String {
    match name {
        "sa" => format!("{}/sa.pub", paths::PKI_DIR),
        "controller-manager" | "scheduler" => format!("{}/{name}.conf", paths::KUBERNETES_DIR),
        "etcd-ca" | "etcd-server" | "etcd-peer" => {
            let name = name.trim_start_matches("etcd-");
            format!("{}/etcd/{name}.crt", paths::PKI_DIR)
        }
        name => format!("{}/{name}.crt", paths::PKI_DIR),
    }
}
