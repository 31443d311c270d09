//! Checks, applies and verifies steps: one file per verb or small family of verbs.

mod authorities;
mod certificates;
mod cgroups;
mod cluster;
mod component_watch;
mod containers;
mod endpoint;
mod etcd;
mod etcd_leftovers;
mod etcd_manifest;
mod etcd_recovery;
mod etcd_removal;
mod etcd_restore;
mod etcd_upkeep;
mod files;
mod given;
mod held_pods;
mod images;
mod kept_node;
mod kubelet_bootstrap;
mod kubelet_certificates;
mod links;
mod mounts;
mod namespaces;
mod own_files;
mod pods;
mod removal;
mod rules;
mod static_pods;
mod system;
mod units;
mod wait_for;

use slipway_api::{Check, Step};

use crate::AgentError;
use crate::context::Context;

pub(crate) use authorities::{read_authorities, read_recovery_files};
pub(crate) use certificates::{algorithm, certificate_profile, kubeconfig_name};
pub(crate) use cluster::{client, failed};
pub(crate) use etcd_manifest::{data_dir, initial_cluster};
pub(crate) use given::judge_given;
pub(crate) use kubelet_certificates::{prepare_request, sign_request};
pub(crate) use rules::count_chains;
pub(crate) use system::module_works;
pub(crate) use units::is_active as unit_is_active;

/// Returns whether a step has anything to do.
pub(crate) async fn check(step: &Step, context: &Context) -> Result<Check, AgentError> {
    match step {
        Step::RememberPaths(step) => removal::check_remembered(step, context),
        Step::EnsureDirectory(step) => files::check_directory(step, context),
        Step::WriteFile(step) => files::check_file(step, context),
        Step::PlaceFile(step) => own_files::check_placed(step, context),
        Step::WithdrawFile(step) => own_files::check_withdrawn(step, context),
        Step::InstallBlob(step) => files::check_blob(step, context),
        Step::InstallSlipway(step) => files::check_slipway(step, context),
        Step::UnpackArchive(step) => files::check_archive(step, context),
        Step::FetchFile(step) => files::check_fetch(step, context),
        Step::LoadModules(step) => Ok(system::check_modules(step)),
        Step::SetSysctls(step) => system::check_sysctls(step, context),
        Step::EnsureUnit(step) => units::check_unit(step, context).await,
        Step::EnsureStaticPod(step) => static_pods::check_static_pod(step, context).await,
        Step::ImportImage(step) => images::check_image(step).await,
        Step::CopyAuthorities(step) => authorities::check_authorities(step, context),
        Step::EnsureAuthority(step) => certificates::check_authority(step, context),
        Step::EnsureServiceAccountKey(step) => certificates::check_service_account(step, context),
        Step::EnsureCertificate(step) => certificates::check_certificate(step, context),
        Step::EnsureKubeconfig(step) => certificates::check_kubeconfig(step, context),
        Step::EnsureKubeletClient(step) => kubelet_certificates::check_client(step, context),
        Step::EnsureKubeletServing(step) => kubelet_certificates::check_serving(step, context),
        Step::EnsureKubeletBootstrap(step) => kubelet_bootstrap::check_bootstrap(step, context),
        Step::JoinEtcd(step) => etcd::check_join(step, context).await,
        Step::RemoveEtcdMember(step) => etcd_removal::check_removed(step, context).await,
        Step::MoveEndpoint(step) => endpoint::check_moved(step, context).await,
        Step::ApplyObjects(step) => cluster::check_objects(step, context).await,
        Step::PublishClusterInfo(step) => cluster::check_info(step, context).await,
        Step::MarkNode(step) => cluster::check_marks(step, context).await,
        Step::WaitFor(step) => wait_for::check_condition(step, context).await,
        Step::DefragmentEtcd(step) => etcd_upkeep::check_defragmented(step, context).await,
        Step::HoldStaticPods(step) => held_pods::check_held(step, context).await,
        Step::ReleaseStaticPods(step) => held_pods::check_released(step, context).await,
        Step::RestoreEtcd(step) => etcd_restore::check_restored(step, context),
        Step::SetEtcdAside(step) => etcd_recovery::check_aside(step, context),
        Step::RecoverEtcd(step) => etcd_recovery::check_recovered(step, context),
        Step::StageBlobs(step) => Ok(files::check_staged(step, context)),
        Step::SnapshotEtcd(step) => etcd_upkeep::check_snapshot(step, context),
        Step::KeepNode(step) => kept_node::check_kept(step, context),
        Step::PutNodeBack(step) => kept_node::check_put_back(step, context),
        Step::ForgetKept(_) => kept_node::check_forgotten(context),
        Step::UncordonNode(step) => cluster::check_uncordoned(step, context).await,
        Step::DrainNode(step) => cluster::check_drained(step, context).await,
        Step::DeleteNode(step) => cluster::check_deleted(step, context).await,
        Step::StopUnit(step) => units::check_stopped(step).await,
        Step::ForgetUnits(step) => units::check_forgotten(step).await,
        Step::RemovePods(step) => pods::check_pods(step, context).await,
        Step::EndContainers(step) => containers::check_containers(step, context),
        Step::UnmountBelow(step) => mounts::check_mounts(step, context),
        Step::RemoveNamespaces(step) => namespaces::check_namespaces(step, context),
        Step::RemoveCgroups(step) => cgroups::check_cgroups(step, context),
        Step::RemovePath(step) => removal::check_path(step, context),
        Step::RemoveFiles(step) => removal::check_files(step, context),
        Step::RemoveLinks(step) => links::check_links(step, context),
        Step::RemoveRules(step) => rules::check_rules(step, context).await,
    }
}

