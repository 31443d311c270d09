//! Plans what `preflight --fix` mends: kernel modules, sysctls and a missing
//! route to Services, nothing else.

use ipnet::IpNet;
use slipway_api::step::{EnsureUnit, WriteFile};
use slipway_api::{ClusterSpec, Facts, HostName, LeftOut, Phase, Plan, Step, paths};
use slipway_templates::ServiceRouteUnit;

use crate::Scope;
use crate::builder::PlanBuilder;
use crate::install::add_kernel;
use crate::preflight::has_route;

/// The unit that adds the route, and the link that it adds it on.
pub(crate) const ROUTE_UNIT: &str = "slipway-service-route.service";
const ROUTE_LINK: &str = "slipway0";

/// Returns the steps that mend the fixable findings of the hosts in `scope`.
/// Hosts that were not reached are left out.
pub fn plan_fixes(spec: &ClusterSpec, facts: &Facts, scope: &Scope) -> Plan {
    let mut builder = PlanBuilder::default();
    for host in spec.hosts.iter().filter(|host| scope.includes(&host.name)) {
        if let Some(facts) = facts.host(&host.name) {
            add_kernel(&mut builder, spec, &host.name, &[]);
            let subnets = spec.networking.service_subnet.iter();
            let lost = subnets.filter(|subnet| !has_route(&facts.routes, subnet));
            add_routes(&mut builder, &host.name, &lost.collect::<Vec<_>>());
        }
    }
    let is_wanted = |it: &LeftOut| scope.includes(&it.host);
    builder.finish(&spec.name, facts.unreached().filter(is_wanted).collect())
}

/// Adds a default route for the family of each subnet; every other default
/// route is preferred to it.
fn add_routes(builder: &mut PlanBuilder, host: &HostName, subnets: &[IpNet]) {
    if subnets.is_empty() {
        return;
    }
    let has = |family: fn(&IpNet) -> bool| subnets.iter().any(family);
    let unit = ServiceRouteUnit {
        link: ROUTE_LINK.to_owned(),
        ipv4: has(|subnet| matches!(subnet, IpNet::V4(_))),
        ipv6: has(|subnet| matches!(subnet, IpNet::V6(_))),
    };
    let text = unit.render().expect("the template has these values");
    let path = format!("{}/{ROUTE_UNIT}", paths::UNIT_DIR);
    let file = Step::WriteFile(WriteFile::new(path.clone(), 0o644, text));
    let file = builder.add(host, Phase::Install, file, &[]);
    let unit = Step::EnsureUnit(EnsureUnit {
        unit: ROUTE_UNIT.to_owned(),
        files: vec![path],
    });
    builder.add_rerun(host, Phase::Install, unit, &[], &[file]);
}
