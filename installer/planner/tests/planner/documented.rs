//! docs/files-and-objects.md names whatever a plan writes.

use std::collections::BTreeSet;

use slipway_api::{ClusterFile, ClusterSpec, Facts, HostState, PlannedStep, Step, paths};
use slipway_pki::{CertificateName, KubeconfigName};
use slipway_planner::{Scope, plan_cluster, plan_fixes, plan_here};

use crate::support::{bare_facts, manifest, spec};

const PAGE: &str = include_str!("../../../../docs/files-and-objects.md");

/// Returns what stands as code in the first column of the page's tables.
fn documented() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split(" |").next())
        .flat_map(|cell| cell.split('`'))
        .filter(|text| !text.trim().trim_matches(',').is_empty())
        .collect()
}

/// Returns whether the page names it; `<word>` in the page stands for any one name.
fn is_documented(wanted: &str) -> bool {
    documented().into_iter().any(|known| {
        let (known, wanted) = (known.split('/'), wanted.split('/'));
        known.clone().count() == wanted.clone().count()
            && known
                .zip(wanted)
                .all(|(known, wanted)| match known.split_once('<') {
                    Some((before, rest)) => {
                        let after = rest.split_once('>').map_or("", |(_, after)| after);
                        wanted.len() > before.len() + after.len()
                            && wanted.starts_with(before)
                            && wanted.ends_with(after)
                    }
                    None => known == wanted,
                })
    })
}

/// A file with everything in it that makes further files or objects.
const FULL: &str = "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: { name: harbour }
spec:
  kubernetesVersion: 1.36.3
  networking: { podSubnet: '10.244.0.0/16,fd01::/48', serviceSubnet: '10.96.0.0/12,fd02::/112' }
  runtime:
    registryMirrors: { registry.k8s.io: ['https://mirror.example'] }
    extraConfig: 'oom_score = -999'
  etcdSnapshots: { schedule: hourly }
  hosts:
    - { name: cp-1, address: 192.0.2.11, internalAddress: '192.0.2.11,2001:db8::11', role: control-plane }
    - { name: w-1, address: 192.0.2.21, internalAddress: '192.0.2.21,2001:db8::21', role: worker }
";

/// Returns the steps of plans for several clusters, their hosts bare and of all commands.
fn steps() -> Vec<PlannedStep> {
    let full = ClusterFile::parse(FULL, "full.yaml").expect("the file is right");
    let older = |version: &str| ClusterSpec {
        kubernetes_version: version.parse().expect("a version"),
        ..spec()
    };
    let mut several = spec();
    for (name, address) in [("cp-2", "192.0.2.12"), ("cp-3", "192.0.2.13")] {
        let mut host = several.hosts[0].clone();
        host.name = name.parse().expect("a name");
        host.address = address.to_owned();
        host.node_ip = address.parse().expect("an address");
        several.hosts.push(host);
    }
    let mut found = Vec::new();
    for spec in [spec(), several, full.spec, older("1.34.4"), older("1.35.4")] {
        let facts = bare_facts(&spec);
        let manifest = manifest(&spec.kubernetes_version);
        let first = &spec.first_control_plane().name;
        let plans = [
            plan_cluster(&spec, &facts, &manifest, &Scope::All).expect("a plan"),
            plan_here(&spec, &facts, &manifest, first).expect("a plan"),
            plan_fixes(&spec, &without_routes(facts), &Scope::All),
        ];
        found.extend(plans.into_iter().flat_map(|plan| plan.steps));
    }
    found
}

fn without_routes(mut facts: Facts) -> Facts {
    for state in facts.hosts.values_mut() {
        if let HostState::Reached(facts) = state {
            facts.routes.clear();
        }
    }
    facts
}

