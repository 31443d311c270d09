//! What of this machine shapes its lab hosts: limits, capabilities, cgroups, swap, disk.

use std::path::Path;

use crate::LabError;

/// CAP_SYS_RESOURCE's bit in a capability set (`linux/capability.h`).
const CAP_SYS_RESOURCE: u32 = 24;

/// Below this free share of its disk a kubelet with default thresholds is near evicting.
///
/// `imagefs.available<15%` evicts, and images and builds of the lab's user grow on the same disk.
const ROOMY_DISK_SHARE: f64 = 0.40;

/// Facts about this machine that lab hosts inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Whether cgroups are version 1 here, so also in the hosts.
    pub(crate) has_cgroup_v1: bool,
    /// Whether swap is on; a kubelet refuses that unless told otherwise.
    pub(crate) has_swap: bool,
    /// Whether the disk under the hosts is so full that a kubelet may evict.
    pub(crate) is_short_of_disk: bool,
    /// Whether module files exist to be shown to the hosts.
    pub(crate) has_module_files: bool,
    /// The limits to pass on where CAP_SYS_RESOURCE is absent.
    pub(crate) limits: Option<Limits>,
}

/// Hard resource limits that no process here can exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Open files per process.
    pub(crate) open_files: u64,
    /// Processes per user.
    pub(crate) processes: u64,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub(crate) fn gather(disk: &Path) -> Result<Self, LabError> {
        let status = read("/proc/self/status")?;
        let limits = if has_capability(&status, CAP_SYS_RESOURCE) {
            None
        } else {
            parse_limits(
                &read("/proc/self/limits")?,
                &read("/proc/sys/kernel/pid_max")?,
            )
        };
        let free = rustix::fs::statvfs(disk)
            .map(|stat| stat.f_bavail as f64 / (stat.f_blocks.max(1)) as f64)
            .unwrap_or(1.0);
        Ok(Self {
            has_cgroup_v1: !Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            has_swap: has_swap(&read("/proc/swaps").unwrap_or_default()),
            is_short_of_disk: free < ROOMY_DISK_SHARE,
            has_module_files: Path::new("/lib/modules").is_dir(),
            limits,
        })
    }
}

/// Returns whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn read(path: &'static str) -> Result<String, LabError> {
    std::fs::read_to_string(path).map_err(LabError::file("read", path))
}

fn has_capability(status: &str, bit: u32) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_some_and(|set| set >> bit & 1 == 1)
}

fn has_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).any(|line| !line.trim().is_empty())
}

/// Reads the hard limits; the number of processes is capped by `pid_max`.
///
/// Podman lowers its own limit on processes to `pid_max` when it starts (its
/// defaults in containers/common), and without CAP_SYS_RESOURCE nothing below
/// it can go up again: seen with podman 4.3, pid_max 32768 and a hard limit of 96365.
fn parse_limits(limits: &str, pid_max: &str) -> Option<Limits> {
    let hard = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name))?;
        match line[name.len()..].split_whitespace().nth(1)? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    };
    let pid_max: u64 = pid_max.trim().parse().ok()?;
    Some(Limits {
        open_files: hard("Max open files")?,
        processes: hard("Max processes")?.min(pid_max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max processes             96365                96365                processes 
Max open files            1024                 20000                files     
";

    #[test]
    fn hard_limits_are_taken_and_processes_capped_by_pid_max() {
        let expected = Limits {
            open_files: 20_000,
            processes: 32_768,
        };
        assert_eq!(parse_limits(LIMITS, "32768\n"), Some(expected));
    }

    #[test]
    fn a_capability_is_read_from_its_bit() {
        assert!(!has_capability(
            "CapEff:\t000001fffeffffff\n",
            CAP_SYS_RESOURCE
        ));
        assert!(has_capability(
            "CapEff:\t000001ffffffffff\n",
            CAP_SYS_RESOURCE
        ));
        assert!(!has_capability("", CAP_SYS_RESOURCE));
    }

    #[test]
    fn a_heading_without_entries_is_no_swap() {
        let heading = "Filename\tType\tSize\tUsed\tPriority\n";
        assert!(!has_swap(heading));
        assert!(has_swap(&format!("{heading}/dev/zram0 partition 1 0 -2\n")));
    }
}
