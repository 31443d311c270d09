//! Which files a Kubernetes release needs, and where their projects publish them.

use slipway_api::{Architecture, CNI_PLUGINS_VERSION, CONTAINERD_VERSION, RUNC_VERSION, Release};

/// Kubernetes' download site, which serves the release files that kubeadm's guide names.
const KUBERNETES_DOWNLOADS: &str = "https://dl.k8s.io/release";

/// A file of a release and its checksum, by their upstream URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// The artifact's name, for example `kubelet`.
    pub name: &'static str,
    /// Its version as its project writes it.
    pub version: String,
    /// The architecture it runs on.
    pub architecture: Architecture,
    /// The upstream URL of the file.
    pub url: String,
    /// The upstream URL of the file that holds its checksum, alone or among others.
    pub checksum_url: String,
    /// What the file is.
    pub kind: DownloadKind,
}

/// The form of a downloaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadKind {
    /// An executable, installed as it is.
    Executable,
    /// A gzip-compressed tar archive.
    TarGz,
}

impl Download {
    /// Returns the last part of the URL, the name under which checksum files list it.
    pub fn file_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Returns name, version and architecture for people: `kubelet v1.36.3 (amd64)`.
    pub fn title(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.architecture)
    }
}

/// Returns the files that nodes of `release` need besides images.
///
/// The archive named `etcdutl` is etcd's whole release; only that tool of it is used.
pub fn downloads(release: &Release, architecture: Architecture) -> Vec<Download> {
    let mut files: Vec<Download> = ["kubelet", "kubeadm", "kubectl"]
        .into_iter()
        .map(|name| kubernetes(name, release, architecture))
        .collect();
    files.push(containerd(architecture));
    files.push(runc(architecture));
    files.push(cni_plugins(architecture));
    files.push(etcd(release, architecture));
    files
}

fn kubernetes(name: &'static str, release: &Release, architecture: Architecture) -> Download {
    let version = release.kubernetes.to_string();
    let url = format!("{KUBERNETES_DOWNLOADS}/{version}/bin/linux/{architecture}/{name}");
    Download {
        name,
        checksum_url: format!("{url}.sha256"),
        url,
        version,
        architecture,
        kind: DownloadKind::Executable,
    }
}

fn containerd(architecture: Architecture) -> Download {
    let version = CONTAINERD_VERSION;
    let folder = github_release("containerd/containerd", version);
    let url = format!("{folder}/containerd-{version}-linux-{architecture}.tar.gz");
    Download {
        name: "containerd",
        checksum_url: format!("{url}.sha256sum"),
        url,
        version: version.to_owned(),
        architecture,
        kind: DownloadKind::TarGz,
    }
}

fn runc(architecture: Architecture) -> Download {
    let folder = github_release("opencontainers/runc", RUNC_VERSION);
    Download {
        name: "runc",
        url: format!("{folder}/runc.{architecture}"),
        checksum_url: format!("{folder}/runc.sha256sum"),
        version: RUNC_VERSION.to_owned(),
        architecture,
        kind: DownloadKind::Executable,
    }
}

fn cni_plugins(architecture: Architecture) -> Download {
    let version = CNI_PLUGINS_VERSION;
    let folder = github_release("containernetworking/plugins", version);
    let url = format!("{folder}/cni-plugins-linux-{architecture}-v{version}.tgz");
    Download {
        name: "cni-plugins",
        checksum_url: format!("{url}.sha256"),
        url,
        version: version.to_owned(),
        architecture,
        kind: DownloadKind::TarGz,
    }
}

fn etcd(release: &Release, architecture: Architecture) -> Download {
    let version = release.etcd_version();
    let folder = github_release("etcd-io/etcd", version);
    Download {
        name: "etcdutl",
        url: format!("{folder}/etcd-v{version}-linux-{architecture}.tar.gz"),
        checksum_url: format!("{folder}/SHA256SUMS"),
        version: version.to_owned(),
        architecture,
        kind: DownloadKind::TarGz,
    }
}

fn github_release(repository: &str, version: &str) -> String {
    format!("https://github.com/{repository}/releases/download/v{version}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_api::KubernetesVersion;

    #[test]
    fn a_release_names_every_file_and_its_checksum_upstream() {
        let release = Release::of(&KubernetesVersion::new(36, 3)).unwrap();
        let lines: Vec<String> = downloads(&release, Architecture::Arm64)
            .iter()
            .map(|file| format!("{} {}\n  {}", file.name, file.url, file.checksum_url))
            .collect();
        let github = "https://github.com";
        let cluster = "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64";
        let containerd = format!(
            "{github}/containerd/containerd/releases/download/v2.4.2/containerd-2.4.2-linux-arm64.tar.gz"
        );
        let runc = format!("{github}/opencontainers/runc/releases/download/v1.5.2");
        let cni = format!(
            "{github}/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-arm64-v1.9.1.tgz"
        );
        let etcd = format!("{github}/etcd-io/etcd/releases/download/v3.6.8");
        assert_eq!(
            lines,
            [
                format!("kubelet {cluster}/kubelet\n  {cluster}/kubelet.sha256"),
                format!("kubeadm {cluster}/kubeadm\n  {cluster}/kubeadm.sha256"),
                format!("kubectl {cluster}/kubectl\n  {cluster}/kubectl.sha256"),
                format!("containerd {containerd}\n  {containerd}.sha256sum"),
                format!("runc {runc}/runc.arm64\n  {runc}/runc.sha256sum"),
                format!("cni-plugins {cni}\n  {cni}.sha256"),
                format!("etcdutl {etcd}/etcd-v3.6.8-linux-arm64.tar.gz\n  {etcd}/SHA256SUMS"),
            ]
        );
    }
}
