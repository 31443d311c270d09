//! One change in the cluster file, and the steps that it makes: those and no more.

use std::path::Path;

use crate::support::{bare_facts, manifest_with};
use serde_json::Value;
use slipway_api::{
    Check, ClusterFile, ClusterSpec, HostState, LocalContent, LocalFiles, Plan, Release, Step,
    StepId,
};
use slipway_planner::{Scope, cluster_images, plan_cluster};

const FILE: &str = "\
apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: { name: harbour }
spec:
  kubernetesVersion: v1.36.3
  networking: { cni: { manifests: [net.yaml] } }
  patches: { directory: patches }
  hosts:
    - name: cp-1
      address: 192.0.2.11
      role: control-plane
      files:
        - { src: policy.yaml, dest: /etc/kubernetes/audit/policy.yaml }
        - { src: plugins.yaml, dest: /etc/kubernetes/plugins.yaml }
        - { src: profiles.yaml, dest: /etc/kubernetes/scheduler/profiles.yaml }
        - { src: motd, dest: /etc/motd, mode: '0644' }
    - name: w-1
      address: 192.0.2.21
      role: worker
      labels: { disk: ssd }
      taints: [{ key: dedicated, value: gpu, effect: NoSchedule }]
      kubeletExtraArgs: [{ name: max-pods, value: '100' }]
    - { name: w-2, address: 192.0.2.22, role: worker }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  certSANs: [api.example]
  extraArgs: [{ name: v, value: '2' }]
  extraVolumes:
    - { name: audit, hostPath: /etc/kubernetes/audit, mountPath: /etc/kubernetes/audit }
certificateValidityPeriod: 8760h
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
imageServiceEndpoint: /etc/kubernetes/plugins.yaml
maxPods: 110
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
";

/// A patch that mounts a folder of the host into the scheduler.
const MOUNT: &str = "\
- op: add
  path: /spec/volumes/-
  value: { name: profiles, hostPath: { path: /etc/kubernetes/scheduler } }
";

/// What earlier runs brought onto the control-plane host.
const PLACED: [&str; 4] = [
    "/etc/kubernetes/audit/policy.yaml",
    "/etc/kubernetes/plugins.yaml",
    "/etc/kubernetes/scheduler/profiles.yaml",
    "/etc/motd",
];

/// The files beside the cluster file; those whose name is `changed` say something else.
struct Beside<'a>(&'a str);

impl LocalFiles for Beside<'_> {
    fn read(&self, path: &Path, _: u64) -> Result<LocalContent, String> {
        let name = path.to_str().expect("names are text");
        let owner = if name == self.0 { "b" } else { "a" };
        Ok(match name {
            "net.yaml" => {
                let text =
                    format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {owner}}}}}");
                LocalContent::File(text.into_bytes())
            }
            "patches" => {
                let text = format!("metadata: {{ labels: {{ owner: {owner} }} }}");
                LocalContent::Folder(vec![
                    ("kube-scheduler+merge.yaml".to_owned(), text.into_bytes()),
                    ("kube-scheduler1+json.yaml".to_owned(), MOUNT.into()),
                ])
            }
            _ => LocalContent::File(owner.as_bytes().to_vec()),
        })
    }
}

fn plan(text: &str, changed: &str) -> Plan {
    let file = ClusterFile::parse_bytes(text.as_bytes(), "harbour.yaml", Some(&Beside(changed)));
    let spec: ClusterSpec = file.unwrap_or_else(|errors| panic!("{errors}")).spec;
    let mut facts = bare_facts(&spec);
    for host in &spec.hosts {
        let Some(HostState::Reached(found)) = facts.hosts.get_mut(&host.name) else {
            panic!("{} is reached", host.name);
        };
        found.existing.slipway_cluster = Some(spec.name.clone());
        found.existing.kubelet_conf = true;
        if !host.files.is_empty() {
            found.existing.placed_files = PLACED.map(str::to_owned).to_vec();
        }
    }
    let release = Release::of(&spec.kubernetes_version).expect("supported");
    let manifest = manifest_with(&spec.kubernetes_version, cluster_images(&spec, &release));
    plan_cluster(&spec, &facts, &manifest, &Scope::All).expect("everything is there")
}

