//! Preflight's findings.

use slipway_api::{Finding, Severity};

use super::{json, json_line};
use crate::args::Output;

/// Prints all findings on stdout.
pub(crate) fn findings(findings: &[Finding], output: Output) {
    if output == Output::Json {
        return json(&findings);
    }
    for finding in findings {
        outln!("{}", text(finding));
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    outln!("{errors} errors, {} warnings", findings.len() - errors);
}

/// Prints all findings on stdout for a command that runs: as one line, with JSON.
pub(crate) fn findings_of_run(findings: &[Finding], output: Output) {
    match output {
        Output::Text => self::findings(findings, output),
        Output::Json => json_line(&serde_json::json!({ "findings": findings })),
    }
}

/// Prints findings on stderr, a line each.
pub(crate) fn warnings(findings: &[Finding]) {
    for finding in findings {
        let host = finding
            .host
            .as_ref()
            .map_or_else(String::new, |host| format!("{host}: "));
        let severity = match finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        noteln!("{severity}: {host}{} [{}]", finding.seen, finding.id);
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
