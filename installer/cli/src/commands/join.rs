//! `join`: hosts of the file, or this machine by itself with a token.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use slipway_api::protocol::{Reply, Request, StepEvent};
use slipway_api::{
    ClusterSpec, DiscoveredCluster, Discovery, Facts, HostName, HostProbes, HostState, Outcome,
    Plan,
};
use slipway_bundle::BlobStore;
use slipway_engine::{Fleet, Survey, probe_hosts};
use slipway_hosts::Host;
use slipway_planner::{
    JoiningNode, Scope, SkippedPhases, joining_spec, plan_local_join, preflight,
};

use tokio::sync::OnceCell;

use super::agreed_run::AgreedRun;
use super::cluster_look::{Intent, stop_at_errors};
use super::cluster_run::{run as run_cluster, skipped_phases};
use super::execution::exit_code_of;
use super::init::{check_socket, without_scheme};
use crate::args::Output;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::join_target::JoinTarget;
use crate::local_args::JoinArgs;
use crate::session::{new_run, open_blobs};
use crate::show::{self, SameAgain};
use crate::this_machine::{ThisMachine, host_error, start_agent, unexpected};

pub(crate) async fn run(args: JoinArgs, output: Output) -> Result<ExitCode, CliError> {
    if args.run.cluster.config.is_some() {
        args.refuse_beside_file()?;
        return run_cluster(Intent::Join, args.run, output).await;
    }
    let Some(endpoint) = &args.endpoint else {
        return Err(CliError::bad_input(
            "it is not said what joins: there is neither a cluster file nor an endpoint",
            "for this machine: `slipway join HOST:PORT --token … --discovery-token-ca-cert-hash …`; for a file's hosts name it with `-f` or in SLIPWAY_CONFIG",
        ));
    };
    if let Some(host) = args.run.host.first() {
        return Err(CliError::bad_input(
            format!("`--host {host}` chooses among a file's hosts, and no cluster file is given"),
            "leave it out: with an endpoint this machine joins",
        ));
    }
    let skipped = skipped_phases(&args.run)?;
    let target = JoinTarget::read(endpoint, &args.discovery)?;
    let machine = ThisMachine::look().await?;
    let name = machine.node_name_or(args.node.node_name.as_deref())?;
    if let Some(socket) = &args.node.cri_socket {
        check_socket(socket, &machine.facts)?;
    }
    let discovery = Discovery {
        endpoint: target.endpoint.clone(),
        addresses: target.addresses().await?,
        token: target.secret(),
        ca_pins: target.ca_pins.clone(),
        node_name: name.to_string(),
    };
    // Its agent keeps the token for the one step that needs it.
    let host = start_agent(&name).await?;
    let discovered = discover(&*host, discovery).await?;
    let node = JoiningNode {
        name,
        address: discovered.own_address,
        api_address: target
            .address_of(&discovered.server, discovered.api_address)
            .await?,
        token_id: target.token.id().to_owned(),
        runtime_socket: args
            .node
            .cri_socket
            .as_deref()
            .map(|it| without_scheme(it).into()),
    };
    let mut spec = joining_spec(&discovered, &node);
    let ignored = args.run.ignore_preflight_errors.iter().cloned();
    spec.ignore_preflight_errors.extend(ignored);
    let joining = Joining {
        args: &args,
        skipped,
        discovered,
        node,
        blobs: open_blobs(&spec, &args.run.source, vec![machine.facts.architecture]).await?,
        spec,
        probes: OnceCell::new(),
        output,
    };
    let mut fleet = Fleet::of_hosts([Arc::clone(&host)]);
    let result = joining.run(&mut fleet).await;
    // Whatever came of it, the token is not left behind.
    if let Err(error) = host.request(Request::ForgetToken, &|_| {}).await {
        noteln!("warning: {}", error.to_failure());
    }
    fleet.close().await;
    result
}

async fn discover(host: &dyn Host, discovery: Discovery) -> Result<DiscoveredCluster, CliError> {
    let tell = |event| {
        if let StepEvent::Log { line } = event {
            noteln!("{line}");
        }
    };
    let request = Request::Discover(discovery);
    let reply = host.request(request, &tell).await.map_err(host_error)?;
    let Reply::Discovered(found) = reply else {
        return Err(unexpected(&reply));
    };
    Ok(*found)
}

/// This machine on its way into a cluster.
struct Joining<'a> {
    args: &'a JoinArgs,
    skipped: SkippedPhases,
    discovered: DiscoveredCluster,
    node: JoiningNode,
    spec: ClusterSpec,
    blobs: Arc<dyn BlobStore>,
    /// What this machine's probes found at the first look: networks, clocks and disks are what
    /// they are.
    probes: OnceCell<BTreeMap<HostName, HostProbes>>,
    output: Output,
}

impl Joining<'_> {
    async fn run(&self, fleet: &mut Fleet) -> Result<ExitCode, CliError> {
        let output = self.output;
        let command = AgreedRun {
            command: "join",
            cluster: &self.spec.name,
            first: &self.node.name,
            run: new_run(),
            again: SameAgain::new("join", None),
            dry_run: self.args.run.dry_run,
            yes: self.args.run.yes,
            output,
        };
        let look = async |fleet: &mut Fleet| self.look(fleet).await;
        let question = |plan: &Plan| {
            let steps = plan.steps.len();
            format!(
                "Join the cluster {} with these {steps} steps?",
                self.spec.name
            )
        };
        let survey = match command.agree(fleet, look, question).await? {
            ControlFlow::Break(code) => return Ok(code),
            ControlFlow::Continue(survey) => survey,
        };
        let state = command.run(fleet, &survey.plan, &*self.blobs).await?;
        if state.outcome == Some(Outcome::Succeeded) && output == Output::Text {
            show::joined(&self.spec, &self.node.name);
        }
        Ok(exit_code_of(&state))
    }

    /// Gathers facts, checks them, plans, and asks the agent what is left to do.
    async fn look(&self, fleet: &mut Fleet) -> Result<Survey, CliError> {
        let name = &self.node.name;
        let host = fleet.host(name).expect("the fleet is this machine");
        let reply = host.request(Request::GatherFacts, &|_| {}).await;
        let reply = reply.map_err(host_error)?;
        let Reply::Facts(facts) = reply else {
            return Err(unexpected(&reply));
        };
        let reached = HostState::Reached(facts);
        let mut facts = Facts {
            hosts: BTreeMap::from([(name.clone(), reached)]),
            ..Facts::default()
        };
        let manifest = self.blobs.manifest();
        if !self.skipped.has_preflight() {
            let scope = Scope::Hosts(BTreeSet::from([name.clone()]));
            let probing = || probe_hosts(fleet, &self.spec, &facts, &scope);
            let probes = self.probes.get_or_init(probing).await.clone();
            facts.probes = probes;
            let findings = preflight::check(&self.spec, &facts, Some(manifest), &scope);
            stop_at_errors(&findings, self.output)?;
            if self.output == Output::Text {
                show::warnings(&findings);
            }
        }
        let survey = Survey::take(fleet, facts, |facts| {
            let facts = facts
                .host(name)
                .ok_or_else(|| slipway_planner::PlanError::HostNotReached { host: name.clone() })?;
            let plan = plan_local_join(&self.discovered, &self.node, facts, manifest)?;
            Ok(self.skipped.without(plan))
        });
        Ok(survey.await?)
    }
}
