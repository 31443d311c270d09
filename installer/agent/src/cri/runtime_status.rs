//! A container runtime's own view of its health.

use k8s_cri::v1 as api;

/// A container runtime's own view of its health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// Its conditions.
    pub conditions: Vec<RuntimeCondition>,
}

/// One condition of a container runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeCondition {
    /// `RuntimeReady`, `NetworkReady`, or one of the runtime's own.
    pub name: String,
    /// Whether it is so.
    pub is_true: bool,
    /// Why not, in a word and a sentence; empty when it is so.
    pub why: String,
}

impl RuntimeStatus {
    /// Returns whether containers can run.
    pub fn is_runtime_ready(&self) -> bool {
        self.is_true("RuntimeReady")
    }

    /// Returns whether pods can have networks.
    pub fn is_network_ready(&self) -> bool {
        self.is_true("NetworkReady")
    }

    fn is_true(&self, name: &str) -> bool {
        self.conditions
            .iter()
            .any(|condition| condition.name == name && condition.is_true)
    }
}

impl From<api::RuntimeStatus> for RuntimeStatus {
    fn from(status: api::RuntimeStatus) -> Self {
        let conditions = status.conditions.into_iter().map(|condition| {
            let parts = [condition.reason, condition.message];
            let parts = parts.iter().filter(|part| !part.is_empty());
            RuntimeCondition {
                name: condition.r#type,
                is_true: condition.status,
                why: parts.cloned().collect::<Vec<_>>().join(": "),
            }
        });
        Self {
            conditions: conditions.collect(),
        }
    }
}
