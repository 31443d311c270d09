//! Our own document: head, `metadata` and `spec`.

use std::path::PathBuf;

use super::address::read_endpoint;
use super::documents::{API_VERSION, KIND};
use super::etcd_snapshots::read_etcd_snapshots;
use super::fields::Fields;
use super::given::{Given, read_given};
use super::host::HostDraft;
use super::kubeadm::KubeadmDraft;
use super::names::is_subdomain;
use super::networking::NetworkingDraft;
use super::patches::read_patches;
use super::problems::{Located, Place, Problems, excerpt};
use super::runtime::{read_addons, read_runtime};
use super::schema::{FILE, METADATA, SPEC, SSH};
use super::ssh::read_connection;
use super::timeouts::read_timeouts;
use super::value::Value;
use crate::spec::{
    Addons, ClusterConfiguration, ClusterSpec, Endpoint, EtcdSnapshots, LocalFiles, Patches,
    Runtime, SshDefaults, Timeouts,
};
use crate::{KubernetesVersion, Release, SUPPORTED_MINORS};

const NAME_HELP: &str = "write `metadata: { name: NAME }`, the name in lower-case letters, digits, `-` and `.`, at most 63 characters";

/// The cluster as far as it could be read.
pub(super) struct ClusterDraft {
    /// Where the list of hosts, or else `spec`, stands.
    pub hosts_place: Place,
    /// The Kubernetes release.
    pub release: Option<Release>,
    /// The API's endpoint.
    pub endpoint: Option<Located<Endpoint>>,
    /// Subnets, DNS domain and network addon.
    pub networking: NetworkingDraft,
    /// How hosts are reached.
    pub ssh: SshDefaults,
    /// The hosts.
    pub hosts: Vec<HostDraft>,
    /// The container runtime.
    pub runtime: Runtime,
    /// What kubeadm's own document says.
    pub kubeadm: ClusterConfiguration,
    /// Snapshots that control-plane hosts take by themselves.
    pub etcd_snapshots: Option<Located<EtcdSnapshots>>,
    timeouts: Timeouts,
    patches: Option<Patches>,
    name: Option<String>,
    addons: Addons,
    bundle: Option<PathBuf>,
    ignore_preflight_errors: Vec<String>,
}

impl ClusterDraft {
    /// Reads our document.
    pub fn read(
        document: &Value<'_>,
        kubeadm: &KubeadmDraft<'_>,
        files: Option<&dyn LocalFiles>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let file = document.fields(&FILE, problems)?;
        check_head(&file, "apiVersion", API_VERSION, problems);
        check_head(&file, "kind", KIND, problems);
        let name = file
            .required("metadata", NAME_HELP, problems)
            .and_then(|metadata| metadata.fields(&METADATA, problems))
            .and_then(|metadata| metadata.required("name", NAME_HELP, problems))
            .and_then(|name| read_name(&name, problems));
        let spec_help = "write `spec:` with at least `kubernetesVersion` and `hosts`";
        let spec = file
            .required("spec", spec_help, problems)?
            .fields(&SPEC, problems)?;
        let hosts_help = "write `hosts:` with a list of `{ name: cp-1, address: 192.0.2.11, role: control-plane }`";
        let hosts = spec.required("hosts", hosts_help, problems);
        let release = read_version(&spec, kubeadm, problems);
        Some(Self {
            kubeadm: match &release {
                Some(release) => kubeadm.settled(release, problems),
                None => kubeadm.configuration.clone(),
            },
            hosts_place: hosts
                .as_ref()
                .map_or_else(|| spec.place().clone(), |hosts| hosts.place.clone()),
            release,
            endpoint: read_endpoints(&spec, kubeadm, problems),
            networking: NetworkingDraft::read(
                spec.optional("networking").as_ref(),
                kubeadm.networking.as_ref(),
                files,
                problems,
            ),
            ssh: spec
                .optional("ssh")
                .and_then(|ssh| ssh.fields(&SSH, problems))
                .map(|ssh| read_connection(&ssh, problems))
                .unwrap_or_default(),
            hosts: read_hosts(hosts.as_ref(), hosts_help, files, problems),
            runtime: read_runtime(spec.optional("runtime").as_ref(), problems),
            patches: spec
                .optional("patches")
                .and_then(|section| read_patches(&section, files, problems)),
            timeouts: read_timeouts(spec.optional("timeouts").as_ref(), problems),
            name,
            addons: read_addons(spec.optional("addons").as_ref(), problems),
            etcd_snapshots: read_etcd_snapshots(spec.optional("etcdSnapshots").as_ref(), problems),
            bundle: spec
                .optional("bundle")
                .and_then(|bundle| bundle.path(problems)),
            ignore_preflight_errors: read_ignored(&spec, problems),
        })
    }

    /// Returns the cluster if all of it could be read.
    pub fn finish(self) -> Option<ClusterSpec> {
        let hosts: Option<Vec<_>> = self.hosts.into_iter().map(HostDraft::finish).collect();
        Some(ClusterSpec {
            name: self.name?,
            kubernetes_version: self.release?.kubernetes,
            control_plane_endpoint: self.endpoint.map(|endpoint| endpoint.value),
            networking: self.networking.finish()?,
            ssh: self.ssh,
            hosts: hosts?,
            runtime: self.runtime,
            addons: self.addons,
            etcd_snapshots: self.etcd_snapshots.map(|it| it.value),
            bundle: self.bundle,
            ignore_preflight_errors: self.ignore_preflight_errors,
            timeouts: self.timeouts,
            patches: self.patches,
            cluster_configuration: self.kubeadm,
            kubelet_configuration: None,
            kube_proxy_configuration: None,
        })
    }
}

