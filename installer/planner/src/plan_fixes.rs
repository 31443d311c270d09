//! Plans what `preflight --fix` mends: kernel modules and sysctls, nothing else.

use slipway_api::{ClusterSpec, Facts, LeftOut, Plan};

use crate::Scope;
use crate::builder::PlanBuilder;
use crate::install::add_kernel;

/// Returns the steps that mend the fixable findings of the hosts in `scope`.
/// Hosts that were not reached are left out.
pub fn plan_fixes(spec: &ClusterSpec, facts: &Facts, scope: &Scope) -> Plan {
    let mut builder = PlanBuilder::default();
    for host in spec.hosts.iter().filter(|host| scope.includes(&host.name)) {
        if facts.host(&host.name).is_some() {
            add_kernel(&mut builder, spec, &host.name, &[]);
        }
    }
    let is_wanted = |it: &LeftOut| scope.includes(&it.host);
    builder.finish(&spec.name, facts.unreached().filter(is_wanted).collect())
}
