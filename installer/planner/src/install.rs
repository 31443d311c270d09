//! What every node needs before Kubernetes starts on it.

use std::collections::BTreeMap;

use slipway_api::step::{
    EnsureDirectory, EnsureUnit, ImportImage, InstallBlob, LoadModules, PlaceFile, RememberPaths,
    SetSysctls, UnpackArchive, WriteFile,
};
use slipway_api::{
    Artifact, CNI_PLUGINS_VERSION, CONTAINERD_VERSION, ClusterSpec, HostFacts, HostFile, HostName,
    ImageReference, Phase, RUNC_VERSION, Role, Step, StepId, paths,
};
use slipway_templates::{
    ContainerdConfig, ContainerdUnit, KubeletDropIn, KubeletUnit, ModulesLoad, RegistryHosts,
    RegistryMirror, Sysctl,
};

use crate::builder::PlanBuilder;
use crate::leftovers::add_leftover_removal;
use crate::own_files::OwnFile;
use crate::plan_cluster::HostInput;
use crate::{PlanError, footprint};

/// The steps that later phases wait for.
pub(crate) struct Installed {
    /// The host is marked as this cluster's: nothing may be made before.
    pub marker: StepId,
    /// The container runtime runs.
    pub runtime: StepId,
    /// Binaries, units and kernel settings are in place.
    pub all: Vec<StepId>,
    /// Files that the kubelet reads only when it starts, by step and path.
    pub kubelet_files: Vec<(StepId, String)>,
    /// The step that stopped a kubelet which ran.
    pub kubelet_stopped: Option<StepId>,
    /// The user's own files, by step and path.
    pub own_files: Vec<OwnFile>,
}

/// Adds the steps that make a host ready for Kubernetes.
pub(crate) fn add_install(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
) -> Result<Installed, PlanError> {
    let host = &input.host.name;
    check_runtime(input)?;
    let marker = add_marker(builder, input);
    let tidied = add_leftover_removal(builder, input, marker);
    let marker = [tidied.done];
    let mut all = add_kernel(builder, input.spec, host, &marker);
    let runtime = add_runtime(builder, input, &marker)?;
    let plugins = archive(
        input,
        "cni-plugins",
        CNI_PLUGINS_VERSION,
        paths::CNI_BIN_DIR,
        0,
        |_| true,
    )?;
    all.push(add_or_keep(builder, host, plugins, &marker));

    let mut programs = vec!["kubelet"];
    if input.host.role == Role::ControlPlane {
        programs.extend(["kubeadm", "kubectl"]);
    }
    let mut kubelet_files = Vec::new();
    for name in programs {
        let version = input.release.kubernetes.to_string();
        let step = program(input, name, &version)?;
        let id = add_or_keep(builder, host, step, &marker);
        if name == "kubelet" {
            kubelet_files.push((id.clone(), program_path(name)));
        }
        all.push(id);
    }
    let unit = KubeletUnit {
        kubelet_path: format!("{}/kubelet", paths::BIN_DIR),
    };
    let drop_in = KubeletDropIn {
        kubelet_path: format!("{}/kubelet", paths::BIN_DIR),
    };
    let unit = unit.render().map_err(|source| PlanError::Render {
        what: "kubelet.service",
        source,
    })?;
    let drop_in = drop_in.render().map_err(|source| PlanError::Render {
        what: "10-kubeadm.conf",
        source,
    })?;
    for (path, text) in [
        (format!("{}/kubelet.service", paths::UNIT_DIR), unit),
        (
            format!("{}/kubelet.service.d/10-kubeadm.conf", paths::UNIT_DIR),
            drop_in,
        ),
    ] {
        let step = Step::WriteFile(WriteFile::new(path.clone(), 0o644, text));
        let id = builder.add(host, Phase::Install, step, &marker);
        kubelet_files.push((id.clone(), path));
        all.push(id);
    }
    for (path, mode) in [(paths::MANIFESTS_DIR, 0o700), (paths::CNI_CONF_DIR, 0o755)] {
        let step = Step::EnsureDirectory(EnsureDirectory {
            path: path.to_owned(),
            mode,
        });
        all.push(builder.add(host, Phase::Install, step, &marker));
    }
    all.push(runtime.clone());
    let own_files = add_own_files(builder, input, &marker)?;
    all.extend(own_files.iter().map(|(id, _)| id.clone()));
    let [marker] = marker;
    Ok(Installed {
        marker,
        runtime,
        all,
        kubelet_files,
        kubelet_stopped: tidied.stopped,
        own_files,
    })
}

