//! A host that the others go on without.

use serde::{Deserialize, Serialize};

use crate::{Failure, HostName};

/// A host that a plan or run goes on without, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The host.
    pub host: HostName,
    /// Why it cannot be worked on.
    pub failure: Failure,
}
