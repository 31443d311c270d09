//! Which cgroup version the host uses, and which controllers it has.

use std::path::Path;

use crate::server::under;

/// Returns 2 where the unified hierarchy is mounted at `/sys/fs/cgroup`, else
/// 1: a hybrid host counts as 1, as it does for the kubelet.
pub(super) fn version(root: &Path) -> u8 {
    if unified(root).is_some() { 2 } else { 1 }
}

/// Returns the controllers that are available. Version 2 does not list two of
/// them: devices are always there, and the freezer is a file of every group.
pub(super) fn controllers(root: &Path) -> Vec<String> {
    match unified(root) {
        Some(list) => {
            let listed = list.split_whitespace().map(str::to_owned);
            let freezer = has_freezer(root).then(|| "freezer".to_owned());
            listed
                .chain(["devices".to_owned()])
                .chain(freezer)
                .collect()
        }
        None => {
            let text = std::fs::read_to_string(under(root, "/proc/cgroups")).unwrap_or_default();
            parse_cgroups(&text)
        }
    }
}

fn unified(root: &Path) -> Option<String> {
    std::fs::read_to_string(under(root, "/sys/fs/cgroup/cgroup.controllers")).ok()
}

/// Returns whether groups can be frozen; the root group itself never has the file.
fn has_freezer(root: &Path) -> bool {
    let top = under(root, "/sys/fs/cgroup");
    let groups = std::fs::read_dir(&top).into_iter().flatten().flatten();
    groups
        .map(|group| group.path())
        .chain([top])
        .any(|group| group.join("cgroup.freeze").exists())
}

fn parse_cgroups(text: &str) -> Vec<String> {
    let enabled = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields[..] {
            [name, _, _, enabled] if !name.starts_with('#') && enabled != "0" => {
                Some(name.to_owned())
            }
            _ => None,
        }
    };
    text.lines().filter_map(enabled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_controllers_are_left_out() {
        let text =
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t1\t2\t1\nmemory\t0\t1\t0\n";
        assert_eq!(parse_cgroups(text), ["cpuset"]);
    }

    #[test]
    fn version_2_has_devices_and_freezer_beside_its_list() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("sys/fs/cgroup/init.scope");
        std::fs::create_dir_all(&group).unwrap();
        let list = folder.path().join("sys/fs/cgroup/cgroup.controllers");
        std::fs::write(list, "cpuset cpu io memory pids\n").unwrap();
        assert_eq!(version(folder.path()), 2);
        assert!(!controllers(folder.path()).contains(&"freezer".to_owned()));
        std::fs::write(group.join("cgroup.freeze"), "0\n").unwrap();
        let found = controllers(folder.path());
        for name in ["cpu", "devices", "freezer", "pids"] {
            assert!(found.iter().any(|found| found == name), "{name}");
        }
    }
}
