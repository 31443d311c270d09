//! The CRI client against a real containerd.

use std::collections::HashMap;
use std::time::Duration;

use k8s_cri::v1 as api;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use slipway_agent::containerd::ContainerdClient;
use slipway_agent::cri::{ContainerState, CriClient};
use tonic::transport::{Channel, Endpoint};

use crate::oci_layout::LaidOut;
use crate::runtime::Runtime;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_runtime_is_asked_and_emptied() {
    let pause = LaidOut::any_tag("registry.k8s.io/pause");
    let reference = &pause.image.reference;
    let runtime = Runtime::start(&reference.to_string()).await;
    let cri = CriClient::connect(&runtime.socket()).await.unwrap();

    let version = cri.version().await.unwrap();
    assert_eq!(version.name, "containerd");
    assert!(cri.cgroup_driver().await.unwrap().is_some());
    let status = cri.status().await.unwrap();
    assert!(status.is_runtime_ready(), "{status:?}");
    // No CNI configuration was given.
    assert!(!status.is_network_ready(), "{status:?}");

    assert!(!cri.image_present(reference).await.unwrap());
    let containerd = ContainerdClient::connect(&runtime.socket()).await.unwrap();
    containerd
        .import_image(&pause.image, &|blob| pause.path(blob), &mut |_, _, _| {})
        .await
        .unwrap();
    assert!(cri.image_present(reference).await.unwrap());

    assert!(cri.pod_sandboxes().await.unwrap().is_empty());
    assert_eq!(cri.container_logs_tail("etcd", 10).await.unwrap(), None);
    run_pod(&runtime, &reference.to_string()).await;
    let pods = cri.pod_sandboxes().await.unwrap();
    assert_eq!(
        (pods[0].namespace.as_str(), pods[0].name.as_str()),
        ("kube-system", "etcd-cp-1")
    );
    assert!(pods[0].is_ready);

    let tail = loop {
        let containers = cri.containers().await.unwrap();
        assert_eq!(containers[0].name, "etcd");
        assert_eq!(containers[0].pod_name, "etcd-cp-1");
        if containers[0].state == ContainerState::Exited {
            break cri.container_logs_tail("etcd", 10).await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(tail.state.starts_with("exited with code 0"), "{tail:?}");
    assert!(tail.lines[0].starts_with("pause"), "{tail:?}");

    let mut heard = Vec::new();
    let removed = cri
        .stop_and_remove_pods(&|_| true, &mut |done, total, name| {
            heard.push((done, total, name.to_owned()));
        })
        .await
        .unwrap();
    assert_eq!(removed, 1);
    assert_eq!(heard, [(1, 1, "kube-system/etcd-cp-1".to_owned())]);
    assert!(cri.pod_sandboxes().await.unwrap().is_empty());
    assert!(cri.containers().await.unwrap().is_empty());
    assert_eq!(
        cri.stop_and_remove_pods(&|_| true, &mut |_, _, _| {})
            .await
            .unwrap(),
        0
    );
}

/// Runs a pod of the host's network whose container prints its version and ends.
async fn run_pod(runtime: &Runtime, image: &str) {
    let socket = format!("unix://{}", runtime.socket().display());
    let channel = Endpoint::from_shared(socket)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client: RuntimeServiceClient<Channel> = RuntimeServiceClient::new(channel);
    let host_network = api::NamespaceOption {
        network: api::NamespaceMode::Node.into(),
        pid: api::NamespaceMode::Container.into(),
        ..api::NamespaceOption::default()
    };
    let sandbox = api::PodSandboxConfig {
        metadata: Some(api::PodSandboxMetadata {
            name: "etcd-cp-1".to_owned(),
            uid: "u-1".to_owned(),
            namespace: "kube-system".to_owned(),
            attempt: 0,
        }),
        log_directory: runtime.folder().join("pod-logs").display().to_string(),
        linux: Some(api::LinuxPodSandboxConfig {
            security_context: Some(api::LinuxSandboxSecurityContext {
                namespace_options: Some(host_network.clone()),
                ..api::LinuxSandboxSecurityContext::default()
            }),
            ..api::LinuxPodSandboxConfig::default()
        }),
        ..api::PodSandboxConfig::default()
    };
    let labels = [
        ("io.kubernetes.container.name", "etcd"),
        ("io.kubernetes.pod.namespace", "kube-system"),
        ("io.kubernetes.pod.name", "etcd-cp-1"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let container = api::ContainerConfig {
        metadata: Some(api::ContainerMetadata {
            name: "etcd".to_owned(),
            attempt: 0,
        }),
        image: Some(api::ImageSpec {
            image: image.to_owned(),
            ..api::ImageSpec::default()
        }),
        command: vec!["/pause".to_owned(), "-v".to_owned()],
        labels: HashMap::from(labels),
        log_path: "etcd.log".to_owned(),
        linux: Some(api::LinuxContainerConfig {
            security_context: Some(api::LinuxContainerSecurityContext {
                namespace_options: Some(host_network),
                ..api::LinuxContainerSecurityContext::default()
            }),
            ..api::LinuxContainerConfig::default()
        }),
        ..api::ContainerConfig::default()
    };
    let request = api::RunPodSandboxRequest {
        config: Some(sandbox.clone()),
        runtime_handler: String::new(),
    };
    let pod = client.run_pod_sandbox(request).await.unwrap().into_inner();
    let request = api::CreateContainerRequest {
        pod_sandbox_id: pod.pod_sandbox_id,
        config: Some(container),
        sandbox_config: Some(sandbox),
    };
    let created = client.create_container(request).await.unwrap().into_inner();
    let request = api::StartContainerRequest {
        container_id: created.container_id,
    };
    client.start_container(request).await.unwrap();
}
