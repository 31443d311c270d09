//! The document as a whole.

use std::collections::BTreeMap;

use super::component::{read_component, read_names};
use super::etcd::read_etcd;
use super::images::{read_repository, read_tag};
use super::schemas::{
    API_SERVER, CLUSTER_CONFIGURATION, CONTROLLER_MANAGER, DNS, NETWORKING, PROXY, SCHEDULER,
};
use crate::spec::parse::fields::Fields;
use crate::spec::parse::problems::{Located, Place, Problems, excerpt};
use crate::spec::parse::schema::{Schema, closest, list};
use crate::spec::parse::value::Value;
use crate::spec::{
    ApiServer, ClusterConfiguration, ControlPlaneComponent, Dns, Etcd, GoDuration, Proxy,
};
use crate::{Release, paths};

/// kubeadm's feature gates whose features are always on here, and the last
/// minor whose kubeadm knows them (`cmd/kubeadm/app/features` of 1.34 to 1.36).
const SETTLED_GATES: [(&str, u64); 3] = [
    ("ControlPlaneKubeletLocalMode", 35),
    ("NodeLocalCRISocket", 36),
    ("WaitForAllControlPlaneComponents", 34),
];
/// The first minor whose kubeadm knows `etcd.external.httpEndpoints`.
const FIRST_WITH_HTTP_ENDPOINTS: u64 = 35;

/// What the document says, and the fields that our own document has as well.
pub(in crate::spec::parse) struct KubeadmDraft<'a> {
    /// What only this document says.
    pub configuration: ClusterConfiguration,
    /// `kubernetesVersion`.
    pub kubernetes_version: Option<Value<'a>>,
    /// `controlPlaneEndpoint`.
    pub control_plane_endpoint: Option<Value<'a>>,
    /// `networking`.
    pub networking: Option<Fields<'a>>,
    /// Where `etcd.external.httpEndpoints` stands.
    http_endpoints: Option<Place>,
    /// The feature gates' names.
    gates: Vec<Located<String>>,
}

impl<'a> KubeadmDraft<'a> {
    /// Reads the document; without one there are the defaults.
    pub fn read(document: Option<&Value<'a>>, problems: &mut Problems) -> Self {
        let fields = document.and_then(|value| value.fields(&CLUSTER_CONFIGURATION, problems));
        let Some(fields) = fields else {
            return Self {
                configuration: ClusterConfiguration::without_document(),
                kubernetes_version: None,
                control_plane_endpoint: None,
                networking: None,
                http_endpoints: None,
                gates: Vec::new(),
            };
        };
        let networking = fields.optional("networking");
        let external = fields
            .optional("etcd")
            .and_then(|etcd| etcd.field("external"))
            .and_then(|external| external.field("httpEndpoints"));
        let gates = fields.optional("featureGates");
        Self {
            http_endpoints: external.map(|value| value.place),
            gates: gates.map_or_else(Vec::new, |gates| gates.keys()),
            configuration: read_configuration(&fields, problems),
            kubernetes_version: fields.optional("kubernetesVersion"),
            control_plane_endpoint: fields.optional("controlPlaneEndpoint"),
            networking: networking.and_then(|section| section.fields(&NETWORKING, problems)),
        }
    }

    /// Returns what the document says for the kubeadm of `release`, and reports
    /// what that kubeadm does not know.
    pub fn settled(&self, release: &Release, problems: &mut Problems) -> ClusterConfiguration {
        let minor = release.kubernetes.minor();
        let mut configuration = self.configuration.clone();
        if let Etcd::External(etcd) = &mut configuration.etcd {
            let is_known = minor >= FIRST_WITH_HTTP_ENDPOINTS;
            if let (false, Some(place)) = (is_known, &self.http_endpoints) {
                let message = format!("kubeadm 1.{minor} does not know `httpEndpoints`");
                problems.report(place, message, "remove it");
            }
            if is_known && etcd.http_endpoints.is_empty() {
                etcd.http_endpoints.clone_from(&etcd.endpoints);
            }
        }
        for gate in &self.gates {
            let known = SETTLED_GATES.iter().find(|(name, _)| *name == gate.value);
            if known.is_some_and(|(_, last)| minor > *last) {
                let message = format!("kubeadm 1.{minor} no longer knows `{}`", gate.value);
                problems.report(&gate.place, message, "remove it: its feature is always on");
            }
        }
        configuration
    }
}

