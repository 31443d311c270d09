//! Addons.

use serde_json::{Value, json};
use slipway_templates::{Corefile, DEFAULT_VXLAN_PORT, EnvVar, Flannel, MetricsServer};

use crate::sample::{POD_SUBNET, RELEASES};
use crate::{object, parse, parse_all};

fn flannel() -> Flannel {
    Flannel {
        image: "ghcr.io/flannel-io/flannel:v0.28.4".into(),
        cni_plugin_image: "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel1".into(),
        pod_subnet: POD_SUBNET.into(),
        vxlan_port: DEFAULT_VXLAN_PORT,
        mtu: None,
    }
}

fn metrics_server() -> MetricsServer {
    MetricsServer {
        image: "registry.k8s.io/metrics-server/metrics-server:v0.9.0".into(),
        replicas: 1,
    }
}

fn net_conf(context: &Flannel) -> Value {
    let objects = parse_all(&context.render().expect("renders"));
    let config_map = object(&objects, "ConfigMap", "kube-flannel-cfg");
    let text = config_map["data"]["net-conf.json"].as_str();
    serde_json::from_str(text.expect("a text")).expect("JSON")
}

#[test]
fn addons_look_like_this() {
    let release = RELEASES[2];
    let kube_proxy = release.kube_proxy(None).render().expect("renders");
    insta::assert_snapshot!("kube-proxy", kube_proxy);
    insta::assert_snapshot!("coredns", release.coredns().render().expect("renders"));
    insta::assert_snapshot!("flannel", flannel().render().expect("renders"));
    insta::assert_snapshot!(
        "metrics-server",
        metrics_server().render().expect("renders")
    );
}

#[test]
fn flannel_is_told_subnets_port_and_mtu() {
    let mut context = flannel();
    context.mtu = Some(1400);
    context.vxlan_port = 4789;
    let expected = json!({
        "Network": POD_SUBNET,
        "EnableNFTables": false,
        "Backend": {"Type": "vxlan", "Port": 4789, "MTU": 1400},
    });
    assert_eq!(net_conf(&context), expected);

    context.pod_subnet = "fd00::/48".into();
    let conf = net_conf(&context);
    assert_eq!(conf["EnableIPv4"], false);
    assert_eq!(conf["IPv6Network"], "fd00::/48");
    assert_eq!(conf["Network"], Value::Null);

    context.pod_subnet = "10.244.0.0/16,fd00::/48".into();
    let conf = net_conf(&context);
    assert_eq!(conf["Network"], "10.244.0.0/16");
    assert_eq!(conf["EnableIPv6"], true);
}

#[test]
fn cni_configuration_of_flannel_is_json() {
    let objects = parse_all(&flannel().render().expect("renders"));
    let config_map = object(&objects, "ConfigMap", "kube-flannel-cfg");
    let text = config_map["data"]["cni-conf.json"].as_str();
    let conf: Value = serde_json::from_str(text.expect("a text")).expect("JSON");
    assert_eq!(conf["plugins"][0]["type"], "flannel");
}

#[test]
fn metrics_server_verifies_kubelets() {
    let text = metrics_server().render().expect("renders");
    assert!(!text.contains("kubelet-insecure-tls"));
    assert!(text.contains("--kubelet-certificate-authority=/var/run/secrets/"));
}

#[test]
fn a_kube_proxy_overlay_wins_and_is_not_marked_as_generated() {
    let overlay = json!({"conntrack": {"maxPerCore": 0}, "mode": "nftables"});
    let mut context = RELEASES[2].kube_proxy(Some(overlay));
    context.config.advertise_address = "2001:db8::11".into();
    context.envs = vec![EnvVar::new("NO_PROXY", "10.0.0.0/8: {{ x }}\n")];
    let objects = parse_all(&context.render().expect("renders"));
    let config_map = object(&objects, "ConfigMap", "kube-proxy");
    assert_eq!(config_map["metadata"]["annotations"], Value::Null);
    let document = parse(config_map["data"]["config.conf"].as_str().expect("a text"));
    assert_eq!(document["bindAddress"], "::");
    assert_eq!(document["clusterCIDR"], POD_SUBNET);
    assert_eq!(document["conntrack"]["maxPerCore"], 0);
    assert_eq!(document["mode"], "nftables");
    let daemon_set = object(&objects, "DaemonSet", "kube-proxy");
    let env = &daemon_set["spec"]["template"]["spec"]["containers"][0]["env"];
    let proxy = json!({"name": "NO_PROXY", "value": "10.0.0.0/8: {{ x }}\n"});
    assert_eq!(env[1], proxy);
}

#[test]
fn a_corefile_of_the_users_own_stays_as_it_is() {
    let own = "# mine\n.:53 {\n\terrors\n}\n\n";
    let mut context = RELEASES[2].coredns();
    context.corefile = own.into();
    let objects = parse_all(&context.render().expect("renders"));
    let config_map = object(&objects, "ConfigMap", "coredns");
    assert_eq!(config_map["data"]["Corefile"], own);
}

#[test]
fn a_domain_that_would_add_directives_is_refused() {
    let corefile = Corefile {
        dns_domain: "cluster.local {\n}".into(),
    };
    assert!(corefile.render().is_err());
}
