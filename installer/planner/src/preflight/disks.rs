//! Space: what will be written against what is free, and what the kubelet
//! wants to keep free afterwards.

use std::collections::BTreeMap;

use serde_json::Value;
use slipway_api::{Artifact, Disk, Finding, Image, ProbeOutcome, Release, Role, paths};

use super::Subject;
use super::kernel::kubelet_setting;
use super::probes::local_etcd;
use crate::images::Images;

/// Where containerd keeps images.
const IMAGE_DIR: &str = "/var/lib/containerd";

/// What a compressed layer grows by when it is unpacked. Layers of Kubernetes'
/// own images hold Go programs, which shrink to a third.
const UNPACKED: u64 = 3;

/// etcd's default quota: what its folder may grow to, in bytes.
const ETCD_BYTES: u64 = 2 << 30;

/// What images and binaries need where the bundle is not known, in bytes: the
/// blob store and the image store, rounded up from Kubernetes 1.36.
const USUAL_BYTES: [(&str, &str, u64); 2] = [
    (paths::STATE_DIR, "blobs", 1 << 30),
    (IMAGE_DIR, "images", 2 << 30),
];

/// The share of free inodes below which the kubelet evicts pods, in percent:
/// its default `nodefs.inodesFree`.
const INODE_PERCENT: u64 = 5;

/// Below so many percent of the file system more than the threshold, it is told.
const NEAR_PERCENT: u64 = 5;

/// A folder's file system, with what will be written there.
struct Volume<'a> {
    disk: &'a Disk,
    /// The folders that are on it.
    folders: Vec<&'a str>,
    /// What is written, and how many bytes.
    needs: Vec<(&'static str, u64)>,
}

pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for volume in volumes(subject) {
        check_space(subject, &volume, found);
        check_inodes(subject, &volume, found);
    }
}

/// Returns the file systems that Kubernetes uses, each once.
fn volumes<'a>(subject: &'a Subject<'_>) -> Vec<Volume<'a>> {
    let mut volumes: BTreeMap<&str, Volume<'a>> = BTreeMap::new();
    let known = subject.facts.disks.iter();
    let known = known
        .map(|(folder, disk)| (folder.as_str(), disk))
        .filter(|(folder, _)| !["/", paths::ETCD_DIR].contains(folder));
    for (folder, disk) in known.chain(etcd_disk(subject)) {
        let volume = volumes.entry(&disk.file_system).or_insert(Volume {
            disk,
            folders: Vec::new(),
            needs: Vec::new(),
        });
        volume.folders.push(folder);
    }
    for (folder, what, bytes) in needs(subject) {
        if let Some(volume) = volumes
            .values_mut()
            .find(|volume| volume.folders.contains(&folder))
        {
            volume.needs.push((what, bytes));
        }
    }
    volumes.into_values().collect()
}

/// Returns folder, what and how many bytes will be written; nothing on a host
/// that has it already.
fn needs<'a>(subject: &'a Subject<'_>) -> Vec<(&'a str, &'static str, u64)> {
    if subject.belongs_to_cluster() {
        return Vec::new();
    }
    let mut needs = match known_needs(subject) {
        Some(needs) => needs,
        None => USUAL_BYTES.to_vec(),
    };
    if let Some((folder, _)) = etcd_disk(subject) {
        needs.push((folder, "etcd's quota", ETCD_BYTES));
    }
    needs.retain(|(_, _, bytes)| *bytes > 0);
    needs
}

/// Returns the folder of this host's etcd and its file system, as facts or a
/// probe tell it.
fn etcd_disk<'a>(subject: &'a Subject<'_>) -> Option<(&'a str, &'a Disk)> {
    let etcd = local_etcd(subject.spec)?;
    if subject.host.role != Role::ControlPlane {
        return None;
    }
    let probed = subject.outcomes().iter().find_map(|(_, outcome)| {
        if let ProbeOutcome::Folder { disk, .. } = outcome {
            disk.as_ref()
        } else {
            None
        }
    });
    let disk = match etcd.data_dir.as_str() {
        paths::ETCD_DIR => subject.facts.disks.get(paths::ETCD_DIR),
        _ => probed,
    };
    Some((&etcd.data_dir, disk?))
}

/// Returns the same from the sizes in the manifest.
fn known_needs(subject: &Subject<'_>) -> Option<Vec<(&'static str, &'static str, u64)>> {
    let manifest = subject.manifest?;
    let release = Release::of(&subject.spec.kubernetes_version).ok()?;
    let architecture = subject.facts.architecture;
    let is_control_plane = subject.host.role == Role::ControlPlane;
    let wanted = Images::new(subject.spec, &release);
    let mut references = wanted.of_node();
    let mut programs = vec!["kubelet", "containerd", "runc", "cni-plugins"];
    if is_control_plane {
        references.extend(wanted.of_control_plane());
        programs.extend(["kubeadm", "kubectl"]);
    }
    let images: Vec<&Image> = references
        .iter()
        .filter_map(|reference| manifest.image(reference, architecture))
        .collect();
    let artifacts: Vec<&Artifact> = programs
        .iter()
        .filter_map(|name| manifest.any_artifact(name, architecture))
        .collect();
    let packed: u64 = images
        .iter()
        .flat_map(|image| image.blobs())
        .map(|blob| blob.size)
        .sum();
    let unpacked: u64 = images.iter().copied().map(unpacked_bytes).sum();
    let downloaded: u64 = artifacts.iter().map(|artifact| artifact.blob.size).sum();
    let installed = |is_plugins: bool| -> u64 {
        artifacts
            .iter()
            .filter(|artifact| (artifact.name == "cni-plugins") == is_plugins)
            .map(|artifact| installed_bytes(artifact))
            .sum()
    };
    Some(vec![
        (paths::STATE_DIR, "blobs", packed + downloaded),
        (IMAGE_DIR, "images", packed + unpacked),
        (paths::BIN_DIR, "programs", installed(false)),
        (paths::CNI_BIN_DIR, "CNI plugins", installed(true)),
    ])
}

