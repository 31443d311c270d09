//! What lives in the cluster: its configuration, roles for joining, addons.

use std::collections::BTreeMap;

use slipway_api::step::{ApplyObjects, Condition, PublishClusterInfo, WaitFor};
use slipway_api::{
    CLUSTER_NAME_ANNOTATION, ClusterSpec, Cni, LocalText, PatchTarget, Phase, Release, Step,
    StepId, paths,
};
use slipway_templates::{
    BootstrapTokenRbac, ClusterConfiguration, ClusterInfo, CoreDns, Corefile,
    DEFAULT_COREDNS_REPLICAS, DEFAULT_VXLAN_PORT, Flannel, KubeProxy, KubeProxyConfig,
    KubeadmConfig, KubeletConfigMap, MetricsServer, TemplateError,
};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::control_plane::COMPONENT_TIMEOUT;
use crate::names::{LOCAL_API_NAMES, node_url, service_address};
use crate::patches::with_patches;
use crate::plan_cluster::HostInput;
use crate::worker::kubelet_configuration;

/// Adds the ConfigMaps and roles that joining and upgrading read.
pub(crate) fn add_cluster_configuration(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &StepId,
) -> Result<(), PlanError> {
    let spec = input.spec;
    let configuration = &spec.cluster_configuration;
    let cluster_configuration = ClusterConfiguration {
        kubernetes_version: spec.kubernetes_version.to_string(),
        control_plane_endpoint: input.control_plane.endpoint.clone(),
        pod_subnet: spec.networking.pod_subnet.to_string(),
        service_subnet: spec.networking.service_subnet.to_string(),
        dns_domain: spec.networking.dns_domain.clone(),
        cluster_name: configuration.cluster_name.clone(),
        certificates_dir: paths::PKI_DIR.to_owned(),
        image_repository: configuration.image_repository.clone(),
        encryption_algorithm: configuration.encryption_algorithm.clone(),
        certificate_validity_period: configuration.certificate_validity_period.to_string(),
        ca_certificate_validity_period: configuration.ca_certificate_validity_period.to_string(),
        etcd_data_dir: paths::ETCD_DIR.to_owned(),
        cert_sans: LOCAL_API_NAMES.map(str::to_owned).to_vec(),
        overlay: Some(
            serde_json::to_value(configuration).expect("a ClusterConfiguration has only text keys"),
        ),
    };
    // What machines that join by themselves may read: the file they may not.
    let name = (CLUSTER_NAME_ANNOTATION.to_owned(), input.spec.name.clone());
    let kubeadm_config = KubeadmConfig {
        annotations: BTreeMap::from([name]),
        cluster_configuration,
    };
    let kubelet_config = KubeletConfigMap {
        kubelet_config: kubelet_configuration(input),
    };
    let roles = BootstrapTokenRbac {
        kubernetes_minor: u32::try_from(spec.kubernetes_version.minor()).unwrap_or(u32::MAX),
    };
    let needs = std::slice::from_ref(needs);
    let add = |builder: &mut PlanBuilder, phase, name, text: Result<String, TemplateError>| {
        let text = text.map_err(|source| PlanError::Render { what: name, source })?;
        let step = Step::ApplyObjects(ApplyObjects::new(name, text));
        builder.add(&input.host.name, phase, step, needs);
        Ok::<(), PlanError>(())
    };
    let text = kubeadm_config.render();
    add(builder, Phase::UploadConfig, "kubeadm-config", text)?;
    let text = kubelet_config.render();
    add(builder, Phase::UploadConfig, "kubelet-config", text)?;
    add_cluster_file(builder, input, needs);
    let text = roles.render();
    add(builder, Phase::BootstrapToken, "roles for joining", text)?;
    let info = ClusterInfo {
        server: input.control_plane.url(),
        ca_certificates_pem: PublishClusterInfo::CA_PLACEHOLDER.to_owned(),
    };
    let manifest = info.render().map_err(|source| PlanError::Render {
        what: "cluster-info",
        source,
    })?;
    let info = Step::PublishClusterInfo(PublishClusterInfo { manifest });
    builder.add(&input.host.name, Phase::BootstrapToken, info, needs);
    Ok(())
}

/// What the step is called that stores the file last applied.
pub(crate) const CLUSTER_FILE_OBJECT: &str = "slipway-cluster";

/// Adds the ConfigMap that holds the file last applied.
pub(crate) fn add_cluster_file(builder: &mut PlanBuilder, input: &HostInput<'_>, needs: &[StepId]) {
    let step = ApplyObjects::new(CLUSTER_FILE_OBJECT, cluster_file_object(input));
    builder.add(
        &input.host.name,
        Phase::UploadConfig,
        Step::ApplyObjects(step),
        needs,
    );
}

/// Returns the ConfigMap with the file last applied.
fn cluster_file_object(input: &HostInput<'_>) -> String {
    let object = serde_json::json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "slipway-cluster", "namespace": "kube-system" },
        "data": { "cluster.yaml": shown_file(input.spec) },
    });
    object.to_string()
}

