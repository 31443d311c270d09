//! A worker node, and the kubelet of any node.

use slipway_api::step::{
    Condition, EnsureKubeletClient, EnsureKubeletServing, EnsureUnit, FetchFile, MarkNode,
    PublicFile, WaitFor, WriteFile,
};
use slipway_api::{
    CertificateSummary, Cni, PatchTarget, Phase, Role, Sha256Digest, Step, StepId, paths,
};
use slipway_templates::{KubeadmFlags, KubeletConfig, KubeletInstanceConfig, named_paths};

use crate::PlanError;
use crate::balancer::{add_balancer, add_balancer_removal};
use crate::builder::PlanBuilder;
use crate::certificate_recipes::given_kubelet;
use crate::control_plane::{COMPONENT_TIMEOUT, control_plane_taint};
use crate::install::{Installed, add_images, add_install, runtime_socket};
use crate::names::{node_url, service_address};
use crate::own_files::{add_withdrawals, at_or_below};
use crate::patches::with_patches;
use crate::plan_cluster::HostInput;

/// Adds a worker node; returns the step after which it is Ready.
///
/// `cluster_ready` are the steps that make the cluster joinable; `ca` is the
/// digest of the cluster CA, where there is one already.
pub(crate) fn add_worker(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    ca: Option<Sha256Digest>,
    cluster_ready: &[StepId],
) -> Result<StepId, PlanError> {
    let host = &input.host.name;
    let installed = add_install(builder, input)?;
    let balancer = add_balancer(builder, input, &installed.marker)?;
    let images = add_images(builder, input, &input.images().of_node(), &installed)?;
    let first = &input.control_plane.lead.name;
    let fetch = FetchFile {
        from: first.clone(),
        file: PublicFile::ClusterCa,
        sha256: ca,
    };
    let mut before = cluster_ready.to_vec();
    before.push(installed.marker.clone());
    let fetch = builder.add(host, Phase::KubeletStart, Step::FetchFile(fetch), &before);

    let mut needs = installed.all.clone();
    // The kubelet pulls nothing by itself where the images are already there.
    needs.extend(images);
    needs.push(fetch);
    // The kubelet's kubeconfig names the balancer.
    needs.extend(balancer);
    let start = KubeletStart {
        server: node_url(input.spec),
        needs: &needs,
        installed: &installed,
    };
    let kubelet = add_kubelet(builder, input, &start)?;
    add_withdrawals(builder, input, std::slice::from_ref(&kubelet));
    add_balancer_removal(builder, input, std::slice::from_ref(&kubelet));

    let node = input.host.node_name().to_owned();
    let wait = |condition| {
        Step::WaitFor(WaitFor {
            condition,
            timeout_seconds: COMPONENT_TIMEOUT,
            awaited: Some(host.clone()),
            fails_fast: false,
            steady_seconds: 0,
        })
    };
    let registered = wait(Condition::NodeRegistered { node: node.clone() });
    let registered = builder.add(first, Phase::NodeReady, registered, &[kubelet]);
    let mut before = registered;
    let taints = input.host.taints.clone().unwrap_or_default();
    // A node that is there already may have marks that the file no longer has.
    let is_node = input.facts.existing.kubelet_conf;
    if is_node || !input.host.labels.is_empty() || !taints.is_empty() {
        let marks = MarkNode {
            node_name: node.clone(),
            labels: input.host.labels.clone(),
            taints,
        };
        before = builder.add(first, Phase::NodeReady, Step::MarkNode(marks), &[before]);
    }
    if input.spec.networking.cni == Cni::None {
        return Ok(before);
    }
    let ready = wait(Condition::NodeReady { node });
    Ok(builder.add(first, Phase::NodeReady, ready, &[before]))
}

/// What the start of a kubelet depends on.
pub(crate) struct KubeletStart<'a> {
    /// The API server's URL for this kubelet.
    pub server: String,
    /// What must be done before.
    pub needs: &'a [StepId],
    /// The host's installation.
    pub installed: &'a Installed,
}

/// Adds the configuration and start of a kubelet; returns the step after which it is healthy.
pub(crate) fn add_kubelet(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    start: &KubeletStart<'_>,
) -> Result<StepId, PlanError> {
    let host = &input.host.name;
    let phase = Phase::KubeletStart;
    if input.has_external_ca() {
        // The kubelet makes its own serving certificate where none is given.
        let given = given_kubelet(input.spec, input.host, start.server.clone());
        let given = builder.add(host, phase, Step::EnsureKubeconfig(given), start.needs);
        let mut files = add_kubelet_files(builder, input, start)?;
        files.push((given, paths::KUBELET_CONF.to_owned()));
        return Ok(add_kubelet_unit(builder, input, start, files));
    }
    let signer = input.control_plane.signer(input.host);
    let node_name = input.host.node_name().to_owned();
    let configuration = &input.spec.cluster_configuration;
    let algorithm = &configuration.encryption_algorithm;
    let validity_seconds = configuration.certificate_validity_period.as_secs();
    let client = Step::EnsureKubeletClient(EnsureKubeletClient {
        node_name: node_name.clone(),
        server: start.server.clone(),
        cluster_name: configuration.cluster_name.clone(),
        signer: signer.clone(),
        algorithm: algorithm.clone(),
        validity_seconds,
        replaces: input.replaced(CertificateSummary::KUBELET_CLIENT),
    });
    let serving = Step::EnsureKubeletServing(EnsureKubeletServing {
        node_name,
        addresses: input.host.node_ips().collect(),
        signer,
        algorithm: algorithm.clone(),
        validity_seconds,
        replaces: input.replaced(CertificateSummary::KUBELET_SERVING),
    });
    let client = builder.add(host, phase, client, start.needs);
    let serving = builder.add(host, phase, serving, start.needs);

    let mut files = add_kubelet_files(builder, input, start)?;
    let serving_path = format!("{}/kubelet.crt", paths::KUBELET_PKI_DIR);
    files.push((serving, serving_path));
    files.push((client, paths::KUBELET_CONF.to_owned()));
    Ok(add_kubelet_unit(builder, input, start, files))
}

