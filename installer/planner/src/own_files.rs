//! Which of a user's files are read by what, so that it restarts when they change.

use std::path::Path;

use slipway_api::step::WithdrawFile;
use slipway_api::{HostSpec, Phase, Step, StepId};

use crate::builder::PlanBuilder;
use crate::plan_cluster::HostInput;

/// A user's file on a host: the step that writes it, and its path.
pub(crate) type OwnFile = (StepId, String);

/// Takes away what the file no longer gives to a host, once nothing that
/// `needs` do reads it any more.
pub(crate) fn add_withdrawals(builder: &mut PlanBuilder, input: &HostInput<'_>, needs: &[StepId]) {
    let is_given = |path: &&String| input.host.files.iter().any(|file| file.dest == **path);
    let placed = &input.facts.existing.placed_files;
    for path in placed.iter().filter(|path| !is_given(path)) {
        let phase = Phase::NodeReady;
        builder.add(&input.host.name, phase, withdrawal(path), needs);
    }
}

/// Returns the step that takes a file away.
pub(crate) fn withdrawal(path: &str) -> Step {
    Step::WithdrawFile(WithdrawFile {
        path: path.to_owned(),
    })
}

/// Returns what is remembered of a host before its files are brought: what is
/// at their paths, and the folders that are made for them.
pub(crate) fn remembered(host: &HostSpec) -> Vec<String> {
    let paths = host.files.iter().flat_map(|file| {
        let above = Path::new(&file.dest).ancestors();
        above.filter(|path| path.parent().is_some())
    });
    let mut found: Vec<String> = Vec::new();
    for path in paths.map(|path| path.to_string_lossy().into_owned()) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Returns the files that are at one of these paths or below it.
pub(crate) fn at_or_below(files: &[OwnFile], paths: &[String]) -> Vec<OwnFile> {
    let is_named = |file: &&OwnFile| {
        let path = Path::new(&file.1);
        paths.iter().any(|named| path.starts_with(named))
    };
    files.iter().filter(is_named).cloned().collect()
}
