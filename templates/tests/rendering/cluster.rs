//! Objects by which nodes join and kubeadm knows the cluster.

use serde_json::json;
use slipway_templates::{ApiServerKubeletClient, ClusterAdmins};

use crate::sample::{RELEASES, cluster_info, kubelet_config_map};
use crate::{object, parse, parse_all};

#[test]
fn objects_of_the_cluster_look_like_this() {
    let release = RELEASES[2];
    let kubeadm_config = release.kubeadm_config(None).render().expect("renders");
    insta::assert_snapshot!("kubeadm-config", kubeadm_config);
    let kubelet_config = kubelet_config_map(None).render().expect("renders");
    insta::assert_snapshot!("kubelet-config", kubelet_config);
    let info = cluster_info("PEM\n").render().expect("renders");
    insta::assert_snapshot!("cluster-info", info);
    let rbac = release.bootstrap_token_rbac().render().expect("renders");
    insta::assert_snapshot!("bootstrap-token-rbac", rbac);
    insta::assert_snapshot!(
        "cluster-admins",
        ClusterAdmins {}.render().expect("renders")
    );
}

#[test]
fn api_servers_are_bound_to_kubelets_from_1_36_on() {
    let binding = parse_all(&ApiServerKubeletClient {}.render().expect("renders"));
    for release in RELEASES {
        let text = release.bootstrap_token_rbac().render().expect("renders");
        let objects = parse_all(&text);
        assert_eq!(objects.contains(&binding[0]), release.minor >= 36);
        assert_eq!(objects.len(), if release.minor >= 36 { 6 } else { 5 });
    }
}

#[test]
fn a_cluster_configuration_keeps_what_the_user_wrote() {
    let overlay = json!({
        "apiServer": {
            "certSANs": ["api.example"],
            "extraArgs": [{"name": "v", "value": "4\n{{ }}"}],
        },
        "etcd": {"external": {"endpoints": ["https://a:2379"]}},
        "kubernetesVersion": "v1.35.4",
    });
    let mut context = RELEASES[2].kubeadm_config(Some(overlay.clone()));
    let configuration = &mut context.cluster_configuration;
    configuration.cert_sans = vec!["127.0.0.1".into(), "api.example".into()];
    let objects = parse_all(&context.render().expect("renders"));
    let config_map = object(&objects, "ConfigMap", "kubeadm-config");
    let text = config_map["data"]["ClusterConfiguration"].as_str();
    let document = parse(text.expect("a text"));
    assert_eq!(
        document["apiServer"]["extraArgs"],
        overlay["apiServer"]["extraArgs"]
    );
    assert_eq!(
        document["apiServer"]["certSANs"],
        json!(["api.example", "127.0.0.1"])
    );
    assert_eq!(document["etcd"], overlay["etcd"]);
    assert_eq!(document["kubernetesVersion"], "v1.36.3");
    assert_eq!(document["networking"]["dnsDomain"], "cluster.local");
}

#[test]
fn a_kubelet_configuration_of_the_users_own_is_not_marked_as_generated() {
    for overlay in [None, Some(json!({"maxPods": 50}))] {
        let generated = overlay.is_none();
        let objects = parse_all(&kubelet_config_map(overlay).render().expect("renders"));
        let config_map = object(&objects, "ConfigMap", "kubelet-config");
        let marked = config_map["metadata"]["annotations"].is_object();
        assert_eq!(marked, generated);
        let text = config_map["data"]["kubelet"].as_str().expect("a text");
        assert!(!text.contains("containerRuntimeEndpoint"), "{text}");
    }
}

#[test]
fn hostile_values_stay_inside_their_objects() {
    let hostile = "x\n---\nkind: Secret\n\"{{ server }}";
    let mut info = cluster_info("PEM");
    info.server = hostile.into();
    let objects = parse_all(&info.render().expect("renders"));
    assert_eq!(objects.len(), 3);
    let config_map = object(&objects, "ConfigMap", "cluster-info");
    let kubeconfig = parse(config_map["data"]["kubeconfig"].as_str().expect("a text"));
    assert_eq!(kubeconfig["clusters"][0]["cluster"]["server"], hostile);
}
