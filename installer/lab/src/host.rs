//! One host of a lab: its address, its state, and what tests do to it.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use slipway_api::Role;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::{CommandOutput, Engine, LabError};

/// How long a host may take to boot.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// How often a booting host is asked for its state.
const POLL: Duration = Duration::from_millis(200);

/// The port that sshd listens on.
const SSH_PORT: u16 = 22;

/// What a booted host's systemd says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostState {
    /// Every unit started.
    Running,
    /// The host has booted, but these units failed.
    Degraded {
        /// The failed units.
        failed_units: Vec<String>,
    },
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => write!(f, "running"),
            Self::Degraded { failed_units } => {
                write!(f, "degraded ({} failed)", failed_units.join(", "))
            }
        }
    }
}

/// A host of a lab.
#[derive(Clone, Debug)]
pub struct LabHost {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) role: Role,
    pub(crate) container: String,
    pub(crate) engine: Engine,
}

impl LabHost {
    /// Returns the host's name, which is also its hostname.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the host's address on the lab's network.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Returns what the host is in the cluster file.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the name of the host's container.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Returns whether the host's container is running.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn is_running(&self) -> Result<bool, LabError> {
        let state = self.engine.container_state(&self.container).await?;
        Ok(state.as_deref() == Some("running"))
    }

    /// Crashes the host: every process is killed at once, the disks stay.
    ///
    /// It stays down until [`LabHost::start`]; after a `reboot` or `poweroff`
    /// inside, the engine starts the host again by itself.
    ///
    /// # Errors
    /// The engine fails, for example because the host is not running.
    pub async fn kill(&self) -> Result<(), LabError> {
        self.engine.kill(&self.container).await
    }

    /// Starts the host again after a crash and waits until sshd answers.
    ///
    /// # Errors
    /// The engine fails, or the host is not ready within two minutes.
    pub async fn start(&self) -> Result<HostState, LabError> {
        self.engine.start(&self.container).await?;
        self.wait_until_ready(BOOT_LIMIT).await
    }

    /// Runs a program on the host as root, beside SSH: for looking at a host from tests.
    ///
    /// # Errors
    /// The engine fails; the program's own exit code is in the output.
    pub async fn exec(&self, argv: &[&str]) -> Result<CommandOutput, LabError> {
        self.engine.exec(&self.container, argv, "").await
    }

    /// Waits until systemd has finished booting and sshd greets.
    ///
    /// # Errors
    /// [`LabError::NotReady`] after `limit`, with the last lines of the journal.
    pub async fn wait_until_ready(&self, limit: Duration) -> Result<HostState, LabError> {
        let started = Instant::now();
        let state = wait_for_systemd(&self.engine, &self.container, &self.name, limit).await?;
        while !answers_ssh(self.address).await {
            if started.elapsed() > limit {
                let what = "sshd does not answer".to_owned();
                return Err(
                    not_ready(&self.engine, &self.container, &self.name, limit, what).await,
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(state)
    }

    /// Returns the host's public SSH host keys, one per line, as the host's own disk has them.
    pub(crate) async fn read_host_keys(&self) -> Result<Vec<String>, LabError> {
        let script = ["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"];
        let keys = self
            .engine
            .exec_checked(&self.container, &script, "")
            .await?;
        Ok(keys.lines().map(str::to_owned).collect())
    }
}

/// Waits until systemd in the container says that booting is over.
///
/// # Errors
/// [`LabError::NotReady`] after `limit` or as soon as the container stops.
pub(crate) async fn wait_for_systemd(
    engine: &Engine,
    container: &str,
    host: &str,
    limit: Duration,
) -> Result<HostState, LabError> {
    let started = Instant::now();
    loop {
        let asked = engine
            .exec(container, &["systemctl", "is-system-running"], "")
            .await?;
        let answer = asked.stdout.trim();
        match answer {
            "running" => return Ok(HostState::Running),
            "degraded" => {
                let failed_units = failed_units(engine, container).await?;
                return Ok(HostState::Degraded { failed_units });
            }
            _ => {}
        }
        let state = engine.container_state(container).await?;
        let has_stopped = !matches!(state.as_deref(), Some("running" | "created" | "restarting"));
        if has_stopped || started.elapsed() > limit {
            let what = match state {
                _ if !has_stopped && answer.is_empty() => "systemd does not answer".to_owned(),
                _ if !has_stopped => format!("systemd says `{answer}`"),
                Some(state) => format!("its container is {state}"),
                None => "its container is gone".to_owned(),
            };
            return Err(not_ready(engine, container, host, started.elapsed(), what).await);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn failed_units(engine: &Engine, container: &str) -> Result<Vec<String>, LabError> {
    let list = [
        "systemctl",
        "list-units",
        "--failed",
        "--plain",
        "--no-legend",
    ];
    let output = engine.exec(container, &list, "").await?;
    let first_words = output
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(first_words.map(str::to_owned).collect())
}

async fn not_ready(
    engine: &Engine,
    container: &str,
    host: &str,
    waited: Duration,
    state: String,
) -> LabError {
    let journal = ["journalctl", "-b", "-n", "20", "--no-pager", "-o", "cat"];
    // A host that cannot be asked any more still left what its first process wrote.
    let lines = match engine.exec(container, &journal, "").await {
        Ok(output) if output.is_success() => output.stdout,
        Ok(_) | Err(_) => engine.container_log(container).await.unwrap_or_default(),
    };
    LabError::NotReady {
        host: host.to_owned(),
        waited,
        state,
        journal: lines.trim_end().to_owned(),
    }
}

async fn answers_ssh(address: Ipv4Addr) -> bool {
    let greet = async {
        let mut stream = TcpStream::connect((address, SSH_PORT)).await.ok()?;
        let mut greeting = [0_u8; 4];
        stream.read_exact(&mut greeting).await.ok()?;
        Some(&greeting == b"SSH-")
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(2), greet).await,
        Ok(Some(true))
    )
}
