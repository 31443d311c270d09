//! `logs`: the journal of the newest run, on this machine or on a host.

use slipway_api::protocol::{Reply, Request};
use slipway_engine::{EngineError, newest_journal};

use crate::args::{LogsArgs, Output};
use crate::cli_error::CliError;
use crate::exit_code::ExitCode;
use crate::session::{chosen_hosts, connect, journal_folder, load_spec};
use crate::show;

pub(crate) async fn run(args: LogsArgs, output: Output) -> Result<ExitCode, CliError> {
    let spec = load_spec(args.cluster.config.as_deref())?;
    let entries = match args.host {
        None => newest_journal(&journal_folder(), &spec.name)?.unwrap_or_default(),
        Some(name) => {
            let hosts = chosen_hosts(&spec, std::slice::from_ref(&name))?;
            let fleet = connect(&spec, hosts, &args.cluster).await;
            let Some(host) = fleet.host(&name) else {
                return Err(EngineError::Unreachable(fleet.unreachable()).into());
            };
            let reply = host
                .request(Request::ReadJournal { run: None }, &|_| {})
                .await;
            let reply = reply.map_err(|error| CliError {
                code: ExitCode::Failed,
                failure: error.to_failure(),
            })?;
            fleet.close().await;
            let Reply::Journal { entries } = reply else {
                return Err(CliError::bad_input(
                    "the agent answered something else",
                    "run it again",
                ));
            };
            entries
        }
    };
    if entries.is_empty() {
        return Err(CliError::bad_input(
            format!("there is no journal of a run on {} here", spec.name),
            "runs are journalled on the machine they were started from and on their hosts: `--host NAME`",
        ));
    }
    show::journal(&entries, output);
    Ok(ExitCode::Done)
}