/// Returns the cluster file as others may see it. It holds paths of keys and
/// passwords, never the secrets themselves; the runtime's drop-in and its
/// mirrors' URLs may hold credentials, so they are left out.
pub(crate) fn shown_file(spec: &ClusterSpec) -> String {
    let mut shown = spec.clone();
    shown.runtime.extra_config = None;
    shown.runtime.registry_mirrors.clear();
    // Which checks are passed over is asked of each run, by flag or file, and no part of a cluster.
    shown.ignore_preflight_errors.clear();
    slipway_api::print_cluster(&shown)
}

/// Adds CoreDNS, kube-proxy, the network and metrics-server; returns the steps
/// after which nodes can become Ready.
pub(crate) fn add_addons(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &StepId,
) -> Result<Vec<StepId>, PlanError> {
    let spec = input.spec;
    let mut done = Vec::new();
    let mut add = |name: &'static str, text: Result<String, TemplateError>| {
        let text = text.map_err(|source| PlanError::Render { what: name, source })?;
        let step = Step::ApplyObjects(ApplyObjects::new(name, text));
        done.push(builder.add(
            &input.host.name,
            Phase::Addon,
            step,
            std::slice::from_ref(needs),
        ));
        Ok::<(), PlanError>(())
    };
    let corefile = Corefile {
        dns_domain: spec.networking.dns_domain.clone(),
    };
    let corefile = corefile.render().map_err(|source| PlanError::Render {
        what: "the Corefile",
        source,
    })?;
    let core_dns = CoreDns {
        image: input.images().coredns().to_string(),
        replicas: DEFAULT_COREDNS_REPLICAS,
        service_ip: service_address(spec, 10).to_string(),
        corefile,
    };
    let kube_proxy = KubeProxy {
        image: input.images().component("kube-proxy").to_string(),
        server: node_url(spec),
        config: KubeProxyConfig {
            advertise_address: input.host.node_ip.to_string(),
            cluster_cidr: spec.networking.pod_subnet.to_string(),
            overlay: spec.kube_proxy_configuration.clone(),
        },
        envs: Vec::new(),
    };
    if !spec.cluster_configuration.proxy.disabled {
        add("kube-proxy", kube_proxy.render())?;
    }
    if !spec.cluster_configuration.dns.disabled {
        let text = core_dns.render().map_err(|source| PlanError::Render {
            what: "coredns",
            source,
        })?;
        let text = with_patches(spec, PatchTarget::CoreDnsDeployment, text)?;
        add("coredns", Ok(text))?;
    }
    if spec.networking.cni == Cni::Flannel {
        let flannel = Flannel {
            image: Release::flannel_image().to_string(),
            cni_plugin_image: Release::flannel_cni_plugin_image().to_string(),
            pod_subnet: spec.networking.pod_subnet.to_string(),
            vxlan_port: DEFAULT_VXLAN_PORT,
            mtu: None,
        };
        add("flannel", flannel.render())?;
    }
    if has_metrics_server(input) {
        let metrics = MetricsServer {
            image: Release::metrics_server_image().to_string(),
            replicas: 1,
        };
        add("metrics-server", metrics.render())?;
    }
    if let Cni::Manifests(manifests) = &spec.networking.cni {
        done.extend(add_network_manifests(builder, input, manifests, needs)?);
    }
    Ok(done)
}

/// Returns whether metrics-server is installed. It believes only kubelets whose
/// serving certificates the cluster's CA signed.
fn has_metrics_server(input: &HostInput<'_>) -> bool {
    let is_believed = !input.has_external_ca() || input.facts.existing.has_signed_serving;
    input.spec.addons.metrics_server && is_believed
}

/// Adds the user's own network, one path after the other: a later one may hold
/// objects of a kind that an earlier one defines.
fn add_network_manifests(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    manifests: &[LocalText],
    needs: &StepId,
) -> Result<Option<StepId>, PlanError> {
    let mut last = None;
    for manifest in manifests {
        let text = manifest
            .text
            .clone()
            .ok_or_else(|| PlanError::NotRead(manifest.path.clone()))?;
        let name = format!("network manifests {}", manifest.path.display());
        let step = Step::ApplyObjects(ApplyObjects::new(name, text));
        let before = last.as_ref().unwrap_or(needs);
        let before = std::slice::from_ref(before);
        last = Some(builder.add(&input.host.name, Phase::Addon, step, before));
    }
    Ok(last)
}

/// Adds the wait for the addons' Deployments, once all nodes are Ready.
pub(crate) fn add_addon_waits(builder: &mut PlanBuilder, input: &HostInput<'_>, needs: &[StepId]) {
    // Without a network pods wait for the one that the user installs.
    if input.spec.networking.cni == Cni::None {
        return;
    }
    let metrics_server = has_metrics_server(input).then_some("metrics-server");
    let coredns = (!input.spec.cluster_configuration.dns.disabled).then_some("coredns");
    for name in coredns.into_iter().chain(metrics_server) {
        let condition = Condition::DeploymentAvailable {
            namespace: "kube-system".to_owned(),
            name: name.to_owned(),
        };
        let step = Step::WaitFor(WaitFor {
            condition,
            timeout_seconds: COMPONENT_TIMEOUT,
            awaited: None,
            fails_fast: false,
            steady_seconds: 0,
        });
        builder.add(&input.host.name, Phase::Addon, step, needs);
    }
}
