//! A lab: made, found, listed, entered and removed.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::directories::Directories;
use crate::lab_record::LabRecord;
use crate::lab_removal::remove_lab;
use crate::lab_spec::{PlannedHost, check_name};
use crate::{LabError, LabHost, LabSpec, Progress, Removed, firewall};

mod build;

/// A lab on this machine: its hosts and the files that lead to them.
#[derive(Clone, Debug)]
pub struct Lab {
    folder: PathBuf,
    record: LabRecord,
    hosts: Vec<LabHost>,
}

/// One line of `slipway lab list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabSummary {
    /// The lab's name.
    pub name: String,
    /// The Kubernetes version that it was made for.
    pub kubernetes_version: String,
    /// The lab's subnet.
    pub subnet: String,
    /// How many hosts it has.
    pub hosts: usize,
    /// How many of them are running.
    pub running: usize,
    /// Whether `up` came to its end.
    pub is_complete: bool,
    /// The lab's folder.
    pub directory: PathBuf,
}

impl Lab {
    /// Makes the lab, or finds it as asked for and starts what is stopped.
    ///
    /// When it fails, what it made is removed; a killed `up` leaves that to [`Lab::down`].
    ///
    /// # Errors
    /// The description is impossible, this machine lacks something, a lab of
    /// that name exists with another shape, or a host does not boot.
    pub async fn up(
        spec: &LabSpec,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Self, LabError> {
        build::up(spec, &Directories::from_environment()?, progress).await
    }

    /// Removes the lab's containers, volumes, network, firewall table and folder, whatever of them exists.
    ///
    /// # Errors
    /// The name is impossible, or something could not be removed.
    pub async fn down(name: &str) -> Result<Removed, LabError> {
        check_name(name)?;
        build::require_root()?;
        let directories = Directories::from_environment()?;
        // A record that cannot be read must not keep the lab from going.
        let record = LabRecord::read(&directories.lab(name)).ok().flatten();
        remove_lab(
            name,
            &directories,
            record.as_ref().map(|record| &record.engine),
        )
        .await
    }

    /// Finds the lab called `name`.
    ///
    /// # Errors
    /// [`LabError::UnknownLab`], or its record cannot be read.
    pub fn open(name: &str) -> Result<Self, LabError> {
        check_name(name)?;
        let folder = Directories::from_environment()?.lab(name);
        match LabRecord::read(&folder)? {
            Some(record) => Ok(Self::new(folder, record)),
            None => Err(LabError::UnknownLab {
                name: name.to_owned(),
            }),
        }
    }

    /// Returns the labs of this machine, by name.
    ///
    /// # Errors
    /// The folder of labs cannot be read, or an engine does not answer.
    pub async fn list() -> Result<Vec<LabSummary>, LabError> {
        let directories = Directories::from_environment()?;
        let mut labs = Vec::new();
        for folder in lab_folders(directories.labs())? {
            let Some(record) = LabRecord::read(&folder)? else {
                continue;
            };
            let lab = Self::new(folder, record);
            let mut running = 0;
            for host in &lab.hosts {
                running += usize::from(host.is_running().await?);
            }
            labs.push(LabSummary {
                name: lab.name().to_owned(),
                kubernetes_version: lab.record.spec.kubernetes_version.clone(),
                subnet: lab.record.subnet.to_string(),
                hosts: lab.hosts.len(),
                running,
                is_complete: lab.record.is_complete,
                directory: lab.folder,
            });
        }
        Ok(labs)
    }

    /// Returns how many packets hosts of the lab tried to send out of it since it is up.
    ///
    /// # Errors
    /// The table that counts is gone, for example after this machine's reboot.
    pub async fn escaped_packets(name: &str) -> Result<u64, LabError> {
        check_name(name)?;
        firewall::escaped_packets(name).await
    }

    /// Returns the command line that enters a host: OpenSSH with the lab's key and nothing of the user's.
    ///
    /// # Errors
    /// There is no such lab or host.
    pub fn ssh_command(name: &str, host: &str) -> Result<Vec<String>, LabError> {
        let lab = Self::open(name)?;
        let address = lab.host(host)?.address();
        Ok(ssh_arguments(&lab.folder, address))
    }

    /// Returns the lab's name.
    pub fn name(&self) -> &str {
        &self.record.spec.name
    }

    /// Returns what the lab was asked to be.
    pub fn spec(&self) -> &LabSpec {
        &self.record.spec
    }

    /// Returns the folder with the lab's files; only root can enter it.
    pub fn directory(&self) -> &Path {
        &self.folder
    }

    /// Returns the hosts, control-plane hosts first.
    pub fn hosts(&self) -> &[LabHost] {
        &self.hosts
    }

    /// Returns the host called `name`.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`].
    pub fn host(&self, name: &str) -> Result<&LabHost, LabError> {
        self.hosts
            .iter()
            .find(|host| host.name == name)
            .ok_or_else(|| LabError::UnknownHost {
                lab: self.name().to_owned(),
                host: name.to_owned(),
                known: self
                    .hosts
                    .iter()
                    .map(LabHost::name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// Returns this machine's address on the lab's network: the hosts' gateway.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.record.subnet.network()) + 1)
    }

    /// Returns the private key that logs in as `ops` on every host.
    pub fn ssh_key(&self) -> PathBuf {
        self.folder.join("id_ed25519")
    }

    /// Returns the file with every host's public host keys.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// Returns the cluster file that describes the lab.
    pub fn cluster_file(&self) -> PathBuf {
        self.folder.join("cluster.yaml")
    }

    /// Returns where the cluster's kubeconfig belongs; the lab itself does not write it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    fn new(folder: PathBuf, record: LabRecord) -> Self {
        let planned = record.spec.planned_hosts(record.subnet);
        let hosts = planned
            .into_iter()
            .map(|host| lab_host(host, &record))
            .collect();
        Self {
            folder,
            record,
            hosts,
        }
    }
}

fn lab_host(host: PlannedHost, record: &LabRecord) -> LabHost {
    LabHost {
        container: container_name(&record.spec.name, &host.name),
        name: host.name,
        address: host.address,
        role: host.role,
        engine: record.engine.clone(),
    }
}

fn container_name(lab: &str, host: &str) -> String {
    format!("slipway-{lab}-{host}")
}

fn lab_folders(labs: &Path) -> Result<Vec<PathBuf>, LabError> {
    let entries = match std::fs::read_dir(labs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LabError::file("read", labs)(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        folders.push(entry.map_err(LabError::file("read", labs))?.path());
    }
    folders.sort();
    Ok(folders)
}

fn ssh_arguments(folder: &Path, address: Ipv4Addr) -> Vec<String> {
    let key = folder.join("id_ed25519").display().to_string();
    // OpenSSH splits this option's value at spaces unless it is quoted.
    let known_hosts = format!(
        "UserKnownHostsFile=\"{}\"",
        folder.join("known_hosts").display()
    );
    let options = [
        &known_hosts,
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
    ];
    let mut args = ["ssh", "-F", "/dev/null", "-i", &key]
        .map(str::to_owned)
        .to_vec();
    for option in options {
        args.extend(["-o".to_owned(), option.to_owned()]);
    }
    args.push(format!("ops@{address}"));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_command_uses_the_lab_s_files_only_and_checks_the_host_key() {
        let args = ssh_arguments(Path::new("/d/a b"), Ipv4Addr::new(10, 77, 1, 11));
        assert_eq!(
            args[..5],
            ["ssh", "-F", "/dev/null", "-i", "/d/a b/id_ed25519"]
        );
        assert!(args.contains(&"UserKnownHostsFile=\"/d/a b/known_hosts\"".to_owned()));
        assert!(args.contains(&"StrictHostKeyChecking=yes".to_owned()));
        assert_eq!(args.last().map(String::as_str), Some("ops@10.77.1.11"));
    }

    #[test]
    fn a_folder_of_labs_that_does_not_exist_holds_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let none = lab_folders(&folder.path().join("labs")).expect("missing is empty");
        assert!(none.is_empty());
    }
}
