//! Who is who in the control plane: which host leads, which follow, and where
//! everybody reaches the API.

use slipway_api::{ClusterSpec, ExistingCluster, Facts, HostName, HostSpec, Role};

use crate::PlanError;
use crate::balancer::has_balancer;
use crate::names::{api_address, host_port};

/// The control plane of a cluster as a plan sees it.
pub(crate) struct ControlPlaneHosts<'a> {
    /// The host that speaks for the cluster: it starts a new one, signs
    /// workers' certificates, and its API server is asked.
    pub lead: &'a HostSpec,
    /// The others that were reached, in the order in which they join: those
    /// that run etcd already first.
    pub others: Vec<&'a HostSpec>,
    /// Where kubeadm's joins find the API, `host:port`.
    pub endpoint: String,
    /// Whether workers reach the API through a balancer of their own.
    pub is_balanced: bool,
    /// The authorities whose keys are elsewhere, by kubeadm's names.
    external: Vec<String>,
}

impl<'a> ControlPlaneHosts<'a> {
    /// Returns who leads and who follows.
    ///
    /// A cluster that is there already is led by one of its own: the host whose
    /// API server answered, or else the first that has the administrator's
    /// kubeconfig and etcd's data. Only where no host has, the file's first
    /// starts a cluster, and then every control-plane host must have been seen
    /// to be bare: one that is out of reach might be the cluster.
    ///
    /// # Errors
    /// No host can lead.
    pub fn of(spec: &'a ClusterSpec, facts: &Facts) -> Result<Self, PlanError> {
        let all: Vec<&HostSpec> = spec.hosts_with_role(Role::ControlPlane).collect();
        let is_reached = |host: &HostName| facts.host(host).is_some();
        let spoke = facts.cluster_from.as_ref().filter(|host| is_reached(host));
        let established = |host: &&&HostSpec| is_established(facts, &host.name);
        let lead = match spoke.and_then(|name| spec.host(name)) {
            Some(lead) => lead,
            None => match all.iter().find(established) {
                Some(lead) => lead,
                None => starting_host(&all, facts)?,
            },
        };
        let others = all
            .iter()
            .filter(|host| host.name != lead.name && is_reached(&host.name));
        let (mut running, new): (Vec<&HostSpec>, Vec<&HostSpec>) =
            others.partition(|host| is_established(facts, &host.name));
        running.extend(new);
        let authorities = facts
            .host(&lead.name)
            .map(|facts| &facts.existing.authorities);
        let external = authorities.into_iter().flatten();
        let external = external.filter(|authority| authority.is_external());
        Ok(Self {
            lead,
            others: running,
            endpoint: endpoint(spec, &all, lead, facts),
            is_balanced: has_balancer(spec, Role::Worker),
            external: external.map(|authority| authority.name.clone()).collect(),
        })
    }

    /// Returns the control-plane host through which nodes are let go: one that
    /// `stays`, whose API server answered, or else on which one runs.
    pub fn speaker(
        spec: &'a ClusterSpec,
        facts: &Facts,
        stays: impl Fn(&HostName) -> bool,
    ) -> Option<&'a HostSpec> {
        let is_fit = |host: &&HostSpec| facts.host(&host.name).is_some() && stays(&host.name);
        let spoke = facts.cluster_from.as_ref().and_then(|name| spec.host(name));
        let all: Vec<&HostSpec> = spec
            .hosts_with_role(Role::ControlPlane)
            .filter(is_fit)
            .collect();
        let has_control_plane = |host: &&&HostSpec| has_control_plane(facts, host);
        spoke
            .filter(is_fit)
            .or_else(|| all.iter().find(has_control_plane).copied())
            .or_else(|| all.first().copied())
    }

    /// Returns the control plane as one host of it that is known; `is_balanced` says whether
    /// workers have balancers, which find the others.
    pub fn single(spec: &'a ClusterSpec, is_balanced: bool) -> Self {
        let lead = spec.first_control_plane();
        Self {
            lead,
            others: Vec::new(),
            endpoint: endpoint(spec, &[lead], lead, &Facts::default()),
            is_balanced,
            // Where nobody signs, joining by token does not work, and nobody can tell from here.
            external: Vec::new(),
        }
    }

    /// Returns the URL under which others are told to reach the API.
    pub fn url(&self) -> String {
        format!("https://{}", self.endpoint)
    }

    /// Returns whether the key of the authority of kubeadm's name is elsewhere.
    pub fn has_external(&self, name: &str) -> bool {
        self.external.iter().any(|external| external == name)
    }

    /// Returns the host that signs the certificates of `host`'s kubelet.
    pub fn signer(&self, host: &HostSpec) -> HostName {
        match host.role {
            // It has the CA's key itself.
            Role::ControlPlane => host.name.clone(),
            Role::Worker => self.lead.name.clone(),
        }
    }
}

/// Returns whether a control-plane node runs on a host, its API server up or down.
pub(crate) fn is_established(facts: &Facts, host: &HostName) -> bool {
    facts.host(host).is_some_and(|facts| {
        let existing = &facts.existing;
        let has = |name: &str| existing.manifests.iter().any(|found| found == name);
        existing.admin_conf && existing.kubelet_conf && has("kube-apiserver.yaml")
    })
}

/// Returns whether a host is a control-plane node, or was to become one.
pub(crate) fn has_control_plane(facts: &Facts, host: &HostSpec) -> bool {
    facts
        .host(&host.name)
        .is_some_and(|facts| facts.existing.admin_conf)
}

/// Returns the host that starts the cluster where none runs yet.
fn starting_host<'a>(all: &[&'a HostSpec], facts: &Facts) -> Result<&'a HostSpec, PlanError> {
    let has = |what: fn(&ExistingCluster) -> bool| {
        let of_host = |host: &HostSpec| facts.host(&host.name).map(|facts| &facts.existing);
        all.iter()
            .find(|host| of_host(host).is_some_and(what))
            .copied()
    };
    // A start that was cut off goes on where it was.
    if let Some(host) = has(|existing| existing.etcd_data) {
        return Ok(host);
    }
    let is_lost = |host: &&&HostSpec| {
        facts.hosts.contains_key(&host.name) && facts.host(&host.name).is_none()
    };
    if let Some(lost) = all.iter().find(is_lost) {
        return Err(PlanError::HostNotReached {
            host: lost.name.clone(),
        });
    }
    has(|existing| existing.admin_conf)
        .or_else(|| has(|_| true))
        .ok_or_else(|| PlanError::HostNotReached {
            host: all[0].name.clone(),
        })
}

/// Returns where kubeadm's joins find the API: what the file says, or else the
/// control-plane host that the cluster names already while the file has it.
fn endpoint(spec: &ClusterSpec, all: &[&HostSpec], lead: &HostSpec, facts: &Facts) -> String {
    if let Some(endpoint) = &spec.control_plane_endpoint {
        return host_port(&endpoint.host, endpoint.port);
    }
    let of = |host: &HostSpec| api_address(host).to_string();
    let stored = facts.cluster.as_ref();
    let stored = stored.and_then(|cluster| cluster.control_plane_endpoint());
    stored
        .filter(|stored| all.iter().any(|host| of(host) == *stored))
        .map_or_else(|| of(lead), str::to_owned)
}
