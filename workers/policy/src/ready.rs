//! What was made ready and is kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use stoker_core::ids::ArtifactDigest;

/// How many policies are kept ready: a deployment has a handful.
const MOST: usize = 32;

/// How many bytes of machine code those that are kept may have together: what one takes is about the size
/// of its machine code, Python's is 34 MB, and five of those fit.
const MOST_BYTES: usize = 192 << 20;

/// What is kept by digest, the least recently used dropped first.
pub(crate) struct Ready<T> {
    /// Most recently used first.
    kept: Mutex<Vec<Kept<T>>>,
}

struct Kept<T> {
    digest: ArtifactDigest,
    bytes: usize,
    item: T,
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
        }
    }
}

impl<T: Clone> Ready<T> {
    /// What is ready by that digest.
    pub(crate) fn get(&self, digest: &ArtifactDigest) -> Option<T> {
        let mut kept = lock(&self.kept);
        let place = kept.iter().position(|other| other.digest == *digest)?;
        kept[..=place].rotate_right(1);
        Some(kept[0].item.clone())
    }

    /// Keeps what was made of so many bytes of machine code, and drops what was not used for longest.
    pub(crate) fn keep(&self, digest: ArtifactDigest, bytes: usize, item: T) {
        let mut kept = lock(&self.kept);
        kept.retain(|other| other.digest != digest);
        kept.insert(
            0,
            Kept {
                digest,
                bytes,
                item,
            },
        );
        let mut all = 0_usize;
        let fit = kept
            .iter()
            .take(MOST)
            .take_while(|other| {
                all = all.saturating_add(other.bytes);
                all <= MOST_BYTES
            })
            .count();
        // What decides now is kept, however large the operator lets it be.
        kept.truncate(fit.max(1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere can at worst have left one entry out.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a policy in Python has of machine code.
    const PYTHON: usize = 34_000_000;

    fn digest(number: usize) -> ArtifactDigest {
        ArtifactDigest::of(&number.to_le_bytes())
    }

    #[test]
    fn the_least_recently_used_is_dropped_first() {
        let ready = Ready::default();
        for number in 0..MOST {
            ready.keep(digest(number), 1, number);
        }
        assert_eq!(ready.get(&digest(0)), Some(0));
        ready.keep(digest(MOST), 1, MOST);
        assert_eq!(ready.get(&digest(0)), Some(0));
        assert_eq!(ready.get(&digest(1)), None);
        assert_eq!(ready.get(&digest(2)), Some(2));
    }

    #[test]
    fn large_ones_share_their_bytes_and_the_newest_is_kept_however_large() {
        let ready = Ready::default();
        for number in 0..5 {
            ready.keep(digest(number), PYTHON, number);
        }
        assert_eq!(ready.get(&digest(0)), Some(0), "five fit");
        ready.keep(digest(5), PYTHON, 5);
        assert_eq!(ready.get(&digest(1)), None);
        assert_eq!(ready.get(&digest(0)), Some(0));
        ready.keep(digest(9), usize::MAX, 9);
        assert_eq!(ready.get(&digest(9)), Some(9));
        assert_eq!(ready.get(&digest(0)), None);
    }

    #[test]
    fn what_is_made_again_is_kept_once() {
        let ready = Ready::default();
        for _ in 0..9 {
            ready.keep(digest(1), PYTHON, 1);
        }
        ready.keep(digest(2), PYTHON, 2);
        assert_eq!(ready.get(&digest(1)), Some(1));
        assert_eq!(lock(&ready.kept).len(), 2);
    }
}
