//! `config import`: the cluster file of a cluster that kubeadm made.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Map, Value, json};
use slipway_api::protocol::{Reply, Request};
use slipway_api::{
    ClusterFile, ClusterSpec, FoundCluster, FoundNode, HostName, KubernetesVersion, print_cluster,
};

use super::kubeconfig::write_new;
use crate::args::{ClusterArgs, ImportArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;

/// The fields of a ClusterConfiguration that the cluster file has in its own document.
const OWN_FIELDS: [&str; 3] = ["kubernetesVersion", "networking", "controlPlaneEndpoint"];

pub(super) async fn run(args: ImportArgs) -> Result<ExitCode, CliError> {
    if args.out.as_deref().is_some_and(Path::exists) {
        let path = args.out.as_deref().unwrap_or(Path::new("")).display();
        return Err(CliError::bad_input(
            format!("{path} is there already"),
            "name another file with `--out`",
        ));
    }
    let found = ask(&args).await?;
    let spec = spec_of(&found, &args)?;
    let text = print_cluster(&spec);
    match &args.out {
        None => out!("{text}"),
        Some(path) => {
            write_new(path, &text)?;
            noteln!(
                "wrote {}: {} hosts. Look at it, then: slipway plan -f {}",
                path.display(),
                spec.hosts.len(),
                path.display()
            );
        }
    }
    if !found.has_our_flannel {
        noteln!("The pods' network stays as it is: `cni: none`.");
    }
    Ok(ExitCode::Done)
}

/// Reads the cluster from the control-plane host that is named.
async fn ask(args: &ImportArgs) -> Result<FoundCluster, CliError> {
    let host = json!({
        "name": "control-plane",
        "address": args.from_cluster,
        "internalAddress": internal(&args.from_cluster),
        "role": "control-plane",
    });
    let document = json!({
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": { "name": "import" },
        "spec": {
            "kubernetesVersion": slipway_api::Release::newest_tested(),
            "ssh": ssh_of(args),
            "hosts": [host],
        },
    });
    let cluster = Cluster {
        spec: parsed(&[document])?,
        here: None,
    };
    let access = ClusterArgs {
        config: None,
        accept_new_host_keys: args.accept_new_host_keys,
    };
    let reply = cluster
        .ask_control_plane(&access, Request::ReadFoundCluster)
        .await?;
    let Reply::FoundCluster { found: Some(found) } = reply else {
        return Err(CliError::bad_input(
            format!(
                "{} knows no cluster that kubeadm or Slipway made",
                args.from_cluster
            ),
            "name a control-plane host; the cluster must have kube-system/kubeadm-config",
        ));
    };
    Ok(*found)
}

/// Returns an address that stands for the node's own, where SSH goes to a name.
fn internal(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        // Nobody uses it: the host is only asked.
        Err(_) => "192.0.2.1".to_owned(),
    }
}

fn ssh_of(args: &ImportArgs) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |path: &std::path::PathBuf| json!(path.to_string_lossy());
    set("user", args.user.as_ref().map(|it| json!(it)));
    set("port", args.port.map(|it| json!(it)));
    set("identityFile", args.identity_file.as_ref().map(text));
    set("knownHostsFile", args.known_hosts_file.as_ref().map(text));
    Value::Object(fields)
}