/// The runtime whose own interface takes images.
const CONTAINERD: &str = "containerd";

/// Fails where a runtime is to be adopted that images cannot be brought to. One
/// that does not even tell its name is preflight's to judge.
fn check_runtime(input: &HostInput<'_>) -> Result<(), PlanError> {
    let runtime = input.facts.runtime.as_ref();
    let is_other = |name: &str| !name.is_empty() && name != CONTAINERD;
    match runtime.filter(|it| adopted_socket(input).is_some() && is_other(&it.name)) {
        None => Ok(()),
        Some(runtime) => Err(PlanError::UnsupportedRuntime {
            host: input.host.name.clone(),
            runtime: runtime.name.clone(),
            socket: runtime.socket.clone(),
        }),
    }
}

/// Adds the user's own files.
fn add_own_files(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &[StepId],
) -> Result<Vec<OwnFile>, PlanError> {
    let place = |file: &HostFile| {
        let step = PlaceFile {
            path: file.dest.clone(),
            mode: file.mode,
            content: file
                .content
                .ok_or_else(|| PlanError::NotRead(file.src.clone()))?,
        };
        let step = Step::PlaceFile(step);
        let id = builder.add(&input.host.name, Phase::Install, step, needs);
        Ok((id, file.dest.clone()))
    };
    input.host.files.iter().map(place).collect()
}

/// Remembers what the host has, then marks it as this cluster's.
fn add_marker(builder: &mut PlanBuilder, input: &HostInput<'_>) -> StepId {
    let host = &input.host.name;
    let mut needs = Vec::new();
    if input.facts.existing.slipway_cluster.is_none() {
        // What an earlier cluster remembered says nothing about this day.
        let old = footprint::everything(paths::BEFORE_DIR);
        needs.push(builder.add(host, Phase::CleanupNode, old, &[]));
    }
    let with_runtime = adopted_socket(input).is_none();
    let remembered = Step::RememberPaths(RememberPaths {
        paths: footprint::remembered(
            input.spec,
            input.host,
            input.control_plane.is_balanced,
            with_runtime,
        ),
    });
    let remembered = builder.add_rerun(host, Phase::Install, remembered, &[], &needs);
    let name = format!("{}\n", input.spec.name);
    let marker = Step::WriteFile(WriteFile::new(paths::CLUSTER_MARKER, 0o600, name));
    builder.add(host, Phase::Install, marker, &[remembered])
}

/// Adds the import of images and returns the steps' IDs.
pub(crate) fn add_images(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    images: &[ImageReference],
    installed: &Installed,
) -> Result<Vec<StepId>, PlanError> {
    let Some(bundle) = input.bundle() else {
        return Ok(Vec::new());
    };
    let socket = runtime_socket(input);
    // Slipway's own configuration names this very image.
    let is_adopted = adopted_socket(input).is_some();
    let pause = input.images().pause();
    let import = |reference: &ImageReference| {
        let image = bundle.image(reference, input.facts.architecture);
        let image = image.ok_or_else(|| not_in_bundle(input, &format!("image {reference}")))?;
        let step = Step::ImportImage(ImportImage {
            image: image.clone(),
            socket: socket.clone(),
            is_sandbox: is_adopted && *reference == pause,
        });
        let needs = [installed.runtime.clone()];
        Ok(builder.add(&input.host.name, Phase::Images, step, &needs))
    };
    images.iter().map(import).collect()
}

/// Returns the socket of the runtime that this host uses.
pub(crate) fn runtime_socket(input: &HostInput<'_>) -> String {
    socket_of(input.spec, input.facts)
}

/// Returns the socket of the runtime that a host with these facts uses.
pub(crate) fn socket_of(spec: &ClusterSpec, facts: &HostFacts) -> String {
    let own = || spec.runtime.socket.to_string_lossy().into_owned();
    socket_adopted(spec, facts).unwrap_or_else(own)
}

