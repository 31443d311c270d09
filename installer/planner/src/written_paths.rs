//! Which files a step writes.

use slipway_api::{Step, paths};

/// Returns the files that a step writes and that can be put back as they were. Authorities and
/// service account keys are not among them: they stay in an upgrade.
pub(crate) fn written_paths(step: &Step) -> Vec<String> {
    if let Step::WriteFile(step) = step {
        return vec![step.path.clone()];
    }
    if let Step::PlaceFile(step) = step {
        return vec![step.path.clone()];
    }
    if let Step::InstallBlob(step) = step {
        return vec![step.path.clone()];
    }
    if let Step::InstallSlipway(step) = step {
        return vec![step.path.clone()];
    }
    if let Step::EnsureCertificate(step) = step {
        let name = match step.name.strip_prefix("etcd-") {
            Some(name) => format!("{}/etcd/{name}", paths::PKI_DIR),
            None => format!("{}/{}", paths::PKI_DIR, step.name),
        };
        let endings = match step.is_external {
            true => &[][..],
            false => &["crt", "key"],
        };
        return endings.iter().map(|it| format!("{name}.{it}")).collect();
    }
    if let Step::EnsureKubeconfig(step) = step {
        return vec![format!("{}/{}.conf", paths::KUBERNETES_DIR, step.name)];
    }
    if matches!(step, Step::EnsureKubeletClient(_)) {
        return vec![paths::KUBELET_CONF.to_owned()];
    }
    if matches!(step, Step::EnsureKubeletServing(_)) {
        let path = |ending| format!("{}/kubelet.{ending}", paths::KUBELET_PKI_DIR);
        return ["crt", "key"].map(path).to_vec();
    }
    if matches!(step, Step::JoinEtcd(_)) {
        return vec![format!("{}/etcd.yaml", paths::MANIFESTS_DIR)];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use slipway_api::step::WriteFile;

    use super::*;

    #[test]
    fn a_file_that_is_written_is_named() {
        let step = Step::WriteFile(WriteFile::new("/etc/a", 0o644, String::new()));
        assert_eq!(written_paths(&step), ["/etc/a"]);
    }
}
