//! A further control-plane node, in the phases of `kubeadm join --control-plane`.
//!
//! It has the cluster's authorities from another control-plane host and makes
//! everything else itself. Its etcd joins the others' while its kubelet runs
//! already; its API server starts once its etcd votes, so that nothing of it
//! ever fails for want of something else.

use std::collections::BTreeMap;

use slipway_api::step::{Condition, CopyAuthorities, EtcdPeer, JoinEtcd};
use slipway_api::{Cni, HostName, Phase, Sha256Digest, Step, StepId};
use slipway_templates::EtcdMember;

use crate::PlanError;
use crate::builder::PlanBuilder;
use crate::components::startup_timeout;
use crate::control_plane::{ControlPlaneSteps, add_marks, wait_for};
use crate::etcd_snapshots::add_etcd_snapshots;
use crate::install::{Installed, add_images, add_install, runtime_socket};
use crate::manifests::{add_components, add_etcd_folder, etcd_manifest};
use crate::names::local_api_url;
use crate::node_certificates::{Keys, add_certificates, taken_names};
use crate::own_files::add_withdrawals;
use crate::plan_cluster::HostInput;
use crate::static_pods::{PodFiles, add_api_server_pod, add_etcd_pod, add_its_clients};
use crate::worker::{KubeletStart, add_kubelet};

/// What a control-plane node waits for of those before it: etcd's members
/// change and restart one by one, everything else goes on in parallel.
#[derive(Default)]
pub(crate) struct Chain {
    /// The host that has the authorities.
    from: Option<HostName>,
    /// The digest of the cluster CA, where there is one already.
    ca: Option<Sha256Digest>,
    /// The steps after which the authorities can be taken.
    authorities: Vec<StepId>,
    /// The steps after which etcd is healthy as it is.
    etcd: Vec<StepId>,
    /// The step after which the last API server answers.
    api: Vec<StepId>,
    /// The hosts whose etcd is a member then.
    peers: Vec<EtcdPeer>,
}

impl Chain {
    /// Returns a chain in which etcd's members change after `needs`.
    pub fn after(needs: &[StepId]) -> Self {
        Self {
            etcd: needs.to_vec(),
            ..Self::default()
        }
    }

    /// Begins with the host that leads.
    pub fn begin(&mut self, lead: &HostInput<'_>, steps: ControlPlaneSteps) {
        self.found(lead);
        self.authorities = steps.authorities;
        self.etcd.push(steps.api.clone());
        self.api = vec![steps.api];
    }

    /// Takes in a control-plane node that runs and that the plan is not about.
    pub fn found(&mut self, input: &HostInput<'_>) {
        if self.from.is_none() {
            self.from = Some(input.host.name.clone());
            self.ca = input.facts.existing.ca_sha256;
        }
        self.add_peer(input);
    }

    fn add_peer(&mut self, input: &HostInput<'_>) {
        self.peers.push(EtcdPeer {
            host: input.host.name.clone(),
            address: input.host.node_ip,
        });
    }
}

/// Adds a control-plane node beside those in `chain`; returns the step after
/// which it is Ready. One that `runs` already is not restarted while the one
/// before it is.
pub(crate) fn add_joined_control_plane(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    chain: &mut Chain,
    runs: bool,
) -> Result<StepId, PlanError> {
    let host = &input.host.name;
    let installed = add_install(builder, input)?;
    let images = input.images();
    let mut images_here = images.of_control_plane();
    images_here.extend(images.of_node());
    let images = add_images(builder, input, &images_here, &installed)?;
    let keys = Keys::Taken(add_authorities(builder, input, &installed, chain));
    let mut files = PodFiles {
        writers: add_certificates(builder, input, &keys),
        own: BTreeMap::new(),
    };

    let mut needs = installed.all.clone();
    needs.extend(images);
    needs.extend(files.writers.values().cloned());
    needs.sort();
    needs.dedup();
    let start = KubeletStart {
        server: local_api_url(input.host),
        needs: &needs,
        installed: &installed,
    };
    let kubelet = add_kubelet(builder, input, &start)?;
    let etcd = add_etcd(builder, input, &installed, &kubelet, chain, &mut files)?;

    let before = std::slice::from_ref(etcd.as_ref().unwrap_or(&kubelet));
    add_components(builder, input, &installed, before, &mut files)?;
    let mut pods = Vec::new();
    pods.extend(etcd.clone());
    let needs = match runs {
        true => chain.api.first().unwrap_or(&before[0]),
        false => &before[0],
    };
    pods.extend(add_api_server_pod(builder, input, &files, needs));
    let api = wait_for(input, Condition::ApiServerReady);
    let api = builder.add_rerun(host, Phase::WaitControlPlane, api, before, &pods);
    add_its_clients(builder, input, &files, &api);
    add_etcd_snapshots(builder, input, std::slice::from_ref(&api))?;
    chain.api = vec![api.clone()];

    let marks = add_marks(builder, input, &api);
    add_withdrawals(builder, input, std::slice::from_ref(&marks));
    if input.spec.networking.cni == Cni::None {
        return Ok(marks);
    }
    let node = input.host.node_name().to_owned();
    let ready = wait_for(input, Condition::NodeReady { node });
    Ok(builder.add(host, Phase::NodeReady, ready, &[marks]))
}

fn add_authorities(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    installed: &Installed,
    chain: &Chain,
) -> StepId {
    let lead = &input.control_plane.lead.name;
    let step = Step::CopyAuthorities(CopyAuthorities {
        from: chain.from.clone().unwrap_or_else(|| lead.clone()),
        names: taken_names(input),
        ca_sha256: chain.ca,
    });
    let mut needs = chain.authorities.clone();
    needs.push(installed.marker.clone());
    builder.add(&input.host.name, Phase::Certs, step, &needs)
}

/// Adds the member of etcd; returns the step after which it votes and all are
/// healthy. None where etcd is somebody else's.
fn add_etcd(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    installed: &Installed,
    kubelet: &StepId,
    chain: &mut Chain,
    files: &mut PodFiles,
) -> Result<Option<StepId>, PlanError> {
    let placeholder = EtcdMember {
        name: JoinEtcd::PLACEHOLDER_NAME.to_owned(),
        peer_url: JoinEtcd::PLACEHOLDER_URL.to_owned(),
    };
    let Some((etcd, manifest)) = etcd_manifest(input, vec![placeholder], installed, files)? else {
        return Ok(None);
    };
    let host = &input.host.name;
    let needs = std::slice::from_ref(kubelet);
    let folder = add_etcd_folder(builder, input, etcd, needs);
    let step = Step::JoinEtcd(JoinEtcd {
        member_name: input.host.node_name().to_owned(),
        address: input.host.node_ip,
        peers: chain.peers.clone(),
        manifest,
        data_dir: etcd.data_dir.clone(),
        socket: runtime_socket(input),
        timeout_seconds: u64::from(startup_timeout(input.spec)),
    });
    let mut needs = chain.etcd.clone();
    needs.push(folder);
    let joined = builder.add(host, Phase::Etcd, step, &needs);
    files.writers.insert("etcd".to_owned(), joined.clone());
    let pod = add_etcd_pod(builder, input, files, &joined);
    let after: Vec<StepId> = std::iter::once(joined).chain(pod).collect();
    let healthy = wait_for(input, Condition::EtcdHealthy);
    let healthy = builder.add_rerun(host, Phase::WaitControlPlane, healthy, &[], &after);
    chain.etcd = vec![healthy.clone()];
    chain.add_peer(input);
    Ok(Some(healthy))
}
