//! `preflight`: checks without changes, and mends what is safe.

use std::collections::BTreeSet;
use std::sync::Arc;

use slipway_api::{ClusterSpec, Facts, HostName, HostState, Severity};
use slipway_bundle::{BlobStore, NoBlobs};
use slipway_engine::{Fleet, Survey, gather_facts, probe_hosts};
use slipway_planner::{Scope, plan_fixes, preflight};

use super::cluster_look::architectures;
use super::execution::{Execution, exit_code_of};
use super::init;
use crate::args::{Output, PreflightArgs, SourceArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::local_args::{NodeArgs, ShapeArgs};
use crate::session::{lock_holder, new_run, open_blobs};
use crate::show::{self, SameAgain};

pub(crate) async fn run(args: PreflightArgs, output: Output) -> Result<ExitCode, CliError> {
    let mut cluster = match &args.cluster.config {
        Some(_) => Cluster::load(&args.cluster).await?,
        None => {
            let bundle = args.source.bundle.as_deref();
            init::cluster_here(&ShapeArgs::default(), &NodeArgs::default(), bundle).await?
        }
    };
    let ignored = args.ignore_preflight_errors.iter().cloned();
    cluster.spec.ignore_preflight_errors.extend(ignored);
    let hosts = cluster.chosen_hosts(&args.host)?;
    let mut fleet = cluster.connect(hosts, &args.cluster).await?;
    let result = check(&mut fleet, &cluster, &args, output).await;
    fleet.close().await;
    result
}

async fn check(
    fleet: &mut Fleet,
    cluster: &Cluster,
    args: &PreflightArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let hosts = cluster.chosen_hosts(&args.host)?;
    let names: BTreeSet<HostName> = hosts.iter().map(|host| host.name.clone()).collect();
    let scope = if args.host.is_empty() && cluster.here.is_none() {
        Scope::All
    } else {
        Scope::Hosts(names)
    };
    if args.fix {
        let code = fix(fleet, cluster, &scope, args, output).await?;
        if code == ExitCode::Failed {
            return Ok(code);
        }
    }
    let mut facts = gather_facts(fleet, spec).await;
    facts.probes = probe_hosts(fleet, spec, &facts, &scope).await;
    let blobs = named_blobs(spec, &facts, &args.source).await?;
    let manifest = blobs.as_ref().map(|blobs| blobs.manifest());
    let findings = preflight::check(spec, &facts, manifest, &scope);
    if args.fix {
        show::findings_of_run(&findings, output);
    } else {
        show::findings(&findings, output);
    }
    let is_unreachable = facts
        .hosts
        .values()
        .any(|state| matches!(state, HostState::Unreached { .. }));
    let has_errors = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Ok(match (is_unreachable, has_errors) {
        (true, _) => ExitCode::Unreachable,
        (false, true) => ExitCode::Preflight,
        (false, false) => ExitCode::Done,
    })
}

/// Mends what is safe to mend, under the hosts' locks.
async fn fix(
    fleet: &mut Fleet,
    cluster: &Cluster,
    scope: &Scope,
    args: &PreflightArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let run = new_run();
    let first = &cluster.control_plane().name;
    fleet.lock(&lock_holder(run.as_str()), first).await?;
    let facts = gather_facts(fleet, spec).await;
    let survey = Survey::take(fleet, facts, |facts| Ok(plan_fixes(spec, facts, scope))).await?;
    if survey.plan.is_empty() {
        return Ok(ExitCode::Done);
    }
    let again = SameAgain::new("preflight --fix", args.cluster.config.as_deref());
    let execution = Execution {
        command: "preflight",
        cluster: &spec.name,
        run,
        again: &again,
        output,
    };
    let state = execution
        .run(fleet, &survey.plan, &NoBlobs::default())
        .await?;
    Ok(exit_code_of(&state))
}

/// Opens a bundle or source if one is named: then the images are looked for
/// and their sizes are counted.
async fn named_blobs(
    spec: &ClusterSpec,
    facts: &Facts,
    source: &SourceArgs,
) -> Result<Option<Arc<dyn BlobStore>>, CliError> {
    let is_named = source.bundle.is_some() || source.source.is_some() || spec.bundle.is_some();
    Ok(if is_named {
        Some(open_blobs(spec, source, architectures(spec, facts)).await?)
    } else {
        None
    })
}
