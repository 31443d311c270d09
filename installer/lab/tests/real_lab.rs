//! A real lab from `up` to `down`: boots containers, so it runs only with the feature `real`, as root.

use std::process::{Command, Output};

use slipway_lab::{Lab, LabError, LabSpec};

/// A name of this process's own, so that labs of the machine's user are left alone.
fn spec() -> LabSpec {
    LabSpec {
        name: format!("test-{}", std::process::id()),
        control_planes: 1,
        workers: 1,
        kubernetes_version: "v1.36.3".to_owned(),
    }
}

fn ssh(lab: &Lab, host: &str, command: &str) -> Output {
    let argv = Lab::ssh_command(lab.name(), host).expect("the lab and the host exist");
    let mut ssh = Command::new(&argv[0]);
    ssh.args(&argv[1..]).args(["-o", "BatchMode=yes", command]);
    ssh.output().expect("ssh starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Everything on this machine that carries the lab's name.
fn remains(name: &str) -> String {
    let listings = [
        "podman ps -a --format {{.Names}}",
        "podman volume ls -q",
        "podman network ls -q",
        "nft list tables",
        "cat /proc/mounts",
    ];
    let mut found = String::new();
    for listing in listings {
        let mut words = listing.split(' ');
        let program = words.next().expect("a program");
        // An engine that is not installed holds nothing.
        if let Ok(output) = Command::new(program).args(words).output() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines()
                .filter(|line| line.contains(name))
                .for_each(|line| {
                    found.push_str(line);
                    found.push('\n');
                });
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_is_made_entered_crashed_kept_in_and_removed_without_a_trace() {
    let spec = spec();
    let outcome = tokio::spawn(story(spec.clone())).await;
    let removed = Lab::down(&spec.name).await.expect("down works");
    outcome.expect("the story holds");

    assert_eq!(removed.containers.len(), 2);
    assert!(removed.had_firewall && removed.had_folder);
    assert_eq!(remains(&spec.name), "");
    assert!(matches!(
        Lab::open(&spec.name),
        Err(LabError::UnknownLab { .. })
    ));
    let again = Lab::down(&spec.name).await.expect("down is idempotent");
    assert!(again.is_empty(), "{again:?}");
}

async fn story(spec: LabSpec) {
    let lab = Lab::up(&spec, &mut |event| eprintln!("{event}"))
        .await
        .expect("up works");

    // An ordinary server: a user with sudo, no root login, nothing of Kubernetes.
    let who = ssh(&lab, "cp-1", "sudo -n id -un && hostname");
    assert_eq!(stdout(&who), "root\ncp-1");
    let nothing = ssh(
        &lab,
        "cp-1",
        "command -v kubelet containerd runc; ls /etc/kubernetes",
    );
    assert_eq!(stdout(&nothing), "");

    // Hosts differ in what must be unique, and reach each other.
    let ids = |host| {
        stdout(&ssh(
            &lab,
            host,
            "cat /etc/machine-id /sys/class/net/eth0/address",
        ))
    };
    assert_ne!(ids("cp-1"), ids("w-1"));
    let worker = lab.host("w-1").expect("w-1 exists");
    let reach = format!("ping -c 1 -W 2 {}", worker.address());
    assert!(ssh(&lab, "cp-1", &reach).status.success());

    // A name lookup ends at once and stays inside; what would leave is dropped and counted.
    assert!(
        !ssh(&lab, "w-1", "timeout 2 getent hosts example.com")
            .status
            .success()
    );
    assert_eq!(Lab::escaped_packets(&spec.name).await.expect("counted"), 0);
    assert!(!ssh(&lab, "w-1", "nc -z -w 1 192.0.2.1 80").status.success());
    assert!(Lab::escaped_packets(&spec.name).await.expect("counted") > 0);

    // A container runtime can stack file systems on /var.
    let stack = "sudo sh -ec 'cd $(mktemp -d -p /var/lib); mkdir l u w m; \
                 mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m; umount m'";
    assert!(ssh(&lab, "w-1", stack).status.success());

    // A crash keeps the disk and the identity.
    let before = ids("w-1");
    worker.kill().await.expect("a running host can be killed");
    assert!(!worker.is_running().await.expect("podman answers"));
    worker.start().await.expect("the host boots again");
    assert_eq!(ids("w-1"), before);

    // The same lab again is the same lab; another shape is refused.
    Lab::up(&spec, &mut |_| {}).await.expect("up finds the lab");
    let other = LabSpec { workers: 3, ..spec };
    let refused = Lab::up(&other, &mut |_| {})
        .await
        .expect_err("two is not four hosts");
    assert!(matches!(refused, LabError::Exists { .. }), "{refused}");
}
