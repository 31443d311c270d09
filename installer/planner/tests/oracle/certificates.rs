//! Our recipes for certificates and kubeconfigs, held against kubeadm's own.

use slipway_api::Step;
use slipway_api::step::{EnsureCertificate, EnsureKubeconfig};
use slipway_pki::{
    BACKDATE, CertificateFacts, CertificateName, ControlPlaneNames, Credentials, Kubeconfig,
    KubeconfigName,
};

use crate::differences::Differences;
use crate::kubeadm::Written;
use crate::planned::Planned;

/// Compares what our recipes say with what kubeadm made.
pub fn compare(planned: &Planned, written: &Written, differences: &mut Differences) {
    let mut planned_names = Vec::new();
    for planned in &planned.plan.steps {
        if let Step::EnsureAuthority(step) = &planned.step {
            let name = named(&step.name);
            planned_names.push(name);
            let expected = (step.algorithm.clone(), step.validity_seconds);
            compare_making(&step.name, expected, &theirs(name, written), differences);
        } else if let Step::EnsureCertificate(step) = &planned.step {
            let name = named(&step.name);
            planned_names.push(name);
            let facts = theirs(name, written);
            let profile = name.profile(&names(step)).expect("the names are names");
            let found = facts.difference_from(&profile);
            differences
                .0
                .extend(found.iter().map(|line| format!("{}: {line}", step.name)));
            let expected = (step.algorithm.clone(), step.validity_seconds);
            compare_making(&step.name, expected, &facts, differences);
        } else if let Step::EnsureKubeconfig(step) = &planned.step {
            compare_kubeconfig(step, written, differences);
        }
    }
    for name in CertificateName::ALL {
        let is_theirs = written.read(&name.certificate_path()).is_some();
        if is_theirs != planned_names.contains(&name) {
            differences
                .0
                .push(format!("{name}: kubeadm makes it: {is_theirs}"));
        }
    }
}

fn compare_kubeconfig(step: &EnsureKubeconfig, written: &Written, differences: &mut Differences) {
    let text = written.read(&format!("{}.conf", step.name));
    let theirs = Kubeconfig::parse(&text.expect("kubeadm wrote it")).expect("it parses");
    let ours = (&step.server, &step.cluster_name);
    let found = (&theirs.server, &theirs.cluster_name);
    if ours != found {
        let line = format!("{}.conf: ours {ours:?}, kubeadm's {found:?}", step.name);
        differences.0.push(line);
    }
    let name = KubeconfigName::ALL
        .into_iter()
        .find(|name| name.phase_name() == step.name)
        .expect("the name is kubeadm's");
    let Credentials::Embedded { cert_pem, .. } = &theirs.credentials else {
        panic!("{} has no certificate", step.name);
    };
    let facts = CertificateFacts::parse(cert_pem).expect("it parses");
    let found = facts.difference_from(&name.profile(""));
    let lines = found
        .iter()
        .map(|line| format!("{}.conf: {line}", step.name));
    differences.0.extend(lines);
    let expected = (step.algorithm.clone(), step.validity_seconds);
    compare_making(&step.name, expected, &facts, differences);
}

/// Compares the key's algorithm and how long the certificate is valid.
fn compare_making(
    name: &str,
    (algorithm, validity): (String, u64),
    theirs: &CertificateFacts,
    differences: &mut Differences,
) {
    if theirs.key_algorithm != algorithm {
        let line = format!(
            "{name}: ours {algorithm}, kubeadm's {}",
            theirs.key_algorithm
        );
        differences.0.push(line);
    }
    let lifetime = theirs.not_after.duration_since(theirs.not_before).as_secs();
    let backdated = lifetime - BACKDATE.as_secs().cast_signed();
    // kubeadm's client certificates in kubeconfigs begin with their authority.
    let fits = |seconds: i64| (seconds - validity.cast_signed()).abs() <= 5;
    if !fits(lifetime) && !fits(backdated) {
        let line = format!("{name}: ours is valid for {validity} s, kubeadm's for {backdated} s");
        differences.0.push(line);
    }
}

fn named(name: &str) -> CertificateName {
    CertificateName::ALL
        .into_iter()
        .find(|known| known.phase_name() == name)
        .expect("the name is kubeadm's")
}

fn theirs(name: CertificateName, written: &Written) -> CertificateFacts {
    let path = name.certificate_path();
    let text = written
        .read(&path)
        .unwrap_or_else(|| panic!("kubeadm wrote no {path}"));
    CertificateFacts::parse(&text).expect("kubeadm's certificate parses")
}

/// Returns the names of a recipe, as `slipway-pki` takes them.
pub fn names(step: &EnsureCertificate) -> ControlPlaneNames {
    let names = &step.names;
    ControlPlaneNames {
        node_name: names.node_name.clone(),
        advertise_address: names.advertise_address,
        first_service_ip: names.first_service_ip,
        dns_domain: names.dns_domain.clone(),
        control_plane_endpoint: names.endpoint_host.clone(),
        extra_sans: names.extra_sans.clone(),
        etcd_server_sans: names.etcd_server_sans.clone(),
        etcd_peer_sans: names.etcd_peer_sans.clone(),
        kubelet_client_in_admins_group: names.kubelet_client_is_admin,
    }
}
