//! Each story is one discovery; what it must never do is show the token to
//! somebody who has not proven to be the cluster.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use slipway_agent::kubernetes::{DiscoveryError, Patience, discover};
use slipway_api::{DiscoveredCluster, Discovery, Endpoint, SecretText};
use slipway_pki::{BootstrapToken, CertificateAuthority, public_key_pin};

use crate::api_stub::{Answer, ApiStub, NAME, Seen, authority, config_map, refusal};

const TOKEN: &str = "abcdef.0123456789abcdef";
const INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const KUBEADM: &str = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config";
const KUBELET: &str = "/api/v1/namespaces/kube-system/configmaps/kubelet-config";
const NODE: &str = "/api/v1/nodes/w-1";

const CLUSTER_CONFIGURATION: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: kubernetes
kubernetesVersion: v1.36.3
networking: { dnsDomain: harbour.local, podSubnet: 10.244.0.0/16, serviceSubnet: '10.97.0.0/16,fd00::/112' }
";
const KUBELET_CONFIGURATION: &str = "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDomain: harbour.local
failCgroupV1: false
";

/// Returns the kubeconfig of `cluster-info`.
fn kubeconfig(authority: &CertificateAuthority) -> String {
    let data = STANDARD.encode(authority.certificate_pem());
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {data}\n    \
         server: https://{NAME}:6443\n  name: \"\"\ncontexts: null\ncurrent-context: \"\"\n\
         kind: Config\nusers: null\n"
    )
}

/// Returns `cluster-info` with the signature of `token`.
fn signed(kubeconfig: &str, token: &str) -> Answer {
    let token: BootstrapToken = token.parse().unwrap();
    let key = format!("jws-kubeconfig-{}", token.id());
    let data = json!({ "kubeconfig": kubeconfig, key: token.sign(kubeconfig) });
    config_map("cluster-info", data)
}

/// Answers what a cluster in good order answers.
fn healthy(authority: &CertificateAuthority) -> impl Fn(&Seen, usize) -> Answer + use<> {
    let kubeconfig = kubeconfig(authority);
    move |seen, _| {
        let is_token = seen.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"));
        match seen.path.as_str() {
            // The role is bound to who has no credentials at all.
            INFO if seen.authorization.is_none() => signed(&kubeconfig, TOKEN),
            "/version" if is_token => (200, version("v1.36.3")),
            KUBEADM if is_token => {
                let data = json!({ "ClusterConfiguration": CLUSTER_CONFIGURATION });
                let (code, mut object) = config_map("kubeadm-config", data);
                object["metadata"]["annotations"] = json!({ "slipway.dev/cluster": "harbour" });
                (code, object)
            }
            KUBELET if is_token => config_map(
                "kubelet-config",
                json!({ "kubelet": KUBELET_CONFIGURATION }),
            ),
            NODE if is_token => refusal(404, "NotFound"),
            _ => refusal(403, "Forbidden"),
        }
    }
}

fn version(text: &str) -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": text, "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
    })
}

fn discovery(stub: &ApiStub, pins: &[String]) -> Discovery {
    Discovery {
        endpoint: Endpoint {
            host: NAME.to_owned(),
            port: stub.address.port(),
        },
        addresses: vec![stub.address.ip()],
        token: SecretText::new(TOKEN),
        ca_pins: pins.to_vec(),
        node_name: "w-1".to_owned(),
    }
}

fn pin(authority: &CertificateAuthority) -> String {
    public_key_pin(authority.certificate_pem()).unwrap()
}

/// Long enough for a few tries, short enough for a test.
const PATIENCE: Patience = Patience {
    bound: Duration::from_millis(1500),
    pause: Duration::from_millis(50),
};

async fn find(discovery: &Discovery) -> Result<DiscoveredCluster, DiscoveryError> {
    discover(discovery, PATIENCE, &|_| {}).await
}

/// Runs a discovery that must fail, and shows the token to nobody.
async fn fails(
    authority: &CertificateAuthority,
    pins: &[String],
    answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static,
) -> DiscoveryError {
    let stub = ApiStub::start(authority, Timestamp::now(), answer).await;
    let error = find(&discovery(&stub, pins)).await.unwrap_err();
    assert_eq!(stub.shown_to(), [""; 0], "the token was shown: {error}");
    error
}

