//! Compares what we render with what the kubeadm of each minor writes.
//!
//! Switched on by the feature `oracle`; each test needs the path of a kubeadm binary
//! in `SLIPWAY_KUBEADM_1_34`, `SLIPWAY_KUBEADM_1_35` or `SLIPWAY_KUBEADM_1_36`.

#[path = "rendering/sample.rs"]
mod sample;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sample::{
    ADVERTISE_ADDRESS, CRI_SOCKET, NODE_NAME, POD_SUBNET, RELEASES, Release, cluster_info,
    instance_config, kubelet_config, kubelet_config_map,
};
use serde_json::{Value, json};
use slipway_templates::{
    CA_CERTIFICATE_DIRECTORIES, EnvVar, HostPathVolume, StaticPodOptions, TemplateError,
};

/// The user's documents of one case.
#[derive(Debug, Default)]
struct Overlays {
    cluster: Option<Value>,
    kubelet: Option<Value>,
    kube_proxy: Option<Value>,
}

/// What one run of kubeadm wrote.
struct Written {
    directory: tempfile::TempDir,
    /// By kind, namespace and name.
    objects: BTreeMap<String, Value>,
}

#[test]
fn kubeadm_1_34_writes_what_we_render() {
    compare(RELEASES[0]);
}

#[test]
fn kubeadm_1_35_writes_what_we_render() {
    compare(RELEASES[1]);
}

#[test]
fn kubeadm_1_36_writes_what_we_render() {
    compare(RELEASES[2]);
}

fn compare(release: Release) {
    let kubeadm = kubeadm(release);
    let mut found = Vec::new();
    for (case, overlays) in [
        ("defaults", Overlays::default()),
        ("customised", customised()),
    ] {
        let written = run_init(&kubeadm, release, &overlays);
        let mut differences = Differences::default();
        compare_static_pods(&mut differences, release, &overlays, &written);
        compare_kubelet_files(&mut differences, release, &overlays, &written);
        compare_objects(&mut differences, release, &overlays, &written);
        found.extend(
            differences
                .0
                .into_iter()
                .map(|line| format!("{case}: {line}")),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn kubeadm(release: Release) -> PathBuf {
    let variable = format!("SLIPWAY_KUBEADM_1_{}", release.minor);
    let path = std::env::var_os(&variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} must name a kubeadm binary")))
}

/// What the lab's users write, and a bit of everything else.
fn customised() -> Overlays {
    let arguments = json!([
        {"name": "v", "value": "3"},
        {"name": "profiling", "value": "false"},
        {"name": "v", "value": "4"},
    ]);
    let environment = json!([{"name": "GODEBUG", "value": "a=1, b: \"2\""}]);
    let volumes = json!([
        {"name": "audit", "hostPath": "/etc/kubernetes/audit.yaml", "mountPath": "/audit.yaml",
         "readOnly": true, "pathType": "File"},
        {"name": "logs", "hostPath": "/var/log/kubernetes", "mountPath": "/logs"},
    ]);
    let component = json!({
        "extraArgs": arguments, "extraEnvs": environment, "extraVolumes": volumes,
    });
    let mut api_server = component.clone();
    api_server["certSANs"] = json!(["127.0.0.1", "localhost"]);
    Overlays {
        cluster: Some(json!({
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "apiServer": api_server,
            "controllerManager": component,
            "scheduler": component,
            "etcd": {"local": {"extraArgs": arguments, "extraEnvs": environment}},
            "encryptionAlgorithm": "ECDSA-P256",
        })),
        kubelet: Some(json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": false,
            "maxPods": 50,
            "evictionHard": {"memory.available": "100Mi"},
        })),
        kube_proxy: Some(json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "conntrack": {"maxPerCore": 0},
            "mode": "nftables",
        })),
    }
}

