//! The Kubernetes client against a real API server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use slipway_agent::kubernetes::{
    ApiClient, ApiCondition, BootstrapToken, Drain, FIELD_MANAGER, KubernetesError, Observation,
};
use slipway_api::{Taint, TaintEffect};

use crate::control_plane::{ControlPlane, SERVER_NAME};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_is_driven_through_every_call() {
    let mut control_plane = ControlPlane::start();
    let conf = control_plane.admin_conf(&control_plane.endpoint());
    let api = ApiClient::from_kubeconfig(&conf, None).await.unwrap();
    // Right after the start: nobody listens yet.
    assert!(api.ready().await.unwrap_err().is_transient());
    let foreign = foreign_client(&conf).await;

    objects_are_applied_while_the_server_starts(&api).await;
    let minute = Duration::from_secs(60);
    api.wait_for(&ApiCondition::ApiServerReady, minute, &mut |_| {})
        .await
        .unwrap();
    api.live().await.unwrap();
    assert!(api.server_version().await.unwrap().starts_with("v1."));
    a_second_apply_changes_nothing(&api).await;
    drift_is_seen_and_mended(&api, &foreign).await;
    kinds_of_the_same_manifest_are_applied(&api).await;
    mistakes_in_manifests_are_refused_with_the_field(&api).await;
    names_are_verified_at_a_local_endpoint(&control_plane).await;
    nodes_are_marked_and_watched(&api, &foreign).await;
    a_drain_waits_for_budgets(&api, &foreign).await;
    tokens_authenticate(&api, &control_plane).await;
    config_maps_are_plain_maps(&api).await;

    control_plane.api_server.kill().await.unwrap();
    let error = api.nodes().await.unwrap_err();
    assert!(error.is_transient() && error.help().is_some(), "{error}");
}

/// A client that changes things behind Slipway's back.
async fn foreign_client(conf: &std::path::Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(conf).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    kube::Client::try_from(config.unwrap()).unwrap()
}

/// Some forty-five objects of the kinds that an installation applies.
fn manifest() -> String {
    let mut text = "
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: { name: v1beta1.metrics.k8s.io }
spec:
  group: metrics.k8s.io
  groupPriorityMinimum: 100
  version: v1beta1
  versionPriority: 100
  service: { name: s-0, namespace: harbour }
"
    .to_owned();
    for i in 0..11 {
        text += &format!(
            "
---
apiVersion: v1
kind: Service
metadata: {{ name: s-{i}, namespace: harbour }}
spec: {{ selector: {{ app: a-{i} }}, ports: [ {{ port: 80, protocol: TCP }} ] }}
---
apiVersion: v1
kind: ConfigMap
metadata: {{ name: c-{i}, namespace: harbour }}
data: {{ Corefile: '.:53' }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{ name: 'slipway:r-{i}' }}
rules: [ {{ apiGroups: [''], resources: [nodes], verbs: [get] }} ]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: d-{i}, namespace: harbour }}
spec:
  replicas: 1
  selector: {{ matchLabels: {{ app: a-{i} }} }}
  template:
    metadata: {{ labels: {{ app: a-{i} }} }}
    spec:
      containers:
        - name: a
          image: registry.k8s.io/pause:3.10.2
          resources: {{ requests: {{ cpu: 100m, memory: 0.5Gi }} }}
          ports: [ {{ containerPort: 53, protocol: UDP }} ]
"
        );
    }
    text + "
---
apiVersion: v1
kind: Namespace
metadata: { name: harbour }
"
}

async fn objects_are_applied_while_the_server_starts(api: &ApiClient) {
    // kube-system itself is not there yet.
    let data = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let (manifest, early) = (manifest(), "slipway-early");
    let (applied, put) = tokio::join!(
        api.apply_objects(&manifest, FIELD_MANAGER, true),
        api.put_config_map("kube-system", early, &data),
    );
    assert!(put.unwrap());
    let applied = applied.unwrap();
    assert_eq!(applied.len(), 46);
    assert!(applied.iter().all(|object| object.changed));
    assert_eq!(applied[0].to_string(), "Namespace harbour changed");
}