/// Returns the files and folders that a step makes, or on which it acts.
fn written(step: &Step) -> Vec<String> {
    let pair = |name: CertificateName| {
        [name.certificate_path(), name.key_path()].map(|it| format!("{}/{it}", paths::PKI_DIR))
    };
    let kubernetes = |name: &str| format!("{}/{name}", paths::KUBERNETES_DIR);
    match step {
        Step::RememberPaths(_) => vec![paths::BEFORE_DIR.to_owned()],
        Step::EnsureDirectory(step) => vec![step.path.clone()],
        Step::WriteFile(step) => vec![step.path.clone()],
        // The file itself is the user's, at a path of the user's.
        Step::PlaceFile(_) => vec![paths::PLACED_FILES.to_owned()],
        Step::InstallBlob(step) => vec![step.path.clone()],
        Step::InstallSlipway(step) => vec![step.path.clone()],
        Step::UnpackArchive(step) => {
            let member = |path: &str| {
                let rest: Vec<&str> = path.split('/').collect();
                format!("{}/{}", step.folder, rest[step.strip..].join("/"))
            };
            step.members.iter().map(|it| member(&it.path)).collect()
        }
        Step::FetchFile(step) => vec![step.file.path().to_owned()],
        Step::LoadModules(_) => vec![paths::MODULES_FILE.to_owned()],
        Step::SetSysctls(_) => vec![paths::SYSCTL_FILE.to_owned()],
        Step::EnsureUnit(step) => {
            let target = match step.unit.ends_with(".timer") {
                true => "timers.target",
                false => "multi-user.target",
            };
            vec![
                format!("{}/{}", paths::UNIT_DIR, step.unit),
                format!("{}/{target}.wants/{}", paths::UNIT_DIR, step.unit),
                format!("{}/{}", paths::START_DIR, step.unit),
            ]
        }
        Step::EnsureStaticPod(step) => vec![
            format!("{}/{}.yaml", paths::MANIFESTS_DIR, step.name),
            format!("{}/{}", paths::START_DIR, step.name),
        ],
        Step::ImportImage(_) => vec![paths::CONTAINERD_DIR.to_owned()],
        Step::CopyAuthorities(_) => {
            let cas = ["ca", "front-proxy-ca", "etcd-ca"];
            cas.into_iter()
                .flat_map(|name| pair(certificate(name)))
                .collect()
        }
        Step::JoinEtcd(step) => vec![
            format!("{}/etcd.yaml", paths::MANIFESTS_DIR),
            step.data_dir.clone(),
        ],
        Step::RestoreEtcd(step) => vec![step.data_dir.clone()],
        Step::SetEtcdAside(step) => vec![step.data_dir.clone()],
        Step::RecoverEtcd(step) => vec![step.data_dir.clone(), paths::RECOVERED_MARKER.to_owned()],
        Step::HoldStaticPods(_) => vec![paths::HELD_DIR.to_owned()],
        Step::EnsureAuthority(step) => pair(certificate(&step.name)).to_vec(),
        Step::EnsureCertificate(step) => pair(certificate(&step.name)).to_vec(),
        Step::EnsureServiceAccountKey(_) => ["sa.key", "sa.pub"]
            .map(|name| format!("{}/{name}", paths::PKI_DIR))
            .to_vec(),
        Step::EnsureKubeconfig(step) => {
            let mut names = KubeconfigName::ALL
                .into_iter()
                .map(KubeconfigName::file_name);
            let name = names.find(|name| name.strip_suffix(".conf") == Some(&step.name));
            vec![kubernetes(name.expect("kubeadm has such a file"))]
        }
        Step::EnsureKubeletClient(_) => vec![
            paths::KUBELET_CONF.to_owned(),
            format!("{}/kubelet-client-current.pem", paths::KUBELET_PKI_DIR),
        ],
        Step::EnsureKubeletServing(_) => ["kubelet.crt", "kubelet.key"]
            .map(|name| format!("{}/{name}", paths::KUBELET_PKI_DIR))
            .to_vec(),
        Step::EnsureKubeletBootstrap(_) => vec![paths::BOOTSTRAP_KUBELET_CONF.to_owned()],
        Step::SnapshotEtcd(step) => vec![step.dir.clone()],
        Step::KeepNode(_) => vec![paths::KEPT_DIR.to_owned()],
        Step::StageBlobs(_) => vec![paths::BLOB_DIR.to_owned()],
        Step::PutNodeBack(_)
        | Step::ForgetKept(_)
        | Step::UncordonNode(_)
        | Step::RemoveEtcdMember(_)
        | Step::MoveEndpoint(_)
        | Step::DefragmentEtcd(_)
        | Step::ReleaseStaticPods(_)
        | Step::ApplyObjects(_)
        | Step::PublishClusterInfo(_)
        | Step::MarkNode(_)
        | Step::WaitFor(_)
        | Step::DrainNode(_)
        | Step::DeleteNode(_)
        | Step::StopUnit(_)
        | Step::ForgetUnits(_)
        | Step::RemovePods(_)
        | Step::EndContainers(_)
        | Step::UnmountBelow(_)
        | Step::RemoveNamespaces(_)
        | Step::RemoveCgroups(_)
        | Step::WithdrawFile(_)
        | Step::RemovePath(_)
        | Step::RemoveFiles(_)
        | Step::RemoveLinks(_)
        | Step::RemoveRules(_) => Vec::new(),
    }
}

