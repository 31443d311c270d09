//! The hosts of a cluster, connected or known to be out of reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use slipway_api::protocol::{Reply, Request};
use slipway_api::{ClusterSpec, Failure, HostName, HostSpec, LeftOut};
use slipway_hosts::agent::AgentBinaries;
use slipway_hosts::ssh::{SshConfiguration, SshPool, SshSettings};
use slipway_hosts::{Host, HostError, SshHost};

use crate::EngineError;

/// How hosts are connected to.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Whether unknown host keys are trusted and recorded.
    pub accept_new_host_keys: bool,
}

/// The hosts of a cluster: each connected, or the reason why it is left out.
///
/// A host that is left out stays left out, however it does later: what was
/// planned and shown without it must not change behind somebody's back.
pub struct Fleet {
    hosts: BTreeMap<HostName, Result<Arc<dyn Host>, Failure>>,
}

impl Fleet {
    /// Connects to hosts over SSH, all at once. A host that cannot be reached
    /// is kept with its failure; the others go on.
    pub async fn connect<'a>(
        spec: &ClusterSpec,
        hosts: impl IntoIterator<Item = &'a HostSpec>,
        options: &ConnectOptions,
        on_progress: &(dyn Fn(&HostName, &str) + Send + Sync),
    ) -> Self {
        let configuration = SshConfiguration::detect().await;
        let binaries = AgentBinaries::own().await;
        let pool = SshPool::default();
        let connects = hosts.into_iter().map(|host| async {
            let connected = match &binaries {
                Ok(binaries) => {
                    let settings = SshSettings::of(host, &spec.ssh, options.accept_new_host_keys);
                    connect(
                        host,
                        &settings,
                        &configuration,
                        &pool,
                        binaries,
                        on_progress,
                    )
                    .await
                }
                Err(error) => Err(error.to_failure()),
            };
            (host.name.clone(), connected)
        });
        Self {
            hosts: join_all(connects).await.into_iter().collect(),
        }
    }

    /// Returns a fleet of hosts that are there already, as in tests.
    pub fn of_hosts(hosts: impl IntoIterator<Item = Arc<dyn Host>>) -> Self {
        let named = hosts
            .into_iter()
            .map(|host| (host.name().clone(), Ok(host)));
        Self {
            hosts: named.collect(),
        }
    }

    /// Takes in the hosts of another fleet; one that is in both is kept as it is.
    pub fn absorb(&mut self, other: Self) {
        for (name, host) in other.hosts {
            self.hosts.entry(name).or_insert(host);
        }
    }

    /// Returns each host with its connection or failure.
    pub fn iter(&self) -> impl Iterator<Item = (&HostName, &Result<Arc<dyn Host>, Failure>)> {
        self.hosts.iter()
    }

    /// Returns the connected host `name`.
    pub fn host(&self, name: &HostName) -> Option<&Arc<dyn Host>> {
        self.hosts.get(name)?.as_ref().ok()
    }

    /// Returns the hosts that could not be reached, with the reasons.
    pub fn unreachable(&self) -> Vec<LeftOut> {
        let failed = self.hosts.iter().filter_map(|(name, host)| {
            let failure = host.as_ref().err()?.clone();
            let host = name.clone();
            Some(LeftOut { host, failure })
        });
        failed.collect()
    }

    /// Goes on without a host; the connection to it ends.
    pub(crate) fn leave_out(&mut self, name: HostName, failure: Failure) {
        self.hosts.insert(name, Err(failure));
    }

    /// Takes the lock of every connected host for `holder`; the kernel gives
    /// it back when the connection ends, however it ends. Hosts that cannot be
    /// locked are left out.
    ///
    /// `first` is locked before the others: every run on a cluster asks for it,
    /// so that of two runs at once one gets all the hosts.
    ///
    /// # Errors
    /// A host is held by another run.
    pub async fn lock(&mut self, holder: &str, first: &HostName) -> Result<(), EngineError> {
        let (before, after): (Vec<_>, Vec<_>) = self
            .hosts
            .iter()
            .filter_map(|(name, host)| Some((name.clone(), Arc::clone(host.as_ref().ok()?))))
            .partition(|(name, _)| name == first);
        for hosts in [before, after] {
            let locking = hosts.into_iter().map(|(name, host)| async move {
                let request = Request::Lock {
                    holder: holder.to_owned(),
                };
                (name, host.request(request, &|_| {}).await)
            });
            for (name, locked) in join_all(locking).await {
                match locked {
                    Ok(Reply::Held { holder }) => {
                        return Err(EngineError::Held { host: name, holder });
                    }
                    Ok(_) => {}
                    Err(error) => self.leave_out(name, error.to_failure()),
                }
            }
        }
        Ok(())
    }

    /// Closes all connections.
    pub async fn close(&self) {
        join_all(self.hosts.values().flatten().map(|host| host.close())).await;
    }
}

async fn connect(
    host: &HostSpec,
    settings: &SshSettings,
    configuration: &SshConfiguration,
    pool: &SshPool,
    binaries: &AgentBinaries,
    on_progress: &(dyn Fn(&HostName, &str) + Send + Sync),
) -> Result<Arc<dyn Host>, Failure> {
    let target = settings
        .complete(configuration)
        .await
        .map_err(|error| HostError::from(error).to_failure())?;
    let progress =
        |sent: u64| on_progress(&host.name, &format!("copying slipway, {} MB", sent >> 20));
    let connected = SshHost::connect(host.name.clone(), &target, pool, binaries, &progress).await;
    match connected {
        Ok(connected) => Ok(Arc::new(connected)),
        Err(error) => Err(error.to_failure()),
    }
}
