//! What we plan for a cluster file, held against what the kubeadm of each minor
//! writes for the same configuration.
//!
//! Switched on by the feature `oracle`; each test needs the path of a kubeadm
//! binary in `SLIPWAY_KUBEADM_1_34`, `SLIPWAY_KUBEADM_1_35` or
//! `SLIPWAY_KUBEADM_1_36`. A case is a cluster file in `cases`.

mod case;
mod certificates;
mod differences;
mod kubeadm;
mod planned;
mod requests;
#[path = "../planner/support.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use std::path::Path;

use case::Case;
use differences::Differences;
use kubeadm::Written;
use planned::Planned;

#[test]
fn kubeadm_1_34_writes_what_we_plan() {
    compare("1.34.4");
}

#[test]
fn kubeadm_1_35_writes_what_we_plan() {
    compare("1.35.4");
}

#[test]
fn kubeadm_1_36_writes_what_we_plan() {
    compare("1.36.3");
}

fn compare(version: &str) {
    let kubeadm = &kubeadm::binary(version);
    // kubeadm mostly sleeps.
    let found: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = Case::all(version)
            .into_iter()
            .map(|case| scope.spawn(move || differences(kubeadm, &case)))
            .collect();
        let found = running.into_iter().map(|case| case.join());
        found.flat_map(|case| case.expect("the case ran")).collect()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn differences(kubeadm: &Path, case: &Case) -> Vec<String> {
    let written = Written::by(kubeadm, case);
    let planned = Planned::of(case, &written);
    let mut differences = Differences::default();
    planned.compare_files(&written, &mut differences);
    planned.compare_objects(&written, &mut differences);
    certificates::compare(&planned, &written, &mut differences);
    requests::compare(kubeadm, case, &mut differences);
    let named = |line: &String| format!("{}: {line}", case.name);
    differences.0.iter().map(named).collect()
}
