//! `etcd restore`: the whole cluster's etcd, made anew from a snapshot.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use slipway_agent::etcd::SnapshotFile;
use slipway_api::{Blob, BundleManifest, EtcdFacts, Facts, LeftOut, Plan, Role};
use slipway_bundle::{BlobReader, BlobStore, BundleError};
use slipway_engine::{EngineError, Fleet, Survey, gather_facts};
use slipway_planner::{Restore, plan_restore};

use super::{connect, look, require_own_etcd};
use crate::args::{EtcdRestoreArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::commands::agreed_run::AgreedRun;
use crate::commands::cluster_look::architectures;
use crate::commands::execution::exit_code_of;
use crate::exit_code::ExitCode;
use crate::session::{new_run, open_blobs};
use crate::show::SameAgain;

pub(super) async fn run(args: EtcdRestoreArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::load(&args.cluster).await?;
    require_own_etcd(&cluster)?;
    let snapshot = SnapshotFile::read(&args.file).map_err(|error| {
        CliError::bad_input(
            slipway_api::Failure::of(&error).to_string(),
            "name a file that `slipway etcd snapshot` or `etcdctl snapshot save` wrote",
        )
    })?;
    let members = cluster.spec.hosts_with_role(Role::ControlPlane).count();
    if cluster.here.is_some() && members > 1 {
        return Err(CliError::bad_input(
            format!("all {members} control-plane hosts must be restored at once"),
            "name the cluster file with `-f` or in SLIPWAY_CONFIG to reach the others",
        ));
    }
    let mut fleet = connect(&cluster, &args.cluster).await?;
    if cluster.here.is_none() {
        // Their kubelets may have to register anew.
        let workers = cluster.spec.hosts_with_role(Role::Worker);
        fleet.absorb(cluster.connect(workers, &args.cluster).await?);
    }
    let result = restore(&mut fleet, &cluster, &args, &snapshot, output).await;
    fleet.close().await;
    result
}

async fn restore(
    fleet: &mut Fleet,
    cluster: &Cluster,
    args: &EtcdRestoreArgs,
    snapshot: &SnapshotFile,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let run = new_run();
    let wanted = Restore {
        id: run.as_str().to_owned(),
        snapshot: Blob {
            sha256: snapshot.sha256,
            size: snapshot.size,
        },
        revision: snapshot.revision,
    };
    let facts = gather_facts(fleet, spec).await;
    let is_control_plane = |it: &LeftOut| {
        let host = spec.host(&it.host);
        host.is_some_and(|host| host.role == Role::ControlPlane)
    };
    let lost: Vec<LeftOut> = fleet
        .unreachable()
        .into_iter()
        .filter(is_control_plane)
        .collect();
    if !lost.is_empty() {
        return Err(EngineError::Unreachable(lost).into());
    }
    // What is lost is told where a member still answers.
    let now = look(fleet, cluster).await.ok().map(|(_, etcd)| etcd);
    let inner = open_blobs(spec, &args.source, architectures(spec, &facts)).await?;
    let blobs = WithSnapshot {
        inner,
        snapshot: wanted.snapshot,
        file: args.file.clone(),
    };
    let take = async |fleet: &mut Fleet| -> Result<Survey, CliError> {
        let facts = gather_facts(fleet, spec).await;
        let plan = |facts: &Facts| plan_restore(spec, facts, blobs.manifest(), &wanted);
        Ok(Survey::take(fleet, facts, plan).await?)
    };
    let command = AgreedRun {
        command: "etcd restore",
        cluster: &spec.name,
        first: &cluster.control_plane().name,
        run,
        again: SameAgain::new("etcd restore", args.cluster.config.as_deref()),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let question = |_: &Plan| question(snapshot, now.as_deref());
    let survey = match command.agree(fleet, take, question).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let state = command.run(fleet, &survey.plan, &blobs).await?;
    Ok(exit_code_of(&state))
}

/// Returns what is asked, with what will be gone.
fn question(snapshot: &SnapshotFile, now: Option<&EtcdFacts>) -> String {
    let to = snapshot.revision;
    match now.map(EtcdFacts::newest_revision) {
        Some(now) => format!(
            "Replace all that the cluster has stored, at revision {now}, by the snapshot's revision {to}? \
             The API answers nobody meanwhile."
        ),
        None => format!(
            "Replace all that the cluster has stored by the snapshot's revision {to}? No member answers now, \
             so nobody knows what is newer."
        ),
    }
}

/// A bundle or source, and a snapshot beside it.
struct WithSnapshot {
    inner: Arc<dyn BlobStore>,
    snapshot: Blob,
    file: PathBuf,
}

#[async_trait]
impl BlobStore for WithSnapshot {
    fn manifest(&self) -> &BundleManifest {
        self.inner.manifest()
    }

    async fn open(&self, blob: &Blob) -> Result<BlobReader, BundleError> {
        if *blob != self.snapshot {
            return self.inner.open(blob).await;
        }
        // The host's store checks its digest once more.
        let opened = tokio::fs::File::open(&self.file).await;
        let file = opened.map_err(|_| BundleError::UnknownBlob {
            store: self.file.display().to_string(),
            blob: *blob,
        })?;
        Ok(Box::new(file))
    }
}

#[cfg(test)]
mod tests {
    use slipway_api::Sha256Digest;

    use super::*;

    #[test]
    fn the_question_names_what_will_be_gone() {
        let snapshot = SnapshotFile {
            size: 0,
            database_sha256: Sha256Digest::of(""),
            sha256: Sha256Digest::of(""),
            revision: 4200,
        };
        let asked = question(&snapshot, None);
        assert!(asked.contains("nobody knows what is newer"), "{asked}");
        let asked = question(&snapshot, Some(&EtcdFacts::default()));
        assert!(asked.contains("at revision 0"), "{asked}");
    }
}
