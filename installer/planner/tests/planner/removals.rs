//! Removals: what hosts lose, and what a later cluster does not find.

use crate::plans::{is_closed, left_out, lose, page, somebody_s_containerd};
use crate::support::{bare_facts, manifest, spec};
use slipway_api::{
    Check, ClusterFacts, Facts, HostFile, HostState, Plan, PlannedStep, Role, Sha256Digest,
};
use slipway_planner::{PlanError, Removal, Scope, plan_cleanup, plan_cluster, plan_removal};

/// Returns the facts after `slipway init`, with the API server up.
pub(crate) fn cluster_facts() -> Facts {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    for host in &spec.hosts {
        let Some(HostState::Reached(found)) = facts.hosts.get_mut(&host.name) else {
            panic!("{} is reached", host.name);
        };
        found.existing.slipway_cluster = Some(spec.name.clone());
        found.existing.runtime_is_ours = true;
        found.existing.kubelet_conf = true;
        found.existing.admin_conf = host.role == Role::ControlPlane;
    }
    facts.cluster = Some(ClusterFacts {
        api_server_version: "v1.36.3".to_owned(),
        nodes: Vec::new(),
        unhealthy: Vec::new(),
        configuration: None,
    });
    facts
}

fn removal_of(hosts: &[&str]) -> Removal {
    Removal {
        hosts: hosts.iter().map(|name| name.parse().unwrap()).collect(),
        drain_timeout_seconds: 300,
        delete_empty_dir_data: false,
        force_quorum_loss: false,
    }
}

const ALL_HOSTS: [&str; 3] = ["cp-1", "w-1", "w-2"];

#[test]
fn the_whole_cluster_is_removed_workers_first() {
    let plan = plan_removal(&spec(), &cluster_facts(), None, &removal_of(&ALL_HOSTS)).unwrap();
    insta::assert_snapshot!(page(&plan));
    let first_on_cp = plan.steps.iter().find(|step| step.host.as_str() == "cp-1");
    let needs: Vec<_> = first_on_cp.unwrap().needs.iter().collect();
    assert_eq!(needs.len(), 2, "both workers are gone before: {needs:?}");
}

#[test]
fn a_removal_takes_the_files_that_were_brought_and_no_others() {
    let mut spec = spec();
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.placed_files = vec!["/etc/motd".to_owned()];
    }
    for host in &mut spec.hosts {
        host.files.push(HostFile {
            src: "issue".into(),
            dest: "/etc/issue".to_owned(),
            mode: 0o644,
            content: None,
        });
    }
    let plan = plan_removal(&spec, &facts, None, &removal_of(&ALL_HOSTS)).unwrap();
    let page = page(&plan);
    let withdrawals: Vec<_> = page.lines().filter(|line| line.contains("away")).collect();
    assert_eq!(
        withdrawals,
        ["cleanup-node       w-1   take /etc/motd away again"]
    );
    assert!(!page.contains("/etc/issue"), "{page}");
}

#[test]
fn one_worker_is_drained_stopped_and_deleted_before_it_is_cleaned() {
    let plan = plan_removal(&spec(), &cluster_facts(), None, &removal_of(&["w-1"])).unwrap();
    let page = page(&plan);
    let start: Vec<_> = page.lines().take(4).collect();
    assert_eq!(
        start,
        [
            "remove-node        cp-1  cordon and drain node w-1",
            "remove-node        w-1   stop and disable kubelet.service",
            "remove-node        cp-1  delete node w-1",
            "cleanup-node       w-1   stop and disable kubelet.service",
        ]
    );
    for pair in plan.steps.windows(2) {
        assert!(pair[1].needs.contains(&pair[0].id), "{}", pair[1].id);
    }
}

#[test]
fn a_dead_worker_leaves_the_cluster_and_is_not_cleaned() {
    let mut facts = cluster_facts();
    lose(&mut facts, "w-1");
    let plan = plan_removal(&spec(), &facts, None, &removal_of(&["w-1"])).unwrap();
    let steps: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        steps,
        [
            "cp-1/remove-node/cordon and drain node w-1",
            "cp-1/remove-node/delete node w-1",
        ]
    );
    assert_eq!(plan.steps[1].needs, [plan.steps[0].id.clone()]);
    assert_eq!(left_out(&plan), ["w-1"]);
}

#[test]
fn the_reachable_hosts_are_cleaned_when_the_whole_cluster_ends() {
    for dead in ALL_HOSTS {
        let mut facts = cluster_facts();
        lose(&mut facts, dead);
        let plan = plan_removal(&spec(), &facts, None, &removal_of(&ALL_HOSTS)).unwrap();
        assert_eq!(left_out(&plan), [dead]);
        assert!(is_closed(&plan));
        let hosts: Vec<_> = plan.hosts().iter().map(ToString::to_string).collect();
        let mut reached = ALL_HOSTS.to_vec();
        reached.retain(|host| *host != dead);
        reached.rotate_left(usize::from(dead != "cp-1"));
        assert_eq!(hosts, reached, "workers first");
    }
}

