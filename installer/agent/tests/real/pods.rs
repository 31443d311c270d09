//! Pods as a kubelet makes them, without one.

use std::collections::HashMap;

use k8s_cri::v1 as api;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::runtime::Runtime;

/// Makes pods of the host's network in `kube-system`.
#[derive(Clone)]
pub struct Pods {
    client: RuntimeServiceClient<Channel>,
    image: String,
    logs: String,
}

/// A pod.
#[derive(Clone)]
pub struct Pod {
    id: String,
    config: api::PodSandboxConfig,
}

impl Pods {
    /// Connects to the runtime; containers are made from `image`.
    pub async fn connect(runtime: &Runtime, image: &str) -> Self {
        let socket = format!("unix://{}", runtime.socket().display());
        let channel = Endpoint::from_shared(socket).unwrap().connect().await;
        Self {
            client: RuntimeServiceClient::new(channel.unwrap()),
            image: image.to_owned(),
            logs: runtime.folder().join("pod-logs").display().to_string(),
        }
    }

    /// Runs the static Pod of a component.
    pub async fn run_pod(&self, component: &str) -> Pod {
        let uid = "io.kubernetes.pod.uid".to_owned();
        let config = api::PodSandboxConfig {
            metadata: Some(api::PodSandboxMetadata {
                name: format!("{component}-cp-1"),
                uid: "u-1".to_owned(),
                namespace: "kube-system".to_owned(),
                attempt: 0,
            }),
            labels: HashMap::from([(uid, "u-1".to_owned())]),
            log_directory: self.logs.clone(),
            linux: Some(api::LinuxPodSandboxConfig {
                security_context: Some(api::LinuxSandboxSecurityContext {
                    namespace_options: Some(host_network()),
                    ..api::LinuxSandboxSecurityContext::default()
                }),
                ..api::LinuxPodSandboxConfig::default()
            }),
            ..api::PodSandboxConfig::default()
        };
        let request = api::RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        };
        let made = self.client.clone().run_pod_sandbox(request).await.unwrap();
        let id = made.into_inner().pod_sandbox_id;
        Pod { id, config }
    }

    /// Runs a component's container in its pod and returns its ID.
    pub async fn run_container(&self, pod: &Pod, component: &str, command: &[&str]) -> String {
        let labels = [
            ("io.kubernetes.container.name", component),
            ("io.kubernetes.pod.namespace", "kube-system"),
            ("io.kubernetes.pod.name", &format!("{component}-cp-1")),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut client = self.client.clone();
        let list = api::ListContainersRequest::default();
        let made_before = client.list_containers(list).await.unwrap().into_inner();
        let attempt = u32::try_from(made_before.containers.len()).unwrap();
        let config = api::ContainerConfig {
            metadata: Some(api::ContainerMetadata {
                name: component.to_owned(),
                attempt,
            }),
            image: Some(api::ImageSpec {
                image: self.image.clone(),
                ..api::ImageSpec::default()
            }),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            labels: HashMap::from(labels),
            log_path: format!("{component}.log"),
            linux: Some(api::LinuxContainerConfig {
                security_context: Some(api::LinuxContainerSecurityContext {
                    namespace_options: Some(host_network()),
                    ..api::LinuxContainerSecurityContext::default()
                }),
                ..api::LinuxContainerConfig::default()
            }),
            ..api::ContainerConfig::default()
        };
        let request = api::CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(config),
            sandbox_config: Some(pod.config.clone()),
        };
        let created = client.create_container(request).await.unwrap().into_inner();
        let container_id = created.container_id;
        let request = api::StartContainerRequest {
            container_id: container_id.clone(),
        };
        client.start_container(request).await.unwrap();
        container_id
    }
}

fn host_network() -> api::NamespaceOption {
    api::NamespaceOption {
        network: api::NamespaceMode::Node.into(),
        pid: api::NamespaceMode::Container.into(),
        ..api::NamespaceOption::default()
    }
}
