//! Steps: everything that Slipway can do to a host, as values.

mod certificates;
mod cluster;
mod etcd;
mod etcd_upkeep;
mod files;
mod system;
mod teardown;
mod upgrade;

use serde::{Deserialize, Serialize};

pub use certificates::{
    ControlPlaneNames, CopyAuthorities, EnsureAuthority, EnsureCertificate, EnsureKubeconfig,
    EnsureKubeletBootstrap, EnsureKubeletClient, EnsureKubeletServing, EnsureServiceAccountKey,
};
pub use cluster::{
    ApplyObjects, Condition, DeleteNode, DrainNode, MarkNode, MoveEndpoint, PublishClusterInfo,
    WaitFor,
};
pub use etcd::{EtcdPeer, JoinEtcd, RemoveEtcdMember};
pub use etcd_upkeep::{
    DefragmentEtcd, HoldStaticPods, RecoverEtcd, ReleaseStaticPods, RestoreEtcd, SetEtcdAside,
};
pub use files::{
    EnsureDirectory, FetchFile, InstallBlob, InstallSlipway, PlaceFile, PublicFile, RememberPaths,
    UnpackArchive, WithdrawFile, WriteFile,
};
pub use system::{EnsureStaticPod, EnsureUnit, ImportImage, LoadModules, SetSysctls};
pub use teardown::{
    EndContainers, ForgetUnits, RemovalScope, RemoveCgroups, RemoveFiles, RemoveLinks,
    RemoveNamespaces, RemovePath, RemovePods, RemoveRules, StopUnit, UnmountBelow,
};
pub use upgrade::{ForgetKept, KeepNode, PutNodeBack, SnapshotEtcd, StageBlobs, UncordonNode};

use crate::{Blob, HostName};

/// One verb with everything it needs: no choice is left for execution time,
/// and no secret is inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Step {
    /// See [`RememberPaths`].
    RememberPaths(RememberPaths),
    /// See [`EnsureDirectory`].
    EnsureDirectory(EnsureDirectory),
    /// See [`WriteFile`].
    WriteFile(WriteFile),
    /// See [`PlaceFile`].
    PlaceFile(PlaceFile),
    /// See [`WithdrawFile`].
    WithdrawFile(WithdrawFile),
    /// See [`InstallBlob`].
    InstallBlob(InstallBlob),
    /// See [`InstallSlipway`].
    InstallSlipway(InstallSlipway),
    /// See [`UnpackArchive`].
    UnpackArchive(UnpackArchive),
    /// See [`FetchFile`].
    FetchFile(FetchFile),
    /// See [`LoadModules`].
    LoadModules(LoadModules),
    /// See [`SetSysctls`].
    SetSysctls(SetSysctls),
    /// See [`EnsureUnit`].
    EnsureUnit(EnsureUnit),
    /// See [`EnsureStaticPod`].
    EnsureStaticPod(EnsureStaticPod),
    /// See [`ImportImage`].
    ImportImage(ImportImage),
    /// See [`CopyAuthorities`].
    CopyAuthorities(CopyAuthorities),
    /// See [`EnsureAuthority`].
    EnsureAuthority(EnsureAuthority),
    /// See [`EnsureServiceAccountKey`].
    EnsureServiceAccountKey(EnsureServiceAccountKey),
    /// See [`EnsureCertificate`].
    EnsureCertificate(EnsureCertificate),
    /// See [`EnsureKubeconfig`].
    EnsureKubeconfig(EnsureKubeconfig),
    /// See [`EnsureKubeletClient`].
    EnsureKubeletClient(EnsureKubeletClient),
    /// See [`EnsureKubeletServing`].
    EnsureKubeletServing(EnsureKubeletServing),
    /// See [`EnsureKubeletBootstrap`].
    EnsureKubeletBootstrap(EnsureKubeletBootstrap),
    /// See [`JoinEtcd`].
    JoinEtcd(JoinEtcd),
    /// See [`RemoveEtcdMember`].
    RemoveEtcdMember(RemoveEtcdMember),
    /// See [`MoveEndpoint`].
    MoveEndpoint(MoveEndpoint),
    /// See [`ApplyObjects`].
    ApplyObjects(ApplyObjects),
    /// See [`PublishClusterInfo`].
    PublishClusterInfo(PublishClusterInfo),
    /// See [`MarkNode`].
    MarkNode(MarkNode),
    /// See [`WaitFor`].
    WaitFor(WaitFor),
    /// See [`DefragmentEtcd`].
    DefragmentEtcd(DefragmentEtcd),
    /// See [`HoldStaticPods`].
    HoldStaticPods(HoldStaticPods),
    /// See [`ReleaseStaticPods`].
    ReleaseStaticPods(ReleaseStaticPods),
    /// See [`RestoreEtcd`].
    RestoreEtcd(RestoreEtcd),
    /// See [`SetEtcdAside`].
    SetEtcdAside(SetEtcdAside),
    /// See [`RecoverEtcd`].
    RecoverEtcd(RecoverEtcd),
    /// See [`StageBlobs`].
    StageBlobs(StageBlobs),
    /// See [`SnapshotEtcd`].
    SnapshotEtcd(SnapshotEtcd),
    /// See [`KeepNode`].
    KeepNode(KeepNode),
    /// See [`PutNodeBack`].
    PutNodeBack(PutNodeBack),
    /// See [`ForgetKept`].
    ForgetKept(ForgetKept),
    /// See [`UncordonNode`].
    UncordonNode(UncordonNode),
    /// See [`DrainNode`].
    DrainNode(DrainNode),
    /// See [`DeleteNode`].
    DeleteNode(DeleteNode),
    /// See [`StopUnit`].
    StopUnit(StopUnit),
    /// See [`ForgetUnits`].
    ForgetUnits(ForgetUnits),
    /// See [`RemovePods`].
    RemovePods(RemovePods),
    /// See [`EndContainers`].
    EndContainers(EndContainers),
    /// See [`UnmountBelow`].
    UnmountBelow(UnmountBelow),
    /// See [`RemoveNamespaces`].
    RemoveNamespaces(RemoveNamespaces),
    /// See [`RemoveCgroups`].
    RemoveCgroups(RemoveCgroups),
    /// See [`RemovePath`].
    RemovePath(RemovePath),
    /// See [`RemoveFiles`].
    RemoveFiles(RemoveFiles),
    /// See [`RemoveLinks`].
    RemoveLinks(RemoveLinks),
    /// See [`RemoveRules`].
    RemoveRules(RemoveRules),
}