#[test]
fn a_worker_stays_while_the_control_plane_host_is_out_of_reach() {
    let mut facts = cluster_facts();
    facts.cluster = None;
    lose(&mut facts, "cp-1");
    let error = plan_removal(&spec(), &facts, None, &removal_of(&["w-1"])).unwrap_err();
    assert!(matches!(error, PlanError::HostNotReached { .. }), "{error}");
}

#[test]
fn a_worker_stays_while_the_api_server_is_down() {
    let mut facts = cluster_facts();
    facts.cluster = None;
    let error = plan_removal(&spec(), &facts, None, &removal_of(&["w-1"])).unwrap_err();
    assert!(matches!(error, PlanError::ApiDown { .. }), "{error}");
}

#[test]
fn bare_hosts_are_left_alone_by_a_removal() {
    let spec = spec();
    let plan = plan_removal(&spec, &bare_facts(&spec), None, &removal_of(&ALL_HOSTS)).unwrap();
    assert!(plan.is_empty(), "{}", page(&plan));
}

#[test]
fn a_host_of_another_cluster_is_not_removed() {
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.slipway_cluster = Some("other".to_owned());
    }
    let error = plan_removal(&spec(), &facts, None, &removal_of(&ALL_HOSTS)).unwrap_err();
    assert!(matches!(error, PlanError::OtherCluster { .. }), "{error}");
}

#[test]
fn a_host_marked_with_the_cluster_name_of_kubeadm_is_known_by_its_ca() {
    // As a machine marks itself that joins after `kubeadm upgrade`.
    let mark = |facts: &mut Facts, host: &str, name: &str, ca: &str| {
        if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&host.parse().unwrap()) {
            host.existing.slipway_cluster = Some(name.to_owned());
            host.existing.ca_sha256 = Some(Sha256Digest::of(ca));
        }
    };
    let removes = |name: &str, ca: &str| {
        let mut facts = cluster_facts();
        mark(&mut facts, "cp-1", "harbour", "ours");
        mark(&mut facts, "w-1", name, ca);
        plan_removal(&spec(), &facts, None, &removal_of(&["w-1"]))
    };
    let plan = removes("kubernetes", "ours").unwrap();
    let of_ours = removes("harbour", "ours").unwrap();
    assert_eq!(page(&plan), page(&of_ours));
    for (name, ca) in [("kubernetes", "another's"), ("other", "ours")] {
        let error = removes(name, ca).unwrap_err();
        assert!(matches!(error, PlanError::OtherCluster { .. }), "{error}");
    }
}

#[test]
fn a_removal_keeps_a_runtime_that_was_there_before() {
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.runtime_is_ours = false;
        host.runtime = Some(somebody_s_containerd());
    }
    let plan = plan_removal(&spec(), &facts, None, &removal_of(&["w-1"])).unwrap();
    let page = page(&plan);
    assert!(
        !page.contains("containerd") && !page.contains("runc"),
        "{page}"
    );
}

#[test]
fn a_node_that_slipway_did_not_install_keeps_its_programs_and_units() {
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.slipway_cluster = None;
        host.existing.runtime_is_ours = false;
        host.runtime = Some(somebody_s_containerd());
    }
    let plan = plan_removal(&spec(), &facts, None, &removal_of(&["w-1"])).unwrap();
    let page = page(&plan);
    for kept in [
        "/usr/local/bin",
        "/etc/systemd/system",
        "/opt/cni",
        "containerd",
    ] {
        assert!(!page.contains(kept), "{kept} in {page}");
    }
    for gone in ["/var/lib/kubelet", "in /etc/kubernetes", "network links"] {
        assert!(page.contains(gone), "no {gone} in {page}");
    }
}

#[test]
fn pods_whose_runtime_was_taken_away_are_unmounted_too() {
    let mut facts = cluster_facts();
    if let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) {
        host.existing.runtime_is_ours = false;
    }
    let plan = plan_removal(&spec(), &facts, None, &removal_of(&["w-1"])).unwrap();
    let page = page(&plan);
    assert!(
        page.contains("unmount everything below /run/containerd/io.containerd"),
        "{page}"
    );
}

#[test]
fn the_record_of_what_was_before_outlives_everything_that_it_answers_for() {
    let plan = plan_removal(&spec(), &cluster_facts(), None, &removal_of(&["w-1"])).unwrap();
    let last: Vec<String> = plan
        .steps
        .iter()
        .rev()
        .take(2)
        .map(|it| it.step.describe())
        .collect();
    assert_eq!(
        last,
        [
            "delete /var/lib/slipway/before",
            "delete /var/lib/slipway/cluster"
        ]
    );
}

