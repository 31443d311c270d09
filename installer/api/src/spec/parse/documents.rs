//! The documents of the file: ours first, then Kubernetes' own.

use super::problems::{Place, Problems, excerpt};
use super::schema::{closest, list};
use super::tree::{Content, Entry, Node};
use super::value::Value;
use crate::spec::ClusterConfiguration;

/// The version of our own document that this build reads.
pub(super) const API_VERSION: &str = "slipway.dev/v1alpha1";
/// The kind of our own document.
pub(super) const KIND: &str = "Cluster";

const KUBELET: (&str, &str) = ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration");
const KUBE_PROXY: (&str, &str) = ("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration");
const KUBEADM: (&str, &str) = (
    ClusterConfiguration::API_VERSION,
    ClusterConfiguration::KIND,
);
/// Kubernetes' documents that Slipway reads.
const KNOWN: [(&str, &str); 3] = [KUBEADM, KUBELET, KUBE_PROXY];

/// The kinds of all documents that Slipway reads.
const KINDS: [&str; 4] = [KIND, KUBEADM.1, KUBELET.1, KUBE_PROXY.1];

/// Fields of kubeadm's other documents and where they stand in ours.
const INSTEAD: [(&str, &str); 10] = [
    (
        "localAPIEndpoint",
        "`localAPIEndpoint.advertiseAddress` is the host's `internalAddress`",
    ),
    (
        "nodeRegistration",
        "`nodeRegistration` is the host's `name`, `taints` and `kubeletExtraArgs`, `spec.runtime.socket` and `spec.ignorePreflightErrors`",
    ),
    (
        "bootstrapTokens",
        "`bootstrapTokens` are made by `slipway token create`",
    ),
    (
        "discovery",
        "`discovery` is not needed: Slipway reaches every host itself",
    ),
    (
        "controlPlane",
        "`controlPlane` is the host's `role: control-plane`",
    ),
    (
        "certificateKey",
        "`certificateKey` is not needed: keys travel between the hosts by SSH",
    ),
    ("timeouts", "`timeouts` is `spec.timeouts`"),
    ("patches", "`patches` is `spec.patches`"),
    ("skipPhases", "`skipPhases` is the option `--skip-phases`"),
    ("dryRun", "`dryRun` is the option `--dry-run`"),
];

/// The documents that Slipway reads.
#[derive(Default)]
pub(super) struct Documents<'a> {
    /// Our own document.
    pub cluster: Option<Value<'a>>,
    /// kubeadm's `ClusterConfiguration`.
    pub kubeadm: Option<&'a Node>,
    /// `KubeletConfiguration`.
    pub kubelet: Option<&'a Node>,
    /// `KubeProxyConfiguration`.
    pub kube_proxy: Option<&'a Node>,
}

/// Finds out which document is which; reports those that are none of ours,
/// given twice, or in the wrong order.
pub(super) fn sort_documents<'a>(nodes: &'a [Node], problems: &mut Problems) -> Documents<'a> {
    // After an error in the YAML itself the rest of the file is unknown.
    let is_whole = problems.is_empty();
    let mut documents = Documents::default();
    for (index, node) in nodes.iter().enumerate() {
        let kind = text_of(node, "kind");
        let version = text_of(node, "apiVersion");
        if is_ours(index, version, kind, node) {
            take_cluster(node, index, &mut documents, problems);
            continue;
        }
        match (version, kind) {
            (Some(version), Some(kind)) => {
                take_foreign(node, version, kind, &mut documents, problems);
            }
            // What the file lacks then is said below.
            (_, _) if index == 0 => {}
            (_, _) => problems.report(
                &Place::document(node.mark),
                "the document has no `apiVersion` and `kind`",
                documents_help(),
            ),
        }
    }
    if is_whole && let (None, Some(first)) = (&documents.cluster, nodes.first()) {
        problems.report(
            &Place::document(first.mark),
            format!("the file has no `{KIND}` document of {API_VERSION}"),
            "begin the file with one; `slipway config print` prints an example",
        );
    }
    documents
}

