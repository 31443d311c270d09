//! Packages that must not be upgraded by themselves.

use slipway_api::{Finding, Package};

use super::Subject;

/// Packages of Kubernetes' own programs.
const KUBERNETES: [&str; 4] = ["kubeadm", "kubectl", "kubelet", "kubernetes-kubelet"];

/// Packages of container runtimes, which matter where one of them is used.
const RUNTIMES: [&str; 8] = [
    "containerd",
    "containerd.io",
    "cri-dockerd",
    "cri-o",
    "docker-ce",
    "docker.io",
    "moby-engine",
    "runc",
];

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let is_adopted = subject.adopted_runtime().is_some();
    let matters = |package: &&Package| {
        let name = package.name.as_str();
        !package.held && (KUBERNETES.contains(&name) || (is_adopted && RUNTIMES.contains(&name)))
    };
    let packages: Vec<&Package> = subject
        .facts
        .software
        .packages
        .iter()
        .filter(matters)
        .collect();
    let Some(first) = packages.first() else {
        return;
    };
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let shown: Vec<String> = packages
        .iter()
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    let names = names.join(" ");
    let help = match first.manager.as_str() {
        "rpm" => {
            format!("`dnf versionlock add {names}`, or `exclude={names}` in the repository's file")
        }
        _ => format!("`apt-mark hold {names}`"),
    };
    found.push(subject.warning(
        "PackageHold",
        format!("upgrades may change {}", shown.join(", ")),
        "an upgrade by the package manager replaces or restarts programs under a running cluster",
        help,
    ));
}