async fn a_second_apply_changes_nothing(api: &ApiClient) {
    let started = Instant::now();
    assert_eq!(api.objects_differ(&manifest()).await.unwrap(), []);
    let took = started.elapsed();
    println!("comparing 46 objects took {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let again = api
        .apply_objects(&manifest(), FIELD_MANAGER, true)
        .await
        .unwrap();
    let changed: Vec<_> = again.iter().filter(|object| object.changed).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

async fn drift_is_seen_and_mended(api: &ApiClient, foreign: &kube::Client) {
    let config_maps: Api<ConfigMap> = Api::namespaced(foreign.clone(), "harbour");
    let patch = Patch::Merge(json!({ "data": { "Corefile": "changed by hand", "mine": "kept" } }));
    let parameters = PatchParams::default();
    config_maps.patch("c-3", &parameters, &patch).await.unwrap();
    config_maps
        .delete("c-4", &DeleteParams::default())
        .await
        .unwrap();
    let differences = api.objects_differ(&manifest()).await.unwrap();
    let sentences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "ConfigMap harbour/c-3 differs in data.Corefile",
            "ConfigMap harbour/c-4 does not exist",
        ]
    );
    let applied = api
        .apply_objects(&manifest(), FIELD_MANAGER, true)
        .await
        .unwrap();
    let changed = applied.iter().filter(|object| object.changed);
    assert_eq!(changed.count(), 2);
    let mended = config_maps.get("c-3").await.unwrap().data.unwrap();
    assert_eq!(mended["Corefile"], ".:53");
    assert_eq!(mended["mine"], "kept");
}

async fn kinds_of_the_same_manifest_are_applied(api: &ApiClient) {
    let text = "
apiVersion: slipway.example/v1
kind: Berth
metadata: { name: b-1, namespace: harbour }
spec: { metres: 12 }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: berths.slipway.example }
spec:
  group: slipway.example
  scope: Namespaced
  names: { kind: Berth, plural: berths, singular: berth, listKind: BerthList }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: { spec: { type: object, properties: { metres: { type: integer } } } }
";
    let missing = api.objects_differ(text).await.unwrap();
    assert_eq!(missing.len(), 2);
    let applied = api.apply_objects(text, FIELD_MANAGER, true).await.unwrap();
    assert_eq!(applied[1].to_string(), "Berth harbour/b-1 changed");
    assert_eq!(api.objects_differ(text).await.unwrap(), []);
}

async fn mistakes_in_manifests_are_refused_with_the_field(api: &ApiClient) {
    let asked = Instant::now();
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dta: {a: b}}";
    let error = api
        .apply_objects(text, FIELD_MANAGER, true)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("dta"), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(5));
    let text = "{apiVersion: no.such/v1, kind: Thing, metadata: {name: x}}";
    let error = api
        .apply_objects(text, FIELD_MANAGER, true)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the API server does not know kind Thing of no.such/v1"
    );
}

async fn names_are_verified_at_a_local_endpoint(control_plane: &ControlPlane) {
    let local = control_plane.endpoint();
    let conf = control_plane.admin_conf(&format!("https://{SERVER_NAME}:6443"));
    let error = ApiClient::from_kubeconfig(&conf, None).await.unwrap_err();
    assert!(matches!(error, KubernetesError::InvalidEndpoint { .. }));
    let api = ApiClient::from_kubeconfig(&conf, Some(&local)).await;
    api.unwrap().ready().await.unwrap();

    let conf = control_plane.admin_conf("https://other.example:6443");
    let api = ApiClient::from_kubeconfig(&conf, Some(&local))
        .await
        .unwrap();
    let error = api.ready().await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let waited = Instant::now();
    let condition = ApiCondition::NodeReady {
        node: "w-1".to_owned(),
    };
    let minute = Duration::from_secs(60);
    api.wait_for(&condition, minute, &mut |_| {})
        .await
        .unwrap_err();
    assert!(waited.elapsed() < Duration::from_secs(5));
}

