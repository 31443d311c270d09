//! `reset` without a file: takes Kubernetes off this machine.

use std::ops::ControlFlow;

use slipway_api::{EtcdFacts, EtcdMemberFacts, Facts, HostSpec, Role};
use slipway_bundle::NoBlobs;
use slipway_engine::{Fleet, Survey, gather_facts};
use slipway_planner::plan_cleanup;

use super::agreed_run::AgreedRun;
use super::etcd;
use super::execution::exit_code_of;
use crate::args::{Output, ResetArgs};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::session::new_run;
use crate::show::SameAgain;
use crate::this_machine::ThisMachine;

pub(super) async fn run(args: ResetArgs, output: Output) -> Result<ExitCode, CliError> {
    if !args.host.is_empty() || args.all {
        return Err(CliError::bad_input(
            "`--host` and `--all` choose among a file's hosts, and no cluster file is given",
            "name the file with `-f` or in SLIPWAY_CONFIG, or leave both out to reset this machine",
        ));
    }
    let machine = ThisMachine::look().await?;
    let cluster = machine.known_cluster()?;
    let mut here = cluster.control_plane().clone();
    let existing = &machine.facts.existing;
    if !existing.admin_conf && existing.manifests.is_empty() {
        here.role = Role::Worker;
    }
    let mut fleet = cluster.connect([&here], &args.cluster).await?;
    let result = clean(&mut fleet, &cluster, &here, &args, output).await;
    fleet.close().await;
    result
}

async fn clean(
    fleet: &mut Fleet,
    cluster: &Cluster,
    here: &HostSpec,
    args: &ResetArgs,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = &cluster.spec;
    let facts = gather_facts(fleet, spec).await;
    let etcd = etcd::look_at(fleet, std::iter::once(here)).await.ok();
    let etcd = etcd.as_ref().map(|(_, etcd)| &**etcd);
    let others = Others::of(&facts, etcd, here);
    if !args.force_quorum_loss {
        others.refuse_control_planes()?;
    }
    let look = async |fleet: &mut Fleet| -> Result<Survey, CliError> {
        let facts = gather_facts(fleet, spec).await;
        let survey = Survey::take(fleet, facts, |facts| plan_cleanup(spec, facts, here));
        Ok(survey.await?)
    };
    let command = AgreedRun {
        command: "reset",
        cluster: &spec.name,
        first: &here.name,
        run: new_run(),
        again: SameAgain::new("reset", None),
        dry_run: args.dry_run,
        yes: args.yes,
        output,
    };
    let survey = match command.agree(fleet, look, |_| others.question()).await? {
        ControlFlow::Break(code) => return Ok(code),
        ControlFlow::Continue(survey) => survey,
    };
    let blobs = NoBlobs::default();
    let state = command.run(fleet, &survey.plan, &blobs).await?;
    let code = exit_code_of(&state);
    if here.role == Role::Worker && code == ExitCode::Done && output == Output::Text {
        outln!("\nThe cluster still lists the node. On a control-plane node:");
        outln!(
            "  kubectl --kubeconfig /etc/kubernetes/admin.conf delete node {}",
            here.node_name()
        );
    }
    Ok(code)
}

/// The cluster's other nodes, as far as this machine's API server and its etcd tell; one of
/// the two may be down.
struct Others {
    control_planes: Vec<String>,
    workers: Vec<String>,
}

impl Others {
    fn of(facts: &Facts, etcd: Option<&EtcdFacts>, here: &HostSpec) -> Self {
        let node_name = here.node_name();
        let nodes = facts.cluster.iter().flat_map(|cluster| &cluster.nodes);
        let (control_planes, workers): (Vec<_>, Vec<_>) = nodes
            .filter(|node| node.name != node_name)
            .partition(|node| node.roles.iter().any(|role| role == "control-plane"));
        let names = |nodes: Vec<&slipway_api::NodeFacts>| {
            nodes.into_iter().map(|node| node.name.clone()).collect()
        };
        let mut control_planes: Vec<String> = names(control_planes);
        let members = etcd.into_iter().flat_map(|etcd| &etcd.members);
        let others = members.filter(|it| !it.member.is_of(node_name, here.node_ip));
        for name in others.map(EtcdMemberFacts::shown_name) {
            if !control_planes.contains(&name) {
                control_planes.push(name);
            }
        }
        Self {
            control_planes,
            workers: names(workers),
        }
    }