/// Returns the cluster file's content, checked as any other.
fn spec_of(found: &FoundCluster, args: &ImportArgs) -> Result<ClusterSpec, CliError> {
    let configuration = &found.cluster_configuration;
    let version: Result<KubernetesVersion, _> = found.api_server_version.parse();
    let version = version.map_err(|error| {
        CliError::bad_input(
            format!("the API server's version: {error}"),
            "Slipway takes over clusters of released versions",
        )
    })?;
    let networking = |field: &str| configuration.pointer(&format!("/networking/{field}"));
    let mut own = Map::new();
    own.insert("kubernetesVersion".to_owned(), json!(version));
    if let Some(endpoint) = configuration
        .get("controlPlaneEndpoint")
        .filter(|it| *it != "")
    {
        own.insert("controlPlaneEndpoint".to_owned(), endpoint.clone());
    }
    let mut network = Map::new();
    for field in ["podSubnet", "serviceSubnet", "dnsDomain"] {
        if let Some(value) = networking(field) {
            network.insert(field.to_owned(), value.clone());
        }
    }
    let cni = if found.has_our_flannel {
        "flannel"
    } else {
        "none"
    };
    network.insert("cni".to_owned(), json!(cni));
    own.insert("networking".to_owned(), Value::Object(network));
    own.insert("ssh".to_owned(), ssh_of(args));
    own.insert(
        "addons".to_owned(),
        json!({ "metricsServer": found.has_our_metrics_server }),
    );
    let mut nodes: Vec<&FoundNode> = found.nodes.iter().collect();
    nodes.sort_by_key(|node| (!node.is_control_plane, node.name.clone()));
    let hosts: Vec<Value> = nodes.into_iter().map(host_of).collect();
    own.insert("hosts".to_owned(), json!(hosts));
    let name = args.name.clone().or_else(|| {
        let name = configuration.get("clusterName")?.as_str()?;
        Some(name.to_owned())
    });
    let cluster = json!({
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": { "name": name.unwrap_or_else(|| "kubernetes".to_owned()) },
        "spec": own,
    });
    let mut kubeadm = configuration.clone();
    if let Value::Object(fields) = &mut kubeadm {
        fields.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
    }
    let others = [
        &found.kubelet_configuration,
        &found.kube_proxy_configuration,
    ];
    let documents: Vec<Value> = [cluster, kubeadm]
        .into_iter()
        .chain(others.into_iter().flatten().cloned())
        .collect();
    parsed(&documents)
}

fn host_of(node: &FoundNode) -> Value {
    let first = node.internal_ips.first().cloned().unwrap_or_default();
    let is_fit = node.name.parse::<HostName>().is_ok();
    let name = match is_fit {
        true => node.name.clone(),
        false => node.name.replace('.', "-"),
    };
    let role = if node.is_control_plane {
        "control-plane"
    } else {
        "worker"
    };
    let mut host = json!({ "name": name, "address": first, "role": role });
    if node.internal_ips.len() > 1 {
        host["internalAddress"] = json!(node.internal_ips.join(","));
    }
    if !is_fit {
        host["hostnameOverride"] = json!(node.name);
    }
    if node.is_control_plane && !node.is_tainted {
        host["taints"] = json!([]);
    }
    host
}

/// Reads documents as a cluster file: every JSON document is a YAML one.
fn parsed(documents: &[Value]) -> Result<ClusterSpec, CliError> {
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    let file = ClusterFile::parse(&texts.join("\n---\n"), "the cluster as it is");
    file.map(|file| file.spec).map_err(|errors| {
        CliError::bad_input(
            errors.to_string().trim_end().to_owned(),
            "a cluster file cannot say this; mend the cluster's own configuration first",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> ImportArgs {
        ImportArgs {
            from_cluster: "192.0.2.11".to_owned(),
            name: Some("harbour".to_owned()),
            user: Some("ops".to_owned()),
            port: None,
            identity_file: None,
            known_hosts_file: None,
            accept_new_host_keys: false,
            out: None,
        }
    }

    #[test]
    fn a_cluster_of_kubeadm_s_becomes_a_file_that_describes_it() {
        let node = |name: &str, address: &str, is_control_plane| FoundNode {
            name: name.to_owned(),
            internal_ips: vec![address.to_owned()],
            is_control_plane,
            is_tainted: is_control_plane,
        };
        let found = FoundCluster {
            api_server_version: "v1.35.4".to_owned(),
            cluster_configuration: json!({
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "ClusterConfiguration",
                "kubernetesVersion": "v1.35.4",
                "clusterName": "kubernetes",
                "networking": { "podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12", "dnsDomain": "cluster.local" },
                "apiServer": { "certSANs": ["api.example"] },
                "etcd": { "local": { "dataDir": "/var/lib/etcd" } },
            }),
            kubelet_configuration: None,
            kube_proxy_configuration: None,
            nodes: vec![
                node("w-1.example", "192.0.2.21", false),
                node("cp-1", "192.0.2.11", true),
            ],
            has_our_flannel: false,
            has_our_metrics_server: false,
        };
        let spec = spec_of(&found, &args()).unwrap();
        assert_eq!(spec.kubernetes_version, KubernetesVersion::new(35, 4));
        assert_eq!(spec.hosts[0].name.as_str(), "cp-1");
        assert_eq!(spec.hosts[1].node_name(), "w-1.example");
        assert_eq!(spec.networking.cni, slipway_api::Cni::None);
        assert!(!spec.addons.metrics_server);
        let again = ClusterFile::parse(&print_cluster(&spec), "again")
            .unwrap()
            .spec;
        assert_eq!(again, spec);
    }
}
