//! A plan as a page: phase, host, step, because.

use slipway_api::Plan;

use super::{json, table};
use crate::args::Output;

/// Prints a plan on stdout.
pub(crate) fn plan(plan: &Plan, satisfied: usize, output: Output) {
    if output == Output::Json {
        return json(plan);
    }
    if plan.is_empty() {
        return nothing_to_do(satisfied, output);
    }
    let mut rows = vec![
        ["PHASE", "HOST", "STEP", "BECAUSE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for step in &plan.steps {
        rows.push(vec![
            step.phase.to_string(),
            step.host.to_string(),
            step.step.describe(),
            step.because.clone(),
        ]);
    }
    print!("{}", table(&rows));
    println!(
        "\n{}: {} steps on {} hosts; {satisfied} more are as they should be.",
        plan.cluster,
        plan.steps.len(),
        plan.hosts().len()
    );
}

/// Says that there is nothing to do.
pub(crate) fn nothing_to_do(satisfied: usize, output: Output) {
    match output {
        Output::Text => println!("No changes: {satisfied} steps looked at, all as they should be."),
        Output::Json => println!(
            "{}",
            serde_json::json!({ "changes": 0, "satisfied": satisfied })
        ),
    }
}
