//! Taking a lab away: all that carries its label, its firewall table and its folder.

use crate::command::is_installed;
use crate::directories::Directories;
use crate::probe::installed_engines;
use crate::{LabError, firewall};

/// What a removal took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Containers by name.
    pub containers: Vec<String>,
    /// Volumes by name.
    pub volumes: Vec<String>,
    /// Networks by name.
    pub networks: Vec<String>,
    /// Whether there was a firewall table.
    pub had_firewall: bool,
    /// Whether there was a folder.
    pub had_folder: bool,
}

impl Removed {
    /// Returns whether nothing of the lab was there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Removes everything of the lab called `name`, in whatever state it is.
///
/// Every installed engine is asked, so a lab whose record is lost goes too. An
/// engine that does not answer (a docker whose daemon is off) is passed over
/// unless it is the one that the lab's record names.
pub(crate) async fn remove_lab(
    name: &str,
    directories: &Directories,
    recorded: Option<&crate::Engine>,
) -> Result<Removed, LabError> {
    let mut removed = Removed::default();
    for engine in installed_engines() {
        let containers = match engine.containers_of(name).await {
            Ok(containers) => containers,
            Err(_) if recorded.is_none_or(|recorded| recorded.kind != engine.kind) => continue,
            Err(error) => return Err(error),
        };
        for container in containers {
            engine.remove_container(&container).await?;
            removed.containers.push(container);
        }
        for volume in engine.volumes_of(name).await? {
            engine.remove_volume(&volume).await?;
            removed.volumes.push(volume);
        }
        for network in engine.networks_of(name).await? {
            engine.remove_network(&network).await?;
            removed.networks.push(network);
        }
    }
    if is_installed("nft") {
        removed.had_firewall = firewall::remove_table(name).await?;
    }
    let folder = directories.lab(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(LabError::file("remove", &folder))?;
        removed.had_folder = true;
    }
    Ok(removed)
}
