//! Kernel modules and sysctls.

use std::path::Path;

use slipway_api::Check;
use slipway_api::step::{LoadModules, SetSysctls};

use super::needed;
use crate::context::Context;
use crate::{AgentError, command};

pub(super) fn check_modules(step: &LoadModules) -> Check {
    let missing: Vec<_> = step
        .modules
        .iter()
        .filter(|module| !module_works(module))
        .map(String::as_str)
        .collect();
    needed((!missing.is_empty()).then(|| format!("not loaded: {}", missing.join(", "))))
}

/// Returns whether a module does its work. Judged by function, since a module
/// that is built into the kernel is in no list.
pub(crate) fn module_works(module: &str) -> bool {
    match module {
        "br_netfilter" => Path::new("/proc/sys/net/bridge").is_dir(),
        "overlay" => std::fs::read_to_string("/proc/filesystems")
            .is_ok_and(|list| list.split_whitespace().any(|word| word == "overlay")),
        other => Path::new("/sys/module").join(other).is_dir(),
    }
}

pub(super) async fn apply_modules(step: &LoadModules) -> Result<(), AgentError> {
    for module in step.modules.iter().filter(|module| !module_works(module)) {
        command::run("modprobe", &["--", module]).await?;
    }
    Ok(())
}

pub(super) fn check_sysctls(step: &SetSysctls, context: &Context) -> Result<Check, AgentError> {
    for (key, value) in &step.values {
        let found = std::fs::read_to_string(sysctl_path(key, context)).ok();
        let found = found.as_deref().map(str::trim);
        if found != Some(value) {
            let found = found.unwrap_or("not there");
            return Ok(needed(Some(format!("{key} is {found}, not {value}"))));
        }
    }
    Ok(Check::Satisfied)
}

pub(super) fn apply_sysctls(step: &SetSysctls, context: &Context) -> Result<(), AgentError> {
    for (key, value) in &step.values {
        let path = sysctl_path(key, context);
        std::fs::write(&path, value).map_err(AgentError::file("write", &path))?;
    }
    Ok(())
}

fn sysctl_path(key: &str, context: &Context) -> std::path::PathBuf {
    context.at("/proc/sys").join(key.replace('.', "/"))
}
