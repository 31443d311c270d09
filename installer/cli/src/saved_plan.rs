//! A plan that was saved to be looked at, and run only as it was seen.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_api::{KubernetesVersion, Plan};

use crate::cli_error::CliError;

/// How long a plan may be looked at before it is made again.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// The number of the file's format.
const FORMAT: u32 = 1;

/// An upgrade's plans, one for each version on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SavedPlan {
    format: u32,
    /// The cluster's name.
    pub cluster: String,
    /// Where it leads.
    pub target: KubernetesVersion,
    /// When it was made.
    pub made_at: Timestamp,
    /// The versions on the way, each with its plan.
    pub hops: Vec<(KubernetesVersion, Plan)>,
}

impl SavedPlan {
    /// Returns plans that are made now.
    pub fn new(
        cluster: &str,
        target: &KubernetesVersion,
        hops: Vec<(KubernetesVersion, Plan)>,
    ) -> Self {
        Self {
            format: FORMAT,
            cluster: cluster.to_owned(),
            target: target.clone(),
            made_at: Timestamp::now(),
            hops,
        }
    }

    /// Reads the plans of `cluster` from a file.
    ///
    /// # Errors
    /// The file is no saved plan, another cluster's, or older than a day.
    pub fn read(path: &Path, cluster: &str, now: Timestamp) -> Result<Self, CliError> {
        let shown = path.display();
        let again = "make it again: `slipway upgrade plan --out FILE`";
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::bad_input(format!("cannot read {shown}: {error}"), again))?;
        let saved: Self = serde_json::from_str(&text).map_err(|error| {
            CliError::bad_input(format!("{shown} is no saved plan: {error}"), again)
        })?;
        if saved.format != FORMAT || saved.cluster != cluster {
            return Err(CliError::bad_input(
                format!(
                    "{shown} is a plan for {}, the file describes {cluster}",
                    saved.cluster
                ),
                again,
            ));
        }
        if now.duration_since(saved.made_at).abs() > LIFETIME {
            return Err(CliError::bad_input(
                format!("{shown} was made at {}, more than a day ago", saved.made_at),
                again,
            ));
        }
        Ok(saved)
    }

    /// Returns the file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plans have only text keys")
    }

    /// Refuses a plan that goes beyond the one that was saved.
    ///
    /// # Errors
    /// It does; the first step that is new or different is named.
    pub fn check(&self, version: &KubernetesVersion, plan: &Plan) -> Result<(), CliError> {
        let saved = self.hops.iter().find(|(it, _)| it == version);
        if saved.is_some_and(|(_, saved)| plan.is_within(saved)) {
            return Ok(());
        }
        let steps = saved.map_or(&[][..], |(_, saved)| &saved.steps);
        let mut new = plan.steps.iter().filter(|step| {
            let same = steps.iter().find(|it| it.id == step.id);
            same.is_none_or(|it| it.step != step.step)
        });
        let what = new.next().map_or_else(
            || "other hosts are out of reach".to_owned(),
            |step| format!("{} on {}", step.step.describe(), step.host),
        );
        Err(CliError::bad_input(
            format!("the hosts have changed since the plan was saved: {what}"),
            "look at it anew: `slipway upgrade plan`; nothing was done",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_for_its_own_cluster_and_within_a_day() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let version = KubernetesVersion::new(36, 3);
        let saved = SavedPlan::new(
            "harbour",
            &version,
            vec![(version.clone(), Plan::default())],
        );
        std::fs::write(file.path(), saved.to_json()).unwrap();
        let now = saved.made_at;
        assert_eq!(SavedPlan::read(file.path(), "harbour", now).unwrap(), saved);
        assert!(SavedPlan::read(file.path(), "other", now).is_err());
        let late = now + SignedDuration::from_hours(25);
        assert!(SavedPlan::read(file.path(), "harbour", late).is_err());
        saved.check(&version, &Plan::default()).unwrap();
        assert!(
            saved
                .check(&KubernetesVersion::new(35, 4), &Plan::default())
                .is_err()
        );
    }
}
