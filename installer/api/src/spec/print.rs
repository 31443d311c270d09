//! Writing cluster files.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    ClusterConfiguration, ClusterSpec, Cni, Endpoint, HostFile, HostSpec, SshDefaults, Taint,
};

/// Returns an example of a cluster file: the least that is needed, and all
/// other fields as comments with their defaults.
pub const fn print_defaults() -> &'static str {
    include_str!("example.yaml")
}

/// Returns the cluster file that describes `spec` with every default written
/// out; parsing it gives an equal `spec`.
pub fn print_cluster(spec: &ClusterSpec) -> String {
    let cluster = json!({
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": { "name": spec.name },
        "spec": spec_value(spec),
    });
    let kubeadm = kubeadm_value(spec);
    let documents: Vec<String> = [&cluster, &kubeadm]
        .into_iter()
        .chain(&spec.kubelet_configuration)
        .chain(&spec.kube_proxy_configuration)
        .map(print_document)
        .collect();
    documents.join("---\n")
}

fn print_document(document: &Value) -> String {
    // Folding would break long paths over lines for no gain.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 1 << 20 };
    serde_saphyr::to_string_with_options(document, options)
        .expect("every JSON value with text keys can be written as YAML")
}

fn kubeadm_value(spec: &ClusterSpec) -> Value {
    let mut document = Fields::default();
    document.set("apiVersion", ClusterConfiguration::API_VERSION);
    document.set("kind", ClusterConfiguration::KIND);
    let fields = serde_json::to_value(&spec.cluster_configuration)
        .expect("a ClusterConfiguration has only text keys");
    if let Value::Object(fields) = fields {
        document.0.extend(fields);
    }
    document.into_value()
}

fn spec_value(spec: &ClusterSpec) -> Value {
    let mut fields = Fields::default();
    fields.set("kubernetesVersion", spec.kubernetes_version.to_string());
    let endpoint = spec.control_plane_endpoint.as_ref();
    fields.set_if("controlPlaneEndpoint", endpoint.map(endpoint_text));
    let networking = json!({
        "podSubnet": spec.networking.pod_subnet,
        "serviceSubnet": spec.networking.service_subnet,
        "dnsDomain": spec.networking.dns_domain,
        "cni": cni_value(&spec.networking.cni),
    });
    fields.set("networking", networking);
    fields.set("ssh", ssh_value(&spec.ssh));
    let hosts: Vec<Value> = spec.hosts.iter().map(host_value).collect();
    fields.set("hosts", hosts);
    let mut runtime = Fields::default();
    runtime.set("socket", path_text(&spec.runtime.socket));
    runtime.set("adopt", spec.runtime.adopt);
    runtime.set("registryMirrors", json!(spec.runtime.registry_mirrors));
    runtime.set_if("extraConfig", spec.runtime.extra_config.clone());
    fields.set("runtime", runtime.into_value());
    fields.set(
        "addons",
        json!({ "metricsServer": spec.addons.metrics_server }),
    );
    let snapshots = spec.etcd_snapshots.as_ref();
    fields.set_if("etcdSnapshots", snapshots.map(|it| json!(it)));
    fields.set_if("bundle", spec.bundle.as_deref().map(path_text));
    let patches = spec.patches.as_ref();
    fields.set_if(
        "patches",
        patches.map(|patches| json!({ "directory": path_text(&patches.directory) })),
    );
    fields.set("timeouts", json!(spec.timeouts));
    let ignored = spec.ignore_preflight_errors.clone();
    fields.set("ignorePreflightErrors", ignored);
    fields.into_value()
}

fn endpoint_text(endpoint: &Endpoint) -> String {
    if endpoint.host.contains(':') {
        format!("[{}]:{}", endpoint.host, endpoint.port)
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    }
}

fn cni_value(cni: &Cni) -> Value {
    match cni {
        Cni::Flannel => json!("flannel"),
        Cni::None => json!("none"),
        Cni::Manifests(manifests) => {
            let paths = manifests.iter().map(|manifest| path_text(&manifest.path));
            json!({ "manifests": paths.collect::<Vec<_>>() })
        }
    }
}

fn ssh_value(ssh: &SshDefaults) -> Value {
    let mut fields = Fields::default();
    fields.set_if("user", ssh.user.clone());
    fields.set_if("port", ssh.port);
    fields.set_if("identityFile", ssh.identity_file.as_deref().map(path_text));
    let known_hosts = ssh.known_hosts_file.as_deref();
    fields.set_if("knownHostsFile", known_hosts.map(path_text));
    fields.set_if("proxyJump", ssh.proxy_jump.clone());
    fields.set_if("sudo", ssh.sudo);
    fields.set_if("passwordFile", ssh.password_file.as_deref().map(path_text));
    fields.into_value()
}

fn host_value(host: &HostSpec) -> Value {
    let mut fields = Fields::default();
    fields.set("name", host.name.as_str());
    fields.set("address", host.address.as_str());
    let node_ips: Vec<String> = host.node_ips().map(|ip| ip.to_string()).collect();
    fields.set("internalAddress", node_ips.join(","));
    fields.set_if("port", host.port);
    fields.set_if("user", host.user.clone());
    fields.set_if("identityFile", host.identity_file.as_deref().map(path_text));
    fields.set_if("proxyJump", host.proxy_jump.clone());
    fields.set_if("sudo", host.sudo);
    fields.set_if("passwordFile", host.password_file.as_deref().map(path_text));
    fields.set("role", json!(host.role));
    fields.set("labels", json!(host.labels));
    let taints = host.taints.as_ref();
    fields.set_if(
        "taints",
        taints.map(|taints| taints.iter().map(taint_value).collect::<Vec<_>>()),
    );
    let arguments: Vec<Value> = host
        .kubelet_extra_args
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    fields.set("kubeletExtraArgs", arguments);
    fields.set_if("hostnameOverride", host.hostname_override.clone());
    fields.set_if("arch", host.architecture.map(|arch| arch.as_str()));
    if !host.files.is_empty() {
        let files: Vec<Value> = host.files.iter().map(file_value).collect();
        fields.set("files", files);
    }
    fields.into_value()
}

fn file_value(file: &HostFile) -> Value {
    json!({
        "src": path_text(&file.src),
        "dest": file.dest,
        "mode": format!("{:04o}", file.mode),
    })
}

fn taint_value(taint: &Taint) -> Value {
    json!({ "key": taint.key, "value": taint.value, "effect": taint.effect })
}

/// Paths come from the file's own text and are thus UTF-8.
fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn set_if(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
