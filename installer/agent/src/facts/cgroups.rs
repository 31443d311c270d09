//! Which cgroup version the host uses, and which controllers it has.

use std::path::Path;

use crate::server::under;

/// Returns 2 where the unified hierarchy is mounted at `/sys/fs/cgroup`, else
/// 1: a hybrid host counts as 1, as it does for the kubelet.
pub(super) fn version(root: &Path) -> u8 {
    if unified(root).is_some() { 2 } else { 1 }
}

/// Returns the controllers that are available.
pub(super) fn controllers(root: &Path) -> Vec<String> {
    match unified(root) {
        Some(list) => list.split_whitespace().map(str::to_owned).collect(),
        None => {
            let text = std::fs::read_to_string(under(root, "/proc/cgroups")).unwrap_or_default();
            parse_cgroups(&text)
        }
    }
}

fn unified(root: &Path) -> Option<String> {
    std::fs::read_to_string(under(root, "/sys/fs/cgroup/cgroup.controllers")).ok()
}

fn parse_cgroups(text: &str) -> Vec<String> {
    let enabled = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields[..] {
            [name, _, _, "1"] if !name.starts_with('#') => Some(name.to_owned()),
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
}
