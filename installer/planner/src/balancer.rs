//! The balancer on a worker, through which it reaches every API server.

use std::net::SocketAddr;

use slipway_api::step::{
    EnsureUnit, ForgetUnits, InstallSlipway, RemoveFiles, StopUnit, WriteFile,
};
use slipway_api::{BalancerSeeds, ClusterSpec, Phase, Role, Step, StepId, paths};
use slipway_templates::ApiserverProxyUnit;

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::footprint::everything;
use crate::names::{API_PORT, api_address};
use crate::plan_cluster::HostInput;

/// The balancer's unit.
const BALANCER_UNIT: &str = "slipway-apiserver-proxy.service";

/// Where it listens: the address in the worker's kubeconfigs.
const LISTEN: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    API_PORT,
);

/// Returns whether hosts of this role reach the API through a balancer: where
/// there are several API servers and no address for all of them.
pub(crate) fn has_balancer(spec: &ClusterSpec, role: Role) -> bool {
    let count = spec.hosts_with_role(Role::ControlPlane).count();
    role == Role::Worker && spec.control_plane_endpoint.is_none() && count > 1
}

/// Adds the list of API servers, the program and its unit; returns the step
/// after which it runs. None where workers need none.
pub(crate) fn add_balancer(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    marker: &StepId,
) -> Result<Option<StepId>, PlanError> {
    if !input.control_plane.is_balanced {
        return Ok(None);
    }
    let host = &input.host.name;
    let needs = std::slice::from_ref(marker);
    let mut add = |step| builder.add(host, Phase::Install, step, needs);
    let control_plane = input.spec.hosts_with_role(Role::ControlPlane);
    let seeds = BalancerSeeds {
        endpoints: control_plane.map(api_address).collect(),
    };
    let seeds = WriteFile::new(paths::APISERVER_PROXY_SEEDS, 0o600, seeds.to_json());
    let seeds = add(Step::WriteFile(seeds));
    let program = format!("{}/slipway", paths::BIN_DIR);
    let installed = add(Step::InstallSlipway(InstallSlipway {
        path: program.clone(),
    }));
    let unit = ApiserverProxyUnit {
        slipway_path: program.clone(),
        listen: LISTEN,
        state_dir: paths::APISERVER_PROXY_DIR.to_owned(),
    };
    let unit = unit.render().map_err(|source| PlanError::Render {
        what: BALANCER_UNIT,
        source,
    })?;
    let unit_path = paths::APISERVER_PROXY_UNIT.to_owned();
    let written = add(Step::WriteFile(WriteFile::new(&unit_path, 0o644, unit)));
    let unit = Step::EnsureUnit(EnsureUnit {
        unit: BALANCER_UNIT.to_owned(),
        files: vec![paths::APISERVER_PROXY_SEEDS.to_owned(), program, unit_path],
    });
    let after = [seeds, installed, written];
    Ok(Some(builder.add_rerun(
        host,
        Phase::Install,
        unit,
        &[],
        &after,
    )))
}

/// Takes a balancer away that workers need no more, once nothing on the host
/// goes through it: after `needs`.
pub(crate) fn add_balancer_removal(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    needs: &[StepId],
) {
    if input.control_plane.is_balanced || !input.facts.existing.balancer {
        return;
    }
    builder.add_in_turn(&input.host.name, Phase::NodeReady, removal(), needs);
}

/// Returns what takes the balancer, what it knows and its program away, each
/// after the other. Its unit's file goes last: it says that there is one.
pub(crate) fn removal() -> Vec<Step> {
    let files = |folder: &str, names: &[String]| {
        Step::RemoveFiles(RemoveFiles {
            folder: folder.to_owned(),
            names: names.to_vec(),
        })
    };
    let wanted = format!("multi-user.target.wants/{BALANCER_UNIT}");
    vec![
        Step::StopUnit(StopUnit {
            unit: BALANCER_UNIT.to_owned(),
        }),
        everything(paths::APISERVER_PROXY_DIR),
        files(paths::BIN_DIR, &["slipway".to_owned()]),
        files(paths::UNIT_DIR, &[wanted, BALANCER_UNIT.to_owned()]),
        Step::ForgetUnits(ForgetUnits {
            units: vec![BALANCER_UNIT.to_owned()],
        }),
    ]
}

/// Returns what is remembered before: what is at the paths that are written.
pub(crate) fn remembered() -> Vec<String> {
    vec![
        format!("{}/slipway", paths::BIN_DIR),
        paths::APISERVER_PROXY_UNIT.to_owned(),
        format!(
            "{}/multi-user.target.wants/{BALANCER_UNIT}",
            paths::UNIT_DIR
        ),
    ]
}
