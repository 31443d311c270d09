//! A machine finds its cluster: a real API server answers, and the real
//! bootstrap signer has signed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slipway_agent::kubernetes::{
    ApiClient, ApiCondition, BootstrapToken, BootstrapTokenId, DiscoveryError, FIELD_MANAGER,
    Patience, discover,
};
use slipway_api::{Discovery, Endpoint, SecretText};

use crate::control_plane::ControlPlane;

const ID: &str = "abcdef";
const SECRET: &str = "0123456789abcdef";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_found_by_a_token_that_its_own_signer_signed_for() {
    let control_plane = ControlPlane::start();
    let conf = control_plane.admin_conf(&control_plane.endpoint());
    let api = ApiClient::from_kubeconfig(&conf, None).await.unwrap();
    let minute = Duration::from_secs(60);
    api.wait_for(&ApiCondition::ApiServerReady, minute, &mut |_| {})
        .await
        .unwrap();
    let _signer = control_plane.start_signer();

    let error = find(&control_plane, &[]).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NotSetUp { .. }), "{error}");

    let manifest = manifest(&control_plane);
    api.apply_objects(&manifest, FIELD_MANAGER, true)
        .await
        .unwrap();
    let id: BootstrapTokenId = ID.parse().unwrap();
    let token = BootstrapToken::new(id.clone(), SECRET).unwrap();
    api.create_token(&token).await.unwrap();

    let pin = slipway_pki::public_key_pin(&control_plane.ca_pem()).unwrap();
    let found = find(&control_plane, std::slice::from_ref(&pin))
        .await
        .unwrap();
    assert_eq!(found.name, "harbour");
    assert_eq!(found.ca_pins, [pin]);
    assert_eq!(found.server, control_plane.endpoint());
    assert_eq!(found.kubelet_configuration["maxPods"], 42);
    assert_eq!(
        found.api_server_version.split('.').next(),
        Some("v1"),
        "{}",
        found.api_server_version
    );
    let other = format!("sha256:{}", "0".repeat(64));
    let error = find(&control_plane, &[other]).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NotPinned { .. }), "{error}");

    // With the token goes the signature: the same command finds nothing any more.
    api.delete_token(&id).await.unwrap();
    let gone = async {
        loop {
            match find(&control_plane, &[]).await {
                Err(error @ DiscoveryError::UnknownToken { .. }) => return error,
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    let error = tokio::time::timeout(minute, gone).await.unwrap();
    assert!(error.help().contains("token create"), "{}", error.help());
}

async fn find(
    control_plane: &ControlPlane,
    pins: &[String],
) -> Result<slipway_api::DiscoveredCluster, DiscoveryError> {
    let endpoint = control_plane.endpoint();
    let port = endpoint.rsplit_once(':').unwrap().1.parse().unwrap();
    let discovery = Discovery {
        endpoint: Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
        },
        addresses: vec!["127.0.0.1".parse().unwrap()],
        token: SecretText::new(format!("{ID}.{SECRET}")),
        ca_pins: pins.to_vec(),
        node_name: "w-1".to_owned(),
    };
    // Where a signature is missing for good, a moment's patience is enough.
    let patience = Patience {
        bound: Duration::from_secs(15),
        pause: Duration::from_millis(200),
    };
    let patience = match pins {
        [] => Patience {
            bound: Duration::from_millis(500),
            ..patience
        },
        [..] => patience,
    };
    discover(&discovery, patience, &|_| {}).await
}

/// The objects that kubeadm and Slipway make for joining nodes.
fn manifest(control_plane: &ControlPlane) -> String {
    let ca = STANDARD.encode(control_plane.ca_pem());
    let server = control_plane.endpoint();
    let mut text = format!(
        "
apiVersion: v1
kind: ConfigMap
metadata: {{ name: cluster-info, namespace: kube-public }}
data:
  kubeconfig: |
    apiVersion: v1
    clusters:
    - cluster: {{ certificate-authority-data: {ca}, server: '{server}' }}
      name: ''
    kind: Config
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: kubeadm-config
  namespace: kube-system
  annotations: {{ slipway.dev/cluster: harbour }}
data:
  ClusterConfiguration: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: ClusterConfiguration
    kubernetesVersion: v1.36.3
    networking: {{ serviceSubnet: 10.96.0.0/16 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {{ name: kubelet-config, namespace: kube-system }}
data: {{ kubelet: 'maxPods: 42' }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{ name: 'kubeadm:get-nodes' }}
rules: [ {{ apiGroups: [''], resources: [nodes], verbs: [get] }} ]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{ name: 'kubeadm:get-nodes' }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'kubeadm:get-nodes' }}
subjects: [ {{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:bootstrappers:kubeadm:default-node-token' }} ]
"
    );
    let roles = [
        ("kube-public", "cluster-info", "User", "system:anonymous"),
        (
            "kube-system",
            "kubeadm-config",
            "Group",
            "system:bootstrappers:kubeadm:default-node-token",
        ),
        (
            "kube-system",
            "kubelet-config",
            "Group",
            "system:bootstrappers:kubeadm:default-node-token",
        ),
    ];
    for (namespace, name, kind, subject) in roles {
        text += &format!(
            "---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: 'read:{name}', namespace: {namespace} }}
rules: [ {{ apiGroups: [''], resources: [configmaps], resourceNames: [{name}], verbs: [get] }} ]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: 'read:{name}', namespace: {namespace} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: 'read:{name}' }}
subjects: [ {{ apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: '{subject}' }} ]
"
        );
    }
    text
}
