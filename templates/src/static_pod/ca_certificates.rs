//! Where distributions keep the CA certificates that the control plane may need.

use crate::static_pod::host_path_volume::HostPathVolume;

/// Directories of CA certificates beside `/etc/ssl/certs`: those that exist on the
/// host are mounted into kube-apiserver and kube-controller-manager.
///
/// Source: `phases/controlplane/volumes.go` of kubeadm.
pub const CA_CERTIFICATE_DIRECTORIES: [&str; 5] = [
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Mounted always; made where it is missing.
pub(crate) const SSL_CERTIFICATES: &str = "/etc/ssl/certs";

/// Returns the volumes for `/etc/ssl/certs` and for the directories given.
pub(crate) fn volumes(directories: &[String]) -> impl Iterator<Item = HostPathVolume> {
    let always = HostPathVolume::directory("ca-certs", SSL_CERTIFICATES);
    let found = directories.iter().map(|path| {
        let name = path.trim_start_matches('/').replace('/', "-");
        HostPathVolume::directory(name, path)
    });
    std::iter::once(always).chain(found)
}
