//! Hosts leave a cluster that goes on: out of it first, cleaned then.

use slipway_api::step::{DeleteNode, DrainNode, StopUnit};
use slipway_api::{ClusterSpec, EtcdFacts, Facts, HostSpec, Phase, Role, Step, StepId};

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::control_plane_hosts::has_control_plane;
use crate::control_plane_removal::{Leaving, add_departure, add_endpoint_move, in_order};
use crate::footprint::KUBELET_UNIT;
use crate::plan_removal::{Removal, add_host_cleanup};

/// Adds the departure of some hosts from a cluster that goes on, after `needs`;
/// returns the last step of each.
pub(crate) fn add_departures(
    builder: &mut PlanBuilder,
    spec: &ClusterSpec,
    facts: &Facts,
    speaker: &HostSpec,
    etcd: Option<&EtcdFacts>,
    removal: &Removal,
    needs: &[StepId],
) -> Result<Vec<StepId>, PlanError> {
    let leaving = |role| {
        spec.hosts_with_role(role)
            .filter(|host| removal.hosts.contains(&host.name))
    };
    let mut departing = Departing {
        builder,
        spec,
        facts,
        speaker,
        removal,
        gone: Vec::new(),
    };
    for host in leaving(Role::Worker) {
        departing.add_worker(host, needs)?;
    }
    let control_planes: Vec<&HostSpec> = leaving(Role::ControlPlane).collect();
    if has_control_plane(facts, speaker) {
        let ordered = in_order(spec, etcd, &control_planes, removal.force_quorum_loss)?;
        departing.add_control_planes(&ordered, needs)?;
    } else {
        // Where none runs yet there is nothing to leave.
        for host in &control_planes {
            departing.add_cleanup(host, needs)?;
        }
    }
    Ok(departing.gone)
}

/// Hosts on their way out of a cluster that goes on.
struct Departing<'a> {
    builder: &'a mut PlanBuilder,
    spec: &'a ClusterSpec,
    facts: &'a Facts,
    /// The control-plane host that stays and lets them go.
    speaker: &'a HostSpec,
    removal: &'a Removal,
    /// The last step of each host.
    gone: Vec<StepId>,
}

impl Departing<'_> {
    fn add_worker(&mut self, host: &HostSpec, needs: &[StepId]) -> Result<(), PlanError> {
        let needs = if self.facts.cluster.is_some() {
            let drained = self.add_drain(host, needs);
            self.add_node_removal(host, &[drained])
        } else if has_control_plane(self.facts, self.speaker) {
            return Err(PlanError::ApiDown {
                host: host.name.clone(),
            });
        } else {
            needs.to_vec()
        };
        self.add_cleanup(host, &needs)
    }

    fn add_control_planes(
        &mut self,
        ordered: &[Leaving<'_>],
        needs: &[StepId],
    ) -> Result<(), PlanError> {
        let hosts: Vec<&HostSpec> = ordered.iter().map(|leaving| leaving.host).collect();
        let mut before = needs.to_vec();
        before.extend(add_endpoint_move(
            self.builder,
            self.spec,
            self.facts,
            self.speaker,
            &hosts,
        ));
        for leaving in ordered {
            let host = leaving.host;
            if self.facts.cluster.is_none() && leaving.is_member {
                return Err(PlanError::ApiDown {
                    host: host.name.clone(),
                });
            }
            let mut needs = before;
            if self.facts.cluster.is_some() {
                needs = vec![self.add_drain(host, &needs)];
            }
            let speaker = &self.speaker.name;
            needs = add_departure(self.builder, self.facts, speaker, leaving, &needs);
            // One member after the other.
            before = needs.clone();
            if self.facts.cluster.is_some() {
                needs = self.add_node_removal(host, &needs);
            }
            self.add_cleanup(host, &needs)?;
        }
        Ok(())
    }

    fn add_drain(&mut self, host: &HostSpec, needs: &[StepId]) -> StepId {
        let drain = Step::DrainNode(DrainNode {
            node_name: host.node_name().to_owned(),
            timeout_seconds: self.removal.drain_timeout_seconds,
            delete_empty_dir_data: self.removal.delete_empty_dir_data,
            comes_back: false,
        });
        let speaker = &self.speaker.name;
        self.builder.add(speaker, Phase::RemoveNode, drain, needs)
    }

    fn add_node_removal(&mut self, host: &HostSpec, needs: &[StepId]) -> Vec<StepId> {
        let mut before = needs.to_vec();
        let mut stopped = Vec::new();
        let phase = Phase::RemoveNode;
        if self.facts.host(&host.name).is_some() {
            // The kubelet must be silent first, or it registers its node again.
            let kubelet = Step::StopUnit(StopUnit {
                unit: KUBELET_UNIT.to_owned(),
            });
            stopped = vec![self.builder.add(&host.name, phase, kubelet, &before)];
            before.clone_from(&stopped);
        }
        let node_name = host.node_name().to_owned();
        let delete = Step::DeleteNode(DeleteNode { node_name });
        let speaker = &self.speaker.name;
        // A kubelet that only just started registers its node after the plan was made.
        let builder = &mut self.builder;
        vec![builder.add_rerun(speaker, phase, delete, &before, &stopped)]
    }

    fn add_cleanup(&mut self, host: &HostSpec, needs: &[StepId]) -> Result<(), PlanError> {
        let cleaned = add_host_cleanup(self.builder, self.spec, self.facts, host, needs)?;
        match cleaned {
            Some(last) => self.gone.push(last),
            None => self.gone.extend(needs.iter().cloned()),
        }
        Ok(())
    }
}