/// Returns the socket of the runtime that was found on a host, whoever installed
/// it; where none was, the one that Slipway's would have.
pub(crate) fn found_socket(facts: &HostFacts) -> String {
    facts.runtime.as_ref().map_or_else(
        || paths::CONTAINERD_SOCKET.to_owned(),
        |runtime| runtime.socket.clone(),
    )
}

/// Returns the socket of a runtime that was there before Slipway and is kept.
fn adopted_socket(input: &HostInput<'_>) -> Option<String> {
    socket_adopted(input.spec, input.facts)
}

fn socket_adopted(spec: &ClusterSpec, facts: &HostFacts) -> Option<String> {
    let runtime = facts.runtime.as_ref()?;
    (spec.runtime.adopt && !runtime.is_ours).then(|| runtime.socket.clone())
}

/// Adds the kernel modules and sysctls that Kubernetes needs, now and at every boot.
pub(crate) fn add_kernel(
    builder: &mut PlanBuilder,
    spec: &ClusterSpec,
    host: &HostName,
    needs: &[StepId],
) -> Vec<StepId> {
    let mut add = |step, needs: &[StepId]| builder.add(host, Phase::Install, step, needs);
    let render = "a template without values always renders";
    let text = ModulesLoad {}.render().expect(render);
    let file = add(
        Step::WriteFile(WriteFile::new(paths::MODULES_FILE, 0o644, text)),
        needs,
    );
    let modules = ["overlay", "br_netfilter"].map(str::to_owned).to_vec();
    let loaded = add(Step::LoadModules(LoadModules { modules }), needs);
    let ipv6 = spec.networking.has_ipv6();
    let text = Sysctl { ipv6 }.render().expect(render);
    let settings = add(
        Step::WriteFile(WriteFile::new(paths::SYSCTL_FILE, 0o644, text)),
        needs,
    );
    let mut values: BTreeMap<String, String> = [
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
        "net.ipv4.ip_forward",
    ]
    .into_iter()
    .map(|key| (key.to_owned(), "1".to_owned()))
    .collect();
    if ipv6 {
        for scope in ["all", "default"] {
            let key = format!("net.ipv6.conf.{scope}.forwarding");
            values.insert(key, "1".to_owned());
        }
    }
    // The bridge sysctls exist only once br_netfilter is loaded.
    let set = add(Step::SetSysctls(SetSysctls { values }), &[loaded]);
    vec![file, settings, set]
}