/// Returns what the agents' checks look at in a step.
fn looked_at(step: &Step) -> Value {
    let mut value = serde_json::to_value(step).expect("steps have only string keys");
    if let Some(fields) = value.as_object_mut() {
        // What is there is kept while it is valid, and what was remembered stays so.
        fields.remove("validity_seconds");
        if let Some("ensure-static-pod" | "ensure-unit") = fields["verb"].as_str() {
            // What they no longer read does not matter to what runs.
            fields.remove("files");
        }
        if fields["verb"] == "remember-paths" {
            fields.remove("paths");
        }
    }
    let names = match value["name"].as_str() {
        Some("apiserver") => &["etcd_server_sans", "etcd_peer_sans"][..],
        Some("etcd-server") => &["extra_sans", "etcd_peer_sans"],
        Some("etcd-peer") => &["extra_sans", "etcd_server_sans"],
        Some(_) | None => &["extra_sans", "etcd_server_sans", "etcd_peer_sans"],
    };
    if let Some(fields) = value.get_mut("names").and_then(Value::as_object_mut) {
        names.iter().for_each(|name| drop(fields.remove(*name)));
    }
    value
}

/// Returns what is left to do after a change on hosts that were as the file was.
fn left(text: &str, changed: &str) -> String {
    let before = plan(FILE, "");
    let after = plan(text, changed);
    let is_done = |id: &StepId| {
        let looked_at = |plan: &Plan| {
            let found = plan.steps.iter().find(|step| step.id == *id);
            found.map(|step| looked_at(&step.step))
        };
        looked_at(&before).is_some() && looked_at(&before) == looked_at(&after)
    };
    let check = |id: &StepId| match is_done(id) {
        true => Check::Satisfied,
        false => Check::Needed {
            because: "it differs".to_owned(),
        },
    };
    let ids = after.steps.iter().map(|step| step.id.clone());
    let checks = ids.map(|id| (id.clone(), check(&id))).collect();
    let left = after.without_satisfied(&checks);
    let line =
        |step: &slipway_api::PlannedStep| format!("  {:<5} {}\n", step.host, step.step.describe());
    left.steps.iter().map(line).collect()
}

#[test]
fn a_file_without_a_change_leaves_nothing_to_do() {
    assert_eq!(left(FILE, ""), "");
}

#[test]
fn each_change_makes_its_own_steps_and_no_others() {
    let mut pages = String::new();
    for (change, from, to) in [
        ("another label", "disk: ssd", "disk: hdd"),
        ("no label", "labels: { disk: ssd }", "labels: {}"),
        ("another taint", "value: gpu", "value: tpu"),
        ("another kubelet flag", "value: '100'", "value: '200'"),
        ("another mode of a file", "mode: '0644'", "mode: '0600'"),
        (
            "a file less",
            "        - { src: motd, dest: /etc/motd, mode: '0644' }\n",
            "",
        ),
        (
            "another flag of the API server",
            "name: v, value: '2'",
            "name: v, value: '4'",
        ),
        (
            "another name of the API server",
            "[api.example]",
            "[api.example, two.example]",
        ),
        ("another validity of certificates", "8760h", "4380h"),
        (
            "another kubelet configuration",
            "maxPods: 110",
            "maxPods: 120",
        ),
        (
            "another mode of kube-proxy",
            "mode: iptables",
            "mode: nftables",
        ),
    ] {
        assert!(FILE.contains(from), "{from}");
        let text = FILE.replacen(from, to, 1);
        pages.push_str(&format!("{change}:\n{}", left(&text, "")));
    }
    for (change, name) in [
        ("another audit policy", "policy.yaml"),
        ("another file that the kubelet reads", "plugins.yaml"),
        ("another file that a patch mounts", "profiles.yaml"),
        ("another file that nothing reads", "motd"),
        ("another patch of the scheduler", "patches"),
        ("another network", "net.yaml"),
    ] {
        pages.push_str(&format!("{change}:\n{}", left(FILE, name)));
    }
    insta::assert_snapshot!(pages);
}

#[test]
fn the_content_of_a_user_s_file_is_not_in_the_plan() {
    struct Secret;
    impl LocalFiles for Secret {
        fn read(&self, path: &Path, limit: u64) -> Result<LocalContent, String> {
            match path.to_str() {
                Some("policy.yaml") => Ok(LocalContent::File(b"hunter2".to_vec())),
                _ => Beside("").read(path, limit),
            }
        }
    }
    let file = ClusterFile::parse_bytes(FILE.as_bytes(), "harbour.yaml", Some(&Secret));
    let spec = file.expect("the file is right").spec;
    let release = Release::of(&spec.kubernetes_version).expect("supported");
    let manifest = manifest_with(&spec.kubernetes_version, cluster_images(&spec, &release));
    let plan = plan_cluster(&spec, &bare_facts(&spec), &manifest, &Scope::All);
    let text = serde_json::to_string(&plan.expect("everything is there")).expect("text");
    assert!(text.contains("/etc/kubernetes/audit/policy.yaml") && !text.contains("hunter"));
    assert!(!format!("{spec:?}").contains("hunter"));
}
