//! The balancer on a worker, through which it reaches every API server.

use std::net::SocketAddr;

use slipway_api::step::{EnsureUnit, InstallSlipway, WriteFile};
use slipway_api::{BalancerSeeds, ClusterSpec, Phase, Role, Step, StepId, paths};
use slipway_templates::ApiserverProxyUnit;

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::names::API_PORT;
use crate::plan_cluster::HostInput;

/// The balancer's unit.
pub(crate) const BALANCER_UNIT: &str = "slipway-apiserver-proxy.service";

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
        endpoints: control_plane
            .map(|host| SocketAddr::new(host.node_ip, API_PORT))
            .collect(),
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
    let unit_path = format!("{}/{BALANCER_UNIT}", paths::UNIT_DIR);
    let written = add(Step::WriteFile(WriteFile::new(
        unit_path.clone(),
        0o644,
        unit,
    )));
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
