//! A control-plane node, in kubeadm's phases.

use std::collections::BTreeMap;

use slipway_api::step::{
    ApplyObjects, Condition, EnsureAuthority, EnsureDirectory, EnsureServiceAccountKey, MarkNode,
    WaitFor, WriteFile,
};
use slipway_api::{
    Cni, Etcd, ExtraArg, PatchTarget, Phase, Step, StepId, Taint, TaintEffect, paths,
};
use slipway_templates::{
    ClusterAdmins, Etcd as EtcdPod, EtcdAccess, KubeApiServer, KubeControllerManager,
    KubeScheduler, mounted_host_paths,
};

use crate::PlanError;
use crate::addons::{add_addons, add_cluster_configuration};
use crate::builder::PlanBuilder;
use crate::certificate_recipes::{CertificateRecipes, authority_of};
use crate::components::{arguments, environment, options, startup_timeout};
use crate::install::{Installed, add_images, add_install};
use crate::names::{API_PORT, local_api_url};
use crate::own_files::{add_withdrawals, at_or_below};
use crate::patches::with_patches;
use crate::plan_cluster::HostInput;
use crate::static_pods::{PodFiles, Writers, add_api_server, add_its_clients};
use crate::worker::{KubeletStart, add_kubelet};

/// How long a component may take to come up, in seconds: kubeadm's
/// `controlPlaneComponentHealthCheck`.
pub(crate) const COMPONENT_TIMEOUT: u64 = 240;

/// The label of control-plane nodes.
const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// The label that keeps cloud load balancers from sending traffic to control-plane nodes.
const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The steps of a control-plane node that others wait for.
pub(crate) struct ControlPlaneSteps {
    /// Others can join.
    pub joinable: Vec<StepId>,
    /// The node is Ready.
    pub ready: StepId,
}

/// Adds a control-plane node.
pub(crate) fn add_control_plane(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
) -> Result<ControlPlaneSteps, PlanError> {
    let host = &input.host.name;
    let installed = add_install(builder, input)?;
    let images = input.images();
    let mut images_here = images.of_control_plane();
    images_here.extend(images.of_node());
    let images = add_images(builder, input, &images_here, &installed)?;
    let marked = std::slice::from_ref(&installed.marker);
    let mut files = PodFiles {
        writers: add_certificates(builder, input, marked),
        own: BTreeMap::new(),
    };
    let data = add_manifests(builder, input, &installed, &mut files)?;

    let mut needs = installed.all.clone();
    needs.extend(images.into_iter().chain(data));
    needs.extend(files.writers.values().cloned());
    let start = KubeletStart {
        server: local_api_url(input.host),
        needs: &needs,
        installed: &installed,
    };
    let kubelet = add_kubelet(builder, input, &start)?;
    let wait = |condition| {
        Step::WaitFor(WaitFor {
            condition,
            timeout_seconds: u64::from(startup_timeout(input.spec)),
            awaited: None,
        })
    };
    let pods = add_api_server(builder, input, &files, &kubelet);
    let ready = wait(Condition::ApiServerReady);
    let ready = builder.add_rerun(host, Phase::WaitControlPlane, ready, &[kubelet], &pods);
    add_its_clients(builder, input, &files, &ready);

    // Nobody but system:masters may do anything before this binding exists.
    let admins = ClusterAdmins {}
        .render()
        .map_err(|source| PlanError::Render {
            what: "kubeadm:cluster-admins",
            source,
        })?;
    let admins = Step::ApplyObjects(ApplyObjects::new("cluster administrators", admins));
    let admins = builder.add(host, Phase::UploadConfig, admins, &[ready]);
    add_cluster_configuration(builder, input, &admins)?;

    let node = input.host.node_name().to_owned();
    let registered = wait(Condition::NodeRegistered { node: node.clone() });
    let registered = builder.add(
        host,
        Phase::MarkControlPlane,
        registered,
        std::slice::from_ref(&admins),
    );
    let marks = builder.add(
        host,
        Phase::MarkControlPlane,
        Step::MarkNode(marks(input)),
        &[registered],
    );
    let addons = add_addons(builder, input, &marks)?;
    let ready = match input.spec.networking.cni {
        // No node becomes Ready before the user has installed a network.
        Cni::None => marks,
        Cni::Flannel | Cni::Manifests(_) => {
            let ready = wait(Condition::NodeReady { node });
            builder.add(host, Phase::NodeReady, ready, &addons)
        }
    };
    add_withdrawals(builder, input, std::slice::from_ref(&ready));
    Ok(ControlPlaneSteps {
        joinable: vec![admins],
        ready,
    })
}

