//! The kubelet's flags that belong to one node.

use serde::Serialize;
use serde_json::json;

use crate::checks::check_word;
use crate::flags::{flag, merge_flags};
use crate::{TemplateError, engine};

/// Flags of the kubelet and the first minor that no longer knows them: it would not
/// start with them. Source: `cmd/kubelet/app/options` of each minor.
const REMOVED_FLAGS: [(&str, u32); 1] = [("pod-infra-container-image", 35)];

/// The file `/var/lib/kubelet/kubeadm-flags.env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KubeadmFlags {
    /// The kubelet's minor version, such as 36.
    pub kubernetes_minor: u32,
    /// The pause image, which a kubelet before 1.35 must be told.
    pub pause_image: String,
    /// The node's name where it is not the hostname.
    pub hostname_override: Option<String>,
    /// Taints such as `key=value:NoSchedule` with which a worker registers itself.
    pub register_with_taints: Vec<String>,
    /// Flags without dashes; one removes every default of the same name. Those that
    /// this minor no longer knows are left out.
    pub extra_args: Vec<(String, String)>,
}

impl KubeadmFlags {
    /// Returns the file.
    ///
    /// # Errors
    ///
    /// Fails for a flag with spaces, quotes or characters that systemd expands:
    /// systemd would make several words of it.
    pub fn render(&self) -> Result<String, TemplateError> {
        let mut defaults = vec![flag("pod-infra-container-image", self.pause_image.clone())];
        if let Some(name) = &self.hostname_override {
            defaults.push(flag("hostname-override", name.clone()));
        }
        if !self.register_with_taints.is_empty() {
            let taints = self.register_with_taints.join(",");
            defaults.push(flag("register-with-taints", taints));
        }
        defaults.retain(|(name, _)| self.knows(name));
        let mut extra_args = self.extra_args.clone();
        extra_args.retain(|(name, _)| self.knows(name));

        let flags = merge_flags(defaults, &extra_args);
        for flag in &flags {
            check_word("kubelet flag", flag)?;
        }
        engine::render("kubelet/kubeadm-flags.env", &json!({ "flags": flags }))
    }

    fn knows(&self, flag: &str) -> bool {
        REMOVED_FLAGS
            .iter()
            .all(|(removed, minor)| *removed != flag || self.kubernetes_minor < *minor)
    }
}
