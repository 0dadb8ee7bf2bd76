//! What is being taken from the store: once for all who want it, and to its end though nobody waits any
//! longer, so that a later decision finds it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt as _, Shared};
use stoker_core::time::Timestamp;
use tokio::time::Instant;

use crate::contract::tame::tame;
use crate::failure::Failure;
use crate::patience::{self, Patience};

/// What is underway, by what it is known by.
pub(crate) struct Underway<K, T> {
    coming: Arc<Mutex<HashMap<K, Coming<T>>>>,
}

/// Something that is underway.
#[derive(Clone)]
pub(crate) struct Coming<T> {
    path: Arc<str>,
    came_to: Shared<BoxFuture<'static, Result<T, Failure>>>,
    /// When a decision last waited for it in vain.
    in_vain: Arc<Mutex<Option<Timestamp>>>,
}

impl<K, T> Default for Underway<K, T> {
    fn default() -> Self {
        Self {
            coming: Arc::default(),
        }
    }
}

impl<K, T> Underway<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Has the work begin that brings what lies at that path, or joins who has.
    pub(crate) fn join(
        &self,
        key: K,
        path: String,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Coming<T> {
        let coming = lock(&self.coming)
            .entry(key.clone())
            .or_insert_with(|| {
                let over = Over {
                    coming: Arc::clone(&self.coming),
                    key,
                };
                Coming {
                    path: path.into(),
                    came_to: spawned(work, over).boxed().shared(),
                    in_vain: Arc::default(),
                }
            })
            .clone();
        // It begins when it is first asked for what it came to, which is not to be under the lock: a
        // runtime that shuts down drops it at once.
        let _ = coming.came_to.clone().now_or_never();
        coming
    }
}

async fn spawned<K, T>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    over: Over<K, T>,
) -> Result<T, Failure>
where
    K: Eq + Hash + Send + 'static,
    T: Send + Sync + 'static,
{
    let task = tokio::spawn(async move {
        let _over = over;
        work.await
    });
    task.await
        .unwrap_or_else(|panic| Err(Failure::HostPanic(tame(panic.to_string()))))
}

/// Something that is no longer underway once this is dropped: it came, failed or panicked.
struct Over<K: Eq + Hash, T> {
    coming: Arc<Mutex<HashMap<K, Coming<T>>>>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Over<K, T> {
    fn drop(&mut self) {
        // What is dropped with it is not to be under the lock.
        let _over = lock(&self.coming).remove(&self.key);
    }
}

impl<T: Clone> Coming<T> {
    /// What it came to, as far as a decision has patience.
    pub(crate) async fn within(&self, patience: Patience) -> Result<T, Failure> {
        let Some(until) = patience.until else {
            return self.came_to.clone().await;
        };
        let begun = Instant::now();
        let until = if patience::is_left_to_itself(*lock(&self.in_vain), patience.now) {
            begun
        } else {
            until
        };
        // What is there already comes before the time that is over.
        let in_time = tokio::time::timeout_at(until, self.came_to.clone()).await;
        in_time.unwrap_or_else(|_| {
            if until > begun {
                *lock(&self.in_vain) = Some(patience.now);
            }
            Err(patience::not_yet(&self.path))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one assignment or one entry.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn patience() -> Patience {
        Patience {
            now: NOW,
            until: Some(Instant::now() + Duration::from_millis(20)),
        }
    }

    fn join<T: Clone + Send + Sync + 'static>(
        underway: &Underway<u8, T>,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Coming<T> {
        underway.join(1, "path".to_owned(), work)
    }

    fn is_empty<T>(underway: &Underway<u8, T>) -> bool {
        lock(&underway.coming).is_empty()
    }

    #[tokio::test]
    async fn what_many_want_at_once_is_made_once() {
        let (underway, made) = (Underway::default(), Arc::new(AtomicUsize::new(0)));
        let wanted = (0..20).map(|_| {
            let made = Arc::clone(&made);
            let coming = join(&underway, async move {
                tokio::task::yield_now().await;
                Ok(made.fetch_add(1, Ordering::Relaxed))
            });
            async move { coming.within(Patience::ENDLESS).await }
        });
        let came_to = futures::future::join_all(wanted).await;
        assert_eq!(came_to, vec![Ok(0); 20]);
        assert!(is_empty(&underway));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_longer_comes_to_its_end() {
        let (underway, go_on) = (Underway::default(), Arc::new(Semaphore::new(0)));
        let made = Arc::new(AtomicUsize::new(0));
        let work = {
            let (go_on, made) = (Arc::clone(&go_on), Arc::clone(&made));
            async move {
                let _permit = go_on.acquire().await;
                made.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        };
        let waited = join(&underway, work).within(patience()).await;
        assert_eq!(waited, Err(patience::not_yet("path")));
        go_on.add_permits(1);
        while !is_empty(&underway) {
            tokio::task::yield_now().await;
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_was_waited_for_in_vain_is_waited_for_again_after_a_while() {
        let underway: Underway<u8, ()> = Underway::default();
        let coming = join(&underway, std::future::pending());
        let waits = async |later: u64| {
            let start = Instant::now();
            let patience = Patience {
                now: Timestamp(NOW.0 + later),
                until: Some(start + Duration::from_millis(200)),
            };
            assert!(coming.within(patience).await.is_err());
            start.elapsed() >= Duration::from_millis(200)
        };
        // Whoever has no patience left has not waited.
        assert!(coming.within(Patience::spent(NOW)).await.is_err());
        assert!(waits(0).await);
        assert!(!waits(0).await);
        assert!(!waits(14).await);
        assert!(waits(15).await);
        assert!(!waits(16).await);
    }

    #[tokio::test]
    async fn what_fails_or_panics_is_told_to_all_who_wait_and_is_tried_afresh() {
        let underway = Underway::default();
        let failure = Failure::Missing("path".to_owned());
        let failed = failure.clone();
        let first = join(&underway, async move { Err(failed) });
        let second = join(&underway, async { Ok(2) });
        assert_eq!(first.within(patience()).await, Err(failure.clone()));
        assert_eq!(second.within(patience()).await, Err(failure));
        let panics = join(&underway, async { panic!("on purpose") });
        let told = panics.within(patience()).await;
        assert!(matches!(told, Err(Failure::HostPanic(_))), "{told:?}");
        let third = join(&underway, async { Ok(3) });
        assert_eq!(third.within(patience()).await, Ok(3));
        assert!(is_empty(&underway));
    }
}
