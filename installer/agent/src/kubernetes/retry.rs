//! Repeating what may succeed a moment later.

use std::future::Future;
use std::time::{Duration, Instant};

use super::KubernetesError;

/// The pause after the first failed attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Repeats `attempt` while `is_worth_it` says so of its error, for at most `bound`.
///
/// # Errors
/// The error of the last attempt.
pub(super) async fn retry<T, F: Future<Output = Result<T, KubernetesError>>>(
    bound: Duration,
    is_worth_it: impl Fn(&KubernetesError) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, KubernetesError> {
    let deadline = Instant::now() + bound;
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Err(error) if is_worth_it(&error) && Instant::now() + pause < deadline => {
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> KubernetesError {
        KubernetesError::TokenExists { id: String::new() }
    }

    #[tokio::test]
    async fn an_act_is_repeated_until_it_succeeds() {
        let mut left = 2;
        let outcome = retry(
            Duration::from_secs(5),
            |_| true,
            || {
                left -= 1;
                std::future::ready(if left == 0 { Ok(()) } else { Err(failure()) })
            },
        )
        .await;
        assert!(outcome.is_ok());
    }

    #[tokio::test]
    async fn the_bound_ends_it_with_the_last_error() {
        let mut attempts = 0;
        let outcome = retry(
            Duration::from_millis(150),
            |_| true,
            || {
                attempts += 1;
                std::future::ready(Err::<(), _>(failure()))
            },
        )
        .await;
        assert!(outcome.is_err());
        assert_eq!(attempts, 2);
    }
}
