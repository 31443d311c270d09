//! `reset`: takes hosts out of the cluster and Kubernetes off them.

use std::collections::BTreeSet;

use slipway_api::HostName;
use slipway_engine::{EngineError, gather_facts, pending_plan};
use slipway_planner::{Removal, plan_removal};

use super::cluster_run::{confirm, execute, exit_code_of};
use crate::args::{Output, ResetArgs};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{chosen_hosts, connect, load_spec};
use crate::show::{self, NoBlobs};

pub(crate) async fn run(args: ResetArgs, output: Output) -> Result<ExitCode, CliError> {
    if args.host.is_empty() && !args.all {
        return Err(CliError::bad_input(
            "it is not said which hosts to reset",
            "name them with `--host NAME`, or take all of them with `--all`: the cluster ends then",
        ));
    }
    let spec = load_spec(args.cluster.config.as_deref())?;
    let mut hosts = chosen_hosts(&spec, &args.host)?;
    let names: BTreeSet<HostName> = hosts.iter().map(|host| host.name.clone()).collect();
    let first = spec.first_control_plane();
    // Nodes are drained and deleted through the control plane.
    if !names.contains(&first.name) {
        hosts.push(first);
    }
    let fleet = connect(&spec, hosts, &args.cluster).await;
    let unreachable = fleet.unreachable();
    if !unreachable.is_empty() {
        fleet.close().await;
        return Err(EngineError::Unreachable(unreachable).into());
    }
    let facts = gather_facts(&fleet, &spec).await;
    let removal = Removal {
        hosts: names,
        drain_timeout_seconds: args.drain_timeout,
        delete_empty_dir_data: args.delete_emptydir_data,
    };
    let desired = plan_removal(&spec, &facts, &removal).map_err(EngineError::from)?;
    let total = desired.steps.len();
    let plan = pending_plan(&fleet, desired).await?;
    let satisfied = total - plan.steps.len();
    if plan.is_empty() {
        fleet.close().await;
        show::nothing_to_do(satisfied, output);
        return Ok(ExitCode::Done);
    }
    if output == Output::Text || args.dry_run {
        show::plan(&plan, satisfied, output);
    }
    if args.dry_run {
        fleet.close().await;
        return Ok(ExitCode::Pending);
    }
    if !args.yes {
        let names: Vec<&str> = removal.hosts.iter().map(HostName::as_str).collect();
        confirm(&format!(
            "Remove Kubernetes and its data from {}?",
            names.join(", ")
        ))?;
    }
    let state = execute("reset", &spec, &fleet, &plan, &NoBlobs::default(), output).await?;
    fleet.close().await;
    Ok(exit_code_of(&state))
}