fn read_version(
    spec: &Fields<'_>,
    kubeadm: &KubeadmDraft<'_>,
    problems: &mut Problems,
) -> Option<Release> {
    const HELP: &str = "write the version to install: `kubernetesVersion: v1.36.3`";
    let version = spec.required("kubernetesVersion", HELP, problems);
    let release = version.and_then(|version| read_release(&version, problems))?;
    if let Some(theirs) = &kubeadm.kubernetes_version {
        let text = theirs.scalar(problems)?;
        if text.parse::<KubernetesVersion>().ok().as_ref() != Some(&release.kubernetes) {
            problems.report(
                &theirs.place,
                format!(
                    "`{}` is not {}, the version in `spec.kubernetesVersion`",
                    excerpt(text),
                    release.kubernetes
                ),
                "remove `kubernetesVersion`: `spec.kubernetesVersion` says it",
            );
        }
    }
    Some(release)
}

fn read_endpoints(
    spec: &Fields<'_>,
    kubeadm: &KubeadmDraft<'_>,
    problems: &mut Problems,
) -> Option<Located<Endpoint>> {
    let ours = spec.optional("controlPlaneEndpoint");
    let theirs = kubeadm.control_plane_endpoint.clone();
    let read = |value: &Value<'_>, problems: &mut Problems| {
        read_endpoint(value, problems).map(|endpoint| endpoint.value)
    };
    match read_given(ours, theirs, "spec.controlPlaneEndpoint", read, problems) {
        Given::Value(endpoint) => Some(endpoint),
        Given::Absent | Given::Unreadable => None,
    }
}

fn check_head(file: &Fields<'_>, field: &str, expected: &str, problems: &mut Problems) {
    let help = format!("write `{field}: {expected}`");
    let Some(value) = file.required(field, &help, problems) else {
        return;
    };
    let Some(text) = value.text(problems) else {
        return;
    };
    if text != expected {
        let message = format!("`{}` is not `{expected}`", excerpt(text));
        problems.report(&value.place, message, help);
    }
}

fn read_name(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.text(problems)?;
    if text.len() > 63 || !is_subdomain(text) {
        let message = format!("`{}` is not a cluster's name", excerpt(text));
        problems.report(&value.place, message, NAME_HELP);
        return None;
    }
    Some(text.to_owned())
}

fn read_release(value: &Value<'_>, problems: &mut Problems) -> Option<Release> {
    let text = value.scalar(problems)?;
    let version = match text.parse::<KubernetesVersion>() {
        Ok(version) => version,
        Err(error) => {
            report_incomplete_version(value, text, &error.to_string(), problems);
            return None;
        }
    };
    match Release::of(&version) {
        Ok(release) => Some(release),
        Err(error) => {
            let (first, last) = (SUPPORTED_MINORS.start(), SUPPORTED_MINORS.end());
            let age = if version.minor() > *last {
                "a newer"
            } else {
                "an older"
            };
            let help =
                format!("choose a version from v1.{first} to v1.{last}, or use {age} slipway");
            problems.report(&value.place, error.to_string(), help);
            None
        }
    }
}

fn report_incomplete_version(value: &Value<'_>, text: &str, error: &str, problems: &mut Problems) {
    let number = text.strip_prefix('v').unwrap_or(text);
    let has_two_parts = number.split('.').count() == 2
        && number
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !has_two_parts {
        let help = "write all three numbers: `kubernetesVersion: v1.36.3`";
        problems.report(&value.place, error, help);
        return;
    }
    problems.report(
        &value.place,
        format!("`{text}` has no patch number"),
        format!(
            "write all three numbers: `kubernetesVersion: v{number}.PATCH`, for example `v1.36.3`"
        ),
    );
}

fn read_hosts(
    hosts: Option<&Value<'_>>,
    help: &str,
    files: Option<&dyn LocalFiles>,
    problems: &mut Problems,
) -> Vec<HostDraft> {
    let Some(hosts) = hosts else {
        return Vec::new();
    };
    let Some(items) = hosts.items(problems) else {
        return Vec::new();
    };
    if items.is_empty() {
        problems.report(&hosts.place, "`hosts` is empty", help);
    }
    items
        .iter()
        .filter_map(|item| HostDraft::read(item, files, problems))
        .collect()
}

fn read_ignored(spec: &Fields<'_>, problems: &mut Problems) -> Vec<String> {
    let Some(value) = spec.optional("ignorePreflightErrors") else {
        return Vec::new();
    };
    let ids: Vec<String> = value
        .items(problems)
        .unwrap_or_default()
        .iter()
        .filter_map(|item| item.text(problems).map(str::to_owned))
        .collect();
    if ids.len() > 1 && ids.iter().any(|id| id.eq_ignore_ascii_case("all")) {
        problems.report(
            &value.place,
            "`all` stands beside other checks",
            "write `[all]`, or the checks without `all`",
        );
    }
    ids
}
