//! A plan as a page: phase, host, step, because.

use slipway_api::{Finding, Plan, Severity};
use slipway_engine::Survey;

use super::left_out::text;
use super::{json, json_line, table};
use crate::args::Output;

/// Prints a plan on stdout, as the answer of a command.
pub(crate) fn plan(survey: &Survey, output: Output) {
    match output {
        Output::Text => page(survey),
        Output::Json => json(&survey.plan),
    }
}

/// Prints a plan that somebody is asked to agree to, or has agreed to in
/// advance. With JSON the run's first event says the same.
pub(crate) fn plan_to_agree(survey: &Survey, output: Output) {
    match output {
        Output::Text => page(survey),
        Output::Json => {}
    }
}

/// Prints a plan; what preflight finds about its hosts was told before, as text,
/// and is part of the document with JSON.
pub(crate) fn plan_with_findings(survey: &Survey, findings: &[Finding], output: Output) {
    if output == Output::Json {
        let mut document = serde_json::to_value(&survey.plan).expect("plans have only string keys");
        document["findings"] = serde_json::json!(findings);
        return json(&document);
    }
    page(survey);
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    if errors > 0 {
        noteln!(
            "\nNothing would begin: preflight finds {errors} errors, told above; \
             `slipway preflight` explains them."
        );
    }
}

/// Says that there is nothing to do.
pub(crate) fn nothing_to_do(survey: &Survey, output: Output) {
    let satisfied = survey.satisfied;
    match output {
        Output::Text => outln!("No changes: {satisfied} steps looked at, all as they should be."),
        Output::Json => json_line(&serde_json::json!({
            "changes": 0,
            "satisfied": satisfied,
            "leftOut": survey.plan.left_out,
        })),
    }
}

fn page(survey: &Survey) {
    let plan = &survey.plan;
    if plan.is_empty() {
        nothing_to_do(survey, Output::Text);
    } else {
        out!("{}", table(&rows(plan)));
        outln!(
            "\n{}: {} steps on {} hosts; {} more are as they should be.",
            plan.cluster,
            plan.steps.len(),
            plan.hosts().len(),
            survey.satisfied
        );
    }
    for host in &plan.left_out {
        outln!("\n{}", text(host));
    }
}

fn rows(plan: &Plan) -> Vec<Vec<String>> {
    let head = ["PHASE", "HOST", "STEP", "BECAUSE"].map(str::to_owned);
    let steps = plan.steps.iter().map(|step| {
        vec![
            step.phase.to_string(),
            step.host.to_string(),
            step.step.describe(),
            step.because.clone(),
        ]
    });
    std::iter::once(head.to_vec()).chain(steps).collect()
}
