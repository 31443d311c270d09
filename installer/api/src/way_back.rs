//! How a host comes back to what it was when a part of a plan fails.

use serde::{Deserialize, Serialize};

use crate::{HostName, PlannedStep, StepId};

/// How a host comes back to what it was when one of some steps fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WayBack {
    /// The host that is put back.
    pub host: HostName,
    /// The steps: once one of them has failed, none of the others begins. They go together: a
    /// run that is to stop finishes all of them once it has begun one.
    pub guards: Vec<StepId>,
    /// What is done then, in an order in which it can be done one by one.
    pub steps: Vec<PlannedStep>,
}
