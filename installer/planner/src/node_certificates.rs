//! A control-plane node's authorities, certificates and kubeconfigs.

use std::collections::BTreeMap;

use slipway_api::step::{EnsureAuthority, EnsureServiceAccountKey};
use slipway_api::{Etcd, Phase, Step, StepId};

use crate::builder::PlanBuilder;
use crate::certificate_recipes::{CertificateRecipes, authority_of};
use crate::plan_cluster::HostInput;
use crate::static_pods::Writers;

/// Where a control-plane node's authorities and service account keys come from.
pub(crate) enum Keys<'a> {
    /// It makes them, once it is marked.
    Made {
        /// The steps that mark it.
        marked: &'a [StepId],
    },
    /// It takes those that another has, by this step. What signs elsewhere was
    /// given to it as to the other.
    Taken(StepId),
}

/// Returns the authorities that the cluster has, by kubeadm's names.
fn authority_names(input: &HostInput<'_>) -> impl Iterator<Item = &'static str> {
    let has_etcd = matches!(input.spec.cluster_configuration.etcd, Etcd::Local(_));
    ["ca", "front-proxy-ca", "etcd-ca"]
        .into_iter()
        .filter(move |name| has_etcd || *name != "etcd-ca")
}

/// Returns what one control-plane node takes from another: the authorities
/// whose keys the cluster has, and the service account keys.
pub(crate) fn taken_names(input: &HostInput<'_>) -> Vec<String> {
    let own = authority_names(input).filter(|name| !input.control_plane.has_external(name));
    own.chain(["sa"]).map(str::to_owned).collect()
}

/// Adds authorities, certificates and kubeconfigs; returns the steps that write them.
pub(crate) fn add_certificates(
    builder: &mut PlanBuilder,
    input: &HostInput<'_>,
    keys: &Keys<'_>,
) -> Writers {
    let host = &input.host.name;
    let configuration = &input.spec.cluster_configuration;
    let algorithm = configuration.encryption_algorithm.clone();
    let is_external = |name: &str| input.control_plane.has_external(name);
    let mut authorities: BTreeMap<&str, StepId> = BTreeMap::new();
    for name in authority_names(input) {
        let needs = match keys {
            Keys::Made { marked } => marked,
            Keys::Taken(id) if is_external(name) => std::slice::from_ref(id),
            Keys::Taken(id) => {
                authorities.insert(name, id.clone());
                continue;
            }
        };
        let step = Step::EnsureAuthority(EnsureAuthority {
            name: name.to_owned(),
            algorithm: algorithm.clone(),
            validity_seconds: configuration.ca_certificate_validity_period.as_secs(),
            is_external: is_external(name),
        });
        authorities.insert(name, builder.add(host, Phase::Certs, step, needs));
    }
    let recipes =
        CertificateRecipes::of_control_plane(input.spec, input.host, input.release, is_external);
    let mut writers = Writers::new();
    for mut step in recipes.certificates {
        let name = step.name.clone();
        step.replaces = input.replaced(&name);
        let authority = [authorities[authority_of(&name)].clone()];
        let step = Step::EnsureCertificate(step);
        let id = builder.add_rerun(host, Phase::Certs, step, &[], &authority);
        writers.insert(name, id);
    }
    let key = match keys {
        Keys::Taken(id) => id.clone(),
        Keys::Made { marked } => {
            let key = Step::EnsureServiceAccountKey(EnsureServiceAccountKey { algorithm });
            builder.add(host, Phase::Certs, key, marked)
        }
    };
    writers.insert("sa".to_owned(), key);
    let is_wanted = |name: &str| match name {
        // It is looked at where the kubelet starts.
        "kubelet" => false,
        // It is there to start a cluster, and one that others joined runs.
        "super-admin" => matches!(keys, Keys::Made { .. }),
        _ => true,
    };
    let kubeconfigs = recipes.kubeconfigs.into_iter();
    for mut step in kubeconfigs.filter(|step| is_wanted(&step.name)) {
        let name = step.name.clone();
        step.replaces = input.replaced(&format!("{name}.conf"));
        let authority = [authorities["ca"].clone()];
        let step = Step::EnsureKubeconfig(step);
        let id = builder.add_rerun(host, Phase::Kubeconfig, step, &[], &authority);
        writers.insert(name, id);
    }
    let authorities = authorities.into_iter();
    writers.extend(authorities.map(|(name, id)| (name.to_owned(), id)));
    writers
}
