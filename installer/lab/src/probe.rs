//! Choosing an engine by booting a host in it for real.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::is_installed;
use crate::host::wait_for_systemd;
use crate::host_container::HostContainer;
use crate::image::ensure_image;
use crate::machine::Machine;
use crate::{Engine, EngineKind, LabError, Progress};

/// How long a trial host may take to boot.
const TRIAL_LIMIT: Duration = Duration::from_secs(40);

/// The label value of trial hosts; no lab can have this name.
pub(crate) const TRIAL_LAB: &str = ".trial";

/// The choice as it is kept in the cache.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    engine: Engine,
    /// The engine's version line: after an update it is tried again.
    version: String,
}

/// Returns the engine that worked last time, or the first that boots a host now.
///
/// # Errors
/// [`LabError::NoEngine`] with a reason for each that was tried.
pub(crate) async fn choose_engine(
    cache: &Path,
    archive: &Path,
    machine: &Machine,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Engine, LabError> {
    let record = cache.join("engine.json");
    if let Some(engine) = remembered(&record).await {
        progress(Progress::EngineChosen {
            engine: engine.clone(),
        });
        return Ok(engine);
    }
    let mut tried = String::new();
    for engine in candidates() {
        progress(Progress::EngineTrial {
            engine: engine.clone(),
        });
        match try_engine(&engine, archive, machine, progress).await {
            Ok(version) => {
                let choice = Remembered {
                    engine: engine.clone(),
                    version,
                };
                let json = serde_json::to_vec_pretty(&choice).expect("plain data serialises");
                std::fs::write(&record, json).map_err(LabError::file("write", &record))?;
                progress(Progress::EngineChosen {
                    engine: engine.clone(),
                });
                return Ok(engine);
            }
            Err(error) => {
                let reason = error.to_string().lines().collect::<Vec<_>>().join("; ");
                tried.push_str(&format!("\n  {engine}: {reason}"));
                progress(Progress::EngineRefused { engine, reason });
            }
        }
    }
    if tried.is_empty() {
        tried = ": neither podman nor docker is installed".to_owned();
    }
    Err(LabError::NoEngine { tried })
}

/// Returns the engines whose program is installed here, with their own default runtime.
pub(crate) fn installed_engines() -> Vec<Engine> {
    [EngineKind::Podman, EngineKind::Docker]
        .into_iter()
        .filter(|kind| is_installed(kind.program()))
        .map(|kind| Engine {
            kind,
            runtime: None,
        })
        .collect()
}

/// runc comes first: it boots hosts in places where crun cannot.
fn candidates() -> Vec<Engine> {
    let mut list = Vec::new();
    for engine in installed_engines() {
        if engine.kind == EngineKind::Podman && is_installed("runc") {
            list.push(Engine {
                kind: engine.kind,
                runtime: Some("runc".to_owned()),
            });
        }
        list.push(engine);
    }
    list
}

async fn remembered(record: &Path) -> Option<Engine> {
    let text = std::fs::read(record).ok()?;
    let choice: Remembered = serde_json::from_slice(&text).ok()?;
    let version = choice.engine.version().await.ok()?;
    (version == choice.version).then_some(choice.engine)
}

/// Boots a host without network and removes it; returns the engine's version.
async fn try_engine(
    engine: &Engine,
    archive: &Path,
    machine: &Machine,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<String, LabError> {
    let version = engine.version().await?;
    // A trial that was cut off leaves its host; the lock says that no other trial runs now.
    for left in engine.containers_of(TRIAL_LAB).await? {
        engine.remove_container(&left).await?;
    }
    let image = ensure_image(engine, archive, progress).await?;
    let container = format!("slipway-trial-{}", std::process::id());
    let host = HostContainer {
        lab: TRIAL_LAB,
        container: &container,
        hostname: "trial",
        image: &image,
        volume: None,
        network: None,
    };
    let booted = match engine.start_host(&host, machine).await {
        Ok(()) => wait_for_systemd(engine, &container, "trial", TRIAL_LIMIT).await,
        Err(error) => Err(error),
    };
    // A container that could not be made cannot be removed either; the first error tells more.
    let removed = engine.remove_container(&container).await;
    booted?;
    removed?;
    Ok(version)
}