async fn nodes_are_marked_and_watched(api: &ApiClient, foreign: &kube::Client) {
    let registered = ApiCondition::NodeRegistered {
        node: "w-1".to_owned(),
    };
    assert_eq!(
        api.observe(&registered).await.unwrap(),
        Observation::NotYet("node w-1 is not registered".to_owned())
    );
    let labels = BTreeMap::from([(
        "node-role.kubernetes.io/control-plane".to_owned(),
        String::new(),
    )]);
    let taints = [Taint {
        key: "node-role.kubernetes.io/control-plane".to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSchedule,
    }];
    assert_eq!(
        api.node_marks_wrong("w-1", &labels, &taints).await.unwrap(),
        ["node w-1 is not registered"]
    );
    let nodes: Api<Node> = Api::all(foreign.clone());
    let node = json!({
        "metadata": { "name": "w-1", "labels": { "disk": "ssd" } },
        "spec": { "taints": [ { "key": "foreign", "effect": "NoExecute" } ] },
    });
    let node = serde_json::from_value(node).unwrap();
    nodes.create(&PostParams::default(), &node).await.unwrap();
    assert_eq!(api.observe(&registered).await.unwrap(), Observation::Met);

    assert_eq!(
        api.node_marks_wrong("w-1", &labels, &taints)
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(api.mark_node("w-1", &labels, &taints).await.unwrap());
    assert!(!api.mark_node("w-1", &labels, &taints).await.unwrap());
    assert!(
        api.node_marks_wrong("w-1", &labels, &taints)
            .await
            .unwrap()
            .is_empty()
    );
    let marked = nodes.get("w-1").await.unwrap();
    assert_eq!(marked.metadata.labels.unwrap()["disk"], "ssd");
    // The API server adds the taint of a node that is not ready by itself.
    let found = marked.spec.unwrap().taints.unwrap();
    assert!(found.iter().any(|taint| taint.key == "foreign"));

    // What the file no longer has goes, and nobody else's.
    assert!(api.mark_node("w-1", &BTreeMap::new(), &[]).await.unwrap());
    assert!(!api.mark_node("w-1", &BTreeMap::new(), &[]).await.unwrap());
    let unmarked = nodes.get("w-1").await.unwrap();
    let left: Vec<_> = unmarked.metadata.labels.unwrap().into_keys().collect();
    assert!(left.contains(&"disk".to_owned()), "{left:?}");
    assert!(!left.iter().any(|key| labels.contains_key(key)), "{left:?}");
    let found = unmarked.spec.unwrap().taints.unwrap();
    assert!(found.iter().any(|taint| taint.key == "foreign"));
    assert!(!found.iter().any(|taint| taint.key == taints[0].key));
    assert!(api.mark_node("w-1", &labels, &taints).await.unwrap());

    let ready = ApiCondition::NodeReady {
        node: "w-1".to_owned(),
    };
    let mut seen = Vec::new();
    let second = Duration::from_secs(1);
    let error = api
        .wait_for(&ready, second, &mut |text| seen.push(text.to_owned()))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "after 1 s it is not so that node w-1 is Ready: \
         node w-1 has not reported whether it is Ready"
    );
    assert_eq!(seen.len(), 1);
    set_ready(&nodes, "w-1").await;
    api.wait_for(&ready, second, &mut |_| {}).await.unwrap();

    assert!(api.cordon("w-1").await.unwrap());
    assert!(!api.cordon("w-1").await.unwrap());
    let summary = &api.nodes().await.unwrap()[0];
    assert!(summary.ready && summary.unschedulable && summary.created_at.is_some());
    assert_eq!(summary.roles, ["control-plane"]);
    assert!(api.uncordon("w-1").await.unwrap());

    let deployment = ApiCondition::DeploymentAvailable {
        namespace: "harbour".to_owned(),
        name: "d-0".to_owned(),
    };
    assert_eq!(
        api.observe(&deployment).await.unwrap(),
        Observation::NotYet(
            "Deployment harbour/d-0 has not been looked at by its controller".to_owned()
        )
    );
    let absent = ApiCondition::StaticPodRunning {
        component: "etcd".to_owned(),
        node: "w-1".to_owned(),
    };
    assert_eq!(
        api.observe(&absent).await.unwrap(),
        Observation::NotYet("Pod kube-system/etcd-w-1 does not exist".to_owned())
    );
}

async fn set_ready(nodes: &Api<Node>, name: &str) {
    let status = json!({ "status": { "conditions": [ {
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
        "lastHeartbeatTime": "2026-11-21T09:00:00Z", "lastTransitionTime": "2026-11-21T09:00:00Z",
    } ] } });
    let parameters = PatchParams::default();
    nodes
        .patch_status(name, &parameters, &Patch::Strategic(status))
        .await
        .expect("the node exists");
}

fn pod(name: &str, metadata: serde_json::Value) -> String {
    let mut metadata = metadata;
    metadata["name"] = name.into();
    metadata["namespace"] = "harbour".into();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {
            "nodeName": "w-1",
            // Nobody would end it: no kubelet runs here.
            "terminationGracePeriodSeconds": 0,
            "containers": [ { "name": "a", "image": "registry.k8s.io/pause:3.10.2" } ],
            "volumes": [ { "name": "tmp", "emptyDir": {} } ],
        },
    })
    .to_string()
}