/// Adds the files that a kubelet reads when it starts; returns all such files
/// with the steps that bring them.
pub(crate) fn add_kubelet_files(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    start: &KubeletStart<'_>,
) -> Result<Vec<(StepId, String)>, PlanError> {
    let host = &input.host.name;
    let render = |what| move |source| PlanError::Render { what, source };
    let instance = KubeletInstanceConfig {
        container_runtime_endpoint: runtime_endpoint(input),
    };
    let configuration = node_configuration(input)
        .render()
        .map_err(render("config.yaml"))?;
    let target = PatchTarget::KubeletConfiguration;
    let configuration = with_patches(input.spec, target, configuration)?;
    let mut named = named_paths(&configuration).map_err(render("config.yaml"))?;
    let values = input.host.kubelet_extra_args.iter().map(|(_, value)| value);
    named.extend(values.filter(|value| value.starts_with('/')).cloned());
    let texts = [
        (paths::KUBELET_CONFIG, configuration),
        (
            paths::KUBELET_INSTANCE_CONFIG,
            instance.render().map_err(render("instance-config.yaml"))?,
        ),
        (
            paths::KUBELET_FLAGS,
            kubelet_flags(input)
                .render()
                .map_err(render("kubeadm-flags.env"))?,
        ),
    ];
    let mut files: Vec<(StepId, String)> = start.installed.kubelet_files.clone();
    files.extend(at_or_below(&start.installed.own_files, &named));
    for (path, text) in texts {
        let step = Step::WriteFile(WriteFile::new(path, 0o644, text));
        let id = builder.add(host, Phase::KubeletStart, step, start.needs);
        files.push((id, path.to_owned()));
    }
    Ok(files)
}

/// Adds the start of a kubelet with its files as they are; returns the step
/// after which it is healthy.
pub(crate) fn add_kubelet_unit(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    start: &KubeletStart<'_>,
    files: Vec<(StepId, String)>,
) -> StepId {
    let host = &input.host.name;
    let phase = Phase::KubeletStart;
    let unit = Step::EnsureUnit(EnsureUnit {
        unit: "kubelet.service".to_owned(),
        files: files.iter().map(|(_, path)| path.clone()).collect(),
    });
    let stopped = start.installed.kubelet_stopped.clone();
    let files = files.into_iter().map(|(id, _)| id);
    let after: Vec<StepId> = files.chain(stopped).collect();
    let unit = builder.add_rerun(host, phase, unit, start.needs, &after);
    let healthy = WaitFor {
        condition: Condition::KubeletHealthy,
        timeout_seconds: input.spec.timeouts.kubelet_health_check.as_secs(),
        awaited: None,
        fails_fast: false,
        steady_seconds: 0,
    };
    builder.add_rerun(host, phase, Step::WaitFor(healthy), &[], &[unit])
}

/// Returns the kubelet's configuration as far as it is the same on every node.
pub(crate) fn kubelet_configuration(input: &HostInput<'_>) -> KubeletConfig {
    KubeletConfig {
        certificates_dir: paths::PKI_DIR.to_owned(),
        cluster_dns: vec![service_address(input.spec, 10).to_string()],
        cluster_domain: input.spec.networking.dns_domain.clone(),
        resolv_conf: None,
        container_runtime_endpoint: None,
        overlay: input.spec.kubelet_configuration.clone(),
    }
}

/// Returns this node's own: with its runtime and its resolver.
fn node_configuration(input: &HostInput<'_>) -> KubeletConfig {
    KubeletConfig {
        resolv_conf: input.facts.resolv_conf.clone(),
        container_runtime_endpoint: Some(runtime_endpoint(input)),
        ..kubelet_configuration(input)
    }
}

fn runtime_endpoint(input: &HostInput<'_>) -> String {
    format!("unix://{}", runtime_socket(input))
}

fn kubelet_flags(input: &HostInput<'_>) -> KubeadmFlags {
    let node_name = input.host.node_name();
    let taints = match (&input.host.taints, input.host.role) {
        (Some(taints), _) => taints.clone(),
        (None, Role::ControlPlane) => vec![control_plane_taint()],
        (None, Role::Worker) => Vec::new(),
    };
    let node_ips: Vec<String> = input.host.node_ips().map(|ip| ip.to_string()).collect();
    let mut extra_args = vec![("node-ip".to_owned(), node_ips.join(","))];
    extra_args.extend(input.host.kubelet_extra_args.iter().cloned());
    KubeadmFlags {
        kubernetes_minor: u32::try_from(input.spec.kubernetes_version.minor()).unwrap_or(u32::MAX),
        pause_image: input.images().pause().to_string(),
        hostname_override: (input.facts.hostname != node_name).then(|| node_name.to_owned()),
        register_with_taints: taints.iter().map(ToString::to_string).collect(),
        extra_args,
    }
}
