//! Files of the kubelet, of containerd and of the kernel's settings.

use serde_json::json;
use slipway_templates::{
    ApiserverProxyUnit, ContainerdConfig, ContainerdUnit, EtcdSnapshotService, EtcdSnapshotTimer,
    KubeletDropIn, KubeletUnit, ModulesLoad, RegistryHosts, RegistryMirror, ServiceRouteUnit,
    Sysctl, TemplateError,
};

use crate::parse;
use crate::sample::{CRI_SOCKET, RELEASES, instance_config, kubelet_config};

#[test]
fn files_of_the_kubelet_look_like_this() {
    let config = kubelet_config(Some(json!({"failCgroupV1": false})));
    insta::assert_snapshot!("config.yaml", config.render().expect("renders"));
    let instance = instance_config().render().expect("renders");
    insta::assert_snapshot!("instance-config.yaml", instance);
    let kubelet_path = "/usr/local/bin/kubelet".to_owned();
    let unit = KubeletUnit {
        kubelet_path: kubelet_path.clone(),
    };
    insta::assert_snapshot!("kubelet.service", unit.render().expect("renders"));
    let drop_in = KubeletDropIn { kubelet_path };
    insta::assert_snapshot!("10-kubeadm.conf", drop_in.render().expect("renders"));
}