fn unpacked_bytes(image: &Image) -> u64 {
    let layer = |media_type: &str, size: u64| {
        let is_packed = ["gzip", "zstd"].iter().any(|way| media_type.ends_with(way));
        if is_packed { size * UNPACKED } else { size }
    };
    image
        .layers
        .iter()
        .map(|part| layer(&part.media_type, part.blob.size))
        .sum()
}

fn installed_bytes(artifact: &Artifact) -> u64 {
    if artifact.members.is_empty() {
        artifact.blob.size
    } else {
        artifact.members.iter().map(|member| member.size).sum()
    }
}

fn check_space(subject: &Subject<'_>, volume: &Volume<'_>, found: &mut Vec<Finding>) {
    let disk = volume.disk;
    let needed: u64 = volume.needs.iter().map(|(_, bytes)| bytes).sum();
    let folders = volume.folders.join(", ");
    let seen = format!(
        "{} of {} are free for {folders}",
        gib(disk.available),
        gib(disk.total)
    );
    let needs: Vec<String> = volume
        .needs
        .iter()
        .map(|(what, bytes)| format!("{} of {what}", gib(*bytes)))
        .collect();
    let seen = if needs.is_empty() {
        seen
    } else {
        format!("{seen}; needed: {}", needs.join(", "))
    };
    let folder = volume.folders[0];
    let help = format!(
        "make room (`du -xh --max-depth=2 {folder} | sort -h`), or mount a larger file system"
    );
    if disk.available < needed {
        let why = "what is installed does not fit";
        found.push(subject.error("DiskSpace", seen, why, help));
        return;
    }
    let left = disk.available - needed;
    let (signal, threshold) = threshold(subject, volume);
    if left < threshold {
        found.push(subject.error(
            "DiskSpace",
            format!("{seen}; {} will be left", gib(left)),
            &format!(
                "below {} ({signal}) the kubelet evicts pods, etcd and the API server among them",
                gib(threshold)
            ),
            help,
        ));
    } else if left < threshold + disk.total / 100 * NEAR_PERCENT {
        found.push(subject.warning(
            "DiskSpace",
            format!("{seen}; {} will be left", gib(left)),
            &format!(
                "below {} ({signal}) the kubelet evicts pods",
                gib(threshold)
            ),
            help,
        ));
    }
}

/// Returns the kubelet's signal about this file system and the bytes that must
/// stay free; nothing for one that the kubelet does not look at.
fn threshold(subject: &Subject<'_>, volume: &Volume<'_>) -> (&'static str, u64) {
    let signals = [
        (paths::KUBELET_DIR, "nodefs.available", "10%"),
        (IMAGE_DIR, "imagefs.available", "15%"),
    ];
    let of = |(folder, signal, default): (&'static str, &'static str, &str)| {
        if !volume.folders.contains(&folder) {
            return None;
        }
        let text = match kubelet_setting(subject, "evictionHard") {
            // Naming one threshold drops the defaults of all others.
            Some(thresholds) => thresholds.get(signal)?.as_str()?,
            None => default,
        };
        Some((signal, bytes_of(text, volume.disk.total)?))
    };
    signals
        .into_iter()
        .filter_map(of)
        .max_by_key(|(_, bytes)| *bytes)
        .unwrap_or(("the kubelet does not look", 0))
}

/// Parses a threshold: `10%` of `total`, or a quantity such as `1Gi`.
fn bytes_of(text: &str, total: u64) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.trim().parse().ok()?;
        return Some((total as f64 * percent / 100.0) as u64);
    }
    let (number, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))
        .unwrap_or((text, 1));
    let number: f64 = number.trim().parse().ok()?;
    Some((number * unit as f64) as u64)
}

fn check_inodes(subject: &Subject<'_>, volume: &Volume<'_>, found: &mut Vec<Finding>) {
    let disk = volume.disk;
    // btrfs and others make inodes as needed and tell of none.
    if disk.inodes == 0 || kubelet_setting(subject, "evictionHard").is_some_and(Value::is_object) {
        return;
    }
    let percent = disk.available_inodes.saturating_mul(100) / disk.inodes;
    if percent < INODE_PERCENT {
        let folder = volume.folders[0];
        found.push(subject.error(
            "DiskInodes",
            format!("{percent}% of the inodes are free for {}", volume.folders.join(", ")),
            "below 5% the kubelet evicts pods, etcd and the API server among them",
            format!("delete small files (`df -i {folder}`, `du -x --inodes --max-depth=2 {folder} | sort -n`), or mount another file system"),
        ));
    }
}

fn gib(bytes: u64) -> String {
    format!(
        "{}.{} GiB",
        bytes >> 30,
        ((bytes & ((1 << 30) - 1)) * 10) >> 30
    )
}

#[cfg(test)]
mod tests {
    use super::{bytes_of, gib};

    #[test]
    fn sizes_are_shown_with_one_digit() {
        assert_eq!(gib(3 << 30), "3.0 GiB");
        assert_eq!(gib((3 << 30) + (1 << 29)), "3.5 GiB");
    }

    #[test]
    fn thresholds_are_shares_or_quantities() {
        let cases = [
            ("10%", Some(100)),
            ("0.5%", Some(5)),
            ("1Ki", Some(1024)),
            ("1.5k", Some(1500)),
            ("2Gi", Some(2 << 30)),
            ("77", Some(77)),
            ("much", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes_of(text, 1000), expected, "{text}");
        }
    }
}