/// Runs a step unless its check is content, and checks again afterwards.
///
/// Returns whether anything changed.
pub(crate) async fn run(step: &Step, context: &Context) -> Result<bool, AgentError> {
    // One look does not tell whether something stays so.
    let must_stay = matches!(step, Step::WaitFor(wait) if wait.steady_seconds > 0);
    match check(step, context).await? {
        Check::Satisfied if must_stay => {}
        Check::Satisfied => return Ok(false),
        Check::Needed { because } => context.log(because),
    }
    apply(step, context).await?;
    if let Step::WaitFor(_) = step {
        // It held when it was seen to, which was the wait; a pod that is Ready and then not for
        // a moment is no reason to fail.
        return Ok(true);
    }
    match check(step, context).await? {
        Check::Satisfied => Ok(true),
        Check::Needed { because } => Err(AgentError::NotTaken { because }),
    }
}

async fn apply(step: &Step, context: &Context) -> Result<(), AgentError> {
    match step {
        Step::RememberPaths(step) => removal::apply_remembered(step, context),
        Step::EnsureDirectory(step) => files::apply_directory(step, context),
        Step::WriteFile(step) => files::apply_file(step, context),
        Step::PlaceFile(step) => own_files::apply_placed(step, context),
        Step::WithdrawFile(step) => own_files::apply_withdrawn(step, context),
        Step::InstallBlob(step) => files::apply_blob(step, context),
        Step::InstallSlipway(step) => files::apply_slipway(step, context),
        Step::UnpackArchive(step) => files::apply_archive(step, context),
        Step::FetchFile(step) => files::apply_fetch(step, context),
        Step::LoadModules(step) => system::apply_modules(step).await,
        Step::SetSysctls(step) => system::apply_sysctls(step, context),
        Step::EnsureUnit(step) => units::apply_unit(step, context).await,
        Step::EnsureStaticPod(step) => static_pods::apply_static_pod(step, context).await,
        Step::ImportImage(step) => images::apply_image(step, context).await,
        Step::CopyAuthorities(step) => authorities::apply_authorities(step, context),
        Step::EnsureAuthority(step) => certificates::apply_authority(step, context),
        Step::EnsureServiceAccountKey(step) => certificates::apply_service_account(step, context),
        Step::EnsureCertificate(step) => certificates::apply_certificate(step, context),
        Step::EnsureKubeconfig(step) => certificates::apply_kubeconfig(step, context),
        Step::EnsureKubeletClient(step) => kubelet_certificates::apply_client(step, context),
        Step::EnsureKubeletServing(step) => kubelet_certificates::apply_serving(step, context),
        Step::EnsureKubeletBootstrap(step) => kubelet_bootstrap::apply_bootstrap(step, context),
        Step::JoinEtcd(step) => etcd::apply_join(step, context).await,
        Step::RemoveEtcdMember(step) => etcd_removal::apply_removal(step, context).await,
        Step::MoveEndpoint(step) => endpoint::apply_move(step, context).await,
        Step::ApplyObjects(step) => cluster::apply_objects(step, context).await,
        Step::PublishClusterInfo(step) => cluster::apply_info(step, context).await,
        Step::MarkNode(step) => cluster::apply_marks(step, context).await,
        Step::WaitFor(step) => wait_for::apply_condition(step, context).await,
        Step::DefragmentEtcd(step) => etcd_upkeep::apply_defragmented(step, context).await,
        Step::HoldStaticPods(step) => held_pods::apply_held(step, context).await,
        Step::ReleaseStaticPods(step) => held_pods::apply_released(step, context).await,
        Step::RestoreEtcd(step) => etcd_restore::apply_restored(step, context).await,
        Step::SetEtcdAside(step) => etcd_recovery::apply_aside(step, context),
        Step::RecoverEtcd(step) => etcd_recovery::apply_recovered(step, context).await,
        // The engine has brought them.
        Step::StageBlobs(_) => Ok(()),
        Step::SnapshotEtcd(step) => etcd_upkeep::apply_snapshot(step, context).await,
        Step::KeepNode(step) => kept_node::apply_kept(step, context),
        Step::PutNodeBack(step) => kept_node::apply_put_back(step, context),
        Step::ForgetKept(_) => kept_node::apply_forgotten(context),
        Step::UncordonNode(step) => cluster::apply_uncordon(step, context).await,
        Step::DrainNode(step) => cluster::apply_drain(step, context).await,
        Step::DeleteNode(step) => cluster::apply_delete(step, context).await,
        Step::StopUnit(step) => units::apply_stop(step).await,
        Step::ForgetUnits(step) => units::apply_forgotten(step).await,
        Step::RemovePods(step) => pods::apply_pods(step, context).await,
        Step::EndContainers(step) => containers::apply_containers(step, context).await,
        Step::UnmountBelow(step) => mounts::apply_mounts(step, context),
        Step::RemoveNamespaces(step) => namespaces::apply_namespaces(step, context),
        Step::RemoveCgroups(step) => cgroups::apply_cgroups(step, context).await,
        Step::RemovePath(step) => removal::apply_path(step, context),
        Step::RemoveFiles(step) => removal::apply_files(step, context),
        Step::RemoveLinks(step) => links::apply_links(step, context).await,
        Step::RemoveRules(step) => rules::apply_rules(step, context).await,
    }
}

/// Returns the check that says `because`, or content where there is nothing to say.
fn needed(because: Option<impl Into<String>>) -> Check {
    match because {
        Some(because) => Check::Needed {
            because: because.into(),
        },
        None => Check::Satisfied,
    }
}