fn add_certificates(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    marked: &[StepId],
) -> Writers {
    let host = &input.host.name;
    let configuration = &input.spec.cluster_configuration;
    let existing = &input.facts.existing;
    let algorithm = configuration.encryption_algorithm.clone();
    let has_etcd = matches!(configuration.etcd, Etcd::Local(_));
    let authorities: BTreeMap<&str, StepId> = ["ca", "front-proxy-ca", "etcd-ca"]
        .into_iter()
        .filter(|name| has_etcd || *name != "etcd-ca")
        .map(|name| {
            let step = EnsureAuthority {
                name: name.to_owned(),
                algorithm: algorithm.clone(),
                validity_seconds: configuration.ca_certificate_validity_period.as_secs(),
                is_external: existing.has_external(name),
            };
            (
                name,
                builder.add(host, Phase::Certs, Step::EnsureAuthority(step), marked),
            )
        })
        .collect();
    let recipes =
        CertificateRecipes::of_control_plane(input.spec, input.host, input.release, |name| {
            existing.has_external(name)
        });
    let mut writers = Writers::new();
    for step in recipes.certificates {
        let name = step.name.clone();
        let authority = [authorities[authority_of(&name)].clone()];
        let step = Step::EnsureCertificate(step);
        let id = builder.add_rerun(host, Phase::Certs, step, &[], &authority);
        writers.insert(name, id);
    }
    let key = EnsureServiceAccountKey { algorithm };
    let key = Step::EnsureServiceAccountKey(key);
    let key = builder.add(host, Phase::Certs, key, marked);
    writers.insert("sa".to_owned(), key);
    // The kubelet's is looked at where the kubelet starts.
    let kubeconfigs = recipes.kubeconfigs.into_iter();
    for step in kubeconfigs.filter(|step| step.name != "kubelet") {
        let name = step.name.clone();
        let authority = [authorities["ca"].clone()];
        let step = Step::EnsureKubeconfig(step);
        let id = builder.add_rerun(host, Phase::Kubeconfig, step, &[], &authority);
        writers.insert(name, id);
    }
    let authorities = authorities.into_iter();
    writers.extend(authorities.map(|(name, id)| (name.to_owned(), id)));
    writers
}

/// Adds the manifests to what is written, and returns the step that makes
/// etcd's data folder.
fn add_manifests(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    installed: &Installed,
    files: &mut PodFiles,
) -> Result<Option<StepId>, PlanError> {
    let spec = input.spec;
    let needs = &installed.all;
    let configuration = &spec.cluster_configuration;
    let address = input.host.node_ip.to_string();
    let service_subnet = spec.networking.service_subnet.to_string();
    let image = |component: &str| input.images().component(component).to_string();
    let ca_certificate_directories = input.facts.ca_certificate_dirs.clone();
    let api_server = KubeApiServer {
        image: image("kube-apiserver"),
        advertise_address: address.clone(),
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
        signs_certificates: !input.has_external_ca,
        ca_certificate_directories,
        options: options(spec, &configuration.controller_manager),
    };
    let scheduler = KubeScheduler {
        image: image("kube-scheduler"),
        options: options(spec, &configuration.scheduler),
    };
    let mut texts = vec![
        (
            Phase::ControlPlane,
            PatchTarget::KubeApiserver,
            api_server.render(),
        ),
        (
            Phase::ControlPlane,
            PatchTarget::KubeControllerManager,
            controller_manager.render(),
        ),
        (
            Phase::ControlPlane,
            PatchTarget::KubeScheduler,
            scheduler.render(),
        ),
    ];
    let mut folder = None;
    if let (Etcd::Local(etcd), Some(image)) = (&configuration.etcd, input.images().etcd()) {
        let data = EnsureDirectory {
            path: etcd.data_dir.clone(),
            mode: 0o700,
        };
        let data = Step::EnsureDirectory(data);
        folder = Some(builder.add(&input.host.name, Phase::Etcd, data, needs));
        let pod = EtcdPod {
            image: image.to_string(),
            node_name: input.host.node_name().to_owned(),
            advertise_address: address,
            data_dir: etcd.data_dir.clone(),
            certificates_dir: paths::PKI_DIR.to_owned(),
            // None named: this member starts a new cluster.
            initial_cluster: Vec::new(),
            extra_args: arguments(&etcd.extra_args),
            extra_envs: environment(&etcd.extra_envs),
            startup_timeout_seconds: startup_timeout(spec),
        };
        texts.insert(0, (Phase::Etcd, PatchTarget::Etcd, pod.render()));
    }
    for (phase, target, text) in texts {
        let name = target.as_str();
        let render = |source| PlanError::Render { what: name, source };
        let text = with_patches(spec, target, text.map_err(render)?)?;
        let mounted = mounted_host_paths(&text).map_err(render)?;
        let own = at_or_below(&installed.own_files, &mounted);
        files.own.insert(name, own);
        let path = format!("{}/{name}.yaml", paths::MANIFESTS_DIR);
        let step = Step::WriteFile(WriteFile::new(path, 0o600, text));
        let id = builder.add(&input.host.name, phase, step, needs);
        files.writers.insert(name.to_owned(), id);
    }
    Ok(folder)
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

fn marks(input: &HostInput<'_>) -> MarkNode {
    let mut labels = input.host.labels.clone();
    labels.insert(CONTROL_PLANE_LABEL.to_owned(), String::new());
    labels.insert(EXCLUDE_LABEL.to_owned(), String::new());
    MarkNode {
        node_name: input.host.node_name().to_owned(),
        labels,
        taints: input
            .host
            .taints
            .clone()
            .unwrap_or_else(|| vec![control_plane_taint()]),
    }
}

/// Returns the taint that keeps workloads off control-plane nodes.
pub(crate) fn control_plane_taint() -> Taint {
    Taint {
        key: CONTROL_PLANE_LABEL.to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSchedule,
    }
}
