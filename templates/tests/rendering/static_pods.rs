//! Static Pods as they are written to `/etc/kubernetes/manifests`.

use serde_json::{Value, json};
use slipway_templates::{EnvVar, EtcdAccess, EtcdMember, HostPathVolume};

use crate::parse;
use crate::sample::RELEASES;

fn command(manifest: &Value) -> Vec<&str> {
    let words = manifest["spec"]["containers"][0]["command"].as_array();
    words
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

fn debian_ca_directories() -> Vec<String> {
    vec![
        "/etc/ca-certificates".into(),
        "/usr/share/ca-certificates".into(),
    ]
}

#[test]
fn static_pods_of_the_newest_minor_look_like_this() {
    let release = RELEASES[2];
    let directories = debian_ca_directories();
    insta::assert_snapshot!("etcd", release.etcd().render().expect("renders"));
    let apiserver = release.kube_apiserver(directories.clone());
    insta::assert_snapshot!("kube-apiserver", apiserver.render().expect("renders"));
    let manager = release.kube_controller_manager(directories);
    insta::assert_snapshot!(
        "kube-controller-manager",
        manager.render().expect("renders")
    );
    insta::assert_snapshot!(
        "kube-scheduler",
        release.kube_scheduler().render().expect("renders")
    );
}

#[test]
fn only_minors_before_36_mount_the_flexvolume_directory() {
    for release in RELEASES {
        let mut context = release.kube_controller_manager(vec![]);
        let mounted = |text: &str| text.contains("/usr/libexec/kubernetes/kubelet-plugins");
        assert_eq!(
            mounted(&context.render().expect("renders")),
            release.minor < 36
        );

        let flag = ("flex-volume-plugin-dir".into(), "/opt/flex".into());
        context.options.extra_args = vec![flag];
        let manifest = parse(&context.render().expect("renders"));
        let moved = json!({"name": "flexvolume-dir", "mountPath": "/opt/flex"});
        let mounts = manifest["spec"]["containers"][0]["volumeMounts"]
            .as_array()
            .expect("present");
        assert_eq!(mounts.contains(&moved), release.minor < 36);
    }
}

#[test]
fn a_user_flag_replaces_every_default_of_its_name() {
    let mut context = RELEASES[2].kube_apiserver(vec![]);
    context.options.extra_args = vec![
        ("enable-admission-plugins".into(), "AlwaysPullImages".into()),
        ("service-account-issuer".into(), "https://a".into()),
        ("service-account-issuer".into(), "https://b".into()),
        (
            "authorization-config".into(),
            "/etc/kubernetes/authz.yaml".into(),
        ),
    ];
    let manifest = parse(&context.render().expect("renders"));
    let command = command(&manifest);
    assert_eq!(
        command[command.len() - 4..],
        [
            "--enable-admission-plugins=AlwaysPullImages",
            "--service-account-issuer=https://a",
            "--service-account-issuer=https://b",
            "--authorization-config=/etc/kubernetes/authz.yaml",
        ]
    );
    let named = |name: &str| command.iter().filter(|word| word.starts_with(name)).count();
    assert_eq!(named("--service-account-issuer="), 2);
    assert_eq!(named("--authorization-mode="), 0);
}

#[test]
fn values_that_look_like_yaml_or_templates_stay_one_value() {
    for hostile in [
        "a\"\n    - --anonymous-auth=true\n    - \"b",
        "{{ image }}{% include \"x\" %}{# gone #}",
        "x: y # z",
        "' --insecure",
        "*anchor",
        "\u{2028}\u{85}",
    ] {
        let mut context = RELEASES[2].kube_apiserver(vec![hostile.into()]);
        context.image = hostile.into();
        context.options.extra_args = vec![("v".into(), hostile.into())];
        context.options.extra_envs = vec![EnvVar::new("A", hostile)];
        context.options.extra_volumes = vec![HostPathVolume {
            name: "extra".into(),
            host_path: hostile.into(),
            mount_path: hostile.into(),
            read_only: false,
            path_type: String::new(),
        }];
        let plain = parse(
            &RELEASES[2]
                .kube_apiserver(vec![])
                .render()
                .expect("renders"),
        );
        let manifest = parse(&context.render().expect("renders"));
        let container = &manifest["spec"]["containers"][0];
        assert_eq!(container["image"], hostile);
        assert_eq!(container["env"], json!([{"name": "A", "value": hostile}]));
        assert_eq!(
            command(&manifest).last(),
            Some(&format!("--v={hostile}").as_str())
        );
        assert_eq!(command(&manifest).len(), command(&plain).len() + 1);
        assert_eq!(
            manifest["spec"]["volumes"]
                .as_array()
                .expect("present")
                .len(),
            4
        );
    }
}

#[test]
fn a_joining_etcd_member_names_all_members() {
    let mut context = RELEASES[2].etcd();
    context.initial_cluster = ["cp-1", "cp-2"]
        .map(|name| EtcdMember {
            name: name.into(),
            peer_url: format!("https://{name}:2380"),
        })
        .into();
    let manifest = parse(&context.render().expect("renders"));
    let command = command(&manifest);
    assert!(command.contains(&"--initial-cluster-state=existing"));
    assert!(command.contains(&"--initial-cluster=cp-1=https://cp-1:2380,cp-2=https://cp-2:2380"));
}

#[test]
fn addresses_of_ipv6_are_bracketed_where_a_port_follows() {
    let mut etcd = RELEASES[2].etcd();
    etcd.advertise_address = "2001:db8::11".into();
    let manifest = parse(&etcd.render().expect("renders"));
    assert!(
        command(&manifest)
            .contains(&"--listen-client-urls=https://[::1]:2379,https://[2001:db8::11]:2379")
    );
    let probe = &manifest["spec"]["containers"][0]["livenessProbe"]["httpGet"];
    assert_eq!(probe["host"], "::1");

    let mut apiserver = RELEASES[2].kube_apiserver(vec![]);
    apiserver.advertise_address = "2001:db8::11".into();
    let manifest = parse(&apiserver.render().expect("renders"));
    assert!(command(&manifest).contains(&"--etcd-servers=https://[::1]:2379"));
    let annotations = manifest["metadata"]["annotations"]
        .as_object()
        .expect("present");
    assert!(
        annotations
            .values()
            .any(|value| value == "[2001:db8::11]:6443")
    );
}

#[test]
fn probes_follow_the_bind_address_and_the_timeout() {
    let mut context = RELEASES[2].kube_scheduler();
    context.options.extra_args = vec![("bind-address".into(), "0.0.0.0".into())];
    context.options.startup_timeout_seconds = 61;
    let manifest = parse(&context.render().expect("renders"));
    let probe = &manifest["spec"]["containers"][0]["startupProbe"];
    assert_eq!(probe["httpGet"]["host"], Value::Null);
    assert_eq!(probe["failureThreshold"], 7);
}

#[test]
fn an_external_ca_and_an_external_etcd_change_what_kubeadm_changes() {
    let mut manager = RELEASES[2].kube_controller_manager(vec![]);
    manager.signs_certificates = false;
    manager.pod_subnet = String::new();
    let manifest = parse(&manager.render().expect("renders"));
    assert!(command(&manifest).contains(&"--cluster-signing-key-file="));
    assert!(!command(&manifest).iter().any(|word| word.contains("cidr")));

    let mut apiserver = RELEASES[2].kube_apiserver(vec![]);
    apiserver.etcd = EtcdAccess::External {
        endpoints: vec!["https://a:2379".into(), "https://b:2379".into()],
        ca_file: "/etc/etcd/ca.crt".into(),
        cert_file: String::new(),
        key_file: String::new(),
    };
    let manifest = parse(&apiserver.render().expect("renders"));
    assert!(command(&manifest).contains(&"--etcd-servers=https://a:2379,https://b:2379"));
    assert!(
        !command(&manifest)
            .iter()
            .any(|word| word.starts_with("--etcd-certfile"))
    );
    let mounts = manifest["spec"]["containers"][0]["volumeMounts"]
        .as_array()
        .expect("present");
    let mount = json!({"name": "etcd-certs-0", "mountPath": "/etc/etcd", "readOnly": true});
    assert!(mounts.contains(&mount));
}