async fn a_drain_waits_for_budgets(api: &ApiClient, foreign: &kube::Client) {
    let owner = json!({ "ownerReferences": [ {
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true,
    } ] });
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "web", "namespace": "harbour" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } },
    });
    let documents = [
        pod("web", json!({ "labels": { "app": "web" } })),
        pod("bare", json!({})),
        pod("agent", owner),
        budget.to_string(),
    ];
    api.apply_objects(&documents.join("\n---\n"), FIELD_MANAGER, true)
        .await
        .unwrap();

    // A budget guards pods that run.
    let pods: Api<Pod> = Api::namespaced(foreign.clone(), "harbour");
    let running = json!({ "status": {
        "phase": "Running", "conditions": [ { "type": "Ready", "status": "True" } ],
    } });
    pods.patch_status("web", &PatchParams::default(), &Patch::Merge(running))
        .await
        .unwrap();

    let two_seconds = Duration::from_secs(2);
    let careful = Drain {
        node: "w-1",
        delete_empty_dir_data: false,
        comes_back: false,
        bound: two_seconds,
    };
    let careless = Drain {
        delete_empty_dir_data: true,
        ..careful
    };
    let error = api.drain(careful, &mut |_| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "node w-1 runs pods whose emptyDir data would be lost: harbour/bare, harbour/web"
    );
    let mut said = Vec::new();
    let error = api
        .drain(careless, &mut |text| said.push(text.to_owned()))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "node w-1 is not drained after 2 s: \
         pod harbour/web is blocked by PodDisruptionBudget harbour/web"
    );
    assert!(
        said.contains(&"node w-1 is cordoned".to_owned()),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|line| line.contains("harbour/bare is evicted; it has no controller")),
        "{said:?}"
    );

    let budgets: Api<PodDisruptionBudget> = Api::namespaced(foreign.clone(), "harbour");
    let allowed = json!({ "status": {
        "observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2,
    } });
    let release = async {
        tokio::time::sleep(two_seconds).await;
        budgets
            .patch_status("web", &PatchParams::default(), &Patch::Merge(allowed))
            .await
            .unwrap();
    };
    let mut quiet = |_: &str| {};
    let patient = Drain {
        bound: Duration::from_secs(30),
        ..careless
    };
    let drain = api.drain(patient, &mut quiet);
    let (drained, ()) = tokio::join!(drain, release);
    let drained = drained.unwrap();
    assert_eq!((drained.gone, drained.stayed), (1, 1));
    let left = pods.list(&Default::default()).await.unwrap().items;
    assert_eq!(left[0].metadata.name.as_deref(), Some("agent"));

    assert!(api.delete_node("w-1").await.unwrap());
    assert!(!api.delete_node("w-1").await.unwrap());
    let nothing = api.drain(careful, &mut |_| {}).await;
    assert_eq!(nothing.unwrap(), Default::default());
}

async fn tokens_authenticate(api: &ApiClient, control_plane: &ControlPlane) {
    let id: slipway_agent::kubernetes::BootstrapTokenId = "abcdef".parse().unwrap();
    let day = Duration::from_secs(86_400);
    let mut token = BootstrapToken::new(id.clone(), "0123456789abcdef")
        .unwrap()
        .expiring_in(day);
    token.description = "for the second dock".to_owned();
    api.create_token(&token).await.unwrap();
    api.create_token(&token).await.unwrap();
    let other = BootstrapToken::new(id.clone(), "fedcba9876543210").unwrap();
    let error = api.create_token(&other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is another bootstrap token with ID abcdef"
    );

    let listed = api.list_tokens().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].secret(), token.secret());
    assert_eq!(listed[0].expires_at, token.expires_at);
    assert_eq!(listed[0].description, token.description);

    let user = "{ token: abcdef.0123456789abcdef }";
    let conf = control_plane.kubeconfig(&control_plane.endpoint(), user);
    let joining = ApiClient::from_kubeconfig(&conf, None).await.unwrap();
    let error = joining.nodes().await.unwrap_err();
    assert!(
        error.to_string().contains("system:bootstrap:abcdef"),
        "{error}"
    );

    assert!(api.delete_token(&id).await.unwrap());
    assert!(!api.delete_token(&id).await.unwrap());
}

async fn config_maps_are_plain_maps(api: &ApiClient) {
    let data = BTreeMap::from([("cluster.yaml".to_owned(), "kind: Cluster\n".to_owned())]);
    let name = "slipway-cluster";
    assert_eq!(api.get_config_map("kube-system", name).await.unwrap(), None);
    assert!(
        api.put_config_map("kube-system", name, &data)
            .await
            .unwrap()
    );
    assert!(
        !api.put_config_map("kube-system", name, &data)
            .await
            .unwrap()
    );
    assert_eq!(
        api.get_config_map("kube-system", name).await.unwrap(),
        Some(data)
    );
    assert!(api.delete_config_map("kube-system", name).await.unwrap());
    assert!(!api.delete_config_map("kube-system", name).await.unwrap());
}