impl Step {
    /// Returns the blobs that must be in the host's store before the step runs.
    pub fn blobs(&self) -> Vec<Blob> {
        match self {
            Self::InstallBlob(step) => vec![step.blob],
            Self::UnpackArchive(step) => vec![step.blob],
            Self::ImportImage(step) => step.image.blobs(),
            Self::RestoreEtcd(step) => vec![step.snapshot],
            Self::StageBlobs(step) => step.blobs.clone(),
            Self::RememberPaths(_)
            | Self::EnsureDirectory(_)
            | Self::WriteFile(_)
            | Self::PlaceFile(_)
            | Self::WithdrawFile(_)
            | Self::InstallSlipway(_)
            | Self::FetchFile(_)
            | Self::LoadModules(_)
            | Self::SetSysctls(_)
            | Self::EnsureUnit(_)
            | Self::EnsureStaticPod(_)
            | Self::CopyAuthorities(_)
            | Self::EnsureAuthority(_)
            | Self::EnsureServiceAccountKey(_)
            | Self::EnsureCertificate(_)
            | Self::EnsureKubeconfig(_)
            | Self::EnsureKubeletClient(_)
            | Self::EnsureKubeletServing(_)
            | Self::EnsureKubeletBootstrap(_)
            | Self::JoinEtcd(_)
            | Self::RemoveEtcdMember(_)
            | Self::MoveEndpoint(_)
            | Self::ApplyObjects(_)
            | Self::PublishClusterInfo(_)
            | Self::MarkNode(_)
            | Self::WaitFor(_)
            | Self::DefragmentEtcd(_)
            | Self::HoldStaticPods(_)
            | Self::ReleaseStaticPods(_)
            | Self::SetEtcdAside(_)
            | Self::RecoverEtcd(_)
            | Self::SnapshotEtcd(_)
            | Self::KeepNode(_)
            | Self::PutNodeBack(_)
            | Self::ForgetKept(_)
            | Self::UncordonNode(_)
            | Self::DrainNode(_)
            | Self::DeleteNode(_)
            | Self::StopUnit(_)
            | Self::ForgetUnits(_)
            | Self::RemovePods(_)
            | Self::EndContainers(_)
            | Self::UnmountBelow(_)
            | Self::RemoveNamespaces(_)
            | Self::RemoveCgroups(_)
            | Self::RemovePath(_)
            | Self::RemoveFiles(_)
            | Self::RemoveLinks(_)
            | Self::RemoveRules(_) => Vec::new(),
        }
    }

    /// Returns the other host that this step waits for, if it does.
    pub fn awaited(&self) -> Option<&HostName> {
        if let Self::WaitFor(step) = self {
            return step.awaited.as_ref();
        }
        None
    }

