//! `etcd recover`: after most members were lost, a survivor becomes a cluster of one.

use std::cell::RefCell;
use std::ops::ControlFlow;

use slipway_api::protocol::{Reply, Request};
use slipway_api::{Facts, Plan, Role};
use slipway_bundle::NoBlobs;
use slipway_engine::{Fleet, Survey, gather_facts};
use slipway_planner::{EtcdSurvivor, EtcdViews, choose_survivor, plan_recovery};

use super::connect;
use crate::args::{EtcdRecoverArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::commands::agreed_run::AgreedRun;
use crate::commands::execution::exit_code_of;
use crate::exit_code::ExitCode;
use crate::session::new_run;
use crate::show::SameAgain;

pub(super) async fn run(args: EtcdRecoverArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::load(&args.cluster).await?;
    if cluster.here.is_some() {
        return Err(CliError::bad_input(
            "every control-plane host that is left must be stopped before one of them goes on",
            "name the cluster file with `-f` or in SLIPWAY_CONFIG to reach them",
        ));
    }
    if let Some(host) = &args.host {
        cluster.chosen_hosts(std::slice::from_ref(host))?;
    }
    let mut fleet = connect(&cluster, &args.cluster).await?;
    let result = recover(&mut fleet, &cluster, &args, output).await;
    fleet.close().await;
    result
}

async fn recover(
    fleet: &mut Fleet,
    cluster: &Cluster,
    args: &EtcdRecoverArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let run = new_run();
    let chosen = args.host.as_ref();
    let survivor = RefCell::new(None);
    let take = async |fleet: &mut Fleet| -> Result<Survey, CliError> {
        let facts = gather_facts(fleet, spec).await;
        let views = look_from_everywhere(fleet, cluster).await;
        let found = choose_survivor(spec, &facts, &views, chosen).ok();
        if output == Output::Text
            && let Some(found) = &found
        {
            noteln!("{}\n", lost(found));
        }
        survivor.replace(found);
        let id = run.as_str();
        let plan = |facts: &Facts| plan_recovery(spec, facts, &views, chosen, id);
        Ok(Survey::take(fleet, facts, plan).await?)
    };
    let command = AgreedRun {
        command: "etcd recover",
        cluster: &spec.name,
        first: &cluster.control_plane().name,
        run: run.clone(),
        again: SameAgain::new("etcd recover", args.cluster.config.as_deref()),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let others = |survivor: &EtcdSurvivor| {
        let all = spec.hosts_with_role(Role::ControlPlane);
        let others = all.filter(|host| host.name != survivor.host);
        let names: Vec<&str> = others.map(|host| host.name.as_str()).collect();
        names.join(", ")
    };
    let question = |_: &Plan| match &*survivor.borrow() {
        Some(survivor) => format!(
            "Make {}'s member a cluster of one? What only others had is lost, and {} must never run again as they are.",
            survivor.host,
            others(survivor),
        ),
        None => "Go on with the recovery that was cut off?".to_owned(),
    };
    let survey = match command.agree(fleet, take, question).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let blobs = NoBlobs::default();
    let state = command.run(fleet, &survey.plan, &blobs).await?;
    let code = exit_code_of(&state);
    if code == ExitCode::Done && output == Output::Text {
        noteln!(
            "\nThe other control-plane hosts must not come back as they are: two of them would be the\n\
             old cluster again. Reset each (`slipway reset --host NAME`), or wipe those that cannot be\n\
             reached before they start, and `slipway apply` lets them join again."
        );
    }
    Ok(code)
}

/// Returns how etcd looks from each host whose own member answers.
async fn look_from_everywhere(fleet: &Fleet, cluster: &Cluster) -> EtcdViews {
    let mut views = EtcdViews::new();
    for host in cluster.spec.hosts_with_role(Role::ControlPlane) {
        let Some(agent) = fleet.host(&host.name) else {
            continue;
        };
        // One that does not answer is no survivor, whatever its reason.
        let answer = agent.request(Request::GatherEtcdFacts, &|_| {}).await;
        if let Ok(Reply::EtcdFacts(facts)) = answer {
            views.insert(host.name.clone(), *facts);
        }
    }
    views
}

/// Returns what is left of etcd, and which member has most.
fn lost(survivor: &EtcdSurvivor) -> String {
    format!(
        "etcd has no quorum: {} of {} members answer, {} are needed. The one on {} goes on: \
         raft index {}, revision {}.",
        survivor.answering,
        survivor.voters,
        survivor.quorum,
        survivor.host,
        survivor.raft_index,
        survivor.revision,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_in_numbers() {
        let survivor = EtcdSurvivor {
            host: "cp-1".parse().unwrap(),
            voters: 3,
            answering: 1,
            quorum: 2,
            raft_index: 6000,
            revision: 5000,
        };
        assert_eq!(
            lost(&survivor),
            "etcd has no quorum: 1 of 3 members answer, 2 are needed. The one on cp-1 goes on: raft index 6000, revision 5000."
        );
    }
}