fn read_configuration(fields: &Fields<'_>, problems: &mut Problems) -> ClusterConfiguration {
    check_certificates_dir(fields, problems);
    let default = ClusterConfiguration::default();
    let period = |name: &str, default, problems: &mut Problems| {
        let found = fields.optional(name);
        let found = found.and_then(|value| read_period(&value, problems));
        found.unwrap_or(default)
    };
    let certificates = period(
        "certificateValidityPeriod",
        default.certificate_validity_period,
        problems,
    );
    let authorities = period(
        "caCertificateValidityPeriod",
        default.ca_certificate_validity_period,
        problems,
    );
    if let (true, Some(value)) = (
        certificates > authorities,
        fields
            .optional("certificateValidityPeriod")
            .or_else(|| fields.optional("caCertificateValidityPeriod")),
    ) {
        problems.report(
            &value.place,
            format!("certificates valid for {certificates} would outlive their authority, valid for {authorities}"),
            "let `caCertificateValidityPeriod` be the longer one",
        );
    }
    ClusterConfiguration {
        etcd: read_etcd(fields.optional("etcd").as_ref(), problems),
        api_server: read_api_server(fields, problems),
        controller_manager: read_section(
            fields,
            "controllerManager",
            &CONTROLLER_MANAGER,
            problems,
        ),
        scheduler: read_section(fields, "scheduler", &SCHEDULER, problems),
        dns: read_dns(fields, problems),
        proxy: read_proxy(fields, problems),
        image_repository: read_repository(fields, problems).unwrap_or(default.image_repository),
        feature_gates: read_feature_gates(fields, problems),
        cluster_name: read_cluster_name(fields, problems).unwrap_or(default.cluster_name),
        encryption_algorithm: read_algorithm(fields, problems)
            .unwrap_or(default.encryption_algorithm),
        certificate_validity_period: certificates,
        ca_certificate_validity_period: authorities,
    }
}

fn check_certificates_dir(fields: &Fields<'_>, problems: &mut Problems) {
    let Some(value) = fields.optional("certificatesDir") else {
        return;
    };
    let Some(text) = value.text(problems) else {
        return;
    };
    if text.trim_end_matches('/') != paths::PKI_DIR {
        problems.report(
            &value.place,
            format!("Slipway keeps certificates in {} only", paths::PKI_DIR),
            "remove `certificatesDir`; a link or a mount can put the folder elsewhere",
        );
    }
}

fn read_api_server(fields: &Fields<'_>, problems: &mut Problems) -> ApiServer {
    let section = fields.optional("apiServer");
    let Some(section) = section.and_then(|section| section.fields(&API_SERVER, problems)) else {
        return ApiServer::default();
    };
    ApiServer {
        component: read_component(&section, problems),
        cert_sans: read_names(&section, "certSANs", problems),
    }
}

fn read_section(
    fields: &Fields<'_>,
    name: &str,
    schema: &'static Schema,
    problems: &mut Problems,
) -> ControlPlaneComponent {
    let section = fields.optional(name);
    match section.and_then(|section| section.fields(schema, problems)) {
        Some(section) => read_component(&section, problems),
        None => ControlPlaneComponent::default(),
    }
}

fn read_dns(fields: &Fields<'_>, problems: &mut Problems) -> Dns {
    let section = fields.optional("dns");
    let Some(section) = section.and_then(|section| section.fields(&DNS, problems)) else {
        return Dns::default();
    };
    Dns {
        image_repository: read_repository(&section, problems),
        image_tag: read_tag(&section, problems),
        disabled: read_disabled(&section, problems),
    }
}

