//! `logs`: the journal of the newest run, on this machine or on a host.

use slipway_api::Entry;
use slipway_api::protocol::{Reply, Request};
use slipway_engine::{EngineError, newest_journal, newest_journal_of_any};
use slipway_hosts::Host;

use crate::args::{LogsArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::session::{Reading, journal_folder, load_spec};
use crate::show;
use crate::this_machine::{self, host_error, unexpected};

pub(crate) async fn run(args: LogsArgs, output: Output) -> Result<ExitCode, CliError> {
    let entries = match (&args.cluster.config, &args.host) {
        (Some(file), None) => {
            let spec = load_spec(Some(file), Reading::Alone)?;
            newest_journal(&journal_folder(), &spec.name)?.unwrap_or_default()
        }
        (Some(_), Some(name)) => {
            let cluster = Cluster::load(&args.cluster).await?;
            let hosts = cluster.chosen_hosts(std::slice::from_ref(name))?;
            let fleet = cluster.connect(hosts, &args.cluster).await?;
            let Some(host) = fleet.host(name) else {
                return Err(EngineError::Unreachable(fleet.unreachable()).into());
            };
            let entries = read_journal(host.as_ref()).await?;
            fleet.close().await;
            entries
        }
        (None, Some(name)) => {
            return Err(CliError::bad_input(
                format!("there is no file that says where host {name} is"),
                "name the cluster file with `-f` or in SLIPWAY_CONFIG",
            ));
        }
        (None, None) => match newest_journal_of_any(&journal_folder())? {
            Some(entries) => entries,
            None => own_journal().await?,
        },
    };
    if entries.is_empty() {
        return Err(CliError::bad_input(
            "there is no journal of a run here",
            "runs are journalled on the machine they were started from and on their hosts: `--host NAME`",
        ));
    }
    show::journal(&entries, output);
    Ok(ExitCode::Done)
}

/// Reads what this machine's own agent wrote while a run from elsewhere was here.
async fn own_journal() -> Result<Vec<Entry>, CliError> {
    this_machine::require_root()?;
    let name = "this-machine".parse().expect("it is a host name");
    read_journal(this_machine::start_agent(&name).await?.as_ref()).await
}

async fn read_journal(host: &dyn Host) -> Result<Vec<Entry>, CliError> {
    let request = Request::ReadJournal { run: None };
    let reply = host.request(request, &|_| {}).await.map_err(host_error)?;
    let Reply::Journal { entries } = reply else {
        return Err(unexpected(&reply));
    };
    Ok(entries)
}
