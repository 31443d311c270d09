//! The manifests of a control plane's static Pods.

use slipway_api::step::{EnsureDirectory, WriteFile};
use slipway_api::{Etcd, ExtraArg, LocalEtcd, PatchTarget, Phase, Step, StepId, paths};
use slipway_templates::{
    Etcd as EtcdPod, EtcdAccess, EtcdMember, KubeApiServer, KubeControllerManager, KubeScheduler,
    mounted_host_paths,
};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::components::{arguments, environment, options, startup_timeout};
use crate::install::Installed;
use crate::names::API_PORT;
use crate::own_files::at_or_below;
use crate::patches::with_patches;
use crate::plan_cluster::HostInput;
use crate::static_pods::PodFiles;

/// Adds the manifest of the etcd that starts a cluster, and returns the step
/// that makes its data folder; none where etcd is somebody else's.
pub(crate) fn add_etcd_manifest(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    installed: &Installed,
    files: &mut PodFiles,
) -> Result<Option<StepId>, PlanError> {
    // None named: this member starts a new cluster. What one that joined was
    // told then it is told again, though etcd asks its data first.
    let members = input.facts.existing.initial_cluster.iter();
    let initial_cluster = members
        .filter_map(|member| member.split_once('='))
        .map(|(name, peer_url)| EtcdMember {
            name: name.to_owned(),
            peer_url: peer_url.to_owned(),
        })
        .collect();
    let Some((etcd, text)) = etcd_manifest(input, initial_cluster, installed, files)? else {
        return Ok(None);
    };
    let folder = add_etcd_folder(builder, input, etcd, &installed.all);
    add_manifest(
        builder,
        input,
        PatchTarget::Etcd,
        text,
        &installed.all,
        files,
    );
    Ok(Some(folder))
}

/// Returns the manifest of a stacked etcd; none where etcd is somebody else's.
pub(crate) fn etcd_manifest<'a>(
    input: &HostInput<'a>,
    initial_cluster: Vec<EtcdMember>,
    installed: &Installed,
    files: &mut PodFiles,
) -> Result<Option<(&'a LocalEtcd, String)>, PlanError> {
    let (Etcd::Local(etcd), Some(image)) = (
        &input.spec.cluster_configuration.etcd,
        input.images().etcd(),
    ) else {
        return Ok(None);
    };
    let pod = EtcdPod {
        image: image.to_string(),
        node_name: input.host.node_name().to_owned(),
        advertise_address: input.host.node_ip.to_string(),
        data_dir: etcd.data_dir.clone(),
        certificates_dir: paths::PKI_DIR.to_owned(),
        initial_cluster,
        extra_args: arguments(&etcd.extra_args),
        extra_envs: environment(&etcd.extra_envs),
        startup_timeout_seconds: startup_timeout(input.spec),
    };
    let text = finished(input, PatchTarget::Etcd, pod.render(), installed, files)?;
    Ok(Some((etcd, text)))
}

/// Adds the folder for a member's data.
pub(crate) fn add_etcd_folder(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    etcd: &LocalEtcd,
    needs: &[StepId],
) -> StepId {
    let data = Step::EnsureDirectory(EnsureDirectory {
        path: etcd.data_dir.clone(),
        mode: 0o700,
    });
    builder.add(&input.host.name, Phase::Etcd, data, needs)
}

/// Adds the manifests of API server, controller manager and scheduler to what
/// is written.
pub(crate) fn add_components(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    installed: &Installed,
    needs: &[StepId],
    files: &mut PodFiles,
) -> Result<(), PlanError> {
    let spec = input.spec;
    let configuration = &spec.cluster_configuration;
    let service_subnet = spec.networking.service_subnet.to_string();
    let image = |component: &str| input.images().component(component).to_string();
    let ca_certificate_directories = input.facts.ca_certificate_dirs.clone();
    let api_server = KubeApiServer {
        image: image("kube-apiserver"),
        advertise_address: input.host.node_ip.to_string(),
        bind_port: API_PORT,
        service_subnet: service_subnet.clone(),
        dns_domain: spec.networking.dns_domain.clone(),
        certificates_dir: paths::PKI_DIR.to_owned(),
        etcd: etcd_access(&configuration.etcd),
        ca_certificate_directories: ca_certificate_directories.clone(),
        options: options(spec, &configuration.api_server.component),
    };
    let controller_manager = KubeControllerManager {
        kubernetes_minor: u32::try_from(spec.kubernetes_version.minor()).unwrap_or(u32::MAX),
        image: image("kube-controller-manager"),
        cluster_name: configuration.cluster_name.clone(),
        pod_subnet: spec.networking.pod_subnet.to_string(),
        service_subnet,
        certificates_dir: paths::PKI_DIR.to_owned(),
        signs_certificates: !input.has_external_ca(),
        ca_certificate_directories,
        options: options(spec, &configuration.controller_manager),
    };
    let scheduler = KubeScheduler {
        image: image("kube-scheduler"),
        options: options(spec, &configuration.scheduler),
    };
    let texts = [
        (PatchTarget::KubeApiserver, api_server.render()),
        (
            PatchTarget::KubeControllerManager,
            controller_manager.render(),
        ),
        (PatchTarget::KubeScheduler, scheduler.render()),
    ];
    for (target, text) in texts {
        let text = finished(input, target, text, installed, files)?;
        add_manifest(builder, input, target, text, needs, files);
    }
    Ok(())
}

/// Returns a manifest with the user's patches, and notes which of the user's
/// files it mounts.
fn finished(
    input: &HostInput<'_>,
    target: PatchTarget,
    text: Result<String, slipway_templates::TemplateError>,
    installed: &Installed,
    files: &mut PodFiles,
) -> Result<String, PlanError> {
    let what = target.as_str();
    let render = |source| PlanError::Render { what, source };
    let text = with_patches(input.spec, target, text.map_err(render)?)?;
    let mounted = mounted_host_paths(&text).map_err(render)?;
    files
        .own
        .insert(what, at_or_below(&installed.own_files, &mounted));
    Ok(text)
}

fn add_manifest(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    target: PatchTarget,
    text: String,
    needs: &[StepId],
    files: &mut PodFiles,
) {
    let phase = if target == PatchTarget::Etcd {
        Phase::Etcd
    } else {
        Phase::ControlPlane
    };
    let path = format!("{}/{}.yaml", paths::MANIFESTS_DIR, target.as_str());
    let step = Step::WriteFile(WriteFile::new(path, 0o600, text));
    let id = builder.add(&input.host.name, phase, step, needs);
    files.writers.insert(target.as_str().to_owned(), id);
}

/// Returns how the API server reaches etcd.
fn etcd_access(etcd: &Etcd) -> EtcdAccess {
    match etcd {
        Etcd::Local(etcd) => {
            let own = |argument: &&ExtraArg| argument.name == "advertise-client-urls";
            let client_urls = etcd.extra_args.iter().rfind(own);
            EtcdAccess::Stacked {
                client_urls: client_urls.map(|argument| argument.value.clone()),
            }
        }
        Etcd::External(etcd) => EtcdAccess::External {
            endpoints: etcd.endpoints.clone(),
            ca_file: etcd.ca_file.clone(),
            cert_file: etcd.cert_file.clone(),
            key_file: etcd.key_file.clone(),
        },
    }
}