    /// Returns the host that signs this step's certificate request, if the
    /// step needs a signature.
    pub fn signer(&self) -> Option<&HostName> {
        match self {
            Self::EnsureKubeletClient(step) => Some(&step.signer),
            Self::EnsureKubeletServing(step) => Some(&step.signer),
            Self::RememberPaths(_)
            | Self::EnsureDirectory(_)
            | Self::WriteFile(_)
            | Self::PlaceFile(_)
            | Self::WithdrawFile(_)
            | Self::InstallBlob(_)
            | Self::InstallSlipway(_)
            | Self::UnpackArchive(_)
            | Self::FetchFile(_)
            | Self::LoadModules(_)
            | Self::SetSysctls(_)
            | Self::EnsureUnit(_)
            | Self::EnsureStaticPod(_)
            | Self::ImportImage(_)
            | Self::CopyAuthorities(_)
            | Self::EnsureAuthority(_)
            | Self::EnsureServiceAccountKey(_)
            | Self::EnsureCertificate(_)
            | Self::EnsureKubeconfig(_)
            | Self::EnsureKubeletBootstrap(_)
            | Self::JoinEtcd(_)
            | Self::RemoveEtcdMember(_)
            | Self::MoveEndpoint(_)
            | Self::ApplyObjects(_)
            | Self::PublishClusterInfo(_)
            | Self::MarkNode(_)
            | Self::WaitFor(_)
            | Self::DefragmentEtcd(_)
            | Self::HoldStaticPods(_)
            | Self::ReleaseStaticPods(_)
            | Self::SetEtcdAside(_)
            | Self::RecoverEtcd(_)
            | Self::RestoreEtcd(_)
            | Self::StageBlobs(_)
            | Self::SnapshotEtcd(_)
            | Self::KeepNode(_)
            | Self::PutNodeBack(_)
            | Self::ForgetKept(_)
            | Self::UncordonNode(_)
            | Self::DrainNode(_)
            | Self::DeleteNode(_)
            | Self::StopUnit(_)
            | Self::ForgetUnits(_)
            | Self::RemovePods(_)
            | Self::EndContainers(_)
            | Self::UnmountBelow(_)
            | Self::RemoveNamespaces(_)
            | Self::RemoveCgroups(_)
            | Self::RemovePath(_)
            | Self::RemoveFiles(_)
            | Self::RemoveLinks(_)
            | Self::RemoveRules(_) => None,
        }
    }

