//! The cluster file of a lab: its hosts, and what kubelets and kube-proxies need in containers.

use std::path::Path;

use slipway_api::Role;

use crate::LabSpec;
use crate::lab_spec::PlannedHost;
use crate::machine::Machine;

/// Returns the text of the lab's cluster file.
pub(crate) fn render_cluster_file(
    spec: &LabSpec,
    hosts: &[PlannedHost],
    folder: &Path,
    machine: &Machine,
) -> String {
    let version = spec.kubernetes_version.trim_start_matches('v');
    let mut text = format!(
        "\
apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata:
  name: {name}
spec:
  kubernetesVersion: v{version}
  ssh:
    user: ops
    sudo: true
    identityFile: {identity}
    knownHostsFile: {known_hosts}
  hosts:
",
        name = quoted(&spec.name),
        identity = quoted(&folder.join("id_ed25519").display().to_string()),
        known_hosts = quoted(&folder.join("known_hosts").display().to_string()),
    );
    for host in hosts {
        let role = match host.role {
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
        };
        let (name, address) = (&host.name, host.address);
        text.push_str(&format!(
            "    - {{ name: {name}, address: {address}, role: {role} }}\n"
        ));
    }
    text.push_str(&render_kubelet_configuration(machine));
    text.push_str(KUBE_PROXY_CONFIGURATION);
    text
}

/// The table of connections is this machine's, and only its own network
/// namespace may resize it: kube-proxy in a container fails when it tries.
const KUBE_PROXY_CONFIGURATION: &str = "\
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack:
  maxPerCore: 0
  min: 0
";

/// Writes only what this machine makes necessary; no document when that is nothing.
fn render_kubelet_configuration(machine: &Machine) -> String {
    let mut fields = String::new();
    if machine.has_cgroup_v1 {
        fields.push_str("failCgroupV1: false # this machine has cgroup v1\n");
    }
    if machine.has_swap {
        fields.push_str("failSwapOn: false # this machine has swap\n");
    }
    if machine.is_short_of_disk {
        // Naming one threshold drops the defaults of all, so each is named.
        fields.push_str(
            "\
evictionHard: # this machine's disk is nearly full; shares of it say little about a host
  memory.available: 100Mi
  nodefs.available: 1Gi
  nodefs.inodesFree: 1%
  imagefs.available: 1Gi
imageGCHighThresholdPercent: 100
",
        );
    }
    if fields.is_empty() {
        return fields;
    }
    format!("---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{fields}")
}

/// A JSON string is a YAML string, whatever stands in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn render_text(machine: &Machine) -> String {
        let spec = LabSpec {
            name: "dev".to_owned(),
            control_planes: 1,
            workers: 2,
            kubernetes_version: "v1.36.3".to_owned(),
        };
        let hosts = spec.planned_hosts("10.77.1.0/24".parse().expect("a subnet"));
        render_cluster_file(&spec, &hosts, Path::new("/home/a b/labs/dev"), machine)
    }

    fn render(machine: &Machine) -> Vec<Value> {
        render_text(machine)
            .split("---\n")
            .map(|document| serde_saphyr::from_str(document).expect("YAML"))
            .collect()
    }

    fn machine() -> Machine {
        Machine {
            has_cgroup_v1: false,
            has_swap: false,
            is_short_of_disk: false,
            has_module_files: false,
            limits: None,
        }
    }

    #[test]
    fn the_file_names_the_hosts_the_key_and_the_known_hosts() {
        let documents = render(&machine());
        let spec = &documents[0]["spec"];
        assert_eq!(documents[0]["metadata"]["name"], "dev");
        assert_eq!(spec["kubernetesVersion"], "v1.36.3");
        assert_eq!(spec["ssh"]["identityFile"], "/home/a b/labs/dev/id_ed25519");
        assert_eq!(spec["hosts"][0]["address"], "10.77.1.11");
        assert_eq!(spec["hosts"][2]["name"], "w-2");
        assert_eq!(spec["hosts"][2]["role"], "worker");
    }

    #[test]
    fn an_ordinary_machine_needs_only_the_kube_proxy_document() {
        let documents = render(&machine());
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[1]["kind"], "KubeProxyConfiguration");
        assert_eq!(documents[1]["conntrack"]["maxPerCore"], 0);
    }

    #[test]
    fn cgroup_v1_swap_and_a_full_disk_each_add_their_kubelet_setting() {
        let documents = render(&Machine {
            has_cgroup_v1: true,
            has_swap: true,
            is_short_of_disk: true,
            ..machine()
        });
        assert_eq!(documents[1]["kind"], "KubeletConfiguration");
        assert_eq!(documents[1]["failCgroupV1"], false);
        assert_eq!(documents[1]["failSwapOn"], false);
        assert_eq!(documents[1]["evictionHard"]["nodefs.available"], "1Gi");
    }

    #[test]
    fn slipway_reads_the_file_without_complaint() {
        let text = render_text(&Machine {
            has_cgroup_v1: true,
            has_swap: true,
            is_short_of_disk: true,
            ..machine()
        });
        let file = slipway_api::ClusterFile::parse(&text, "cluster.yaml");
        assert!(file.is_ok(), "{:?}", file.err());
    }
}
