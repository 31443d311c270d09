//! Which crate may use which: the one table of allowed arrows, and the judge over it.

/// What one crate of the workspace uses.
pub struct Crate {
    /// Its folder, relative to the workspace.
    pub folder: String,
    /// The folders of the workspace crates it uses.
    pub workspace: Vec<String>,
    /// The names of the other crates it uses.
    pub external: Vec<String>,
}

/// Stands for every crate of the workspace.
const ANY: &str = "*";

/// A crate's folder and the folders that it may use.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("ansible-compat", &["installer/api"]),
    ("dashboard/app", &["installer/api"]),
    ("dashboard/server", &["dashboard/app", "installer/api"]),
    ("installer/agent", &["installer/api", "pki"]),
    ("installer/api", &[]),
    ("installer/balancer", &["installer/api", "pki"]),
    ("installer/bundle", &["installer/api"]),
    ("installer/cli", &[ANY]),
    (
        "installer/engine",
        &[
            "installer/api",
            "installer/bundle",
            "installer/hosts",
            "installer/planner",
        ],
    ),
    ("installer/hosts", &["installer/agent", "installer/api"]),
    ("installer/lab", &["installer/api"]),
    ("installer/planner", &["installer/api", "templates"]),
    ("pki", &[]),
    ("templates", &[]),
    ("xtask", &["installer/api"]),
];

/// External crates that only these folders may use.
const CONFINED: [(&str, &[&str]); 4] = [
    ("kube", &["dashboard/server", "installer/agent"]),
    ("rcgen", &["pki"]),
    ("russh", &["installer/hosts"]),
    ("tera", &["templates"]),
];

/// External crates that these folders must not use.
const BANNED: [(&str, &[&str]); 1] = [(
    "tokio",
    &["installer/api", "installer/planner", "pki", "templates"],
)];

/// Returns a sentence for every arrow that the tables do not allow.
pub fn violations(crates: &[Crate]) -> Vec<String> {
    crates.iter().flat_map(violations_of).collect()
}

fn violations_of(subject: &Crate) -> Vec<String> {
    let folder = subject.folder.as_str();
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == folder) else {
        return vec![format!(
            "{folder}: this crate has no row in the table of allowed arrows (xtask/src/check/arrows.rs)"
        )];
    };
    let mut found = Vec::new();
    for used in &subject.workspace {
        if !allowed.contains(&ANY) && !allowed.contains(&used.as_str()) {
            found.push(format!("{folder}: must not use {used}"));
        }
    }
    for used in &subject.external {
        if let Some((name, homes)) = CONFINED.iter().find(|(name, _)| name == used)
            && !homes.contains(&folder)
        {
            found.push(format!(
                "{folder}: must not use `{name}`, only {} may",
                homes.join(" and ")
            ));
        }
        if let Some((name, folders)) = BANNED.iter().find(|(name, _)| name == used)
            && folders.contains(&folder)
        {
            found.push(format!("{folder}: must not use `{name}`"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &str, workspace: &[&str], external: &[&str]) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        violations(&[Crate {
            folder: folder.to_owned(),
            workspace: own(workspace),
            external: own(external),
        }])
    }

    #[test]
    fn allowed_arrows_are_silent() {
        assert!(
            found(
                "installer/engine",
                &["installer/api", "installer/hosts"],
                &["tokio"]
            )
            .is_empty()
        );
        assert!(found("installer/cli", &["installer/engine", "pki"], &["clap"]).is_empty());
        assert!(found("installer/hosts", &["installer/agent"], &["russh"]).is_empty());
    }

    #[test]
    fn arrows_against_the_flow_are_named() {
        assert_eq!(
            found(
                "installer/planner",
                &["installer/hosts", "installer/api"],
                &[]
            ),
            ["installer/planner: must not use installer/hosts"]
        );
        assert_eq!(
            found("installer/api", &["pki"], &[]),
            ["installer/api: must not use pki"]
        );
    }

    #[test]
    fn confined_crates_stay_in_their_homes() {
        assert_eq!(
            found("installer/engine", &[], &["russh"]),
            ["installer/engine: must not use `russh`, only installer/hosts may"]
        );
        assert_eq!(found("installer/agent", &[], &["rcgen", "kube"]).len(), 1);
        assert_eq!(found("installer/planner", &[], &["tera"]).len(), 1);
    }

    #[test]
    fn pure_crates_have_no_runtime() {
        for folder in ["installer/api", "installer/planner", "pki", "templates"] {
            assert_eq!(
                found(folder, &[], &["tokio"]),
                [format!("{folder}: must not use `tokio`")]
            );
        }
    }

    #[test]
    fn a_crate_without_a_row_is_a_violation() {
        assert_eq!(found("installer/shiny", &[], &[]).len(), 1);
    }

    #[test]
    fn the_allowed_arrows_have_no_cycle() {
        fn reaches(from: &str, to: &str) -> bool {
            ALLOWED
                .iter()
                .filter(|(name, _)| *name == from)
                .flat_map(|(_, uses)| uses.iter())
                .any(|&next| next == to || reaches(next, to))
        }
        for (folder, _) in ALLOWED {
            assert!(!reaches(folder, folder), "{folder}");
        }
    }
}
