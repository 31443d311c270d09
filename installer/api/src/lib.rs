//! The data that every part of Slipway shares: the cluster file, facts, steps, plans, events and run state.

mod architecture;
mod balancer;
mod blob;
mod bundle_manifest;
mod etcd;
mod event;
mod facts;
mod failure;
mod file_content;
mod finding;
mod found_cluster;
mod image_reference;
mod joining;
mod kubernetes_version;
mod left_out;
pub mod paths;
mod phase;
mod plan;
mod probe;
pub mod protocol;
mod release;
mod run_state;
mod secret_text;
mod sha256_digest;
mod spec;
pub mod step;
mod text_form;
mod upgrade_facts;
mod user_certificate;
mod way_back;

pub use architecture::{Architecture, UnknownArchitecture};
pub use balancer::{BackendHealth, BalancerBackend, BalancerSeeds, BalancerState};
pub use blob::Blob;
pub use bundle_manifest::{ArchiveMember, Artifact, BundleManifest, Image, ImageBlob};
pub use etcd::{
    EtcdAlarm, EtcdAlarmKind, EtcdFacts, EtcdMember, EtcdMemberFacts, EtcdMemberId,
    EtcdMemberStatus, EtcdSnapshotKept, EtcdSnapshotLine, EtcdSnapshotSummary, EtcdVotes,
    InvalidEtcdMemberId,
};
pub use event::{Entry, Event, Outcome, RunId, StepSummary};
pub use facts::{
    AuthorityFacts, CertificateSummary, ClusterFacts, Disk, ExistingCluster, Facts, HostFacts,
    HostState, KERNEL_OPTIONS, KernelOption, KubeletFacts, Leftovers, Link, Listener, NodeFacts,
    Package, ResolverFacts, Route, RuntimeFacts, SelinuxFacts, SoftwareFacts,
};
pub use failure::Failure;
pub use file_content::FileContent;
pub use finding::{Finding, Severity};
pub use found_cluster::{FoundCluster, FoundNode};
pub use image_reference::{ImageReference, InvalidImageReference};
pub use joining::{CLUSTER_NAME_ANNOTATION, DiscoveredCluster, Discovery};
pub use kubernetes_version::{InvalidVersion, KubernetesVersion};
pub use left_out::LeftOut;
pub use phase::Phase;
pub use plan::{Check, Plan, PlannedStep, StepId};
pub use probe::{
    Arrival, ClockOffset, HostProbes, ListenerState, Probe, ProbeListener, ProbeOutcome,
    SyncLatency, Transport, UnfitFile,
};
pub use release::{
    CNI_PLUGINS_VERSION, CONTAINERD_VERSION, FLANNEL_VERSION, METRICS_SERVER_VERSION, RUNC_VERSION,
    Release, SUPPORTED_MINORS, UnsupportedVersion,
};
pub use run_state::{Progress, RunState, StepState};
pub use secret_text::SecretText;
pub use sha256_digest::{InvalidDigest, Sha256Digest};
pub use spec::{
    Addons, ApiServer, CalendarExpression, ClusterConfiguration, ClusterFile, ClusterSpec, Cni,
    ControlPlaneComponent, Dns, Endpoint, Etcd, EtcdSnapshots, ExternalEtcd, ExtraArg, ExtraEnv,
    ExtraVolume, GoDuration, HostFile, HostName, HostSpec, InvalidCalendar, InvalidDuration,
    InvalidHostName, InvalidSubnets, LocalContent, LocalEtcd, LocalFiles, LocalText, Networking,
    Patch, PatchKind, PatchTarget, Patches, Proxy, Role, Runtime, Snippet, SpecError, SpecErrors,
    SshDefaults, Subnets, Taint, TaintEffect, Timeouts, print_cluster, print_defaults,
};
pub use step::{PublicFile, Step};
pub use upgrade_facts::{BlockingBudget, DeprecatedApi, UpgradeFacts};
pub use user_certificate::UserCertificate;
pub use way_back::WayBack;
