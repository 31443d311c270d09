//! Rules and links in a network namespace of their own: Kubernetes' go, and
//! everybody else's are as they were, with the real programs.

use std::process::Command;

use slipway_api::step::{RemoveLinks, RemoveRules};
use slipway_api::{Check, Step};

use crate::agent::Agent;

/// Set for the process that runs inside the namespace.
const INSIDE: &str = "SLIPWAY_TEST_INSIDE_NAMESPACE";

/// What others have: rules of both backends and families, native tables, links.
const FOREIGN: &str = r#"
iptables-nft -A INPUT -s 203.0.113.9 -m comment --comment "not -j KUBE-SERVICES" -j DROP
iptables-nft -t nat -N CNI-HOSTPORT-DNAT
iptables-nft -t nat -N CNI-DN-podman
iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
iptables-nft -t nat -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment 'dnat name: "podman" id: "1"' -j CNI-DN-podman
iptables-nft -t nat -A CNI-DN-podman -p tcp --dport 80 -j DNAT --to-destination 10.88.0.2:80
ip6tables-nft -A INPUT -s 2001:db8::9 -j DROP
iptables-legacy -N DOCKER-USER
iptables-legacy -A FORWARD -j DOCKER-USER
ip6tables-legacy -A INPUT -s 2001:db8::9 -j DROP
nft add table inet firewall
nft add chain inet firewall input '{ type filter hook input priority 10; policy drop; }'
nft add rule inet firewall input tcp dport 22 accept
ip link add foreign0 type bridge
"#;

/// What Kubernetes makes: kube-proxy in all its modes, flannel, portmap.
const OURS: &str = r#"
for iptables in iptables-nft iptables-legacy ip6tables-nft ip6tables-legacy; do
    $iptables -t nat -N KUBE-SERVICES
    $iptables -t nat -N KUBE-SEP-1
    $iptables -t nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
    $iptables -t nat -A KUBE-SERVICES -p tcp --dport 443 -j KUBE-SEP-1
    $iptables -t nat -A KUBE-SEP-1 -j RETURN
    $iptables -t mangle -N KUBE-KUBELET-CANARY
    $iptables -N KUBE-FIREWALL
    $iptables -I INPUT 1 -j KUBE-FIREWALL
    $iptables -N FLANNEL-FWD
    $iptables -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
done
iptables-nft -t nat -N CNI-DN-pod
iptables-nft -t nat -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment 'dnat name: "cbr0" id: "2"' -j CNI-DN-pod
iptables-nft -t nat -A CNI-DN-pod -p tcp --dport 81 -j DNAT --to-destination 10.244.1.2:81
for family in ip ip6; do
    nft add table $family kube-proxy
    nft add chain $family kube-proxy services
    nft add rule $family kube-proxy services counter
done
ip link add cni0 type bridge
ip link add veth1234 type veth peer name inside
ip link set veth1234 master cni0
ip link add flannel.1 type vxlan id 1 dev lo dstport 8472
"#;

/// A network namespace that goes with the value.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.0])
            .status();
    }
}

#[test]
fn kubernetes_rules_and_links_go_and_all_others_stay_as_they_were() {
    let namespace = Namespace(format!("slipway-test-{}", std::process::id()));
    shell(&format!("ip netns add {}", namespace.0));
    let output = Command::new("ip")
        .args(["netns", "exec", &namespace.0])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "packet_filter::inside",
            "--ignored",
            "--nocapture",
        ])
        .env(INSIDE, &namespace.0)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "runs inside a network namespace, started by the test above"]
async fn inside() {
    std::env::var(INSIDE).expect("started by the test above");
    let root = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/sys", root.path().join("sys")).unwrap();
    shell(FOREIGN);
    let before = everything();
    shell(OURS);
    assert_ne!(everything(), before);

    let mut agent = Agent::start(root.path()).await;
    let rules = Step::RemoveRules(RemoveRules {
        chain_prefixes: ["KUBE-", "FLANNEL-"].map(str::to_owned).to_vec(),
        networks: vec!["cbr0".to_owned()],
        tables: ["ip kube-proxy", "ip6 kube-proxy"]
            .map(str::to_owned)
            .to_vec(),
        set_prefixes: vec!["KUBE-".to_owned()],
        virtual_server_link: Some("kube-ipvs0".to_owned()),
    });
    let links = Step::RemoveLinks(RemoveLinks {
        links: ["cni0", "flannel.1", "kube-ipvs0"]
            .map(str::to_owned)
            .to_vec(),
    });
    for step in [&rules, &links] {
        let Check::Needed { because } = agent.check(step).await else {
            panic!("there is something to do");
        };
        println!("{because}");
        assert!(agent.run(step).await);
        assert_eq!(agent.check(step).await, Check::Satisfied);
        assert!(!agent.run(step).await, "a second time changes nothing");
    }
    assert_eq!(everything(), before);
}

/// Returns all rules and links, without counters and without the legacy tables
/// that hold nothing: nobody can unload those.
fn everything() -> String {
    let text = shell(
        "nft --stateless list ruleset
         for save in iptables-nft-save ip6tables-nft-save; do $save | grep -E '^-A|^:|^\\*' | cut -d[ -f1; done
         for save in iptables-legacy-save ip6tables-legacy-save; do $save | grep -E '^-A|^:[A-Z]+-'; done
         ip -o link | cut -d: -f2",
    );
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn shell(script: &str) -> String {
    let output = Command::new("bash").args(["-ec", script]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