#[tokio::test]
async fn a_cluster_is_found_and_the_token_shown_only_once_it_is_proven() {
    let ca = authority();
    let stub = ApiStub::start(&ca, Timestamp::now(), healthy(&ca)).await;
    let found = find(&discovery(&stub, &[pin(&ca)])).await.unwrap();
    assert_eq!(found.name, "harbour");
    assert!(found.is_ours && !found.node_is_ready);
    assert_eq!(found.kubeconfig_name, "kubernetes");
    assert_eq!(found.server, format!("https://{NAME}:6443"));
    assert_eq!(found.api_address, stub.address);
    assert_eq!(found.own_address, stub.address.ip());
    assert_eq!(found.ca_pem, ca.certificate_pem());
    assert_eq!(found.ca_pins, [pin(&ca)]);
    assert_eq!(found.kubernetes_version.to_string(), "v1.36.3");
    assert_eq!(found.service_subnet.to_string(), "10.97.0.0/16,fd00::/112");
    let pods = found.pod_subnet.as_ref().unwrap();
    assert_eq!(pods.to_string(), "10.244.0.0/16");
    assert_eq!(found.dns_domain, "harbour.local");
    assert_eq!(found.kubelet_configuration["failCgroupV1"], false);
    let seen = stub.seen();
    let anonymous = |it: &Seen| it.path == INFO && it.authorization.is_none();
    assert!(seen[..2].iter().all(anonymous), "{seen:?}");
    assert_eq!(stub.shown_to().len(), seen.len() - 2);
    let text = serde_json::to_string(&found).unwrap();
    assert!(
        !text.contains("0123456789abcdef"),
        "the token is in what was found"
    );
}

