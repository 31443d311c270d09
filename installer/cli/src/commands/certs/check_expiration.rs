//! `certs check-expiration`: when the certificates of all hosts expire.

use jiff::Timestamp;
use slipway_engine::gather_facts;
use slipway_planner::CertificateExpiry;

use crate::args::{ClusterArgs, Output};
use crate::cli_error::CliError;
use crate::cluster::Cluster;
use crate::exit_code::ExitCode;
use crate::show::{self, CertificatePage, SameAgain};

pub(super) async fn run(args: ClusterArgs, output: Output) -> Result<ExitCode, CliError> {
    let cluster = Cluster::find(&args).await?;
    let mut fleet = cluster.connect(cluster.chosen_hosts(&[])?, &args).await?;
    let facts = gather_facts(&mut fleet, &cluster.spec).await;
    fleet.close().await;
    let page = CertificatePage::of(&cluster.spec, &facts, Timestamp::now().as_second());
    page.print(output);
    let again = SameAgain::new("certs check-expiration", args.config.as_deref());
    show::left_out(&page.left_out, &again, output);
    let is_soon = |expiry: CertificateExpiry| expiry != CertificateExpiry::Later;
    Ok(match page.rows.iter().any(|row| is_soon(row.expiry)) {
        _ if !page.left_out.is_empty() => ExitCode::Unreachable,
        true => ExitCode::Pending,
        false => ExitCode::Done,
    })
}