/// Returns what is left of a removal where only the step that begins so has
/// something to do.
fn left_after(beginning: &str) -> Vec<String> {
    let plan = plan_removal(&spec(), &cluster_facts(), None, &removal_of(&["w-1"])).unwrap();
    let check = |step: &PlannedStep| match step.step.describe().starts_with(beginning) {
        true => Check::Needed {
            because: "there: bridge".to_owned(),
        },
        false => Check::Satisfied,
    };
    let checks = plan.steps.iter().map(|step| (step.id.clone(), check(step)));
    let checks = checks.collect();
    let left = plan.without_satisfied(&checks);
    left.steps.iter().map(|it| it.step.describe()).collect()
}

#[test]
fn folders_and_units_are_looked_at_again_when_their_files_are_gone() {
    let left = left_after("delete in /opt/cni/bin");
    assert_eq!(left[1..], ["delete /opt/cni if it holds no file"]);
    let left = left_after("delete in /etc/systemd/system");
    let [_, folder, forget] = &left[..] else {
        panic!("{left:?}");
    };
    assert_eq!(
        folder,
        "delete /etc/systemd/system/kubelet.service.d if it holds no file"
    );
    assert!(
        forget.starts_with("make systemd forget kubelet.service"),
        "{forget}"
    );
    let left = left_after("delete in /etc/kubernetes/pki");
    assert_eq!(left[1..], ["delete /etc/kubernetes if it holds no file"]);
}

/// Returns what is taken off `w-1` before it is installed, and the plan.
fn leftovers_on_w1(facts: &Facts) -> (Vec<String>, Plan) {
    let spec = spec();
    let plan = plan_cluster(
        &spec,
        facts,
        &manifest(&spec.kubernetes_version),
        &Scope::All,
    );
    let plan = plan.expect("it can be planned");
    let is_cleanup = |step: &&PlannedStep| {
        step.host.as_str() == "w-1" && step.phase == slipway_api::Phase::CleanupNode
    };
    let lines = plan.steps.iter().filter(is_cleanup);
    (lines.map(|it| it.step.describe()).collect(), plan)
}

#[test]
fn a_node_with_another_part_of_the_subnet_starts_its_pods_again_and_keeps_static_ones() {
    let mut facts = cluster_facts();
    let node = slipway_api::NodeFacts {
        name: "cp-1".to_owned(),
        ready: true,
        roles: Vec::new(),
        kubelet_version: "v1.36.3".to_owned(),
        internal_ip: None,
        unschedulable: false,
        pod_subnet: Some("10.244.1.0/24".to_owned()),
    };
    facts.cluster.as_mut().unwrap().nodes = vec![node];
    let planned = |address: &str| {
        let mut facts = facts.clone();
        let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"cp-1".parse().unwrap()) else {
            panic!("cp-1 is reached");
        };
        let mut bridge = host.links[0].clone();
        bridge.name = "cni0".to_owned();
        bridge.addresses = vec![address.parse().unwrap()];
        host.links.push(bridge);
        let manifest = manifest(&spec().kubernetes_version);
        plan_cluster(&spec(), &facts, &manifest, &Scope::All).unwrap()
    };
    let stops = |plan: &Plan| {
        let is_stop = |it: &&PlannedStep| it.step.describe() == "stop and disable kubelet.service";
        let found: Vec<PlannedStep> = plan.steps.iter().filter(is_stop).cloned().collect();
        found
    };
    assert_eq!(stops(&planned("10.244.1.1")), []);
    let plan = planned("10.244.2.1");
    let [stop] = &stops(&plan)[..] else {
        panic!("one kubelet is stopped");
    };
    let find = |text: &str| {
        let found = plan.steps.iter().find(|it| it.step.describe() == text);
        found.unwrap_or_else(|| panic!("{text} is planned"))
    };
    let pods = find("stop and remove all pods but static ones");
    assert_eq!(pods.needs, std::slice::from_ref(&stop.id));
    assert_eq!(pods.host.as_str(), "cp-1");
    assert!(
        find("start kubelet.service")
            .reruns_after
            .contains(&stop.id)
    );
}

