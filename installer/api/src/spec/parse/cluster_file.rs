//! The cluster file, parsed and validated.

use super::agreement::check_agreement;
use super::build::build_documents;
use super::cluster::ClusterDraft;
use super::components::{KUBE_PROXY, KUBELET, check_component};
use super::documents::{Documents, sort_documents};
use super::kubeadm::KubeadmDraft;
use super::problems::Problems;
use super::value::Value;
use crate::spec::{ClusterSpec, LocalFiles, SpecErrors};

/// A cluster file in which nothing is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterFile {
    /// The cluster that the file describes, defaults filled in.
    pub spec: ClusterSpec,
}

impl ClusterFile {
    /// The largest file that is read, in bytes: 1 MiB.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Parses the bytes of a file that messages call `origin`, and what `files`,
    /// if given, has at the paths that it names.
    ///
    /// # Errors
    /// As [`ClusterFile::parse`], for bytes that are not UTF-8, and for paths
    /// at which there is not what should be there.
    pub fn parse_bytes(
        bytes: &[u8],
        origin: &str,
        files: Option<&dyn LocalFiles>,
    ) -> Result<Self, SpecErrors> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(SpecErrors::too_large(origin, bytes.len() as u64));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse_text(text, origin, files),
            Err(error) => Err(SpecErrors::not_utf8(origin, error.valid_up_to())),
        }
    }

    /// Parses the text of a file that messages call `origin`; what lies at the
    /// paths that it names is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with the text: too long, empty, not YAML,
    /// unknown or missing fields, values that are none or contradict each other.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SpecErrors> {
        Self::parse_text(text, origin, None)
    }

    fn parse_text(
        text: &str,
        origin: &str,
        files: Option<&dyn LocalFiles>,
    ) -> Result<Self, SpecErrors> {
        if text.len() > Self::MAX_BYTES {
            return Err(SpecErrors::too_large(origin, text.len() as u64));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some(offset) = text.find('\0') {
            return Err(SpecErrors::not_utf8(origin, offset));
        }
        let mut problems = Problems::default();
        let nodes = build_documents(text, &mut problems);
        if nodes.is_empty() && problems.is_empty() {
            return Err(SpecErrors::empty(origin));
        }
        let documents = sort_documents(&nodes, &mut problems);
        let spec = read_spec(&documents, files, &mut problems);
        if !problems.is_empty() {
            return Err(problems.into_errors(origin, text));
        }
        let spec = spec.expect("what could not be read has been reported");
        Ok(Self { spec })
    }
}

fn read_spec(
    documents: &Documents<'_>,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Option<ClusterSpec> {
    let kubeadm = documents.kubeadm.map(Value::document);
    let kubeadm = KubeadmDraft::read(kubeadm.as_ref(), problems);
    let draft = ClusterDraft::read(documents.cluster.as_ref()?, &kubeadm, files, problems)?;
    check_agreement(&draft, documents, problems);
    let components = [
        (documents.kubelet, &*KUBELET),
        (documents.kube_proxy, &*KUBE_PROXY),
    ];
    let release = draft.release.as_ref();
    let [kubelet_configuration, kube_proxy_configuration] = components.map(|(document, table)| {
        document.map(|document| check_component(document, table, release, problems))
    });
    Some(ClusterSpec {
        kubelet_configuration,
        kube_proxy_configuration,
        ..draft.finish()?
    })
}
