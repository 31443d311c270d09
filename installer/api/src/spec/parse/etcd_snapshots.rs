//! `spec.etcdSnapshots`: snapshots that control-plane hosts take by themselves.

use super::problems::{Located, Problems, excerpt};
use super::schema::ETCD_SNAPSHOTS;
use super::tree::Content;
use super::value::Value;
use crate::paths;
use crate::spec::{Etcd, EtcdSnapshots, defaults};

const SCHEDULE_HELP: &str = "write a calendar expression of systemd: `schedule: daily` or `schedule: \"Mon..Fri 04:00\"`; `systemd-analyze calendar` on a host explains one";

/// Folders of the system's: the one for snapshots is closed to everybody but root.
const SYSTEM_FOLDERS: [&str; 17] = [
    "/bin",
    "/boot",
    "/etc",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/sbin",
    "/srv",
    "/usr",
    "/usr/local",
    "/var",
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/log",
];

/// Folders below which nothing stays, or nothing can be reached from a unit.
const UNFIT_FOLDERS: [&str; 14] = [
    "/dev",
    "/home",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/tmp",
    "/var/run",
    "/var/tmp",
    paths::KUBERNETES_DIR,
    paths::KUBELET_DIR,
    paths::CONTAINERD_DIR,
    paths::CNI_STATE_DIR,
    paths::ETCD_DIR,
];

/// Reads the section; none without one.
pub(super) fn read_etcd_snapshots(
    section: Option<&Value<'_>>,
    problems: &mut Problems,
) -> Option<Located<EtcdSnapshots>> {
    let section = section?;
    let fields = section.fields(&ETCD_SNAPSHOTS, problems)?;
    let schedule = match fields.optional("schedule") {
        None => Some(
            defaults::ETCD_SNAPSHOT_SCHEDULE
                .parse()
                .expect("systemd knows it"),
        ),
        Some(value) => value.parse(SCHEDULE_HELP, problems).map(|it| it.value),
    };
    let keep = match fields.optional("keep") {
        None => Some(defaults::ETCD_SNAPSHOTS_KEPT),
        Some(value) => read_keep(&value, problems),
    };
    let dir = match fields.optional("dir") {
        None => Some(paths::SNAPSHOT_DIR.to_owned()),
        Some(value) => read_dir(&value, problems),
    };
    Some(section.located(EtcdSnapshots {
        schedule: schedule?,
        keep: keep?,
        dir: dir?,
    }))
}

/// Reports snapshots of an etcd that somebody else runs, or inside its own data.
pub(super) fn check_etcd_snapshots(
    snapshots: &Located<EtcdSnapshots>,
    etcd: &Etcd,
    problems: &mut Problems,
) {
    let place = &snapshots.place;
    match etcd {
        Etcd::External(_) => problems.report(
            place,
            "`etcdSnapshots` is for an etcd on the control-plane hosts, and `etcd.external` names another",
            "remove `etcdSnapshots`: whoever runs that etcd takes its snapshots",
        ),
        Etcd::Local(etcd) if is_at_or_below(&snapshots.value.dir, &etcd.data_dir) => problems.report(
            place,
            format!("`dir` lies in etcd's own folder {}", etcd.data_dir),
            format!("choose another folder, such as {}", paths::SNAPSHOT_DIR),
        ),
        Etcd::Local(_) => {}
    }
}

fn read_keep(value: &Value<'_>, problems: &mut Problems) -> Option<u16> {
    let help = "write how many each host keeps, from 1 to 1000: `keep: 7`";
    let text = match value.node.content() {
        Content::Scalar(scalar) => &scalar.text,
        Content::Sequence(_) | Content::Mapping(_) => value.scalar(problems)?,
    };
    let keep = text
        .parse::<u16>()
        .ok()
        .filter(|keep| (1..=1000).contains(keep));
    if keep.is_none() {
        let message = format!("`{}` is not how many snapshots are kept", excerpt(text));
        problems.report(&value.place, message, help);
    }
    keep
}

fn read_dir(value: &Value<'_>, problems: &mut Problems) -> Option<String> {
    let text = value.text(problems)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._+@".contains(c);
    let is_part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(allowed);
    if !text.starts_with('/') || !text.split('/').skip(1).all(is_part) {
        let message = format!(
            "`{}` is not an absolute path of plain letters",
            excerpt(text)
        );
        problems.report(
            &value.place,
            message,
            "write it from `/` on, without `..` and spaces",
        );
        return None;
    }
    // Within Slipway's own folder only this one outlives `reset`.
    let is_removed =
        is_at_or_below(text, paths::STATE_DIR) && !is_at_or_below(text, paths::SNAPSHOT_DIR);
    let is_unfit = UNFIT_FOLDERS
        .iter()
        .any(|folder| is_at_or_below(text, folder));
    if is_removed || is_unfit || SYSTEM_FOLDERS.contains(&text) {
        problems.report(
            &value.place,
            format!("snapshots cannot be kept in `{}`", excerpt(text)),
            format!(
                "choose a folder of their own that stays, such as {}: it is closed to everybody but root",
                paths::SNAPSHOT_DIR
            ),
        );
        return None;
    }
    Some(text.to_owned())
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
