//! Preflight's findings.

use slipway_api::{Finding, HostName, Severity};

use super::{json, json_line};
use crate::args::Output;

/// How many hosts are named where many have the same finding.
const MAX_NAMES: usize = 6;

/// Prints all findings on stdout.
pub(crate) fn findings(findings: &[Finding], output: Output) {
    if output == Output::Json {
        return json(&findings);
    }
    for group in groups(findings) {
        outln!("{}", group.text());
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
    for group in groups(findings) {
        noteln!("{}", group.line());
    }
}

/// A finding, and all hosts of which it says the same.
struct Group<'a> {
    finding: &'a Finding,
    hosts: Vec<&'a HostName>,
}

/// Puts findings together that differ in nothing but the host; the order stays.
fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in findings {
        let is_same = |group: &&mut Group<'_>| {
            let host = group.finding.host.clone();
            finding.host.is_some()
                && Finding {
                    host,
                    ..finding.clone()
                } == *group.finding
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.hosts.extend(&finding.host),
            None => groups.push(Group {
                finding,
                hosts: finding.host.iter().collect(),
            }),
        }
    }
    groups
}

impl Group<'_> {
    /// Returns the group in kubeadm's form, with reason and help below it.
    fn text(&self) -> String {
        let finding = self.finding;
        let hosts = match self.hosts.len() {
            0 => "all hosts".to_owned(),
            _ => self.names(),
        };
        format!(
            "[{} {}] {hosts}: {}\n    why:  {}\n    help: {}",
            finding.severity, finding.id, finding.seen, finding.why, finding.help
        )
    }

    /// Returns the group in one line.
    fn line(&self) -> String {
        let hosts = match self.hosts.len() {
            0 => String::new(),
            _ => format!("{}: ", self.names()),
        };
        let severity = match self.finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        format!(
            "{severity}: {hosts}{} [{}]",
            self.finding.seen, self.finding.id
        )
    }

    /// Returns the hosts' names; `-o json` has those that are too many.
    fn names(&self) -> String {
        let names: Vec<&str> = self.hosts.iter().map(|host| host.as_str()).collect();
        match names.len().checked_sub(MAX_NAMES) {
            Some(more @ 1..) => format!("{} and {more} more hosts", names[..MAX_NAMES].join(", ")),
            Some(0) | None => names.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &str, host: Option<String>) -> Finding {
        Finding {
            id: id.to_owned(),
            severity: Severity::Warning,
            host: host.map(|name| name.parse().unwrap()),
            seen: "it is odd".to_owned(),
            why: "odd things fail".to_owned(),
            help: "`mend it`".to_owned(),
            fixable: false,
        }
    }

    #[test]
    fn what_is_the_same_on_many_hosts_is_told_once() {
        let mut findings = vec![finding("A", Some("cp-1".to_owned()))];
        findings.extend((1..=9).map(|number| finding("B", Some(format!("w-{number}")))));
        findings.push(finding("A", Some("w-1".to_owned())));
        findings.push(finding("B", None));
        let lines: Vec<String> = groups(&findings).iter().map(Group::line).collect();
        assert_eq!(
            lines,
            [
                "warning: cp-1, w-1: it is odd [A]",
                "warning: w-1, w-2, w-3, w-4, w-5, w-6 and 3 more hosts: it is odd [B]",
                "warning: it is odd [B]",
            ]
        );
        assert_eq!(
            groups(&findings)[0].text(),
            "[WARNING A] cp-1, w-1: it is odd\n    why:  odd things fail\n    help: `mend it`"
        );
    }
}
