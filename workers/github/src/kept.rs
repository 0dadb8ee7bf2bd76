//! What GitHub gave and is good for a while, by a name. Who asks for the same while it is being asked for
//! shares the answer, be it a failure; a failure is not kept for who asks later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::lock::Mutex as Turn;
use stoker_core::time::Timestamp;

use crate::error::Error;

/// The last answer, with the time until which it is good.
type Last<T> = Option<Result<(T, Timestamp), Error>>;

struct Slot<T> {
    /// How many answers have come.
    answers: AtomicU64,
    last: Turn<Last<T>>,
}

/// Answers, each good until a time of its own.
pub(crate) struct Kept<T> {
    slots: Mutex<HashMap<String, Arc<Slot<T>>>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }
}

impl<T: Clone> Kept<T> {
    /// What is kept under that name and still good at `now`, else what `fetch` gives, with the time until
    /// which it is good.
    pub(crate) async fn get(
        &self,
        name: &str,
        now: Timestamp,
        fetch: impl Future<Output = Result<(T, Timestamp), Error>>,
    ) -> Result<T, Error> {
        let slot = self.slot(name);
        let before = slot.answers.load(Ordering::Acquire);
        let mut last = slot.last.lock().await;
        let came_meanwhile = slot.answers.load(Ordering::Acquire) > before;
        match &*last {
            Some(Ok((value, until))) if came_meanwhile || *until > now => {
                return Ok(value.clone());
            }
            Some(Err(error)) if came_meanwhile => return Err(error.clone()),
            _ => {}
        }
        let answer = fetch.await;
        *last = Some(answer.clone());
        slot.answers.fetch_add(1, Ordering::Release);
        answer.map(|(value, _)| value)
    }

    /// It is good no more.
    pub(crate) fn forget(&self, name: &str) {
        self.slots().remove(name);
    }

    fn slot(&self, name: &str) -> Arc<Slot<T>> {
        let mut slots = self.slots();
        let slot = slots.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Slot {
                answers: AtomicU64::new(0),
                last: Turn::new(None),
            })
        });
        Arc::clone(slot)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot<T>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::{join, join_all};

    use super::*;

    fn down() -> Error {
        Error::Unreachable {
            problem: "down".to_owned(),
        }
    }

    #[tokio::test]
    async fn one_answer_serves_all_who_ask_meanwhile_and_until_its_end() {
        let kept = Kept::default();
        let asked = Cell::new(0);
        let ask = async || {
            tokio::task::yield_now().await;
            asked.set(asked.get() + 1);
            Ok((asked.get(), Timestamp(100)))
        };
        let (one, other) = join(
            kept.get("a", Timestamp(1), ask()),
            kept.get("a", Timestamp(1), ask()),
        )
        .await;
        assert_eq!((one, other), (Ok(1), Ok(1)));
        assert_eq!(kept.get("a", Timestamp(99), ask()).await, Ok(1));
        assert_eq!(kept.get("b", Timestamp(99), ask()).await, Ok(2));
        assert_eq!(kept.get("a", Timestamp(100), ask()).await, Ok(3));
        kept.forget("b");
        assert_eq!(kept.get("b", Timestamp(1), ask()).await, Ok(4));
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_wait_for_it_and_kept_for_nobody() {
        let kept = Kept::<u64>::default();
        let asked = Cell::new(0);
        let fail = async || {
            tokio::task::yield_now().await;
            asked.set(asked.get() + 1);
            Err(down())
        };
        let all = (0..50).map(|_| kept.get("a", Timestamp(1), fail()));
        let answers = join_all(all).await;
        assert!(answers.iter().all(|answer| *answer == Err(down())));
        assert_eq!(asked.get(), 1);
        let given = kept
            .get("a", Timestamp(1), async { Ok((7, Timestamp(9))) })
            .await;
        assert_eq!(given, Ok(7));
    }
}