    /// Returns what the step does in one short line, as a plan shows it.
    pub fn describe(&self) -> String {
        match self {
            Self::RememberPaths(_) => "remember what is there before Slipway".to_owned(),
            Self::EnsureDirectory(step) => format!("make folder {}", step.path),
            Self::WriteFile(step) => format!("write {}", step.path),
            Self::PlaceFile(step) => format!("put {} in place", step.path),
            Self::WithdrawFile(step) => format!("take {} away again", step.path),
            Self::InstallBlob(step) => {
                format!("install {} {} as {}", step.name, step.version, step.path)
            }
            Self::InstallSlipway(step) => format!("install slipway itself as {}", step.path),
            Self::UnpackArchive(step) => {
                format!("unpack {} {} into {}", step.name, step.version, step.folder)
            }
            Self::FetchFile(step) => format!("take {} from {}", step.file.path(), step.from),
            Self::LoadModules(step) => format!("load kernel modules {}", step.modules.join(", ")),
            Self::SetSysctls(step) => {
                let keys: Vec<_> = step.values.keys().map(String::as_str).collect();
                format!("set {}", keys.join(", "))
            }
            Self::EnsureUnit(step) => format!("start {}", step.unit),
            Self::EnsureStaticPod(step) => format!("run static Pod {}", step.name),
            Self::ImportImage(step) if step.is_sandbox => format!(
                "import image {}, for the runtime's sandboxes too",
                step.image.reference
            ),
            Self::ImportImage(step) => format!("import image {}", step.image.reference),
            Self::EnsureAuthority(step) if step.is_external => {
                format!(
                    "look at certificate authority {}, whose key is elsewhere",
                    step.name
                )
            }
            Self::CopyAuthorities(step) => {
                format!("take {} from {}", step.names.join(", "), step.from)
            }
            Self::EnsureAuthority(step) => format!("make certificate authority {}", step.name),
            Self::EnsureServiceAccountKey(_) => "make service account key pair sa".to_owned(),
            Self::EnsureCertificate(step) if step.is_external => {
                format!("look at certificate {}, issued elsewhere", step.name)
            }
            Self::EnsureCertificate(step) => {
                format!("{} certificate {}", issue(&step.replaces), step.name)
            }
            Self::EnsureKubeconfig(step) if step.is_external => {
                format!("look at kubeconfig {}.conf, issued elsewhere", step.name)
            }
            Self::EnsureKubeconfig(step) if step.replaces.is_some() => {
                format!("renew the certificate in {}.conf", step.name)
            }
            Self::EnsureKubeconfig(step) => format!("write kubeconfig {}.conf", step.name),
            Self::EnsureKubeletClient(step) => {
                let verb = issue(&step.replaces);
                format!("{verb} kubelet client certificate for {}", step.node_name)
            }
            Self::EnsureKubeletServing(step) => {
                let verb = issue(&step.replaces);
                format!("{verb} kubelet serving certificate for {}", step.node_name)
            }
            Self::EnsureKubeletBootstrap(step) => {
                format!("write bootstrap-kubelet.conf with token {}", step.token_id)
            }
            Self::JoinEtcd(step) => format!("join etcd as {}", step.member_name),
            Self::RemoveEtcdMember(step) => format!("remove {} from etcd", step.member_name),
            Self::MoveEndpoint(step) => {
                format!(
                    "send kubeadm's joins to {} instead of {}",
                    step.to, step.from
                )
            }
            Self::ApplyObjects(step) => format!("apply {}", step.name),
            Self::PublishClusterInfo(_) => "publish cluster-info".to_owned(),
            Self::MarkNode(step) => format!("label and taint node {}", step.node_name),
            Self::WaitFor(step) => format!("wait until {}", step.condition),
            Self::DefragmentEtcd(step) => format!("defragment etcd member {}", step.member),
            Self::HoldStaticPods(step) => format!("stop {}", step.names.join(", ")),
            Self::ReleaseStaticPods(step) => format!("start {} again", step.names.join(", ")),
            Self::RestoreEtcd(step) => {
                let aside = format!("{}/before-{}", step.data_dir, step.restore);
                format!(
                    "restore etcd to revision {}, old data kept in {aside}",
                    step.revision
                )
            }
            Self::SetEtcdAside(step) => format!(
                "move etcd's data aside into {}/before-{}",
                step.data_dir, step.recovery
            ),
            Self::RecoverEtcd(step) => format!(
                "make etcd member {} a cluster of one, a copy of its data kept in {}/before-{}",
                step.member, step.data_dir, step.recovery
            ),
            Self::StageBlobs(step) => format!("bring {} here", step.names.join(", ")),
            Self::SnapshotEtcd(_) => "take a snapshot of etcd".to_owned(),
            Self::KeepNode(_) => "keep this host's files as they are".to_owned(),
            Self::PutNodeBack(_) => "put this host's files back".to_owned(),
            Self::ForgetKept(_) => "forget the files that were kept".to_owned(),
            Self::UncordonNode(step) => format!("uncordon node {}", step.node_name),
            Self::DrainNode(step) => format!("cordon and drain node {}", step.node_name),
            Self::DeleteNode(step) => format!("delete node {}", step.node_name),
            Self::StopUnit(step) => format!("stop and disable {}", step.unit),
            Self::ForgetUnits(step) => format!("make systemd forget {}", step.units.join(", ")),
            Self::RemovePods(step) if step.keeps_static => {
                "stop and remove all pods but static ones".to_owned()
            }
            Self::RemovePods(_) => "stop and remove all pods".to_owned(),
            Self::EndContainers(step) => format!("end the containers left by {}", step.socket),
            Self::UnmountBelow(step) => format!("unmount everything below {}", step.path),
            Self::RemoveNamespaces(step) => {
                format!("delete network namespaces of {}", step.networks.join(", "))
            }
            Self::RemoveCgroups(step) => format!("delete control groups {}", step.names.join(", ")),
            Self::RemovePath(step) => match step.scope {
                RemovalScope::Everything | RemovalScope::UnlessUsedBefore => {
                    format!("delete {}", step.path)
                }
                RemovalScope::EmptyFolders => format!("delete {} if it holds no file", step.path),
            },
            Self::RemoveFiles(step) => {
                format!("delete in {}: {}", step.folder, step.names.join(", "))
            }
            Self::RemoveLinks(step) => format!("delete network links {}", step.links.join(", ")),
            Self::RemoveRules(step) => describe_rules(step),
        }
    }
}

/// Returns what is done to a certificate, given the one it replaces.
fn issue(replaces: &Option<String>) -> &'static str {
    match replaces {
        Some(_) => "renew",
        None => "issue",
    }
}

/// Returns one line about everything that goes of the packet filters.
fn describe_rules(step: &RemoveRules) -> String {
    let mut parts = vec![format!("chains {}*", step.chain_prefixes.join("*, "))];
    if !step.networks.is_empty() {
        parts.push(format!("CNI-* of {}", step.networks.join(", ")));
    }
    if !step.tables.is_empty() {
        parts.push(format!("tables {}", step.tables.join(", ")));
    }
    if !step.set_prefixes.is_empty() {
        parts.push(format!("sets {}*", step.set_prefixes.join("*, ")));
    }
    if let Some(link) = &step.virtual_server_link {
        parts.push(format!("virtual servers of {link}"));
    }
    format!("delete netfilter {}", parts.join("; "))
}
