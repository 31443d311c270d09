//! Probes: tries network, names and disk as it is asked to, each within a bound.

mod connect;
mod datagrams;
mod etcd;
mod listeners;
mod names;
mod sync_file;

use std::path::Path;

use futures::StreamExt;
use slipway_api::{HostName, Probe, ProbeOutcome};

pub(crate) use listeners::OpenListeners;
pub(crate) use names::addresses as addresses_of;

use crate::facts::space_below;
use crate::files;
use crate::server::under;
use crate::steps::judge_given;

/// How many probes of one host are tried at once.
const AT_ONCE: usize = 128;

/// What every message of a probe begins with.
const GREETING: &str = "slipway-probe";

/// Tries all of `probes` as the host `from`, many at once, and returns what
/// came of each, in their order. Each ends within seconds.
pub(crate) async fn run_probes(
    probes: &[Probe],
    nonce: &str,
    from: &HostName,
    root: &Path,
) -> Vec<ProbeOutcome> {
    let tries: Vec<_> = probes
        .iter()
        .map(|probe| run_probe(probe, nonce, from, root))
        .collect();
    futures::stream::iter(tries)
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn run_probe(probe: &Probe, nonce: &str, from: &HostName, root: &Path) -> ProbeOutcome {
    match probe {
        Probe::Connect {
            address,
            port,
            expects_listener,
            ..
        } => {
            let greeting = expects_listener.then(|| listeners::greeting(nonce));
            connect::connect((*address, *port).into(), greeting.as_deref()).await
        }
        Probe::SendDatagrams {
            address,
            port,
            sizes,
            ..
        } => {
            let text = datagrams::text(nonce, from);
            datagrams::send((*address, *port).into(), &text, sizes).await
        }
        Probe::ResolveName { name } => names::resolve(name).await,
        Probe::AskNameServer { address } => names::ask((*address, names::DNS_PORT).into()).await,
        Probe::LookAtFolder { folder } => {
            let path = under(root, folder);
            ProbeOutcome::Folder {
                has_content: files::has_content(&path),
                disk: space_below(&path),
            }
        }
        Probe::FindFiles { paths } => ProbeOutcome::Missing {
            paths: paths
                .iter()
                .filter(|path| !under(root, path).is_file())
                .cloned()
                .collect(),
        },
        Probe::JudgeGiven {
            certificates,
            kubeconfigs,
            ca_pin,
        } => judge_given(certificates, kubeconfigs, ca_pin.as_deref(), root),
        Probe::AskEtcdVersion {
            endpoint,
            ca_file,
            cert_file,
            key_file,
        } => {
            let question = etcd::EtcdQuestion {
                endpoint,
                ca_file,
                cert_file,
                key_file,
            };
            etcd::version(root, &question).await
        }
        Probe::SyncFile { folder } => sync_file::sync_file(root, folder).await,
    }
}
