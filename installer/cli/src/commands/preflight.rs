//! `preflight`: checks without changes, and mends what is safe.

use slipway_api::{HostState, Severity};
use slipway_engine::{gather_facts, pending_plan};
use slipway_planner::{Scope, plan_fixes, preflight};

use super::cluster_run::{execute, exit_code_of};
use crate::args::{Output, PreflightArgs};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{chosen_hosts, connect, load_spec};
use crate::show::{self, NoBlobs};

pub(crate) async fn run(args: PreflightArgs, output: Output) -> Result<ExitCode, CliError> {
    let mut spec = load_spec(args.cluster.config.as_deref())?;
    spec.ignore_preflight_errors
        .extend(args.ignore_preflight_errors);
    let hosts = chosen_hosts(&spec, &args.host)?;
    let scope = if args.host.is_empty() {
        Scope::All
    } else {
        Scope::Hosts(args.host.iter().cloned().collect())
    };
    let fleet = connect(&spec, hosts, &args.cluster).await;
    let mut facts = gather_facts(&fleet, &spec).await;
    if args.fix {
        let plan = pending_plan(&fleet, plan_fixes(&spec, &facts, &scope)).await?;
        if !plan.is_empty() {
            let state = execute(
                "preflight",
                &spec,
                &fleet,
                &plan,
                &NoBlobs::default(),
                output,
            )
            .await?;
            if exit_code_of(&state) != ExitCode::Done {
                return Ok(ExitCode::Failed);
            }
            facts = gather_facts(&fleet, &spec).await;
        }
    }
    fleet.close().await;
    let findings = preflight::check(&spec, &facts, &scope);
    show::findings(&findings, output);
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
