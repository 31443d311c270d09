//! A static Pod whose files change, and pods whose runtime dies.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use slipway_agent::containerd::ContainerdClient;
use slipway_agent::cri::{ContainerState, CriClient};
use slipway_api::step::{EnsureStaticPod, RemovePods};
use slipway_api::{Check, Step};

use crate::agent::Agent;
use crate::oci_layout::LaidOut;
use crate::pods::{Pod, Pods};
use crate::runtime::Runtime;

const NAME: &str = "kube-scheduler";
const KUBECONFIG: &str = "/etc/kubernetes/scheduler.conf";
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-scheduler.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_pod_runs_with_its_files_and_ends_without_its_runtime() {
    let pause = LaidOut::any_tag("registry.k8s.io/pause");
    let reference = pause.image.reference.to_string();
    let mut runtime = Runtime::start(&reference).await;
    let containerd = ContainerdClient::connect(&runtime.socket()).await.unwrap();
    let blob = |blob: &slipway_api::Blob| pause.path(blob);
    containerd
        .import_image(&pause.image, &blob, &mut |_, _, _| {})
        .await
        .unwrap();

    // The runtime's folder is the host's file tree.
    let root = runtime.folder();
    write(&root, KUBECONFIG, "one");
    write(&root, MANIFEST, "one");
    let mut agent = Agent::start(&root).await;
    let step = Step::EnsureStaticPod(EnsureStaticPod {
        name: NAME.to_owned(),
        files: vec![KUBECONFIG.to_owned()],
        socket: "/containerd.sock".to_owned(),
        timeout_seconds: 30,
    });
    assert_eq!(because(agent.check(&step).await), "it does not run");

    let pods = Pods::connect(&runtime, &reference).await;
    let pod = pods.run_pod(NAME).await;
    let first = pods.run_container(&pod, NAME, &["/pause"]).await;
    assert_eq!(agent.check(&step).await, Check::Satisfied);

    // A new kubeconfig: the agent ends the container, the kubelet starts another.
    write(&root, KUBECONFIG, "two");
    let why = because(agent.check(&step).await);
    assert_eq!(why, format!("{KUBECONFIG} changed after it started"));
    let kubelet = tokio::spawn(start_again(pods.clone(), pod.clone(), root.clone(), first));
    assert!(agent.run(&step).await);
    let second = kubelet.await.unwrap();
    assert_eq!(agent.check(&step).await, Check::Satisfied);

    // A new manifest: the kubelet replaces the container by itself.
    write(&root, MANIFEST, "two");
    let why = because(agent.check(&step).await);
    assert_eq!(why, format!("{MANIFEST} changed after it started"));
    let cri = CriClient::connect(&runtime.socket()).await.unwrap();
    let kubelet = tokio::spawn(start_again(
        pods.clone(),
        pod.clone(),
        root.clone(),
        second.clone(),
    ));
    let ending = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cri.stop_container(&second, Duration::from_secs(2))
            .await
            .unwrap();
    });
    assert!(agent.run(&step).await);
    ending.await.unwrap();
    kubelet.await.unwrap();
    assert_eq!(agent.check(&step).await, Check::Satisfied);

    pods_end_without_their_runtime(&mut runtime, &mut agent, &root).await;
}

/// The runtime dies: its helpers and the pods' processes live on, and are ended.
async fn pods_end_without_their_runtime(runtime: &mut Runtime, agent: &mut Agent, root: &Path) {
    let socket = runtime.socket();
    runtime.stop().await;
    let processes = processes_of(&socket);
    assert!(
        processes.len() >= 3,
        "a helper, a sandbox, a container: {processes:?}"
    );
    // Only these are seen: this machine may have pods of its own. The helper
    // knows its runtime by the whole path.
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("proc")).unwrap();
    for name in processes
        .iter()
        .map(i32::to_string)
        .chain(["self".to_owned()])
    {
        symlink(
            format!("/proc/{name}"),
            tree.path().join("proc").join(&name),
        )
        .unwrap();
    }
    let mut blind = Agent::start(tree.path()).await;
    let step = Step::RemovePods(RemovePods {
        socket: socket.display().to_string(),
        unit: None,
        keeps_static: false,
    });
    let why = because(blind.check(&step).await);
    assert!(why.ends_with("processes of containers run"), "{why}");
    assert!(blind.run(&step).await);
    assert_eq!(blind.check(&step).await, Check::Satisfied);
    assert_eq!(processes_of(&socket), Vec::<i32>::new());
    // What they had mounted is still there, and goes with the folder.
    let mounts = Step::UnmountBelow(slipway_api::step::UnmountBelow {
        path: "/".to_owned(),
    });
    assert!(root.join("state").is_dir());
    assert!(agent.run(&mounts).await);
    assert_eq!(agent.check(&mounts).await, Check::Satisfied);
}

/// Does what a kubelet does: starts a container anew when the old one has ended.
async fn start_again(pods: Pods, pod: Pod, root: std::path::PathBuf, old: String) -> String {
    let cri = CriClient::connect(&root.join("containerd.sock"))
        .await
        .unwrap();
    loop {
        let containers = cri.component_containers(NAME).await.unwrap();
        let has_ended = |state| state == ContainerState::Exited;
        if containers
            .iter()
            .any(|it| it.id == old && has_ended(it.state))
        {
            return pods.run_container(&pod, NAME, &["/pause"]).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns the helpers of the runtime at `socket` and whatever they started.
fn processes_of(socket: &Path) -> Vec<i32> {
    let output = std::process::Command::new("ps")
        .args(["-eww", "-o", "pid=,ppid=,stat=,args="])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<i32> = Vec::new();
    let socket = socket.display().to_string();
    for _ in 0..4 {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let mut number = || words.next().unwrap().parse::<i32>().unwrap();
            let (id, parent) = (number(), number());
            let is_dead = words.next().is_some_and(|state| state.starts_with('Z'));
            let is_helper = line.contains("containerd-shim") && line.contains(&socket);
            if !is_dead && !found.contains(&id) && (is_helper || found.contains(&parent)) {
                found.push(id);
            }
        }
    }
    found
}

fn because(check: Check) -> String {
    match check {
        Check::Needed { because } => because,
        Check::Satisfied => panic!("there is something to do"),
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // A rename, as every writer of these files does.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, &path).unwrap();
}
