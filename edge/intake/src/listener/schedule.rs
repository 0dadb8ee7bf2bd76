//! When SQS is tried again, and when no more.

use std::time::Duration;

/// From the arrival of a webhook to its answer. GitHub gives up after 10 s; the rest is for the way
/// there and back.
pub const BUDGET: Duration = Duration::from_secs(8);

/// How long one attempt may take. SQS mostly answers within tens of milliseconds; whatever takes this
/// long is lost, and the budget has room for three such losses.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);

/// What must be left of the budget for another attempt to be worth it: a handshake and a round trip.
const LEAST_ATTEMPT: Duration = Duration::from_millis(250);

/// The ceiling of the first pause; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The ceiling of any pause, so that a budget of seconds is spent on attempts, not on waiting.
const LONGEST_PAUSE: Duration = Duration::from_millis(1_500);

/// How long the next attempt may take, given the time since the webhook arrived; `None` if there is no
/// time for one.
pub fn attempt_timeout(elapsed: Duration) -> Option<Duration> {
    let left = BUDGET.saturating_sub(elapsed);
    (left >= LEAST_ATTEMPT).then(|| left.min(ATTEMPT_TIMEOUT))
}

/// How long to pause after `attempts` failed ones (from 1): anything up to a ceiling that doubles ("full
/// jitter"), so that Workers that were throttled together do not come back together. `chance` is in
/// 0..1. `None` if no attempt would fit after the pause.
pub fn pause(elapsed: Duration, attempts: u32, chance: f64) -> Option<Duration> {
    let doublings = attempts.saturating_sub(1).min(16);
    let ceiling = LONGEST_PAUSE.min(FIRST_PAUSE * (1 << doublings));
    let chance = if chance.is_finite() {
        chance.clamp(0.0, 1.0)
    } else {
        1.0
    };
    let pause = ceiling.mul_f64(chance);
    attempt_timeout(elapsed.saturating_add(pause)).map(|_| pause)
}

/// Whether what SQS refused with that HTTP status and error code may be taken at the next attempt; everything
/// else would be refused again.
pub fn passes(status: u16, code: Option<&str>) -> bool {
    matches!(status, 408 | 429 | 500..) || code.is_some_and(is_throttling)
}

/// The codes with which AWS says "slower", most of them with status 400.
fn is_throttling(code: &str) -> bool {
    let own = [
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        "PriorRequestNotComplete",
    ];
    code.contains("Throttl") || own.contains(&code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_attempt_ends_with_the_budget() {
        let after = |millis| attempt_timeout(Duration::from_millis(millis));
        assert_eq!(after(0), Some(ATTEMPT_TIMEOUT));
        assert_eq!(after(7_000), Some(Duration::from_secs(1)));
        assert_eq!(after(7_750), Some(LEAST_ATTEMPT));
        assert_eq!(after(7_751), None);
        assert_eq!(after(20_000), None);
    }

    #[test]
    fn the_ceiling_of_a_pause_doubles_up_to_the_longest() {
        let ceilings: Vec<_> = (1..=7)
            .filter_map(|attempts| pause(Duration::ZERO, attempts, 1.0))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1_500, 1_500, 1_500]);
    }

    #[test]
    fn no_pause_is_begun_that_leaves_no_time_for_an_attempt() {
        assert_eq!(pause(Duration::from_millis(7_700), 1, 1.0), None);
        assert_eq!(
            pause(Duration::from_millis(7_700), 1, 0.1),
            Some(Duration::from_millis(10))
        );
    }

    proptest! {
        /// Whatever chance says, all attempts and pauses together stay within the budget.
        #[test]
        fn no_series_of_attempts_exceeds_the_budget(
            attempts in prop::collection::vec((0.0..=1.0_f64, any::<f64>()), 100),
        ) {
            let mut elapsed = Duration::ZERO;
            for (count, (taken, chance)) in (1..).zip(attempts) {
                let Some(timeout) = attempt_timeout(elapsed) else { break };
                elapsed += timeout.mul_f64(taken);
                let Some(pause) = pause(elapsed, count, chance) else { break };
                elapsed += pause;
            }
            prop_assert!(elapsed <= BUDGET);
        }
    }
}