    /// Refuses to take a member out of an etcd that goes on without it.
    fn refuse_control_planes(&self) -> Result<(), CliError> {
        if self.control_planes.is_empty() {
            return Ok(());
        }
        let names = self.control_planes.join(", ");
        Err(CliError::bad_input(
            format!(
                "the cluster goes on with the control plane of {names}, and this machine must leave its etcd first"
            ),
            "reset it through the cluster file: `slipway reset -f cluster.yaml --host NAME`; `--force-quorum-loss` takes it off this machine all the same, and etcd counts a dead member more",
        ))
    }

    fn question(&self) -> String {
        if self.workers.is_empty() {
            return "Remove Kubernetes and its data from this machine?".to_owned();
        }
        let names = self.workers.join(", ");
        format!(
            "{names} will be left without a control plane. End the cluster and remove its data from this machine?"
        )
    }
}

#[cfg(test)]
mod tests {
    use slipway_api::{ClusterFacts, NodeFacts};

    use super::*;

    fn facts(nodes: &[(&str, &[&str])]) -> Facts {
        // As a protocol message: fields that tell nothing here are left out.
        let node = |(name, roles): &(&str, &[&str])| -> NodeFacts {
            let node = serde_json::json!({
                "name": name,
                "ready": true,
                "roles": roles,
                "kubeletVersion": "v1.36.3",
                "internalIp": null,
                "unschedulable": false,
            });
            serde_json::from_value(node).unwrap()
        };
        Facts {
            cluster: Some(ClusterFacts {
                api_server_version: "v1.36.3".to_owned(),
                nodes: nodes.iter().map(node).collect(),
                unhealthy: Vec::new(),
                configuration: None,
            }),
            ..Facts::default()
        }
    }

    #[test]
    fn who_loses_the_control_plane_is_named_before_it_goes() {
        let alone = Others::of(&facts(&[("cp-1", &["control-plane"])]), None, &here());
        assert_eq!(
            alone.question(),
            "Remove Kubernetes and its data from this machine?"
        );
        let nodes: &[(&str, &[&str])] = &[("cp-1", &["control-plane"]), ("w-1", &[])];
        let with_worker = Others::of(&facts(nodes), None, &here());
        assert!(with_worker.question().starts_with("w-1 will be left"));
        assert!(with_worker.refuse_control_planes().is_ok());
    }

    fn here() -> HostSpec {
        let name = "cp-1".parse().unwrap();
        let address = [192, 0, 2, 11].into();
        let version = slipway_api::Release::newest_tested();
        let spec = crate::this_machine::plain_spec("harbour", &version, &name, address).unwrap();
        spec.first_control_plane().clone()
    }

    #[test]
    fn other_members_of_etcd_are_seen_while_no_api_server_answers() {
        let member = |id, name: &str, last| EtcdMemberFacts {
            member: slipway_api::EtcdMember {
                id: slipway_api::EtcdMemberId::new(id),
                name: name.to_owned(),
                peer_urls: vec![format!("https://192.0.2.{last}:2380")],
                client_urls: Vec::new(),
                is_learner: false,
            },
            status: None,
            failure: None,
        };
        let mut etcd = EtcdFacts {
            members: vec![member(1, "cp-1", 11)],
            alarms: Vec::new(),
        };
        let judged = |etcd: &EtcdFacts| {
            Others::of(&Facts::default(), Some(etcd), &here()).refuse_control_planes()
        };
        assert!(judged(&etcd).is_ok());
        etcd.members.push(member(2, "cp-2", 12));
        let error = judged(&etcd).unwrap_err();
        assert!(error.failure.message.contains("cp-2"), "{error:?}");
    }

    #[test]
    fn one_of_several_control_plane_nodes_is_not_torn_out_of_etcd() {
        let nodes: &[(&str, &[&str])] =
            &[("cp-1", &["control-plane"]), ("cp-2", &["control-plane"])];
        let error = Others::of(&facts(nodes), None, &here())
            .refuse_control_planes()
            .unwrap_err();
        assert!(error.failure.message.contains("cp-2"), "{error:?}");
    }
}
