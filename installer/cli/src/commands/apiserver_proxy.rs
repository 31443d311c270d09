//! `apiserver-proxy`: the node-local balancer, as its unit starts it.

use std::time::Duration;

use slipway_balancer::BalancerOptions;

use crate::args::ApiserverProxyArgs;
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;

/// How often each API server is asked whether it is ready.
const HEALTH_PERIOD: Duration = Duration::from_secs(1);
/// How often one is asked who they all are.
const MEMBERS_PERIOD: Duration = Duration::from_secs(5);

/// Serves until it is stopped.
pub(crate) async fn run(args: ApiserverProxyArgs) -> Result<ExitCode, CliError> {
    let options = BalancerOptions {
        listen: args.listen,
        seeds: args.seeds,
        members: args.members,
        state: args.state,
        ca: args.certificate_authority,
        client: args.client_certificate,
        health_period: HEALTH_PERIOD,
        members_period: MEMBERS_PERIOD,
    };
    let served = slipway_balancer::serve(options, |line| noteln!("{line}")).await;
    served
        .map(|()| ExitCode::Done)
        .map_err(|error| CliError::failed(&error))
}
