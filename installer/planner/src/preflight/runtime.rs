//! Container runtime and kubelet: which one, cgroup drivers, versions.

use std::path::Path;

use serde_json::Value;
use slipway_api::{Finding, KubernetesVersion, Release, Role, RuntimeFacts, paths};

use super::kernel::kubelet_setting;
use super::{Subject, VERSION_CHANGE};
use crate::images::Images;

/// The kubelet's cgroup driver where the file says nothing: kubeadm's default.
const DEFAULT_DRIVER: &str = "systemd";

/// The first minor whose kubelet does not start with a runtime that does not
/// tell its cgroup driver.
const RUNTIME_CONFIG_FROM: u64 = 37;

/// Programs that serve CRI; `dockerd` alone does not.
const CRI_PROGRAMS: [&str; 3] = ["containerd", "cri-dockerd", "crio"];

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    match (&subject.facts.runtime, subject.adopted_runtime()) {
        (_, Some(runtime)) => check_adopted(subject, runtime, found),
        (Some(runtime), None) => check_beside(subject, runtime, found),
        (None, None) => check_stopped(subject, found),
    }
    check_images(subject, found);
    check_units(subject, found);
    check_kubelet(subject, found);
}

impl Subject<'_> {
    /// Returns the runtime that was there before Slipway and is kept.
    pub(super) fn adopted_runtime(&self) -> Option<&RuntimeFacts> {
        let runtime = self.facts.runtime.as_ref()?;
        (self.spec.runtime.adopt && !runtime.is_ours).then_some(runtime)
    }
}

fn check_adopted(subject: &Subject<'_>, runtime: &RuntimeFacts, found: &mut Vec<Finding>) {
    let unit = unit_of(&runtime.socket);
    if !runtime.ready {
        found.push(not_ready(subject, runtime, unit));
        return;
    }
    let socket = &subject.spec.runtime.socket;
    let wanted = match socket.strip_prefix("/var/run") {
        Ok(rest) => Path::new("/run").join(rest),
        Err(_) => socket.clone(),
    };
    let is_default = wanted == Path::new(paths::CONTAINERD_SOCKET);
    if !is_default && wanted != Path::new(&runtime.socket) {
        found.push(subject.error(
            "CRI",
            format!(
                "the file names the runtime at {}, {} at {} would be used",
                wanted.display(),
                runtime.name,
                runtime.socket
            ),
            "the kubelet would be given another runtime than the one you mean",
            format!("`systemctl disable --now {unit}`, or correct `runtime.socket` in the file"),
        ));
    }
    let others: Vec<&str> = subject
        .facts
        .software
        .runtime_sockets
        .iter()
        .map(String::as_str)
        .filter(|socket| *socket != runtime.socket)
        .collect();
    if !others.is_empty() {
        found.push(subject.warning(
            "CRI",
            format!(
                "runtimes listen at {} and at {}; the first is used",
                runtime.socket,
                others.join(", ")
            ),
            "images and pods of one runtime are unknown to the other",
            format!(
                "stop the one that is not meant: `systemctl disable --now {}`",
                unit_of(others[0])
            ),
        ));
    }
    if runtime.name != "containerd" {
        found.push(subject.error(
            "ImagePull",
            format!("the runtime is {} {}", runtime.name, runtime.version),
            "Slipway brings images through containerd's own API, which this runtime does not have",
            format!("`systemctl disable --now {unit}` and let Slipway install containerd"),
        ));
    }
    check_driver(subject, runtime, found);
}

fn not_ready(subject: &Subject<'_>, runtime: &RuntimeFacts, unit: &str) -> Finding {
    // containerd's packages of Docker's come with CRI switched off.
    if runtime.name.is_empty() {
        return subject.error(
            "CRI",
            format!("the runtime at {} does not speak CRI v1", runtime.socket),
            "the kubelet starts every container through it",
            format!("take `cri` out of `disabled_plugins` in /etc/containerd/config.toml, then `systemctl restart {unit}`"),
        );
    }
    subject.error(
        "CRI",
        format!(
            "{} {} at {} is not ready",
            runtime.name, runtime.version, runtime.socket
        ),
        "the kubelet starts every container through it",
        format!("look at its log: `journalctl -u {unit}`"),
    )
}