/// The first document is taken for ours as long as it does not say otherwise,
/// so that a mistyped head does not hide the errors below it.
fn is_ours(index: usize, version: Option<&str>, kind: Option<&str>, node: &Node) -> bool {
    match version {
        Some(version) => version.starts_with("slipway.dev/") || version == "slipway.dev",
        None if index == 0 => {
            matches!(node.content(), Content::Mapping(_)) && kind.is_none_or(|kind| kind == KIND)
        }
        None => kind == Some(KIND),
    }
}

fn take_cluster<'a>(
    node: &'a Node,
    index: usize,
    documents: &mut Documents<'a>,
    problems: &mut Problems,
) {
    let place = Place::document(node.mark);
    if let Some(first) = &documents.cluster {
        problems.report(
            &place,
            format!(
                "a second `{KIND}` document; the first begins on line {}",
                first.place.mark.line
            ),
            "one file describes one cluster: write the second into a file of its own",
        );
        return;
    }
    if index > 0 {
        problems.report(
            &place,
            format!("the `{KIND}` document must be the first of the file"),
            "move it above the others",
        );
    }
    documents.cluster = Some(Value { node, place });
}

fn take_foreign<'a>(
    node: &'a Node,
    version: &str,
    kind: &str,
    documents: &mut Documents<'a>,
    problems: &mut Problems,
) {
    let place = place_of(node, "kind");
    if (version, kind) == KUBEADM {
        take_once(&mut documents.kubeadm, node, kind, problems);
    } else if (version, kind) == KUBELET {
        take_once(&mut documents.kubelet, node, kind, problems);
    } else if (version, kind) == KUBE_PROXY {
        take_once(&mut documents.kube_proxy, node, kind, problems);
    } else if let Some((known, _)) = KNOWN.iter().find(|(_, known)| *known == kind) {
        let help = match version.starts_with("kubeadm.k8s.io/") {
            true => {
                format!("write it as `apiVersion: {known}`; `kubeadm config migrate` does that")
            }
            false => format!("write `apiVersion: {known}`"),
        };
        let message = format!(
            "`{}` is not a version of `{kind}` that Slipway reads",
            excerpt(version)
        );
        problems.report(&place_of(node, "apiVersion"), message, help);
    } else if version.starts_with("kubeadm.k8s.io/") {
        problems.report(
            &place,
            format!("`{}` is not part of a cluster file", excerpt(kind)),
            format!("remove this document; {}", instead(node)),
        );
    } else {
        let close = closest(kind, KINDS);
        let help = match close {
            Some(close) if close != kind => format!("probably `{close}` is meant"),
            Some(_) | None => documents_help(),
        };
        let message = format!(
            "`{}` of {} is not a document that Slipway reads",
            excerpt(kind),
            excerpt(version)
        );
        problems.report(&place, message, help);
    }
}

fn take_once<'a>(slot: &mut Option<&'a Node>, node: &'a Node, kind: &str, problems: &mut Problems) {
    match slot {
        None => *slot = Some(node),
        Some(first) => problems.report(
            &place_of(node, "kind"),
            format!(
                "a second `{kind}` document; the first begins on line {}",
                first.mark.line
            ),
            "merge the two",
        ),
    }
}

/// Names our fields for those that the document has.
fn instead(node: &Node) -> String {
    let found: Vec<&str> = INSTEAD
        .iter()
        .filter(|(field, _)| node.entry(field).is_some())
        .map(|(_, sentence)| *sentence)
        .collect();
    if found.is_empty() {
        "the `Cluster` document has the fields that Slipway reads".to_owned()
    } else {
        found.join("; ")
    }
}

fn documents_help() -> String {
    format!(
        "a cluster file holds documents of the kinds {}",
        list(&KINDS)
    )
}

fn text_of<'a>(node: &'a Node, field: &str) -> Option<&'a str> {
    node.entry(field)?.value.scalar_text()
}

fn place_of(node: &Node, field: &str) -> Place {
    let document = Place::document(node.mark);
    match node.entry(field) {
        Some(Entry { value, .. }) => document.field(value.mark, field),
        None => document,
    }
}
