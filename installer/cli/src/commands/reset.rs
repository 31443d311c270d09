//! `reset`: takes hosts out of the cluster and Kubernetes off them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use slipway_api::{HostName, HostSpec, Plan};
use slipway_bundle::NoBlobs;
use slipway_engine::{Fleet, Survey, gather_facts};
use slipway_planner::{Removal, plan_removal};

use super::agreed_run::AgreedRun;
use super::etcd;
use super::execution::exit_code_of;
use super::reset_here;
use crate::args::{Output, ResetArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::session::new_run;
use crate::show::SameAgain;

pub(crate) async fn run(args: ResetArgs, output: Output) -> Result<ExitCode, CliError> {
    if args.cluster.config.is_none() {
        return reset_here::run(args, output).await;
    }
    if args.host.is_empty() && !args.all {
        return Err(CliError::bad_input(
            "it is not said which hosts to reset",
            "name them with `--host NAME`, or take all of them with `--all`: the cluster ends then",
        ));
    }
    let cluster = Cluster::load_to_remove(&args.cluster).await?;
    let mut hosts = cluster.chosen_hosts(&args.host)?;
    let removal = Removal {
        hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        drain_timeout_seconds: args.drain_timeout,
        delete_empty_dir_data: args.delete_emptydir_data,
        force_quorum_loss: args.force_quorum_loss,
    };
    // Nodes are drained and deleted through the control plane.
    let others = cluster.control_planes().into_iter();
    hosts.extend(others.filter(|host| !removal.hosts.contains(&host.name)));
    let mut fleet = cluster.connect(hosts, &args.cluster).await?;
    let result = remove(&mut fleet, &cluster, &removal, &args, output).await;
    fleet.close().await;
    result
}

async fn remove(
    fleet: &mut Fleet,
    cluster: &Cluster,
    removal: &Removal,
    args: &ResetArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let look = async |fleet: &mut Fleet| -> Result<Survey, CliError> {
        let facts = gather_facts(fleet, spec).await;
        let stays = |host: &&HostSpec| !removal.hosts.contains(&host.name);
        let etcd = etcd::look_at(fleet, cluster.control_planes().into_iter().filter(stays)).await;
        let etcd = etcd.ok().map(|(_, etcd)| etcd);
        let survey = Survey::take(fleet, facts, |facts| {
            plan_removal(spec, facts, etcd.as_deref(), removal)
        });
        Ok(survey.await?)
    };
    let command = AgreedRun {
        command: "reset",
        cluster: &spec.name,
        first: &cluster.control_plane().name,
        run: new_run(),
        again: SameAgain::new("reset", args.cluster.config.as_deref()),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let asked = |plan: &Plan| question(removal, plan);
    let survey = match command.agree(fleet, look, asked).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let blobs = NoBlobs::default();
    let state = command.run(fleet, &survey.plan, &blobs).await?;
    Ok(exit_code_of(&state))
}

fn question(removal: &Removal, plan: &Plan) -> String {
    let join = |hosts: &BTreeSet<&HostName>| {
        let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
        names.join(", ")
    };
    let left_out: BTreeSet<&HostName> = plan.left_out.iter().map(|it| &it.host).collect();
    let all: BTreeSet<&HostName> = removal.hosts.iter().collect();
    let cleaned: BTreeSet<&HostName> = all.difference(&left_out).copied().collect();
    if cleaned.is_empty() {
        format!("Take {} out of the cluster?", join(&all))
    } else {
        format!("Remove Kubernetes and its data from {}?", join(&cleaned))
    }
}

#[cfg(test)]
mod tests {
    use slipway_api::{Failure, LeftOut};

    use super::*;

    #[test]
    fn the_question_does_not_promise_to_clean_a_dead_host() {
        let hosts = ["w-1", "w-2"].map(|name| name.parse::<HostName>().unwrap());
        let removal = Removal {
            hosts: hosts.clone().into(),
            drain_timeout_seconds: 300,
            delete_empty_dir_data: false,
            force_quorum_loss: false,
        };
        let mut plan = Plan::default();
        let mut questions = vec![question(&removal, &plan)];
        for host in hosts {
            let failure = Failure::because("no route");
            plan.left_out.push(LeftOut { host, failure });
            questions.push(question(&removal, &plan));
        }
        assert_eq!(
            questions,
            [
                "Remove Kubernetes and its data from w-1, w-2?",
                "Remove Kubernetes and its data from w-2?",
                "Take w-1, w-2 out of the cluster?",
            ]
        );
    }
}
