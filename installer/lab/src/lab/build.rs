//! `up`: from a description to hosts that answer on SSH.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Instant;

use ipnet::Ipv4Net;
use slipway_api::KubernetesVersion;

use super::{Lab, container_name};
use crate::cluster_file::render_cluster_file;
use crate::command::{Program, is_installed};
use crate::directories::Directories;
use crate::host::BOOT_LIMIT;
use crate::host_container::HostContainer;
use crate::image::{ensure_archive, image_name};
use crate::lab_lock::LabLock;
use crate::lab_record::LabRecord;
use crate::lab_removal::remove_lab;
use crate::machine::{Machine, is_root};
use crate::probe::choose_engine;
use crate::subnet::{choose_subnet, gather_local_subnets};
use crate::watches::make_room;
use crate::{Engine, LabError, LabHost, LabSpec, Progress, firewall, image};

/// Programs that labs call, each with the package that usually has it.
const TOOLS: [(&str, &str); 5] = [
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("ssh-keygen", "openssh-client"),
    ("unshare", "util-linux"),
    ("tar", "tar"),
];

/// Where engines keep containers; its file system is the hosts' disk.
const ENGINE_DISK: &str = "/var/lib";

/// Makes a fresh host this lab's own: the key that may log in (standard
/// input), its name, and a name server that answers "no" at once instead of
/// sending questions out of the lab.
const PREPARE_HOST: &str = r#"set -e
install -d -m 700 -o ops -g ops /home/ops/.ssh
install -m 600 -o ops -g ops /dev/null /home/ops/.ssh/authorized_keys
cat > /home/ops/.ssh/authorized_keys
printf '%s %s\n' "$2" "$1" >> /etc/hosts
printf 'nameserver %s\n' "$2" > /etc/resolv.conf
"#;

/// Checks that this process is root's.
pub(super) fn require_root() -> Result<(), LabError> {
    if is_root() {
        Ok(())
    } else {
        Err(LabError::NotRoot)
    }
}