fn certificate(name: &str) -> CertificateName {
    let mut all = CertificateName::ALL.into_iter();
    all.find(|it| it.phase_name() == name)
        .expect("kubeadm has such a certificate")
}

/// Returns the objects that a step applies: `Kind namespace/name`.
fn applied(step: &Step) -> Vec<String> {
    let manifest = if let Step::ApplyObjects(step) = step {
        &step.manifest
    } else if let Step::PublishClusterInfo(step) = step {
        &step.manifest
    } else if let Step::MarkNode(step) = step {
        return vec![format!("Node {}", step.node_name)];
    } else {
        return Vec::new();
    };
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(manifest).expect("it is YAML");
    let named = |object: &serde_json::Value| {
        let text = |pointer: &str| object.pointer(pointer).and_then(|it| it.as_str());
        let (kind, name) = (text("/kind")?, text("/metadata/name")?);
        Some(match text("/metadata/namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        })
    };
    let objects = documents.iter().filter(|it| !it.is_null());
    objects
        .map(|it| named(it).expect("objects have names"))
        .collect()
}

#[test]
fn every_file_that_a_plan_writes_is_on_the_page() {
    let found: BTreeSet<String> = steps().iter().flat_map(|it| written(&it.step)).collect();
    assert!(found.len() > 60, "{found:#?}");
    let missing: Vec<&String> = found.iter().filter(|path| !is_documented(path)).collect();
    assert!(
        missing.is_empty(),
        "not in docs/files-and-objects.md: {missing:#?}"
    );
}

#[test]
fn every_object_that_a_plan_applies_is_on_the_page() {
    let found: BTreeSet<String> = steps().iter().flat_map(|it| applied(&it.step)).collect();
    assert!(found.len() > 40, "{found:#?}");
    let missing: Vec<&String> = found.iter().filter(|it| !is_documented(it)).collect();
    assert!(
        missing.is_empty(),
        "not in docs/files-and-objects.md: {missing:#?}"
    );
}

#[test]
fn every_object_on_the_page_is_applied_by_some_plan() {
    let found: BTreeSet<String> = steps().iter().flat_map(|it| applied(&it.step)).collect();
    let objects = documented()
        .into_iter()
        .filter(|it| !it.starts_with(['/', '$', '~']));
    // Those with a name of their own each time are made by other commands, or by kubelets;
    // what is for kubeadm's joins by `--upload-certs`.
    let surplus: Vec<&str> = objects
        .filter(|it| !it.contains('<') && !it.ends_with("kubeadm-certs") && !found.contains(*it))
        .collect();
    assert!(surplus.is_empty(), "nobody makes {surplus:#?}");
}

#[test]
fn a_page_without_a_path_is_noticed() {
    assert!(is_documented(
        "/etc/containerd/certs.d/registry.k8s.io/hosts.toml"
    ));
    assert!(is_documented("Node w-1"));
    for path in [
        "/etc/containerd/certs.d/hosts.toml",
        "/etc/kubernetes",
        "/etc/passwd",
        "Node ",
    ] {
        assert!(!is_documented(path), "{path}");
    }
}
