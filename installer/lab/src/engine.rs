//! The container engine: every command line that podman or docker gets from us.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Program;
use crate::host_container::{HostContainer, host_arguments};
use crate::machine::Machine;
use crate::subnet::parse_network_subnets;
use crate::{CommandOutput, LabError};

/// The label on every container, volume and network; its value is the lab's name.
pub(crate) const LAB_LABEL: &str = "slipway.lab";

/// How long an image import may take.
const IMPORT_LIMIT: Duration = Duration::from_secs(600);

/// A container engine that Slipway can drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Podman, run by root.
    Podman,
    /// Docker.
    Docker,
}

impl EngineKind {
    /// Returns the engine's program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// A container engine together with the OCI runtime it is told to use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// The engine.
    pub kind: EngineKind,
    /// The OCI runtime; none means the engine's own default.
    pub runtime: Option<String>,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.runtime {
            Some(runtime) => write!(f, "{} with {runtime}", self.kind.program()),
            None => write!(f, "{}", self.kind.program()),
        }
    }
}

impl Engine {
    fn program(&self) -> Program {
        Program::new(self.kind.program())
    }

    async fn run<const N: usize>(&self, args: [&str; N]) -> Result<String, LabError> {
        self.program().args(args).run().await
    }

    /// Returns the engine's version line.
    pub(crate) async fn version(&self) -> Result<String, LabError> {
        Ok(self.run(["--version"]).await?.trim().to_owned())
    }

    /// Starts a host in the background.
    pub(crate) async fn start_host(
        &self,
        host: &HostContainer<'_>,
        machine: &Machine,
    ) -> Result<(), LabError> {
        let args = host_arguments(self, host, machine);
        self.program().args(args).run().await.map(drop)
    }

    /// Runs a program in a container; its exit code is the caller's to judge.
    pub(crate) async fn exec(
        &self,
        container: &str,
        argv: &[&str],
        stdin: &str,
    ) -> Result<CommandOutput, LabError> {
        self.program()
            .args(["exec", "-i", container])
            .args(argv.iter().copied())
            .stdin(stdin)
            .output()
            .await
    }

    /// Runs a program in a container and returns what it printed; another exit code than 0 is an error.
    pub(crate) async fn exec_checked(
        &self,
        container: &str,
        argv: &[&str],
        stdin: &str,
    ) -> Result<String, LabError> {
        self.program()
            .args(["exec", "-i", container])
            .args(argv.iter().copied())
            .stdin(stdin)
            .run()
            .await
    }

