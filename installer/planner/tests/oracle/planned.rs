//! Our plan for a case: the files and objects in it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use slipway_api::step::PublishClusterInfo;
use slipway_api::{CLUSTER_NAME_ANNOTATION, HostState, Plan, Step};
use slipway_planner::{Scope, cluster_images, plan_cluster};
use slipway_templates::CA_CERTIFICATE_DIRECTORIES;

use crate::case::Case;
use crate::differences::Differences;
use crate::kubeadm::{Written, identity};
use crate::support;

/// What kubeadm's dry run calls the files that it writes.
const FILES: [(&str, &str); 7] = [
    ("/etc/kubernetes/manifests/etcd.yaml", "etcd.yaml"),
    (
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "kube-apiserver.yaml",
    ),
    (
        "/etc/kubernetes/manifests/kube-controller-manager.yaml",
        "kube-controller-manager.yaml",
    ),
    (
        "/etc/kubernetes/manifests/kube-scheduler.yaml",
        "kube-scheduler.yaml",
    ),
    ("/var/lib/kubelet/config.yaml", "config.yaml"),
    (
        "/var/lib/kubelet/instance-config.yaml",
        "instance-config.yaml",
    ),
    ("/var/lib/kubelet/kubeadm-flags.env", "kubeadm-flags.env"),
];

/// Objects that are not kubeadm's, or that its dry run does not show.
const OURS_ALONE: [&str; 4] = [
    "cluster administrators",
    "slipway-cluster",
    "flannel",
    "metrics-server",
];

/// Our plan for a case.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
}

impl Planned {
    /// Plans a case for a host that is like this machine.
    pub fn of(case: &Case, written: &Written) -> Self {
        let spec = &case.spec;
        let mut facts = support::bare_facts(spec);
        let first = &spec.first_control_plane().name;
        let Some(HostState::Reached(host)) = facts.hosts.get_mut(first) else {
            panic!("{first} is reached");
        };
        "another-name".clone_into(&mut host.hostname);
        host.ca_certificate_dirs = CA_CERTIFICATE_DIRECTORIES
            .iter()
            .filter(|path| Path::new(path).exists())
            .map(|path| (*path).to_owned())
            .collect();
        // kubeadm names systemd-resolved's file where that runs on this machine.
        let theirs = parse(&written.read("config.yaml").expect("kubeadm wrote it"));
        host.resolv_conf = theirs["resolvConf"].as_str().map(str::to_owned);
        let release = slipway_api::Release::of(&spec.kubernetes_version).expect("supported");
        let images = cluster_images(spec, &release);
        let manifest = support::manifest_with(&spec.kubernetes_version, images);
        let plan = plan_cluster(spec, &facts, &manifest, &Scope::All)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        Self { plan }
    }

    /// Compares the files of the control-plane host.
    pub fn compare_files(&self, written: &Written, differences: &mut Differences) {
        for (path, name) in FILES {
            let ours = self.plan.steps.iter().find_map(|step| {
                let Step::WriteFile(file) = &step.step else {
                    return None;
                };
                (file.path == path).then_some(&file.content)
            });
            match (ours, written.read(name)) {
                (Some(ours), Some(theirs)) if name.ends_with(".yaml") => {
                    differences.compare(name, &parse(ours), &parse(&theirs));
                }
                (Some(ours), Some(theirs)) => {
                    let ours = Value::from(without_taints(ours));
                    differences.compare(name, &ours, &Value::from(theirs));
                }
                (None, None) => {}
                (Some(_), None) => differences.0.push(format!("{name}: only ours")),
                (None, Some(_)) => differences.0.push(format!("{name}: only kubeadm's")),
            }
        }
    }

    /// Compares the objects in the cluster.
    pub fn compare_objects(&self, written: &Written, differences: &mut Differences) {
        let ca = written.read("ca.crt").expect("kubeadm wrote it");
        let placeholder = STANDARD.encode(PublishClusterInfo::CA_PLACEHOLDER);
        let mut ours = BTreeMap::new();
        for step in &self.plan.steps {
            let text = if let Step::ApplyObjects(step) = &step.step {
                if OURS_ALONE.contains(&step.name.as_str()) {
                    continue;
                }
                step.manifest.clone()
            } else if let Step::PublishClusterInfo(step) = &step.step {
                step.manifest.replace(&placeholder, &STANDARD.encode(&ca))
            } else {
                continue;
            };
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("our YAML");
            ours.extend(
                objects
                    .into_iter()
                    .map(|object| (identity(&object), object)),
            );
        }
        let theirs: BTreeMap<_, _> = written
            .objects
            .iter()
            .filter(|(_, object)| object["kind"] != "Secret")
            .collect();
        for name in ours.keys().filter(|name| !theirs.contains_key(name)) {
            differences.0.push(format!("{name}: only ours"));
        }
        for (name, object) in theirs {
            match ours.get(name) {
                Some(ours) => {
                    differences.compare(name, &comparable(ours), &comparable(object));
                }
                None => differences.0.push(format!("{name}: only kubeadm's")),
            }
        }
    }
}

/// Returns the object with the documents in a ConfigMap parsed, and without what
/// cannot be equal.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        // kubeadm's way of forcing an update; ours is server-side apply.
        metadata.remove("resourceVersion");
        // What is ours on top: the cluster's name, for machines that join by themselves.
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove(CLUSTER_NAME_ANNOTATION);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    // Ours alone: it makes new Pods when the configuration changes.
    let template = object.pointer_mut("/spec/template/metadata/annotations");
    if let Some(annotations) = template.and_then(Value::as_object_mut) {
        annotations.remove("slipway.dev/config-hash");
    }
    let hash = "/metadata/annotations/kubeadm.kubernetes.io~1component-config.hash";
    if let Some(hash) = object.pointer_mut(hash) {
        *hash = Value::from("covers each side's own text");
    }
    if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
        for text in data.values_mut() {
            let parsed = text.as_str().map(serde_saphyr::from_str::<Value>);
            if let Some(Ok(document @ Value::Object(_))) = parsed {
                *text = document;
            }
        }
    }
    object
}

/// A control-plane node registers itself with its taints, so that nothing is
/// scheduled on it in between; kubeadm adds them afterwards.
fn without_taints(text: &str) -> String {
    let (name, flags) = text.split_once('"').expect("the flags stand in quotes");
    let flags = flags.trim_end().trim_end_matches('"').split(' ');
    let kept: Vec<&str> = flags
        .filter(|flag| !flag.starts_with("--register-with-taints="))
        .collect();
    format!("{name}\"{}\"\n", kept.join(" "))
}

fn parse(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}
