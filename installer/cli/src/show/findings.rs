//! Preflight's findings.

use slipway_api::{Finding, Severity};

use super::json;
use crate::args::Output;

/// Prints all findings on stdout.
pub(crate) fn findings(findings: &[Finding], output: Output) {
    if output == Output::Json {
        return json(&findings);
    }
    for finding in findings {
        println!("{}", text(finding));
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    println!("{errors} errors, {} warnings", findings.len() - errors);
}

/// Prints the warnings among the findings on stderr, a line each.
pub(crate) fn warnings(findings: &[Finding]) {
    for finding in findings {
        let host = finding
            .host
            .as_ref()
            .map_or_else(String::new, |host| format!("{host}: "));
        eprintln!("warning: {host}{} [{}]", finding.seen, finding.id);
    }
}

/// Returns a finding in kubeadm's form, with reason and help below it.
fn text(finding: &Finding) -> String {
    let host = finding
        .host
        .as_ref()
        .map_or("all hosts", |host| host.as_str());
    format!(
        "[{} {}] {host}: {}\n    why:  {}\n    help: {}",
        finding.severity, finding.id, finding.seen, finding.why, finding.help
    )
}
