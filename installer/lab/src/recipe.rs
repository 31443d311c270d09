//! What a host's root file system is made of: Debian packages and the few files on top.

use sha2::{Digest, Sha256};

/// The Debian release.
pub(crate) const SUITE: &str = "bookworm";

/// The packages of an ordinary small server, without udev: in a privileged
/// container it would act on this machine's own devices.
pub(crate) const PACKAGES: &[&str] = &[
    "ca-certificates",
    "conntrack",
    "curl",
    "dbus",
    "ebtables",
    "ethtool",
    "iproute2",
    "iptables",
    "iputils-ping",
    "kmod",
    "libpam-systemd",
    "libseccomp2",
    "mount",
    "netcat-openbsd",
    "nftables",
    "openssh-server",
    "procps",
    "socat",
    "sudo",
    "systemd",
    "systemd-sysv",
    "util-linux",
];

/// A file to write into the root file system.
pub(crate) struct RecipeFile {
    pub(crate) path: &'static str,
    pub(crate) mode: u32,
    pub(crate) text: &'static str,
}

/// The files on top of the packages.
pub(crate) const FILES: &[RecipeFile] = &[
    RecipeFile {
        path: "etc/sudoers.d/ops",
        mode: 0o440,
        text: "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
    },
    RecipeFile {
        path: "etc/ssh/sshd_config.d/10-server.conf",
        mode: 0o644,
        text: "PermitRootLogin no\nPasswordAuthentication no\nUseDNS no\n",
    },
    RecipeFile {
        path: "etc/systemd/system/ssh-host-keys.service",
        mode: 0o644,
        text: "\
[Unit]
Description=Make the SSH host keys at first boot
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
RequiredBy=ssh.service
",
    },
    // systemd shares / by itself on hardware but not in a container; mount
    // propagation to pods (CSI, Bidirectional) needs it.
    RecipeFile {
        path: "etc/systemd/system/shared-root.service",
        mode: 0o644,
        text: "\
[Unit]
Description=Share the mounts of the root file system
DefaultDependencies=no
Before=local-fs-pre.target sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/mount --make-rshared /

[Install]
WantedBy=sysinit.target
",
    },
    // The kernel's log is this machine's, not the host's.
    RecipeFile {
        path: "etc/systemd/journald.conf.d/10-server.conf",
        mode: 0o644,
        text: "[Journal]\nStorage=persistent\nReadKMsg=no\nSystemMaxUse=200M\n",
    },
    RecipeFile {
        path: "etc/default/locale",
        mode: 0o644,
        text: "LANG=C.UTF-8\n",
    },
    RecipeFile {
        path: "etc/hosts",
        mode: 0o644,
        text: "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    },
    RecipeFile {
        path: "etc/resolv.conf",
        mode: 0o644,
        text: "",
    },
    RecipeFile {
        path: "etc/machine-id",
        mode: 0o444,
        text: "",
    },
];

/// Symbolic links to /dev/null: kernel settings that are not per container, so
/// that no host changes them for this machine.
pub(crate) const SILENCED_FILES: &[&str] = &[
    "etc/sysctl.d/50-pid-max.conf",
    "etc/sysctl.d/99-protect-links.conf",
];

/// Units that must not run in a container (they would act on this machine) or
/// would ask for the network by themselves.
pub(crate) const MASKED_UNITS: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-pstore.service",
];

/// Units that run at boot beyond the packages' own.
pub(crate) const ENABLED_UNITS: &[&str] = &["ssh-host-keys.service", "shared-root.service"];

/// Folders and files removed from the finished root file system: what is large
/// and unused, and what must differ between hosts.
pub(crate) const REMOVED_GLOBS: &str = "\
usr/share/doc/* usr/share/man/* usr/share/locale/* usr/share/info/* \
var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb \
etc/ssh/ssh_host_* var/lib/dbus/machine-id var/log/*.log";

/// Returns a short hash over everything above: another recipe, another image.
pub(crate) fn recipe_hash() -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    };
    add(SUITE);
    PACKAGES.iter().copied().for_each(&mut add);
    for file in FILES {
        add(file.path);
        add(&format!("{:o}", file.mode));
        add(file.text);
    }
    SILENCED_FILES.iter().copied().for_each(&mut add);
    MASKED_UNITS.iter().copied().for_each(&mut add);
    ENABLED_UNITS.iter().copied().for_each(&mut add);
    add(REMOVED_GLOBS);
    let digest = hash.finalize();
    digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_holds_neither_udev_nor_a_container_runtime() {
        for unwanted in ["udev", "containerd", "runc", "podman", "python3"] {
            assert!(!PACKAGES.contains(&unwanted), "{unwanted}");
        }
    }

    #[test]
    fn the_hash_is_short_and_always_the_same() {
        assert_eq!(recipe_hash().len(), 12);
        assert_eq!(recipe_hash(), recipe_hash());
    }
}
