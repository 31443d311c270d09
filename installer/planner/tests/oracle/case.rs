//! One cluster file, and what kubeadm must be told to make the same cluster.

use std::path::Path;

use serde_json::{Value, json};
use slipway_api::{ClusterFile, ClusterSpec, LocalContent, LocalFiles};

use crate::kubeadm::CRI_SOCKET;

/// Where the cases lie.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/cases");

/// What lies beside the cases.
struct Beside;

impl LocalFiles for Beside {
    fn read(&self, path: &Path, _: u64) -> Result<LocalContent, String> {
        let folder = Path::new(FOLDER).join(path);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("cases name folders only")
            .map(|entry| entry.expect("the folder can be listed"))
            .map(|entry| {
                let bytes = std::fs::read(entry.path()).expect("the file can be read");
                (entry.file_name().to_string_lossy().into_owned(), bytes)
            })
            .collect();
        files.sort();
        Ok(LocalContent::Folder(files))
    }
}

/// One case.
pub struct Case {
    /// The file's name.
    pub name: String,
    /// What the file says.
    pub spec: ClusterSpec,
    /// Kubernetes' documents in it, as they are written.
    documents: Vec<Value>,
}

impl Case {
    /// Returns all cases for a version.
    pub fn all(version: &str) -> Vec<Self> {
        let mut files: Vec<_> = std::fs::read_dir(FOLDER)
            .expect("the cases are there")
            .map(|entry| entry.expect("the folder can be listed").path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        assert!(files.len() > 5, "the cases are there");
        files
            .iter()
            .map(|path| {
                let text = std::fs::read_to_string(path).expect("cases are text");
                let name = path.file_stem().expect("cases have names");
                Self::read(&name.to_string_lossy(), &text.replace("VERSION", version))
            })
            .collect()
    }

    fn read(name: &str, text: &str) -> Self {
        let spec = ClusterFile::parse_bytes(text.as_bytes(), name, Some(&Beside))
            .unwrap_or_else(|errors| panic!("{errors}"))
            .spec;
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
        Self {
            name: name.to_owned(),
            spec,
            documents: documents.into_iter().skip(1).collect(),
        }
    }

    /// Returns the configuration for `kubeadm init`: the file's own documents,
    /// and what our document says in kubeadm's words.
    pub fn kubeadm_configuration(&self) -> String {
        let spec = &self.spec;
        let host = spec.first_control_plane();
        let mut cluster = self
            .documents
            .iter()
            .find(|document| document["kind"] == "ClusterConfiguration")
            .cloned()
            // Without the document Slipway makes other keys than kubeadm.
            .unwrap_or_else(|| {
                json!({
                    "apiVersion": "kubeadm.k8s.io/v1beta4",
                    "kind": "ClusterConfiguration",
                    "encryptionAlgorithm": "ECDSA-P256",
                })
            });
        cluster["kubernetesVersion"] = json!(spec.kubernetes_version.to_string());
        cluster["networking"] = json!({
            "podSubnet": spec.networking.pod_subnet.to_string(),
            "serviceSubnet": spec.networking.service_subnet.to_string(),
            "dnsDomain": spec.networking.dns_domain,
        });
        cluster["controlPlaneEndpoint"] = match &spec.control_plane_endpoint {
            Some(endpoint) => json!(format!("{}:{}", endpoint.host, endpoint.port)),
            // kubeadm leaves it out; ours always names one, so that nodes can be added.
            None => json!(std::net::SocketAddr::new(host.node_ip, 6443).to_string()),
        };
        // Every API server answers under these names as well.
        let mut names = match cluster.pointer("/apiServer/certSANs") {
            Some(Value::Array(names)) => names.clone(),
            Some(_) | None => Vec::new(),
        };
        for name in ["127.0.0.1", "localhost"] {
            if !names.contains(&json!(name)) {
                names.push(json!(name));
            }
        }
        if cluster["apiServer"].is_null() {
            cluster["apiServer"] = json!({});
        }
        cluster["apiServer"]["certSANs"] = json!(names);

        let node_ips: Vec<String> = host.node_ips().map(|ip| ip.to_string()).collect();
        let mut arguments = vec![json!({ "name": "node-ip", "value": node_ips.join(",") })];
        let more = host.kubelet_extra_args.iter();
        arguments.extend(more.map(|(name, value)| json!({ "name": name, "value": value })));
        let mut init = json!({
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "nodeRegistration": {
                "name": host.node_name(),
                "criSocket": CRI_SOCKET,
                "kubeletExtraArgs": arguments,
            },
            "localAPIEndpoint": { "advertiseAddress": host.node_ip },
            "timeouts": spec.timeouts,
        });
        if let Some(taints) = &host.taints {
            init["nodeRegistration"]["taints"] = json!(taints);
        }
        if let Some(patches) = &spec.patches {
            let directory = Path::new(FOLDER).join(&patches.directory);
            init["patches"] = json!({ "directory": directory });
        }
        let components = self
            .documents
            .iter()
            .filter(|document| document["kind"] != "ClusterConfiguration");
        let documents = [&init, &cluster].into_iter().chain(components);
        let documents: Vec<String> = documents.map(Value::to_string).collect();
        documents.join("\n---\n")
    }
}