#[tokio::test]
async fn without_pins_the_token_s_signature_is_believed() {
    let ca = authority();
    let stub = ApiStub::start(&ca, Timestamp::now(), healthy(&ca)).await;
    assert!(find(&discovery(&stub, &[])).await.is_ok());
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_told_with_what_was_tried() {
    let ca = authority();
    let stub = ApiStub::start(&ca, Timestamp::now(), healthy(&ca)).await;
    let mut nowhere = discovery(&stub, &[pin(&ca)]);
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    nowhere.endpoint.port = held.local_addr().unwrap().port();
    drop(held);
    let error = find(&nowhere).await.unwrap_err();
    assert!(
        matches!(error, DiscoveryError::Unreachable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(NAME) && error.help().contains("curl"));
}

#[tokio::test]
async fn a_signature_that_comes_late_is_waited_for() {
    let ca = authority();
    let (ready, text) = (healthy(&ca), kubeconfig(&ca));
    let answer = move |seen: &Seen, before: usize| {
        if seen.path == INFO && before < 2 {
            return config_map("cluster-info", json!({ "kubeconfig": text }));
        }
        ready(seen, before)
    };
    let stub = ApiStub::start(&ca, Timestamp::now(), answer).await;
    let said = Mutex::new(Vec::new());
    let hear = |line| said.lock().unwrap().push(line);
    let found = discover(&discovery(&stub, &[pin(&ca)]), PATIENCE, &hear).await;
    assert!(found.is_ok());
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("abcdef"), "{said:?}");
}

#[tokio::test]
async fn a_token_that_the_cluster_does_not_know_is_named_by_its_id() {
    let ca = authority();
    let text = kubeconfig(&ca);
    let answer = move |_: &Seen, _| signed(&text, "ghijkl.0123456789abcdef");
    let error = fails(&ca, &[pin(&ca)], answer).await;
    assert!(
        matches!(error, DiscoveryError::UnknownToken { .. }),
        "{error}"
    );
    assert!(error.help().contains("token create --print-join-command"));
    assert!(!error.to_string().contains("0123456789abcdef"));
}

#[tokio::test]
async fn a_signature_with_another_secret_is_not_believed() {
    let ca = authority();
    let text = kubeconfig(&ca);
    let answer = move |_: &Seen, _| signed(&text, "abcdef.fedcba9876543210");
    let error = fails(&ca, &[], answer).await;
    assert!(
        matches!(error, DiscoveryError::WrongSignature { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_ca_that_is_not_pinned_is_named_with_its_own_pin() {
    let ca = authority();
    let other = pin(&authority());
    let error = fails(&ca, &[other], healthy(&ca)).await;
    assert!(matches!(error, DiscoveryError::NotPinned { .. }), "{error}");
    assert!(error.to_string().contains(&pin(&ca)));
}

#[tokio::test]
async fn somebody_in_between_with_a_certificate_of_his_own_gets_no_token() {
    let (ca, impostor) = (authority(), authority());
    // He passes on the real cluster-info, which anybody may read.
    let error = fails(&impostor, &[pin(&ca)], healthy(&ca)).await;
    assert!(matches!(error, DiscoveryError::Untrusted { .. }), "{error}");
    assert!(error.help().contains("somebody else"), "{}", error.help());
}

#[tokio::test]
async fn a_cluster_info_that_changes_meanwhile_is_not_believed() {
    let ca = authority();
    let texts = [kubeconfig(&ca), kubeconfig(&ca) + "# changed\n"];
    let answer = move |_: &Seen, before: usize| signed(&texts[before.min(1)], TOKEN);
    let error = fails(&ca, &[pin(&ca)], answer).await;
    assert!(matches!(error, DiscoveryError::Changed), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_points_to_the_clocks() {
    let ca = authority();
    let long_ago = Timestamp::now() - (2 * 365 * 24).hours();
    let stub = ApiStub::start(&ca, long_ago, healthy(&ca)).await;
    let error = find(&discovery(&stub, &[pin(&ca)])).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Untrusted { .. }), "{error}");
    assert!(error.help().contains("date -u"), "{}", error.help());
    assert_eq!(stub.shown_to(), [""; 0]);
}

#[tokio::test]
async fn a_certificate_for_another_name_says_so() {
    let ca = authority();
    let stub = ApiStub::start(&ca, Timestamp::now(), healthy(&ca)).await;
    let mut by_address = discovery(&stub, &[pin(&ca)]);
    by_address.endpoint.host = stub.address.ip().to_string();
    let error = find(&by_address).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::Untrusted { .. }), "{error}");
    assert!(error.help().contains("not for"), "{}", error.help());
    assert_eq!(stub.shown_to(), [""; 0]);
}

#[tokio::test]
async fn a_cluster_without_cluster_info_is_not_set_up_for_tokens() {
    let ca = authority();
    for answer in [
        refusal(404, "NotFound"),
        refusal(403, "Forbidden"),
        config_map("cluster-info", json!({})),
    ] {
        let error = fails(&ca, &[], move |_: &Seen, _| answer.clone()).await;
        assert!(matches!(error, DiscoveryError::NotSetUp { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_the_token_may_not_do_is_told_by_what_it_was_for() {
    let ca = authority();
    for (path, answer, expected) in [
        (
            KUBEADM,
            refusal(401, "Unauthorized"),
            "does not accept token id `abcdef`",
        ),
        (
            KUBELET,
            refusal(403, "Forbidden"),
            "could not read kubelet-config",
        ),
        (NODE, refusal(403, "Forbidden"), "could not read node w-1"),
        (
            KUBEADM,
            config_map("kubeadm-config", json!({})),
            "has no key `ClusterConfiguration`",
        ),
        (
            KUBEADM,
            config_map(
                "kubeadm-config",
                json!({ "ClusterConfiguration": "kubernetesVersion: newest\n" }),
            ),
            "`newest` is not a full Kubernetes version",
        ),
        (
            KUBELET,
            config_map("kubelet-config", json!({ "kubelet": "- 1\n" })),
            "it is no map",
        ),
    ] {
        let well = healthy(&ca);
        let answer = move |seen: &Seen, before| match seen.path == path {
            true => answer.clone(),
            false => well(seen, before),
        };
        let stub = ApiStub::start(&ca, Timestamp::now(), answer).await;
        let error = find(&discovery(&stub, &[pin(&ca)])).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.help().is_empty());
    }
}

#[tokio::test]
async fn a_living_node_of_the_same_name_is_noticed() {
    let ca = authority();
    let well = healthy(&ca);
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": "w-1" },
        "status": { "conditions": [ { "type": "Ready", "status": "True" } ] },
    });
    let answer = move |seen: &Seen, before| match seen.path == NODE {
        true => (200, node.clone()),
        false => well(seen, before),
    };
    let stub = ApiStub::start(&ca, Timestamp::now(), answer).await;
    let found = find(&discovery(&stub, &[pin(&ca)])).await.unwrap();
    assert!(found.node_is_ready);
}

#[tokio::test]
async fn a_cluster_that_kubeadm_made_goes_by_its_own_name() {
    let ca = authority();
    let well = healthy(&ca);
    let answer = move |seen: &Seen, before| match seen.path == KUBEADM {
        true => {
            let text = CLUSTER_CONFIGURATION.replace("clusterName: kubernetes\n", "");
            config_map("kubeadm-config", json!({ "ClusterConfiguration": text }))
        }
        false => well(seen, before),
    };
    let stub = ApiStub::start(&ca, Timestamp::now(), answer).await;
    let found = find(&discovery(&stub, &[pin(&ca)])).await.unwrap();
    assert_eq!(found.name, "kubernetes");
    assert!(!found.is_ours);
}
