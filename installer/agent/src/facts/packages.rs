//! Packages that bring programs of Kubernetes, and whether upgrades leave them alone.

use std::path::Path;
use std::time::Duration;

use slipway_api::Package;

use crate::command::glance;
use crate::server::under;

/// The packages' names, of Kubernetes' own repositories and of distributions.
const NAMES: [&str; 14] = [
    "containerd",
    "containerd.io",
    "cri-dockerd",
    "cri-o",
    "cri-tools",
    "docker-ce",
    "docker.io",
    "kubeadm",
    "kubectl",
    "kubelet",
    "kubernetes-cni",
    "kubernetes-kubelet",
    "moby-engine",
    "runc",
];

/// How long a package manager may take to look up names.
const LIMIT: Duration = Duration::from_secs(5);

/// Files in which package managers of the rpm family are told to leave packages alone.
const RPM_HOLD_FILES: [&str; 5] = [
    "/etc/dnf/plugins/versionlock.list",
    "/etc/dnf/versionlock.toml",
    "/etc/yum/pluginconf.d/versionlock.list",
    "/etc/dnf/dnf.conf",
    "/etc/yum.conf",
];

/// The folder of repositories, whose files may exclude packages too.
const RPM_REPOSITORIES: &str = "/etc/yum.repos.d";

/// Returns the packages of [`NAMES`] that are installed.
pub(super) async fn gather_packages(root: &Path) -> Vec<Package> {
    let dpkg_arguments = [
        "-W",
        "-f",
        "${db:Status-Abbrev}\\t${Package}\\t${Version}\\n",
    ];
    let dpkg_arguments = [&dpkg_arguments[..], &NAMES].concat();
    let rpm_arguments = ["-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"];
    let rpm_arguments = [&rpm_arguments[..], &NAMES].concat();
    let (dpkg, rpm) = tokio::join!(
        glance("dpkg-query", &dpkg_arguments, LIMIT),
        glance("rpm", &rpm_arguments, LIMIT)
    );
    let mut packages = parse_dpkg(&dpkg);
    packages.extend(parse_rpm(&rpm, &read_holds(root)));
    packages
}

/// Parses lines of status, name and version; `h` in the status is a hold.
fn parse_dpkg(text: &str) -> Vec<Package> {
    let package = |line: &str| {
        let mut fields = line.split('\t');
        let (status, name, version) = (fields.next()?, fields.next()?, fields.next()?);
        (status.get(1..2) == Some("i")).then(|| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            held: status.starts_with('h'),
            manager: "dpkg".to_owned(),
        })
    };
    text.lines().filter_map(package).collect()
}

/// Parses lines of name and version; what is not installed has no tab in its line.
fn parse_rpm(text: &str, holds: &str) -> Vec<Package> {
    let package = |line: &str| {
        let (name, version) = line.split_once('\t')?;
        Some(Package {
            name: name.to_owned(),
            version: version.to_owned(),
            held: is_held(name, holds),
            manager: "rpm".to_owned(),
        })
    };
    text.lines().filter_map(package).collect()
}

fn read_holds(root: &Path) -> String {
    let repositories = std::fs::read_dir(under(root, RPM_REPOSITORIES));
    let repositories = repositories.into_iter().flatten().flatten();
    let files = RPM_HOLD_FILES.iter().map(|path| under(root, path));
    files
        .chain(repositories.map(|entry| entry.path()))
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| text + "\n")
        .collect()
}

/// Returns whether a line locks the package (`kubelet-0:1.36.3-1.*`,
/// `name = "kubelet"`) or a repository excludes it (`exclude=kubelet kubeadm`).
fn is_held(name: &str, holds: &str) -> bool {
    holds.lines().map(str::trim).any(|line| {
        let excluded = line
            .strip_prefix("excludepkgs")
            .or_else(|| line.strip_prefix("exclude"))
            .and_then(|rest| rest.trim_start().strip_prefix('='));
        if let Some(names) = excluded {
            return names
                .split([' ', ','])
                .any(|word| word.trim_end_matches('*') == name);
        }
        let locked = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'));
        locked.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
            || line
                .strip_prefix("name")
                .is_some_and(|rest| rest.trim_matches([' ', '=', '"']) == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(packages: &[Package]) -> Vec<(&str, &str, bool)> {
        packages
            .iter()
            .map(|package| {
                (
                    package.name.as_str(),
                    package.version.as_str(),
                    package.held,
                )
            })
            .collect()
    }

    #[test]
    fn dpkg_packages_are_held_by_their_status_and_removed_ones_are_gone() {
        let text = "ii \tcontainerd\t1.6.20~ds1-1\nhi \tkubelet\t1.34.1-1.1\nrc \trunc\t1.1.5\n";
        assert_eq!(
            named(&parse_dpkg(text)),
            [
                ("containerd", "1.6.20~ds1-1", false),
                ("kubelet", "1.34.1-1.1", true)
            ]
        );
    }

    #[test]
    fn rpm_packages_are_held_by_locks_and_by_repositories_that_exclude_them() {
        let text = "kubelet\t1.34.1-150500.1.1\npackage cri-o is not installed\n\
                    kubectl\t1.34.1-150500.1.1\ncontainerd.io\t1.7.27-3.1.el9\nrunc\t1.2-1\n";
        let holds = "[kubernetes]\nexclude=kubelet kubeadm\n\
                     kubectl-0:1.34.1-150500.1.1.*\nname = \"runc\"\ncontainerd.io-extras-0:1-1.*\n";
        assert_eq!(
            named(&parse_rpm(text, holds)),
            [
                ("kubelet", "1.34.1-150500.1.1", true),
                ("kubectl", "1.34.1-150500.1.1", true),
                ("containerd.io", "1.7.27-3.1.el9", false),
                ("runc", "1.2-1", true),
            ]
        );
    }
}