    /// Returns a container's state in the engine's word, such as `running`; none when there is no such container.
    pub(crate) async fn container_state(
        &self,
        container: &str,
    ) -> Result<Option<String>, LabError> {
        let format = "{{.State.Status}}";
        let inspect = ["container", "inspect", "--format", format, container];
        match self.run(inspect).await {
            Ok(state) => Ok(Some(state.trim().to_owned())),
            Err(LabError::CommandFailed { stderr, .. })
                if stderr.to_lowercase().contains("no such") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the end of what a container's first process wrote.
    pub(crate) async fn container_log(&self, container: &str) -> Result<String, LabError> {
        let output = self
            .program()
            .args(["logs", "--tail", "20", container])
            .output()
            .await?;
        Ok(format!("{}{}", output.stdout, output.stderr))
    }

    /// Starts a container that exists and is stopped.
    pub(crate) async fn start(&self, container: &str) -> Result<(), LabError> {
        self.run(["start", container]).await.map(drop)
    }

    /// Kills a container's processes at once, as a crash of the host would.
    pub(crate) async fn kill(&self, container: &str) -> Result<(), LabError> {
        self.run(["kill", "--signal", "KILL", container])
            .await
            .map(drop)
    }

    /// Removes a container, running or not, and its anonymous volumes.
    pub(crate) async fn remove_container(&self, container: &str) -> Result<(), LabError> {
        // Removal first asks the container to stop and waits; a dead one needs no waiting.
        let kill = self.program().args(["kill", "--signal", "KILL", container]);
        kill.output().await?;
        self.run(["rm", "-f", "-v", container]).await.map(drop)
    }

    /// Returns the names of the containers that belong to the lab.
    pub(crate) async fn containers_of(&self, lab: &str) -> Result<Vec<String>, LabError> {
        let filter = format!("label={LAB_LABEL}={lab}");
        let args = ["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"];
        Ok(lines(&self.run(args).await?))
    }

    /// Returns the names of the volumes that belong to the lab.
    pub(crate) async fn volumes_of(&self, lab: &str) -> Result<Vec<String>, LabError> {
        let filter = format!("label={LAB_LABEL}={lab}");
        let args = ["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"];
        Ok(lines(&self.run(args).await?))
    }

    /// Returns the names of the networks that belong to the lab.
    pub(crate) async fn networks_of(&self, lab: &str) -> Result<Vec<String>, LabError> {
        let filter = format!("label={LAB_LABEL}={lab}");
        let args = [
            "network",
            "ls",
            "--filter",
            &filter,
            "--format",
            "{{.Name}}",
        ];
        Ok(lines(&self.run(args).await?))
    }

    /// Makes a labelled volume.
    pub(crate) async fn create_volume(&self, lab: &str, volume: &str) -> Result<(), LabError> {
        let label = format!("{LAB_LABEL}={lab}");
        self.run(["volume", "create", "--label", &label, volume])
            .await
            .map(drop)
    }

    /// Removes a volume.
    pub(crate) async fn remove_volume(&self, volume: &str) -> Result<(), LabError> {
        self.run(["volume", "rm", "-f", volume]).await.map(drop)
    }

    /// Makes a labelled bridge network whose gateway is the subnet's first address, and returns the bridge's name.
    pub(crate) async fn create_network(
        &self,
        lab: &str,
        network: &str,
        subnet: Ipv4Net,
    ) -> Result<String, LabError> {
        let args = network_arguments(self.kind, lab, network, subnet);
        self.program().args(args).run().await?;
        match self.kind {
            EngineKind::Docker => Ok(docker_bridge(subnet)),
            EngineKind::Podman => {
                let format = "{{.NetworkInterface}}";
                let args = ["network", "inspect", "--format", format, network];
                Ok(self.run(args).await?.trim().to_owned())
            }
        }
    }

    /// Removes a network.
    pub(crate) async fn remove_network(&self, network: &str) -> Result<(), LabError> {
        self.run(["network", "rm", network]).await.map(drop)
    }

    /// Returns the subnets of all the engine's networks.
    pub(crate) async fn network_subnets(&self) -> Result<Vec<Ipv4Net>, LabError> {
        let names = lines(&self.run(["network", "ls", "--format", "{{.Name}}"]).await?);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let inspect = self.program().args(["network", "inspect"]).args(names);
        let networks: Value =
            serde_json::from_str(&inspect.run().await?).map_err(|source| LabError::Unreadable {
                what: format!("`{} network inspect`", self.kind.program()),
                source,
            })?;
        Ok(parse_network_subnets(&networks))
    }

    /// Returns whether the engine has the image.
    pub(crate) async fn has_image(&self, image: &str) -> Result<bool, LabError> {
        let inspect = self
            .program()
            .args(["image", "inspect", "--format", "{{.Id}}", image]);
        Ok(inspect.output().await?.is_success())
    }

    /// Makes an image from a root file system's archive.
    pub(crate) async fn import_image(&self, archive: &str, image: &str) -> Result<(), LabError> {
        self.program()
            .args([
                "import",
                "--change",
                r#"CMD ["/sbin/init"]"#,
                archive,
                image,
            ])
            .limit(IMPORT_LIMIT)
            .run()
            .await
            .map(drop)
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Docker lets us name the bridge: the third octet makes it unique, and 15 characters are the kernel's limit.
fn docker_bridge(subnet: Ipv4Net) -> String {
    format!("slipway-{}", subnet.network().octets()[2])
}

fn gateway(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()) + 1)
}

fn network_arguments(kind: EngineKind, lab: &str, network: &str, subnet: Ipv4Net) -> Vec<String> {
    let mut args: Vec<String> = ["network", "create", "--driver", "bridge"]
        .map(str::to_owned)
        .into();
    args.extend(["--label".to_owned(), format!("{LAB_LABEL}={lab}")]);
    args.extend(["--subnet".to_owned(), subnet.to_string()]);
    args.extend(["--gateway".to_owned(), gateway(subnet).to_string()]);
    match kind {
        EngineKind::Podman => args.push("--disable-dns".to_owned()),
        EngineKind::Docker => {
            let option = format!("com.docker.network.bridge.name={}", docker_bridge(subnet));
            args.extend(["--opt".to_owned(), option]);
        }
    }
    args.push(network.to_owned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_their_gateway_at_the_first_address_and_no_name_server() {
        let subnet = "10.77.4.0/24".parse().expect("a subnet");
        let podman = network_arguments(EngineKind::Podman, "dev", "slipway-dev", subnet).join(" ");
        assert_eq!(
            podman,
            "network create --driver bridge --label slipway.lab=dev --subnet 10.77.4.0/24 --gateway 10.77.4.1 --disable-dns slipway-dev"
        );
        let docker = network_arguments(EngineKind::Docker, "dev", "slipway-dev", subnet).join(" ");
        assert!(docker.contains("bridge.name=slipway-4"), "{docker}");
    }
}
