//! `certs renew`: new certificates, node by node.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use slipway_api::{Facts, HostName, HostSpec, Outcome, Plan, PlannedStep, Step};
use slipway_bundle::NoBlobs;
use slipway_engine::{Fleet, Survey, gather_facts};
use slipway_planner::{Renewal, Scope, plan_renewal};

use crate::args::{Output, RenewArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::commands::agreed_run::AgreedRun;
use crate::commands::execution::exit_code_of;
use crate::exit_code::ExitCode;
use crate::session::new_run;
use crate::show::SameAgain;

/// Stands for all certificates, as it does for kubeadm.
const ALL: &str = "all";

pub(super) async fn run(args: RenewArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::load(&args.cluster).await?;
    let mut hosts: Vec<&HostSpec> = cluster.chosen_hosts(&args.host)?;
    // One of them speaks for the cluster and signs for kubelets.
    for host in cluster.control_planes() {
        if !hosts.iter().any(|chosen| chosen.name == host.name) {
            hosts.push(host);
        }
    }
    let mut fleet = cluster.connect(hosts, &args.cluster).await?;
    let result = renew(&mut fleet, &cluster, &args, output).await;
    fleet.close().await;
    result
}

async fn renew(
    fleet: &mut Fleet,
    cluster: &Cluster,
    args: &RenewArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let scope = scope(cluster, &args.host);
    let renewal = match args.names.iter().any(|name| name == ALL) {
        true => Renewal::All,
        false => Renewal::Named(args.names.iter().cloned().collect()),
    };
    let take = async |fleet: &mut Fleet| -> Result<Survey, CliError> {
        let facts = gather_facts(fleet, spec).await;
        let plan = |facts: &Facts| plan_renewal(spec, facts, &scope, &renewal);
        Ok(Survey::take(fleet, facts, plan).await?)
    };
    let command = AgreedRun {
        command: "certs renew",
        cluster: &spec.name,
        first: &cluster.control_plane().name,
        run: new_run(),
        again: SameAgain::new("certs renew", args.cluster.config.as_deref()),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let survey = match command.agree(fleet, take, question).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let state = command
        .run(fleet, &survey.plan, &NoBlobs::default())
        .await?;
    let is_admin =
        |it: &PlannedStep| matches!(&it.step, Step::EnsureKubeconfig(step) if step.name == "admin");
    let has_new_admin = survey.plan.steps.iter().any(is_admin);
    if state.outcome == Some(Outcome::Succeeded) && has_new_admin && output == Output::Text {
        noteln!(
            "Copies of admin.conf elsewhere hold the old certificate: `{}` brings the new one.",
            cluster.command("kubeconfig", &args.cluster)
        );
    }
    Ok(exit_code_of(&state))
}

/// Returns the hosts that are meant.
fn scope(cluster: &Cluster, named: &[HostName]) -> Scope {
    match &cluster.here {
        Some(here) => Scope::Hosts(BTreeSet::from([here.name.clone()])),
        None if named.is_empty() => Scope::All,
        None => Scope::Hosts(named.iter().cloned().collect()),
    }
}

fn question(plan: &Plan) -> String {
    let hosts: Vec<String> = plan.hosts().iter().map(ToString::to_string).collect();
    format!(
        "Renew certificates on {}, and restart what reads them, one after the other?",
        hosts.join(", ")
    )
}