pub(super) async fn up(
    spec: &LabSpec,
    directories: &Directories,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Lab, LabError> {
    spec.validate()?;
    require_root()?;
    for (tool, package) in TOOLS {
        if !is_installed(tool) {
            return Err(LabError::ToolMissing { tool, package });
        }
    }
    let lock = LabLock::take(directories.cache()).await?;
    let folder = directories.lab(&spec.name);
    if folder.exists() {
        drop(lock);
        return reuse(spec, &folder, progress).await;
    }
    let machine = Machine::gather(Path::new(ENGINE_DISK))?;
    if let Some(before) = make_room() {
        progress(Progress::WatchesRaised { before });
    }
    let archive = ensure_archive(directories.cache(), progress).await?;
    let engine = choose_engine(directories.cache(), &archive, &machine, progress).await?;
    image::ensure_image(&engine, &archive, progress).await?;
    refuse_remains(spec, &engine).await?;

    match build(spec, &folder, engine.clone(), &machine, lock, progress).await {
        Ok(lab) => Ok(lab),
        Err(error) => {
            progress(Progress::CleaningUp {
                lab: spec.name.clone(),
            });
            // The first error is the one to tell; what stays carries the label and goes with `down`.
            let _ = remove_lab(&spec.name, directories, Some(&engine)).await;
            Err(error)
        }
    }
}

async fn build(
    spec: &LabSpec,
    folder: &Path,
    engine: Engine,
    machine: &Machine,
    lock: LabLock,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Lab, LabError> {
    make_private_folder(folder)?;
    let network = format!("slipway-{}", spec.name);
    let (subnet, bridge) = create_network(&engine, &spec.name, &network).await?;
    let mut record = LabRecord {
        spec: spec.clone(),
        engine,
        subnet,
        bridge,
        is_complete: false,
    };
    record.write(folder)?;
    drop(lock);
    firewall::close_bridge(&spec.name, &record.bridge).await?;
    progress(Progress::NetworkReady {
        subnet,
        bridge: record.bridge.clone(),
    });
    let public_key = make_key(&spec.name, folder).await?;

    let started = Instant::now();
    let mut lab = Lab::new(folder.to_owned(), record.clone());
    for host in &lab.hosts {
        start_host(host, spec, &network, machine, &public_key).await?;
        progress(Progress::HostStarted {
            host: host.name.clone(),
        });
    }
    wait_for_hosts(&lab.hosts, started, progress).await?;

    write_known_hosts(&lab).await?;
    let planned = spec.planned_hosts(subnet);
    let path = lab.cluster_file();
    let text = render_cluster_file(spec, &planned, folder, machine);
    std::fs::write(&path, text).map_err(LabError::file("write", &path))?;
    record.is_complete = true;
    record.write(folder)?;
    lab.record = record;
    progress(Progress::ClusterFileWritten { path });
    Ok(lab)
}

/// Returns the lab that is already there, everything of it started.
async fn reuse(
    spec: &LabSpec,
    folder: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Lab, LabError> {
    let refuse = |reason: String| LabError::Exists {
        name: spec.name.clone(),
        reason,
    };
    let record = LabRecord::read(folder)?
        .filter(|record| record.is_complete)
        .ok_or_else(|| refuse("it is still being made, or was left half made".to_owned()))?;
    if let Some(difference) = describe_difference(&record.spec, spec) {
        return Err(refuse(difference));
    }
    let lab = Lab::new(folder.to_owned(), record);
    if !firewall::is_closed(lab.name()).await? {
        firewall::close_bridge(lab.name(), &lab.record.bridge).await?;
    }
    let started = Instant::now();
    for host in &lab.hosts {
        match lab.record.engine.container_state(&host.container).await? {
            None => {
                return Err(refuse(format!(
                    "the container of host `{}` is gone",
                    host.name
                )));
            }
            Some(state) if state == "running" => {}
            Some(_) => {
                lab.record.engine.start(&host.container).await?;
                progress(Progress::HostStarted {
                    host: host.name.clone(),
                });
            }
        }
    }
    wait_for_hosts(&lab.hosts, started, progress).await?;
    progress(Progress::Reused {
        lab: spec.name.clone(),
    });
    Ok(lab)
}

fn describe_difference(existing: &LabSpec, wanted: &LabSpec) -> Option<String> {
    let shape = |spec: &LabSpec| (spec.control_planes, spec.workers);
    let version = |spec: &LabSpec| spec.kubernetes_version.parse::<KubernetesVersion>().ok();
    if shape(existing) != shape(wanted) {
        let (control_planes, workers) = shape(existing);
        return Some(format!(
            "it has {control_planes} control-plane and {workers} worker hosts"
        ));
    }
    (version(existing) != version(wanted))
        .then(|| format!("it was made for Kubernetes {}", existing.kubernetes_version))
}

/// A lab whose folder was deleted by hand may still run.
async fn refuse_remains(spec: &LabSpec, engine: &Engine) -> Result<(), LabError> {
    let containers = engine.containers_of(&spec.name).await?;
    if containers.is_empty() {
        return Ok(());
    }
    Err(LabError::Exists {
        name: spec.name.clone(),
        reason: format!("containers without a folder: {}", containers.join(", ")),
    })
}

fn make_private_folder(folder: &Path) -> Result<(), LabError> {
    if let Some(labs) = folder.parent() {
        std::fs::create_dir_all(labs).map_err(LabError::file("create", labs))?;
    }
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.map_err(LabError::file("create", folder))
}

async fn create_network(
    engine: &Engine,
    lab: &str,
    network: &str,
) -> Result<(Ipv4Net, String), LabError> {
    let mut taken = gather_local_subnets().await?;
    taken.extend(engine.network_subnets().await?);
    let subnet = choose_subnet(&taken)?;
    let bridge = engine.create_network(lab, network, subnet).await?;
    Ok((subnet, bridge))
}

/// Makes the lab's key pair and returns the public key. ssh-keygen creates the private one with mode 0600.
async fn make_key(lab: &str, folder: &Path) -> Result<String, LabError> {
    let key = folder.join("id_ed25519").display().to_string();
    let comment = format!("slipway lab {lab}");
    Program::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f", &key])
        .run()
        .await?;
    let public = folder.join("id_ed25519.pub");
    std::fs::read_to_string(&public).map_err(LabError::file("read", public))
}

async fn start_host(
    host: &LabHost,
    spec: &LabSpec,
    network: &str,
    machine: &Machine,
    public_key: &str,
) -> Result<(), LabError> {
    let volume = format!("{}-var", container_name(&spec.name, &host.name));
    host.engine.create_volume(&spec.name, &volume).await?;
    let image = image_name();
    let container = HostContainer {
        lab: &spec.name,
        container: &host.container,
        hostname: &host.name,
        image: &image,
        volume: Some(&volume),
        network: Some((network, host.address)),
    };
    host.engine.start_host(&container, machine).await?;
    let address = host.address.to_string();
    let prepare = ["sh", "-c", PREPARE_HOST, "sh", &host.name, &address];
    host.engine
        .exec_checked(&host.container, &prepare, public_key)
        .await
        .map(drop)
}

async fn wait_for_hosts(
    hosts: &[LabHost],
    started: Instant,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), LabError> {
    for host in hosts {
        let state = host.wait_until_ready(BOOT_LIMIT).await?;
        progress(Progress::HostReady {
            host: host.name.clone(),
            address: host.address,
            state,
            took: started.elapsed(),
        });
    }
    Ok(())
}

/// The keys are read through the engine, which no one on the network can imitate.
async fn write_known_hosts(lab: &Lab) -> Result<(), LabError> {
    let mut text = String::new();
    for host in &lab.hosts {
        for key in host.read_host_keys().await? {
            text.push_str(&known_hosts_line(host, &key));
        }
    }
    let path = lab.known_hosts();
    std::fs::write(&path, text).map_err(LabError::file("write", path))
}

/// A public key's comment is left out: it says nothing here.
fn known_hosts_line(host: &LabHost, key: &str) -> String {
    let mut words = key.split_whitespace();
    match (words.next(), words.next()) {
        (Some(kind), Some(key)) => format!("{} {kind} {key}\n", host.address),
        (_, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(workers: u8, version: &str) -> LabSpec {
        LabSpec {
            name: "dev".to_owned(),
            control_planes: 1,
            workers,
            kubernetes_version: version.to_owned(),
        }
    }

    #[test]
    fn a_lab_of_the_same_shape_is_the_same_with_and_without_the_v() {
        assert_eq!(
            describe_difference(&spec(2, "v1.36.3"), &spec(2, "1.36.3")),
            None
        );
    }

    #[test]
    fn another_number_of_hosts_or_another_version_is_named() {
        let workers = describe_difference(&spec(2, "1.36.3"), &spec(3, "1.36.3"));
        assert_eq!(
            workers.as_deref(),
            Some("it has 1 control-plane and 2 worker hosts")
        );
        let version = describe_difference(&spec(2, "v1.35.4"), &spec(2, "v1.36.3"));
        assert_eq!(
            version.as_deref(),
            Some("it was made for Kubernetes v1.35.4")
        );
    }
}
