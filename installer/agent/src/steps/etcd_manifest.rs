//! The members that etcd's static Pod is told when it starts for the first time.

use slipway_api::EtcdMember;
use slipway_api::step::JoinEtcd;

/// The flag that names the members.
const MEMBERS: &str = "--initial-cluster=";
/// The flag that names the data folder.
const DATA_DIR: &str = "--data-dir=";
/// The flag that says whether they run already.
const STATE: &str = "--initial-cluster-state=";

/// Returns the members that a manifest names, and whether they ran before.
pub(crate) fn initial_cluster(manifest: &str) -> Option<(&str, bool)> {
    let value = |flag| lines_with(manifest, flag).next();
    Some((value(MEMBERS)?, value(STATE) == Some("existing")))
}

/// Returns the data folder that a manifest names.
pub(crate) fn data_dir(manifest: &str) -> Option<&str> {
    lines_with(manifest, DATA_DIR).last()
}

/// Returns the values that a manifest's command gives a flag, `--name=` with it.
pub(super) fn lines_with<'a>(
    manifest: &'a str,
    flag: &'static str,
) -> impl Iterator<Item = &'a str> {
    let item = move |line: &'a str| line.trim().strip_prefix("- ")?.strip_prefix(flag);
    manifest.lines().filter_map(item)
}

/// Returns whether two manifests differ in nothing but the members: once etcd
/// has data, it does not look at those any more.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    let rest = |manifest: &str| -> Vec<String> {
        let is_members = |line: &&str| {
            let item = line.trim().strip_prefix("- ").unwrap_or_default();
            item.starts_with(MEMBERS) || item.starts_with(STATE)
        };
        let lines = manifest.lines().filter(|line| !is_members(line));
        lines.map(str::to_owned).collect()
    };
    rest(one) == rest(other)
}

/// Returns the manifest of a member that joins `members`, of which `own_url`
/// is its own.
///
/// A member that never started has no name; its ID stands for it, as kubeadm does it.
pub(super) fn joining(step: &JoinEtcd, members: &[EtcdMember], own_url: &str) -> String {
    let mut named: Vec<String> = Vec::new();
    for member in members {
        let is_own = member.peer_urls.iter().any(|url| url == own_url);
        let name = match member.has_started() {
            _ if is_own => step.member_name.clone(),
            true => member.name.clone(),
            false => member.id.to_string(),
        };
        let urls = member.peer_urls.iter();
        named.extend(urls.map(|url| format!("{name}={url}")));
    }
    with_members(step, &named.join(","))
}

/// Returns the manifest with these members.
pub(super) fn with_members(step: &JoinEtcd, members: &str) -> String {
    let placeholder = format!("{MEMBERS}{}", JoinEtcd::INITIAL_CLUSTER_PLACEHOLDER);
    step.manifest
        .replace(&placeholder, &format!("{MEMBERS}{members}"))
}

#[cfg(test)]
mod tests {
    use slipway_api::EtcdMemberId;

    use super::*;

    const MANIFEST: &str = "spec:\n  containers:\n  - command:\n    - etcd\n    - --data-dir=/var/lib/etcd\n    - --initial-cluster=initial=cluster\n    - --initial-cluster-state=existing\n    - --name=cp-2\n";

    fn step() -> JoinEtcd {
        JoinEtcd {
            member_name: "cp-2".to_owned(),
            address: "192.0.2.12".parse().unwrap(),
            peers: Vec::new(),
            manifest: MANIFEST.to_owned(),
            data_dir: "/var/lib/etcd".to_owned(),
            socket: String::new(),
            timeout_seconds: 1,
        }
    }

    fn member(id: u64, name: &str, url: &str) -> EtcdMember {
        EtcdMember {
            id: EtcdMemberId::new(id),
            name: name.to_owned(),
            peer_urls: vec![url.to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        }
    }

    #[test]
    fn a_joining_member_is_told_all_members_and_itself_by_name() {
        assert_eq!(data_dir(MANIFEST), Some("/var/lib/etcd"));
        let own = "https://192.0.2.12:2380";
        let members = [
            member(1, "cp-1", "https://192.0.2.11:2380"),
            member(2, "", own),
            member(0xab, "", "https://192.0.2.13:2380"),
        ];
        let text = joining(&step(), &members, own);
        let expected =
            "cp-1=https://192.0.2.11:2380,cp-2=https://192.0.2.12:2380,ab=https://192.0.2.13:2380";
        assert_eq!(initial_cluster(&text), Some((expected, true)));
    }

    #[test]
    fn a_member_s_manifest_is_right_whatever_members_it_was_told() {
        let founder = MANIFEST
            .replace("initial=cluster", "cp-2=https://192.0.2.12:2380")
            .replace("    - --initial-cluster-state=existing\n", "");
        assert!(are_alike(MANIFEST, &founder));
        assert_eq!(
            initial_cluster(&founder),
            Some(("cp-2=https://192.0.2.12:2380", false))
        );
        assert!(!are_alike(
            MANIFEST,
            &founder.replace("/var/lib/etcd", "/srv")
        ));
    }
}