fn read_proxy(fields: &Fields<'_>, problems: &mut Problems) -> Proxy {
    let section = fields.optional("proxy");
    let section = section.and_then(|section| section.fields(&PROXY, problems));
    let disabled = section.is_some_and(|section| read_disabled(&section, problems));
    Proxy { disabled }
}

fn read_disabled(section: &Fields<'_>, problems: &mut Problems) -> bool {
    let value = section.optional("disabled");
    value.and_then(|value| value.boolean(problems)) == Some(true)
}

fn read_feature_gates(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, bool> {
    let mut gates = BTreeMap::new();
    let entries = fields
        .optional("featureGates")
        .and_then(|value| value.entries(problems));
    for (name, value) in entries.unwrap_or_default() {
        let Some(enabled) = value.boolean(problems) else {
            continue;
        };
        match (name.value, enabled) {
            ("PublicKeysECDSA", _) => problems.report(
                &name.place,
                "`PublicKeysECDSA` is deprecated, and v1beta4 has a field in its place",
                "write `encryptionAlgorithm: ECDSA-P256`",
            ),
            ("RootlessControlPlane", true) => problems.report(
                &name.place,
                "`RootlessControlPlane` is not supported: it would add users to every control-plane host",
                "remove it; kubeadm has deprecated it in favour of the kubelet's user namespaces",
            ),
            ("RootlessControlPlane", false) => {}
            (gate, enabled) if SETTLED_GATES.iter().any(|(name, _)| *name == gate) => {
                if !enabled {
                    let message = format!("`{gate}` cannot be switched off: Slipway always does what it stands for");
                    problems.report(&value.place, message, "remove it");
                }
            }
            (gate, _) => {
                let known = SETTLED_GATES.map(|(name, _)| name);
                let help = match closest(gate, known) {
                    Some(meant) => format!("write `{meant}`"),
                    None => "feature gates of Kubernetes itself belong into a component's `extraArgs`: `- { name: feature-gates, value: NAME=true }`".to_owned(),
                };
                let message = format!("`{}` is not a feature gate of kubeadm's", excerpt(gate));
                problems.report(&name.place, message, help);
            }
        }
        gates.insert(name.value.to_owned(), enabled);
    }
    gates
}

fn read_cluster_name(fields: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    let value = fields.optional("clusterName")?;
    let text = value.text(problems)?;
    // It becomes a flag of kube-controller-manager and a name in kubeconfigs.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!("`{}` is not a cluster's name", excerpt(text));
        problems.report(&value.place, message, "write a name without spaces");
        return None;
    }
    Some(text.to_owned())
}

fn read_algorithm(fields: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    const KNOWN: [&str; 5] = ClusterConfiguration::ENCRYPTION_ALGORITHMS;
    let value = fields.optional("encryptionAlgorithm")?;
    let text = value.text(problems)?;
    if !KNOWN.contains(&text) {
        let help = match closest(text, KNOWN) {
            Some(meant) => format!("write `encryptionAlgorithm: {meant}`"),
            None => format!("write one of {}", list(&KNOWN)),
        };
        let message = format!("`{}` is not an algorithm of kubeadm's", excerpt(text));
        problems.report(&value.place, message, help);
        return None;
    }
    Some(text.to_owned())
}

fn read_period(value: &Value<'_>, problems: &mut Problems) -> Option<GoDuration> {
    const HELP: &str = "write hours as Go does: `8760h` is a year";
    let period: GoDuration = value.parse(HELP, problems)?.value;
    // Certificates begin five minutes in the past, for slow clocks.
    if period < GoDuration::from_hours(1) {
        let message = format!("a certificate cannot be valid for {period} only");
        problems.report(&value.place, message, "give it an hour at least");
        return None;
    }
    Some(period)
}
