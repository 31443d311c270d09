//! Container runtime and kubelet: cgroup drivers, versions.

use serde_json::Value;
use slipway_api::{Finding, KubernetesVersion};

use super::Subject;
use super::kernel::kubelet_setting;

/// The kubelet's cgroup driver where the file says nothing: kubeadm's default.
const DEFAULT_DRIVER: &str = "systemd";

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    check_runtime(subject, found);
    check_kubelet(subject, found);
}

fn check_runtime(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some(runtime) = &subject.facts.runtime else {
        return;
    };
    if runtime.is_ours {
        return;
    }
    if !runtime.ready {
        found.push(subject.error(
            "CRI",
            format!(
                "{} {} at {} is not ready",
                runtime.name, runtime.version, runtime.socket
            ),
            "the kubelet starts every container through it",
            "look at its log: `journalctl -u containerd`",
        ));
    }
    let wanted = match kubelet_setting(subject, "cgroupDriver") {
        Some(Value::String(driver)) => driver.as_str(),
        _ => DEFAULT_DRIVER,
    };
    match runtime.cgroup_driver.as_deref() {
        Some(driver) if driver != wanted => found.push(subject.error(
            "CgroupDriver",
            format!(
                "{} uses the cgroup driver {driver}, the kubelet {wanted}",
                runtime.name
            ),
            "two drivers on one host count resources twice, and pods fail under load",
            "set `SystemdCgroup = true` in /etc/containerd/config.toml and restart containerd",
        )),
        Some(_) => {}
        None => found.push(subject.warning(
            "ContainerRuntimeVersion",
            format!(
                "{} {} does not tell its cgroup driver",
                runtime.name, runtime.version
            ),
            "from Kubernetes 1.37 on the kubelet asks for it (CRI RuntimeConfig)",
            "move to containerd 2.0 or newer",
        )),
    }
}

fn check_kubelet(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some(kubelet) = &subject.facts.kubelet else {
        return;
    };
    let installed = kubelet
        .version
        .as_deref()
        .and_then(|text| text.parse::<KubernetesVersion>().ok());
    let target = &subject.spec.kubernetes_version;
    let is_ours = kubelet.path.starts_with(slipway_api::paths::BIN_DIR);
    let newer = installed
        .as_ref()
        .filter(|installed| installed.minor() > target.minor());
    if let Some(version) = newer {
        found.push(subject.error(
            "KubeletVersion",
            format!("kubelet {version} is installed, the control plane is to be {target}"),
            "a kubelet must not be newer than its API server",
            format!("name {version} or newer in the file, or remove that kubelet"),
        ));
    }
    // With the API server down nobody else would notice a change of version.
    if subject.belongs_to_cluster()
        && let Some(installed) = installed.filter(|installed| installed < target)
    {
        found.push(subject.error(
            "KubernetesVersion",
            format!("the host runs {installed}, the file names {target}"),
            "a new version goes one node at a time, which this command does not do",
            format!("name {installed} in the file"),
        ));
    }
    if !is_ours && !subject.belongs_to_cluster() {
        found.push(subject.warning(
            "KubeletPackage",
            format!("{} is installed beside Slipway's own", kubelet.path),
            "a package that is updated by itself would start another kubelet",
            "hold or remove the package: `apt-mark hold kubelet`",
        ));
    }
}