#[test]
fn a_pod_network_that_is_older_than_the_node_goes_before_anything_is_installed() {
    let spec = spec();
    let mut facts = bare_facts(&spec);
    let files = leftovers_on_w1(&facts).0;
    assert_eq!(files.len(), 4, "{files:?}");

    let on_w1 = |facts: &mut Facts, change: &dyn Fn(&mut slipway_api::HostFacts)| {
        let Some(HostState::Reached(host)) = facts.hosts.get_mut(&"w-1".parse().unwrap()) else {
            panic!("w-1 is reached");
        };
        change(host);
    };
    on_w1(&mut facts, &|host| {
        let mut bridge = host.links[0].clone();
        bridge.name = "cni0".to_owned();
        host.links.push(bridge);
    });
    let (all, plan) = leftovers_on_w1(&facts);
    assert!(
        all.contains(&"stop and remove all pods".to_owned()),
        "{all:?}"
    );
    assert!(
        all.iter()
            .any(|it| it.starts_with("delete network links cni0")),
        "{all:?}"
    );
    let last = all.last().unwrap();
    let after = format!("w-1/cleanup-node/{last}");
    let modules = "w-1/install/write /etc/modules-load.d/slipway-kubernetes.conf";
    let modules = plan.steps.iter().find(|step| step.id.as_str() == modules);
    let needs = &modules.expect("modules are loaded at boot").needs;
    assert!(needs.iter().any(|id| id.as_str() == after), "{needs:?}");

    // Some other kubelet's pod network is in use.
    let mut busy = facts.clone();
    on_w1(&mut busy, &|host| {
        let program = Some("k3s".to_owned());
        host.listening.push(slipway_api::Listener {
            port: 10250,
            program,
        });
    });
    assert_eq!(leftovers_on_w1(&busy).0, ["delete /var/lib/slipway/before"]);
    // A node's own pod network is not a leftover.
    on_w1(&mut facts, &|host| host.existing.kubelet_conf = true);
    assert_eq!(
        leftovers_on_w1(&facts).0,
        ["delete /var/lib/slipway/before"]
    );
}

#[test]
fn the_only_control_plane_does_not_leave_workers_behind() {
    let error = plan_removal(&spec(), &cluster_facts(), None, &removal_of(&["cp-1"])).unwrap_err();
    assert!(
        matches!(error, PlanError::LastControlPlane { .. }),
        "{error}"
    );
}

/// Returns what the cleaning of cp-1 alone deletes, where its facts are changed so and the
/// file says nothing of it.
fn cleaned_alone(change: impl Fn(&mut slipway_api::ExistingCluster)) -> Vec<String> {
    let mut facts = cluster_facts();
    let name = "cp-1".parse().unwrap();
    let Some(HostState::Reached(host)) = facts.hosts.get_mut(&name) else {
        panic!("cp-1 is reached");
    };
    change(&mut host.existing);
    let spec = spec();
    let plan = plan_cleanup(&spec, &facts, spec.host(&name).unwrap()).unwrap();
    plan.steps.iter().map(|it| it.step.describe()).collect()
}

#[test]
fn a_reset_without_the_file_takes_away_what_only_the_file_had_named() {
    let steps = cleaned_alone(|existing| {
        existing.etcd_data_dir = Some("/srv/etcd".to_owned());
        existing.mirrored_registries = vec!["quay.io".to_owned()];
    });
    for path in ["delete /srv/etcd", "delete /var/lib/etcd"] {
        assert!(steps.contains(&path.to_owned()), "{steps:#?}");
    }
    let mirrors = "certs.d/quay.io/hosts.toml";
    assert!(steps.iter().any(|it| it.contains(mirrors)), "{steps:#?}");
}

#[test]
fn a_host_that_kubeadm_half_joined_is_cleaned() {
    let half_joined = |has_bootstrap| {
        cleaned_alone(|existing| {
            *existing = slipway_api::ExistingCluster {
                bootstrap_conf: has_bootstrap,
                ..Default::default()
            };
        })
    };
    let steps = half_joined(true);
    let marker = "delete /etc/kubernetes/bootstrap-kubelet.conf".to_owned();
    assert!(steps.contains(&marker), "{steps:#?}");
    assert_eq!(half_joined(false), Vec::<String>::new());
}

#[test]
fn a_reset_that_was_cut_off_before_its_very_last_step_ends_with_it() {
    let steps = cleaned_alone(|existing| {
        *existing = slipway_api::ExistingCluster {
            is_remembered: true,
            ..Default::default()
        };
    });
    assert_eq!(steps, ["delete /var/lib/slipway/before"]);
}

#[test]
fn a_node_that_registers_while_its_host_is_being_reset_is_deleted_too() {
    let plan = plan_removal(&spec(), &cluster_facts(), None, &removal_of(&["w-1"])).unwrap();
    let is = |what: &str| {
        let mut steps = plan.steps.iter();
        let found = steps.find(|it| it.step.describe() == what);
        found.unwrap_or_else(|| panic!("{what} is planned"))
    };
    let stop = plan
        .steps
        .iter()
        .find(|it| it.phase == slipway_api::Phase::RemoveNode && it.host.as_str() == "w-1");
    let delete = is("delete node w-1");
    assert_eq!(delete.reruns_after, [stop.unwrap().id.clone()]);
}
