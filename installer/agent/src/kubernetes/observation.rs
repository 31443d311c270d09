//! Whether a condition is met now, or what is missing.

use std::time::{Duration, Instant};

use super::{ApiClient, ApiCondition, KubernetesError};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// What was seen when looking at a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It is so.
    Met,
    /// It is not so; a sentence without a full stop says what is missing.
    NotYet(String),
}

impl ApiClient {
    /// Waits until `condition` is met, and hands each new sentence about what
    /// is missing to `progress`. A silent API server counts as not yet.
    ///
    /// # Errors
    /// The condition was not met within `bound`: the error carries what was
    /// seen last. Or its certificate does not verify, which waiting does not mend.
    pub async fn wait_for(
        &self,
        condition: &ApiCondition,
        bound: Duration,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), KubernetesError> {
        let deadline = Instant::now() + bound;
        let mut seen = String::new();
        loop {
            let missing = match self.observe(condition).await {
                Ok(Observation::Met) => return Ok(()),
                Ok(Observation::NotYet(missing)) => missing,
                // RBAC's own objects appear a moment after the API server does.
                Err(error @ KubernetesError::Refused { .. }) => error.to_string(),
                Err(error) if error.is_transient() => error.to_string(),
                Err(error) => return Err(error),
            };
            if missing != seen {
                progress(&missing);
                seen = missing;
            }
            if Instant::now() + PAUSE > deadline {
                return Err(KubernetesError::ConditionNotMet {
                    condition: condition.to_string(),
                    seconds: bound.as_secs(),
                    seen,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
