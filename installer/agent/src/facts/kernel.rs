//! The kernel: how it was built, and which modules it certainly lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use slipway_api::KERNEL_OPTIONS;

use crate::server::under;
use crate::steps::module_works;

/// The longest configuration that is read, in bytes; real ones have 300 kB.
const MAX_CONFIG: u64 = 8 << 20;

/// The modules that Kubernetes needs, and the build option of each.
const MODULES: [(&str, &str); 3] = [
    ("br_netfilter", "BRIDGE_NETFILTER"),
    ("overlay", "OVERLAY_FS"),
    ("vxlan", "VXLAN"),
];

/// How the running kernel was built.
pub(super) struct KernelBuild {
    /// The options that are on, and whether each is built in, not a module.
    config: Option<BTreeMap<String, bool>>,
    /// The text of the kernel's own lists of modules.
    lists: Option<String>,
}

impl KernelBuild {
    /// Reads what there is to know about the kernel `release`.
    pub fn read(root: &Path, release: &str) -> Self {
        let folder = under(root, "/lib/modules").join(release);
        let list = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let lists = list("modules.dep").zip(list("modules.builtin"));
        Self {
            config: read_config(root, release).map(|text| parse_config(&text)),
            lists: lists.map(|(loadable, built_in)| loadable + &built_in),
        }
    }

    /// Returns which of [`KERNEL_OPTIONS`] are on; none where that is unknown.
    pub fn options(&self) -> Option<BTreeSet<String>> {
        let config = self.config.as_ref()?;
        let is_on = |name: &str| config.contains_key(name);
        let found = KERNEL_OPTIONS
            .iter()
            .filter(|option| is_on(option.name) || option.alias.is_some_and(is_on));
        Some(found.map(|option| option.name.to_owned()).collect())
    }

    /// Returns the modules of [`MODULES`] that this kernel certainly does not
    /// have: not at work, not built in, and not on disk.
    pub fn absent_modules(&self) -> Vec<String> {
        MODULES
            .into_iter()
            .filter(|(module, option)| !module_works(module) && self.lacks(module, option))
            .map(|(module, _)| module.to_owned())
            .collect()
    }

    fn lacks(&self, module: &str, option: &str) -> bool {
        if let Some(config) = &self.config {
            match config.get(option) {
                None => return true,
                Some(true) => return false,
                Some(false) => {}
            }
        }
        // Without the lists (in a container) nobody knows what can be loaded.
        let file = format!("/{module}.ko");
        self.lists.as_ref().is_some_and(|lists| {
            !lists
                .lines()
                .filter_map(|line| line.split(':').next())
                .any(|path| path.contains(&file))
        })
    }
}

/// Returns the kernel's configuration. Looked for where kubeadm looks, except
/// that no module is loaded to get at it.
fn read_config(root: &Path, release: &str) -> Option<String> {
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(under(root, "/proc/config.gz")) {
        let mut reader = GzDecoder::new(file).take(MAX_CONFIG);
        return reader.read_to_string(&mut text).ok().map(|_| text);
    }
    let paths = [
        format!("/boot/config-{release}"),
        format!("/usr/src/linux-{release}/.config"),
        "/usr/src/linux/.config".to_owned(),
        format!("/usr/lib/modules/{release}/config"),
        format!("/usr/lib/ostree-boot/config-{release}"),
        format!("/usr/lib/kernel/config-{release}"),
        format!("/usr/src/linux-headers-{release}/.config"),
        format!("/lib/modules/{release}/build/.config"),
    ];
    let file = paths
        .iter()
        .find_map(|path| std::fs::File::open(under(root, path)).ok())?;
    let mut reader = file.take(MAX_CONFIG);
    reader.read_to_string(&mut text).ok().map(|_| text)
}

/// Returns the options that are on, without `CONFIG_`, and whether each is built in.
fn parse_config(text: &str) -> BTreeMap<String, bool> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("CONFIG_")?.split_once('='))
        .filter(|(_, value)| matches!(*value, "y" | "m"))
        .map(|(name, value)| (name.to_owned(), value == "y"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# CONFIG_CGROUP_BPF is not set\nCONFIG_NAMESPACES=y\n\
                          CONFIG_IP_NF_TARGET_REDIRECT=m\nCONFIG_VXLAN=m\n\
                          CONFIG_LOCALVERSION=\"-y\"\nCONFIG_HZ=250\n";

    fn build(files: &[(&str, &str)]) -> KernelBuild {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = under(folder.path(), path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        KernelBuild::read(folder.path(), "6.1.0-13-amd64")
    }

    #[test]
    fn options_are_on_when_built_in_or_modules_and_under_their_older_names() {
        let build = build(&[("/boot/config-6.1.0-13-amd64", CONFIG)]);
        let options = build.options().unwrap();
        let expected = ["NAMESPACES", "NETFILTER_XT_TARGET_REDIRECT", "VXLAN"];
        assert_eq!(options, expected.map(str::to_owned).into());
    }

    #[test]
    fn a_compressed_configuration_is_read_too() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("proc")).unwrap();
        let file = std::fs::File::create(folder.path().join("proc/config.gz")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(CONFIG.as_bytes()).unwrap();
        encoder.finish().unwrap();
        let build = KernelBuild::read(folder.path(), "6.1.0");
        assert!(build.options().unwrap().contains("NAMESPACES"));
    }

    #[test]
    fn a_kernel_without_configuration_has_unknown_options_and_lacks_nothing_for_certain() {
        let build = build(&[]);
        assert_eq!(build.options(), None);
        assert!(!build.lacks("vxlan", "VXLAN"));
    }

    #[test]
    fn a_module_is_lacking_when_it_was_not_built_or_not_installed() {
        let dep = (
            "/lib/modules/6.1.0-13-amd64/modules.dep",
            "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz\n",
        );
        let builtin = ("/lib/modules/6.1.0-13-amd64/modules.builtin", "");
        let config = ("/boot/config-6.1.0-13-amd64", CONFIG);
        let installed = build(&[dep, builtin, config]);
        // Built as a module, and in a package that is not installed.
        assert!(installed.lacks("vxlan", "VXLAN"));
        assert!(installed.lacks("br_netfilter", "BRIDGE_NETFILTER"));
        let unknown = build(&[dep, builtin]);
        assert!(!unknown.lacks("br_netfilter", "BRIDGE_NETFILTER"));
        // In a container the lists are not there, and the module may be.
        assert!(!build(&[config]).lacks("vxlan", "VXLAN"));
    }
}
