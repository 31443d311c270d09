//! `etcd defrag`: gives back what the databases do not need.

use std::ops::ControlFlow;

use slipway_api::{Facts, Plan};
use slipway_bundle::NoBlobs;
use slipway_engine::{Fleet, Survey, gather_facts};
use slipway_planner::plan_defragment;

use super::{connect, look};
use crate::args::{EtcdDefragArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::commands::agreed_run::AgreedRun;
use crate::commands::execution::exit_code_of;
use crate::exit_code::ExitCode;
use crate::session::new_run;
use crate::show::SameAgain;

pub(super) async fn run(args: EtcdDefragArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::find(&args.cluster).await?;
    let mut fleet = connect(&cluster, &args.cluster).await?;
    let result = defragment(&mut fleet, &cluster, &args, output).await;
    fleet.close().await;
    result
}

async fn defragment(
    fleet: &mut Fleet,
    cluster: &Cluster,
    args: &EtcdDefragArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let take = async |fleet: &mut Fleet| -> Result<Survey, CliError> {
        let facts = gather_facts(fleet, spec).await;
        let (host, etcd) = look(fleet, cluster).await?;
        let plan = |_: &Facts| plan_defragment(&spec.name, host.name(), &etcd);
        Ok(Survey::take(fleet, facts, plan).await?)
    };
    let command = AgreedRun {
        command: "etcd defrag",
        cluster: &spec.name,
        first: &cluster.control_plane().name,
        run: new_run(),
        again: SameAgain::new("etcd defrag", args.cluster.config.as_deref()),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let is_alone = spec
        .hosts_with_role(slipway_api::Role::ControlPlane)
        .count()
        == 1;
    let question = |plan: &Plan| {
        let members = plan.steps.len();
        match is_alone {
            true => {
                "Defragment etcd? The API answers nobody meanwhile, seconds for a small database."
                    .to_owned()
            }
            false => format!("Defragment {members} etcd members, one after the other?"),
        }
    };
    let survey = match command.agree(fleet, take, question).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let blobs = NoBlobs::default();
    let state = command.run(fleet, &survey.plan, &blobs).await?;
    Ok(exit_code_of(&state))
}