/// Adds containerd and runc, or nothing where a runtime is adopted. Returns
/// the step after which the runtime runs.
fn add_runtime(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &[StepId],
) -> Result<StepId, PlanError> {
    let host = &input.host.name;
    if adopted_socket(input).is_some() {
        return Ok(needs[0].clone());
    }
    // Before anything of it: a run that is cut off must know what it may remove.
    let marker = WriteFile::new(paths::RUNTIME_MARKER, 0o600, "containerd\n".to_owned());
    let marker = builder.add(host, Phase::Install, Step::WriteFile(marker), needs);
    let needs = &[marker][..];
    let mut files = Vec::new();
    let runc = program(input, "runc", RUNC_VERSION)?;
    let runc = add_or_keep(builder, host, runc, needs);
    let programs = ["containerd", "containerd-shim-runc-v2", "ctr"];
    let wanted = |path: &str| programs.iter().any(|name| path == format!("bin/{name}"));
    let archive = archive(
        input,
        "containerd",
        CONTAINERD_VERSION,
        "/usr/local",
        0,
        wanted,
    )?;
    let archive = add_or_keep(builder, host, archive, needs);
    files.push((archive, program_path("containerd")));

    let config = ContainerdConfig {
        pause_image: input.images().pause().to_string(),
        restrict_oom_score_adj: !input.facts.can_raise_limits,
    };
    let config = config.render().map_err(|source| PlanError::Render {
        what: "containerd's config.toml",
        source,
    })?;
    let unit = ContainerdUnit {
        containerd_path: format!("{}/containerd", paths::BIN_DIR),
        environment: Vec::new(),
    };
    let unit = unit.render().map_err(|source| PlanError::Render {
        what: "containerd.service",
        source,
    })?;
    let mut texts = vec![
        (paths::CONTAINERD_CONFIG.to_owned(), config),
        (format!("{}/containerd.service", paths::UNIT_DIR), unit),
    ];
    if let Some(extra) = &input.spec.runtime.extra_config {
        texts.push((
            format!("{}/50-extra.toml", paths::CONTAINERD_DROP_IN_DIR),
            extra.clone(),
        ));
    }
    for (path, text) in texts {
        // The drop-in may hold a registry's credentials.
        let mode = if path.starts_with(paths::CONTAINERD_DROP_IN_DIR) {
            0o600
        } else {
            0o644
        };
        let step = Step::WriteFile(WriteFile::new(path.clone(), mode, text));
        files.push((builder.add(host, Phase::Install, step, needs), path));
    }
    // Read at every pull: no restart is needed for these.
    for (registry, mirrors) in &input.spec.runtime.registry_mirrors {
        let mirror = |url: &String| RegistryMirror {
            url: url.clone(),
            ca_file: String::new(),
            skip_verify: false,
            override_path: false,
        };
        let hosts = RegistryHosts {
            server: format!("https://{registry}"),
            mirrors: mirrors.iter().map(mirror).collect(),
        };
        let text = hosts.render().map_err(|source| PlanError::Render {
            what: "hosts.toml",
            source,
        })?;
        let path = format!("{}/{registry}/hosts.toml", paths::CERTS_D);
        builder.add(
            host,
            Phase::Install,
            Step::WriteFile(WriteFile::new(path, 0o644, text)),
            needs,
        );
    }
    let unit = Step::EnsureUnit(EnsureUnit {
        unit: "containerd.service".to_owned(),
        files: files.iter().map(|(_, path)| path.clone()).collect(),
    });
    let after: Vec<StepId> = files.into_iter().map(|(id, _)| id).collect();
    Ok(builder.add_rerun(host, Phase::Install, unit, &[runc], &after))
}

/// Adds a step of what is installed, and returns its ID; where what is installed stays, the ID
/// of the one before it.
fn add_or_keep(
    builder: &mut PlanBuilder,
    host: &HostName,
    step: Option<Step>,
    needs: &[StepId],
) -> StepId {
    match step {
        Some(step) => builder.add(host, Phase::Install, step, needs),
        None => needs[0].clone(),
    }
}

fn program_path(name: &str) -> String {
    format!("{}/{name}", paths::BIN_DIR)
}

/// Returns the step that installs a program; none where what is installed stays.
fn program(input: &HostInput<'_>, name: &str, version: &str) -> Result<Option<Step>, PlanError> {
    let step = |artifact: &Artifact| {
        Step::InstallBlob(InstallBlob {
            name: name.to_owned(),
            version: version.to_owned(),
            blob: artifact.blob,
            path: program_path(name),
        })
    };
    Ok(artifact(input, name, version)?.map(step))
}

/// Returns the step that unpacks what is `wanted` of an archive; none where what is installed
/// stays.
pub(crate) fn archive(
    input: &HostInput<'_>,
    name: &str,
    version: &str,
    folder: &str,
    strip: usize,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<Step>, PlanError> {
    let Some(artifact) = artifact(input, name, version)? else {
        return Ok(None);
    };
    let members = artifact
        .members
        .iter()
        .filter(|member| wanted(&member.path))
        .cloned()
        .collect();
    Ok(Some(Step::UnpackArchive(UnpackArchive {
        name: name.to_owned(),
        version: version.to_owned(),
        blob: artifact.blob,
        folder: folder.to_owned(),
        strip,
        members,
    })))
}

fn artifact<'a>(
    input: &HostInput<'a>,
    name: &str,
    version: &str,
) -> Result<Option<&'a Artifact>, PlanError> {
    let Some(bundle) = input.bundle() else {
        return Ok(None);
    };
    let found = bundle.artifact(name, version, input.facts.architecture);
    let found = found.ok_or_else(|| not_in_bundle(input, &format!("{name} {version}")))?;
    Ok(Some(found))
}

fn not_in_bundle(input: &HostInput<'_>, what: &str) -> PlanError {
    PlanError::NotInBundle {
        what: what.to_owned(),
        architecture: input.facts.architecture,
    }
}
