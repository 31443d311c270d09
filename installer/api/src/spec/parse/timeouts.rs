//! `spec.timeouts`: how long components may take to come up.

use super::problems::Problems;
use super::schema::TIMEOUTS;
use super::value::Value;
use crate::spec::{GoDuration, Timeouts};

/// Reads the section; without one everything is kubeadm's default.
pub(super) fn read_timeouts(section: Option<&Value<'_>>, problems: &mut Problems) -> Timeouts {
    let default = Timeouts::default();
    let Some(fields) = section.and_then(|section| section.fields(&TIMEOUTS, problems)) else {
        return default;
    };
    let mut read = |name: &str, default| {
        let value = fields.optional(name);
        let value = value.and_then(|value| read_timeout(&value, problems));
        value.unwrap_or(default)
    };
    Timeouts {
        control_plane_component_health_check: read(
            "controlPlaneComponentHealthCheck",
            default.control_plane_component_health_check,
        ),
        kubelet_health_check: read("kubeletHealthCheck", default.kubelet_health_check),
    }
}

fn read_timeout(value: &Value<'_>, problems: &mut Problems) -> Option<GoDuration> {
    let help = format!(
        "write a time of an hour at most: `{}: 4m0s`",
        value.place.name
    );
    let timeout: GoDuration = value.parse(&help, problems)?.value;
    if !(10..=3600).contains(&timeout.as_secs()) {
        let message = format!("{timeout} is not a sensible time to wait");
        problems.report(&value.place, message, help);
        return None;
    }
    Some(timeout)
}
