//! Journals, plans and agent lines: those of earlier versions still parse, and damaged ones never panic.
//!
//! The fixtures are never edited: each is what some version wrote, in a real run in the lab
//! or, with long texts cut and most images left out, on hosts that were made up. New fields must have defaults.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use slipway_api::protocol::{Attachment, Channel, FromAgent, Request, ToAgent};
use slipway_api::{Entry, Event, Outcome, Plan, PlannedStep, Progress, RunState};

fn fixtures(ending: &str) -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs");
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("fixtures are text");
            (path, text)
        })
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "there are fixtures that end with {ending}"
    );
    found
}

fn entries(text: &str) -> Vec<Entry> {
    let parsed = text.lines().map(serde_json::from_str);
    parsed
        .collect::<Result<_, _>>()
        .expect("every line of a fixture is an entry")
}

fn fold(entries: &[Entry]) -> RunState {
    let mut state = RunState::default();
    entries.iter().for_each(|entry| state.apply(entry));
    state
}

fn fixture(name: &str) -> String {
    fixtures(name).remove(0).1
}

/// Returns the steps of all old plans.
fn old_steps() -> Vec<PlannedStep> {
    let plans = fixtures(".plan.json").into_iter();
    plans
        .map(|(_, text)| serde_json::from_str::<Plan>(&text).expect("it is a plan"))
        .flat_map(|plan| plan.steps)
        .collect()
}

#[test]
fn old_journals_still_tell_how_their_runs_ended() {
    for (path, text) in fixtures(".ndjson") {
        let state = fold(&entries(&text));
        assert!(!state.steps.is_empty(), "{}", path.display());
        let is_open =
            |progress: &Progress| matches!(progress, Progress::Waiting | Progress::Running { .. });
        let open = state.steps.iter().filter(|step| is_open(&step.progress));
        let is_whole = state.outcome == Some(Outcome::Succeeded);
        assert_eq!(open.count() == 0, is_whole, "{}", path.display());
    }
}

#[test]
fn an_old_journal_of_a_run_that_failed_tells_why_and_whom_it_lost() {
    let entries = entries(&fixture("0.1.0-init-failed.ndjson"));
    let has = |wanted: fn(&Event) -> bool| entries.iter().any(|entry| wanted(&entry.event));
    assert!(has(|event| matches!(event, Event::StepProgress { .. })));
    assert!(has(|event| matches!(event, Event::StepFailed { .. })));
    assert!(has(|event| matches!(event, Event::HostLost(_))));
    let state = fold(&entries);
    assert_eq!(state.outcome, Some(Outcome::Failed));
    let helps = state.failures().map(|(_, failure)| failure.help.as_deref());
    assert!(
        helps
            .into_iter()
            .any(|help| help == Some("`df -h /var/lib`"))
    );
    let lost: Vec<_> = state
        .left_out
        .iter()
        .map(|lost| lost.host.as_str())
        .collect();
    assert_eq!(lost, ["w-2"]);
}

#[test]
fn old_plans_have_the_verbs_that_they_had() {
    let mut verbs = BTreeSet::new();
    for (_, text) in fixtures(".plan.json") {
        let plan: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let steps = plan["steps"].as_array().expect("a plan has steps");
        let of_plan = steps.iter().map(|step| step["step"]["verb"].to_string());
        verbs.extend(of_plan);
    }
    insta::assert_snapshot!(Vec::from_iter(verbs).join("\n"));
}

#[test]
fn old_plans_still_parse_and_need_only_steps_of_their_own() {
    for (path, text) in fixtures(".plan.json") {
        let plan: Plan = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!plan.is_empty());
        for step in &plan.steps {
            for need in &step.needs {
                assert!(plan.steps.iter().any(|other| other.id == *need), "{need}");
            }
        }
    }
}

/// A whole session's requests, with every step of all old plans.
static PROTOCOL_LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let steps = old_steps();
    let run = entries(&JOURNAL)[0].run.clone();
    let mut requests = vec![Request::GatherFacts, Request::ReadAdminKubeconfig];
    requests.push(Request::CheckSteps {
        steps: steps
            .iter()
            .take(3)
            .map(|step| (step.id.clone(), step.step.clone()))
            .collect(),
    });
    requests.extend(steps.into_iter().map(|step| Request::RunStep {
        run: run.clone(),
        id: step.id,
        step: Box::new(step.step),
        attachment: Attachment::default(),
    }));
    let numbered = (0..).zip(requests);
    numbered
        .map(|(id, request)| {
            serde_json::to_string(&ToAgent { id, request }).expect("requests are JSON")
        })
        .collect()
});

/// All old journals, one after the other.
static JOURNAL: LazyLock<String> = LazyLock::new(|| {
    let journals = fixtures(".ndjson").into_iter();
    journals.map(|(_, text)| text).collect()
});

/// Cuts a piece out of a text and puts another there, at bytes that need not be
/// the edges of characters.
fn damage(text: &str, at: usize, length: usize, insert: &[u8]) -> Vec<u8> {
    let at = at % (text.len() + 1);
    let end = (at + length).min(text.len());
    [&text.as_bytes()[..at], insert, &text.as_bytes()[end..]].concat()
}

proptest! {
    #[test]
    fn a_damaged_journal_line_never_panics(
        line in any::<prop::sample::Index>(),
        at in any::<usize>(),
        length in 0_usize..60,
        insert in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let lines: Vec<&str> = JOURNAL.lines().collect();
        let damaged = damage(lines[line.index(lines.len())], at, length, &insert);
        if let Ok(entry) = serde_json::from_slice::<Entry>(&damaged) {
            let again = serde_json::to_vec(&entry).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Entry>(&again).unwrap(), entry);
        }
    }

    #[test]
    fn entries_in_any_order_fold_without_panic(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let entries = entries(&JOURNAL);
        let picked: Vec<Entry> = picks.iter().map(|pick| entries[pick.index(entries.len())].clone()).collect();
        let state = fold(&picked);
        prop_assert!(state.done() <= state.steps.len());
    }

    #[test]
    fn a_damaged_line_between_workstation_and_agent_never_panics(
        line in any::<prop::sample::Index>(),
        at in any::<usize>(),
        length in 0_usize..60,
        insert in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let damaged = damage(&PROTOCOL_LINES[line.index(PROTOCOL_LINES.len())], at, length, &insert);
        let _ = serde_json::from_slice::<Channel>(&damaged);
        let _ = serde_json::from_slice::<FromAgent>(&damaged);
        if let Ok(read) = serde_json::from_slice::<ToAgent>(&damaged) {
            let again = serde_json::to_vec(&read).unwrap();
            prop_assert_eq!(serde_json::from_slice::<ToAgent>(&again).unwrap(), read);
        }
    }
}
