//! Randomness, where it keeps writers apart and nothing depends on its quality.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// A number at random: the standard library seeds every new `RandomState` afresh.
fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// An id that no other write has.
pub(super) fn write_id() -> String {
    format!("{:016x}{:016x}", number(), number())
}

/// Between half and all of a pause.
pub(super) fn part_of(pause: Duration) -> Duration {
    let part = u32::try_from(number() % 512).unwrap_or_default();
    pause / 2 + pause / 2 * part / 512
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_pause_is_between_half_and_all_of_what_was_asked_for() {
        let pause = Duration::from_millis(40);
        for _ in 0..100 {
            let part = part_of(pause);
            assert!(part >= pause / 2 && part <= pause);
        }
    }

    #[test]
    fn no_two_writes_share_an_id() {
        let ids: BTreeSet<String> = (0..1_000).map(|_| write_id()).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
