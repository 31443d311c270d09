//! The CRI client against a real containerd.

use std::time::Duration;

use slipway_agent::containerd::ContainerdClient;
use slipway_agent::cri::{ContainerState, CriClient};

use crate::oci_layout::LaidOut;
use crate::pods::Pods;
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
    let pods = Pods::connect(&runtime, &reference.to_string()).await;
    let pod = pods.run_pod("etcd").await;
    pods.run_container(&pod, "etcd", &["/pause", "-v"]).await;
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