#[test]
fn files_of_containerd_look_like_this() {
    let config = ContainerdConfig {
        pause_image: "registry.k8s.io/pause:3.10.2".into(),
        restrict_oom_score_adj: true,
    };
    insta::assert_snapshot!("config.toml", config.render().expect("renders"));
    let unit = ContainerdUnit {
        containerd_path: "/usr/local/bin/containerd".into(),
        environment: vec![("HTTPS_PROXY".into(), r#"http://u:p%20"\@proxy:3128"#.into())],
    };
    insta::assert_snapshot!("containerd.service", unit.render().expect("renders"));
    let hosts = RegistryHosts {
        server: "https://registry.k8s.io".into(),
        mirrors: vec![RegistryMirror {
            url: "https://mirror.example:5000/v2/k8s".into(),
            ca_file: "/etc/ssl/mirror \"x\".crt".into(),
            skip_verify: false,
            override_path: true,
        }],
    };
    insta::assert_snapshot!("hosts.toml", hosts.render().expect("renders"));
}

#[test]
fn kernel_settings_look_like_this() {
    insta::assert_snapshot!(
        "modules-load.conf",
        ModulesLoad {}.render().expect("renders")
    );
    let sysctl = |ipv6| Sysctl { ipv6 }.render().expect("renders");
    insta::assert_snapshot!("sysctl.conf", sysctl(true));
    assert!(!sysctl(false).contains("ipv6"));
}

#[test]
fn the_route_to_services_looks_like_this() {
    let unit = |ipv4, ipv6| {
        let link = "slipway0".to_owned();
        let unit = ServiceRouteUnit { link, ipv4, ipv6 };
        unit.render().expect("renders")
    };
    insta::assert_snapshot!("slipway-service-route.service", unit(true, true));
    assert!(!unit(true, false).contains("-6"));
    assert!(!unit(false, true).contains("ip route"));
}

#[test]
fn oom_scores_are_restricted_only_where_asked() {
    let config = ContainerdConfig {
        pause_image: "pause".into(),
        restrict_oom_score_adj: false,
    };
    assert!(
        !config
            .render()
            .expect("renders")
            .contains("restrict_oom_score_adj")
    );
}

#[test]
fn a_kubelet_overlay_wins_except_where_kubeadm_forces_a_value() {
    let mut config = kubelet_config(Some(json!({
        "authentication": {"anonymous": {"enabled": true}},
        "clusterDNS": ["169.254.20.10"],
        "clusterDomain": "\"{{ x }}\n: y",
        "containerRuntimeEndpoint": "unix:///ignored.sock",
        "maxPods": 50,
        "resolvConf": "/etc/resolv.own",
        "rotateCertificates": false,
    })));
    config.resolv_conf = Some("/run/systemd/resolve/resolv.conf".into());
    let document = parse(&config.render().expect("renders"));
    assert_eq!(document["authentication"]["anonymous"]["enabled"], true);
    assert_eq!(document["authentication"]["webhook"]["enabled"], true);
    assert_eq!(document["clusterDNS"], json!(["169.254.20.10"]));
    assert_eq!(document["clusterDomain"], "\"{{ x }}\n: y");
    assert_eq!(document["containerRuntimeEndpoint"], CRI_SOCKET);
    assert_eq!(document["maxPods"], 50);
    assert_eq!(document["resolvConf"], "/etc/resolv.own");
    assert_eq!(document["rotateCertificates"], true);
}

#[test]
fn an_overlay_that_is_no_map_is_refused() {
    let error = kubelet_config(Some(json!("text"))).render();
    assert!(matches!(error, Err(TemplateError::InvalidValue { .. })));
}

#[test]
fn kubelet_flags_follow_the_minor() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (release, expected) in RELEASES.into_iter().zip([
        "--hostname-override=cp-1 --pod-infra-container-image=own --v=2",
        "--hostname-override=cp-1 --v=2",
        "--hostname-override=cp-1 --v=2",
    ]) {
        let mut flags = release.kubeadm_flags();
        flags.extra_args = vec![pair("pod-infra-container-image", "own"), pair("v", "2")];
        let expected = format!("KUBELET_KUBEADM_ARGS=\"{expected}\"\n");
        assert_eq!(flags.render().expect("renders"), expected);
    }
    let mut flags = RELEASES[2].kubeadm_flags();
    flags.hostname_override = None;
    assert_eq!(
        flags.render().expect("renders"),
        "KUBELET_KUBEADM_ARGS=\"\"\n"
    );
    flags.register_with_taints = vec!["a=b:NoSchedule".into(), "c:NoExecute".into()];
    let taints = "KUBELET_KUBEADM_ARGS=\"--register-with-taints=a=b:NoSchedule,c:NoExecute\"\n";
    assert_eq!(flags.render().expect("renders"), taints);
}

#[test]
fn values_that_would_become_more_than_one_word_are_refused() {
    for value in ["a b", "a\"\nExecStart=/bin/sh", "$(id)", "%n"] {
        let mut flags = RELEASES[2].kubeadm_flags();
        flags.extra_args = vec![("v".into(), value.into())];
        let refused = flags.render();
        assert!(
            matches!(refused, Err(TemplateError::InvalidValue { .. })),
            "{value:?}"
        );
        let unit = KubeletUnit {
            kubelet_path: format!("/{value}"),
        };
        assert!(unit.render().is_err(), "{value:?}");
    }
    let unit = ContainerdUnit {
        containerd_path: "/usr/local/bin/containerd".into(),
        environment: vec![("A".into(), "b\nExecStart=/bin/sh".into())],
    };
    assert!(unit.render().is_err());
}

#[test]
fn the_balancers_unit_starts_before_the_kubelet_and_may_write_to_one_folder() {
    let unit = ApiserverProxyUnit {
        slipway_path: "/usr/local/bin/slipway".to_owned(),
        listen: "127.0.0.1:6443".parse().unwrap(),
        state_dir: "/var/lib/slipway/apiserver-proxy".to_owned(),
    };
    let text = unit.render().unwrap();
    for line in [
        "ExecStart=/usr/local/bin/slipway apiserver-proxy --listen=127.0.0.1:6443",
        "Before=kubelet.service",
        "ReadWritePaths=/var/lib/slipway/apiserver-proxy",
        "CapabilityBoundingSet=",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}");
    }
    let two_words = ApiserverProxyUnit {
        slipway_path: "/usr/local/bin/slip way".to_owned(),
        ..unit
    };
    assert!(two_words.render().is_err());
}

#[test]
fn the_snapshot_units_run_one_command_that_may_write_to_one_folder() {
    let service = EtcdSnapshotService {
        slipway_path: "/usr/local/bin/slipway".to_owned(),
        cluster: "harbour".to_owned(),
        dir: "/var/lib/slipway/snapshots".to_owned(),
        keep: 7,
    };
    insta::assert_snapshot!("slipway-etcd-snapshot.service", service.render().unwrap());
    let timer = |schedule: &str| EtcdSnapshotTimer {
        schedule: schedule.to_owned(),
    };
    let text = timer("Mon..Fri 04:00").render().unwrap();
    insta::assert_snapshot!("slipway-etcd-snapshot.timer", text);
    assert!(timer("daily\nUnit=reboot.target").render().is_err());
    for (cluster, dir) in [
        ("har bour", "/srv"),
        ("harbour", "/srv/%h"),
        ("harbour", "srv"),
    ] {
        let (cluster, dir) = (cluster.to_owned(), dir.to_owned());
        let unit = EtcdSnapshotService {
            cluster,
            dir,
            ..service.clone()
        };
        assert!(unit.render().is_err());
    }
}