fn run_init(kubeadm: &Path, release: Release, overlays: &Overlays) -> Written {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut cluster = overlays.cluster.clone().unwrap_or_else(
        || json!({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration"}),
    );
    cluster["kubernetesVersion"] = json!(release.version);
    cluster["networking"] = json!({"podSubnet": POD_SUBNET});
    let init = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "nodeRegistration": {"name": NODE_NAME, "criSocket": CRI_SOCKET},
        "localAPIEndpoint": {"advertiseAddress": ADVERTISE_ADDRESS},
    });
    let documents: Vec<String> = [Some(&init), Some(&cluster)]
        .into_iter()
        .chain([overlays.kubelet.as_ref(), overlays.kube_proxy.as_ref()])
        .flatten()
        .map(Value::to_string)
        .collect();
    let config = directory.path().join("kubeadm.yaml");
    fs::write(&config, documents.join("\n---\n")).expect("the configuration is written");

    // The environment is empty: kubeadm copies proxy variables into its Pods.
    let output = Command::new(kubeadm)
        .args([
            "init",
            "--dry-run",
            "--skip-phases",
            "preflight",
            "--config",
        ])
        .arg(&config)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("KUBEADM_INIT_DRYRUN_DIR", directory.path())
        .output()
        .expect("kubeadm starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let log = String::from_utf8(output.stdout).expect("kubeadm writes UTF-8");
    Written {
        directory,
        objects: created_objects(&log),
    }
}

/// Returns the objects that a dry run says it would create.
fn created_objects(log: &str) -> BTreeMap<String, Value> {
    log.split("[dryrun] Would perform action CREATE ")
        .skip(1)
        .filter_map(|part| part.split_once("[dryrun] Attached object:\n"))
        .map(|(_, rest)| {
            let end = rest.find("\n[").unwrap_or(rest.len());
            let object: Value = serde_saphyr::from_str(&rest[..end]).expect("kubeadm's YAML");
            (identity(&object), object)
        })
        .collect()
}

fn identity(object: &Value) -> String {
    let metadata = &object["metadata"];
    [&object["kind"], &metadata["namespace"], &metadata["name"]]
        .map(|part| part.as_str().unwrap_or_default())
        .join("/")
}

fn options(overlays: &Overlays, component: &str) -> StaticPodOptions {
    let given = overlays.cluster.as_ref().map(|cluster| &cluster[component]);
    let list = |key: &str| given.and_then(|given| given[key].as_array()).cloned();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    StaticPodOptions {
        extra_args: list("extraArgs")
            .unwrap_or_default()
            .iter()
            .map(|item| (text(item, "name"), text(item, "value")))
            .collect(),
        extra_volumes: list("extraVolumes")
            .unwrap_or_default()
            .iter()
            .map(|item| HostPathVolume {
                name: text(item, "name"),
                host_path: text(item, "hostPath"),
                mount_path: text(item, "mountPath"),
                read_only: item["readOnly"].as_bool().unwrap_or_default(),
                path_type: text(item, "pathType"),
            })
            .collect(),
        extra_envs: list("extraEnvs")
            .unwrap_or_default()
            .iter()
            .map(|item| EnvVar::new(text(item, "name"), text(item, "value")))
            .collect(),
        ..StaticPodOptions::default()
    }
}

fn compare_static_pods(
    differences: &mut Differences,
    release: Release,
    overlays: &Overlays,
    written: &Written,
) {
    let directories: Vec<String> = CA_CERTIFICATE_DIRECTORIES
        .iter()
        .filter(|path| Path::new(path).exists())
        .map(|path| (*path).to_owned())
        .collect();
    let mut etcd = release.etcd();
    if let Some(cluster) = &overlays.cluster {
        let local = json!({"etcd": cluster["etcd"]["local"]});
        let local = Overlays {
            cluster: Some(local),
            ..Overlays::default()
        };
        let options = options(&local, "etcd");
        etcd.extra_args = options.extra_args;
        etcd.extra_envs = options.extra_envs;
    }
    let mut apiserver = release.kube_apiserver(directories.clone());
    apiserver.options = options(overlays, "apiServer");
    let mut manager = release.kube_controller_manager(directories);
    manager.options = options(overlays, "controllerManager");
    let mut scheduler = release.kube_scheduler();
    scheduler.options = options(overlays, "scheduler");
    for (file, rendered) in [
        ("etcd.yaml", etcd.render()),
        ("kube-apiserver.yaml", apiserver.render()),
        ("kube-controller-manager.yaml", manager.render()),
        ("kube-scheduler.yaml", scheduler.render()),
    ] {
        let ours = parse(&rendered.expect("renders"));
        differences.compare(file, &ours, &parse(&written.read(file)));
    }
}

fn compare_kubelet_files(
    differences: &mut Differences,
    release: Release,
    overlays: &Overlays,
    written: &Written,
) {
    let theirs = parse(&written.read("config.yaml"));
    let mut config = kubelet_config(overlays.kubelet.clone());
    // kubeadm names systemd-resolved's file where that runs on this machine.
    config.resolv_conf = theirs["resolvConf"].as_str().map(str::to_owned);
    let ours = parse(&config.render().expect("renders"));
    differences.compare("config.yaml", &ours, &theirs);

    for (file, rendered) in [
        ("kubeadm-flags.env", release.kubeadm_flags().render()),
        ("instance-config.yaml", instance_config().render()),
    ] {
        let ours = Value::from(rendered.expect("renders"));
        differences.compare(file, &ours, &Value::from(written.read(file)));
    }
}

fn compare_objects(
    differences: &mut Differences,
    release: Release,
    overlays: &Overlays,
    written: &Written,
) {
    let mut kubeadm_config = release.kubeadm_config(overlays.cluster.clone());
    if overlays.cluster.is_none() {
        kubeadm_config.cluster_configuration.cert_sans = Vec::new();
    }
    let rendered: Vec<Result<String, TemplateError>> = vec![
        kubeadm_config.render(),
        kubelet_config_map(overlays.kubelet.clone()).render(),
        cluster_info(&written.read("ca.crt")).render(),
        release.bootstrap_token_rbac().render(),
        release.kube_proxy(overlays.kube_proxy.clone()).render(),
        release.coredns().render(),
    ];
    let mut ours = BTreeMap::new();
    for text in rendered {
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(&text.expect("renders")).expect("our YAML");
        ours.extend(
            objects
                .into_iter()
                .map(|object| (identity(&object), object)),
        );
    }
    let names: Vec<&String> = ours.keys().collect();
    let theirs = || {
        written
            .objects
            .iter()
            .filter(|(_, o)| o["kind"] != "Secret")
    };
    assert_eq!(names, theirs().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, object) in theirs() {
        differences.compare(name, &comparable(&ours[name]), &comparable(object));
    }
}

/// Returns the object with the documents in a ConfigMap parsed, and without what
/// cannot be equal.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        // kubeadm's way of forcing an update; ours is server-side apply.
        metadata.remove("resourceVersion");
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

fn parse(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

impl Written {
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.path().join(file)).expect("kubeadm wrote the file")
    }
}

/// Where ours and theirs differ.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    /// Compares in depth. A field that is absent equals one with Go's zero value,
    /// which is how kubeadm writes what is not set.
    fn compare(&mut self, at: &str, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(a), Value::Object(b)) => {
                let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
                keys.sort_unstable();
                keys.dedup();
                for key in keys {
                    let at = format!("{at}.{key}");
                    let side = |map: &serde_json::Map<String, Value>| {
                        map.get(key).cloned().unwrap_or_default()
                    };
                    self.compare(&at, &side(a), &side(b));
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (index, (ours, theirs)) in a.iter().zip(b).enumerate() {
                    self.compare(&format!("{at}[{index}]"), ours, theirs);
                }
            }
            (_, _) if ours == theirs || (is_zero(ours) && is_zero(theirs)) => {}
            (_, _) => self
                .0
                .push(format!("{at}: ours {ours}, kubeadm's {theirs}")),
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_zero),
    }
}
