//! What was made ready and is kept, and taking turns to make it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoker_core::ids::ArtifactDigest;

/// How many policies are kept ready. A deployment has a handful; a large one compiled to native code
/// takes 40 MB.
const MOST: usize = 32;

/// How many bytes the components of those that are kept may have together: machine code takes about
/// twice as much memory, and three of the largest policies fit.
const MOST_BYTES: usize = 64 << 20;

/// What is kept by digest, the least recently used dropped first; and a queue for each digest that is
/// being made ready.
pub(crate) struct Ready<T> {
    /// Most recently used first.
    kept: Mutex<Vec<Kept<T>>>,
    queues: Mutex<HashMap<ArtifactDigest, Arc<tokio::sync::Mutex<()>>>>,
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
            queues: Mutex::default(),
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

    /// Keeps what was made of a component of so many bytes, and drops what was not used for longest.
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

    /// Stands in the queue of those who are to make that digest ready.
    pub(crate) fn queue(&self, digest: &ArtifactDigest) -> Queued<'_, T> {
        let queue = Arc::clone(lock(&self.queues).entry(digest.clone()).or_default());
        Queued {
            ready: self,
            digest: digest.clone(),
            queue: Some(queue),
        }
    }
}

/// A place in the queue, given up when it is dropped: made, failed or no longer waited for.
pub(crate) struct Queued<'a, T> {
    ready: &'a Ready<T>,
    digest: ArtifactDigest,
    queue: Option<Arc<tokio::sync::Mutex<()>>>,
}

impl<T> Queued<'_, T> {
    /// Waits until nobody else makes it ready. Whoever was first may have done so by then.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.queue {
            Some(queue) => Some(queue.lock().await),
            None => None,
        }
    }
}

impl<T> Drop for Queued<'_, T> {
    fn drop(&mut self) {
        let mut queues = lock(&self.ready.queues);
        // Let go under the lock, so that the last of them sees that it is the last.
        self.queue = None;
        if queues
            .get(&self.digest)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.digest);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere can at worst have left one entry out.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

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
        for number in 0..4 {
            ready.keep(digest(number), 20 << 20, number);
        }
        assert_eq!(ready.get(&digest(0)), None);
        assert_eq!(ready.get(&digest(1)), Some(1));
        ready.keep(digest(9), usize::MAX, 9);
        assert_eq!(ready.get(&digest(9)), Some(9));
        assert_eq!(ready.get(&digest(1)), None);
    }

    #[test]
    fn what_is_made_again_is_kept_once() {
        let ready = Ready::default();
        for _ in 0..9 {
            ready.keep(digest(1), 20 << 20, 1);
        }
        ready.keep(digest(2), 20 << 20, 2);
        assert_eq!(ready.get(&digest(1)), Some(1));
        assert_eq!(lock(&ready.kept).len(), 2);
    }

    #[tokio::test]
    async fn what_many_want_at_once_is_made_once() {
        let (ready, made) = (Ready::default(), AtomicUsize::new(0));
        let wanted = (0..20).map(|_| async {
            let queued = ready.queue(&digest(1));
            let _turn = queued.turn().await;
            if ready.get(&digest(1)).is_none() {
                tokio::task::yield_now().await;
                made.fetch_add(1, Ordering::Relaxed);
                ready.keep(digest(1), 1, ());
            }
        });
        futures::future::join_all(wanted).await;
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert!(lock(&ready.queues).is_empty());
    }

    #[tokio::test]
    async fn who_fails_or_no_longer_waits_leaves_no_queue_behind() {
        let ready: Ready<()> = Ready::default();
        let first = ready.queue(&digest(1));
        let turn = first.turn().await;
        {
            let second = ready.queue(&digest(1));
            let waiting = Box::pin(second.turn());
            assert!(futures::future::FutureExt::now_or_never(waiting).is_none());
        }
        let other = ready.queue(&digest(2));
        assert!(futures::future::FutureExt::now_or_never(other.turn()).is_some());
        drop(other);
        assert_eq!(lock(&ready.queues).len(), 1);
        drop(turn);
        drop(first);
        assert!(lock(&ready.queues).is_empty());
    }
}