/// A runtime runs, and the file says that it is not to be used.
fn check_beside(subject: &Subject<'_>, runtime: &RuntimeFacts, found: &mut Vec<Finding>) {
    if !runtime.is_ours && runtime.socket == paths::CONTAINERD_SOCKET {
        found.push(subject.error(
            "CRI",
            format!("{} {} listens at {}, and the file says `adopt: false`", runtime.name, runtime.version, runtime.socket),
            "Slipway's own containerd listens there too",
            "`systemctl disable --now containerd` and remove its package, or leave `runtime.adopt` out of the file",
        ));
    }
}

/// Nothing listens, but there may be a runtime that only is not started.
fn check_stopped(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let is_foreign = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_ours = subject.facts.existing.runtime_is_ours && path.starts_with(paths::BIN_DIR);
        CRI_PROGRAMS.contains(&name) && !is_ours
    };
    let programs = &subject.facts.software.runtime_programs;
    if let Some(path) = programs.iter().find(is_foreign)
        && subject.spec.runtime.adopt
    {
        let name = path.rsplit('/').next().unwrap_or_default();
        found.push(subject.error(
            "CRI",
            format!("{path} is installed and does not run"),
            "Slipway keeps a runtime that is there, and must not put its own into the same places",
            format!("`systemctl enable --now {name}`, or remove its package, or set `runtime: {{ adopt: false }}` in the file"),
        ));
    }
}

fn check_driver(subject: &Subject<'_>, runtime: &RuntimeFacts, found: &mut Vec<Finding>) {
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
            "set `SystemdCgroup = true` in /etc/containerd/config.toml and `systemctl restart containerd`",
        )),
        Some(_) => {}
        None => {
            let seen = format!(
                "{} {} does not tell its cgroup driver (CRI RuntimeConfig)",
                runtime.name, runtime.version
            );
            let help = "move to containerd 2.0 or newer; `containerd --version` shows what is there";
            let is_needed = subject.spec.kubernetes_version.minor() >= RUNTIME_CONFIG_FROM;
            let id = "ContainerRuntimeVersion";
            found.push(if is_needed {
                subject.error(id, seen, "the kubelet does not start without it", help)
            } else {
                let why = "from Kubernetes 1.37 on the kubelet does not start without it";
                subject.warning(id, seen, why, help)
            });
        }
    }
}

/// kubeadm pulls images here; Slipway looks whether it has them to bring.
fn check_images(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let release = Release::of(&subject.spec.kubernetes_version);
    let (Some(manifest), Ok(release)) = (subject.manifest, release) else {
        return;
    };
    let wanted = Images::new(subject.spec, &release);
    let mut images = wanted.of_node();
    if subject.host.role == Role::ControlPlane {
        images.extend(wanted.of_control_plane());
    }
    let architecture = subject.facts.architecture;
    let missing: Vec<String> = images
        .iter()
        .filter(|image| manifest.image(image, architecture).is_none())
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        found.push(subject.error(
            "ImagePull",
            format!("the bundle or source lacks for {architecture}: {}", missing.join(", ")),
            "hosts get their images from there, not from registries",
            format!("`slipway bundle create --kubernetes-version {} --arch {architecture} --out-file cluster.bundle`", subject.spec.kubernetes_version),
        ));
    }
}

fn check_units(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for unit in &subject.facts.software.masked_units {
        let name = unit.trim_end_matches(".service");
        let is_needed = name == "kubelet" || subject.adopted_runtime().is_none();
        if matches!(name, "kubelet" | "containerd") && is_needed {
            found.push(subject.error(
                &format!("Service-{name}"),
                format!("{unit} is masked"),
                "systemd refuses to start it",
                format!("`systemctl unmask {unit}`"),
            ));
        }
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
            VERSION_CHANGE,
            format!("the host runs {installed}, the file names {target}"),
            "a new version goes one node at a time, which this command does not do",
            "`slipway upgrade plan` shows the way, `slipway upgrade apply` goes it",
        ));
    }
}

/// Returns the unit that usually serves a socket.
fn unit_of(socket: &str) -> &'static str {
    match socket {
        "/run/crio/crio.sock" => "crio",
        "/run/cri-dockerd.sock" => "cri-docker",
        _ => "containerd",
    }
}
