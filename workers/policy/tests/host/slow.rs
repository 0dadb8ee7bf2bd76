//! A process that reads its policies through a store whose answers can be held up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stoker_admission::testing::MemoryStore;
use stoker_core::plan::{Instead, Proposal};
use stoker_core::ports::{Fetched, PolicyStore, PolicyStoreError};
use stoker_policy::PolicyHost;
use tokio::sync::{RwLock, RwLockWriteGuard};

use crate::fixtures::{Bench, NEVER, component, decide_at};

/// A store that tells what was asked of it, and whose answers can be held up.
pub(crate) struct Slow {
    store: Arc<MemoryStore>,
    /// Answers are given while nobody holds it alone.
    answers: RwLock<()>,
    /// Only answers about paths that begin so are held up.
    about: Mutex<&'static str>,
    /// Paths, and whether what is there was known.
    asked: Mutex<Vec<(String, bool)>>,
}

impl Slow {
    /// What was asked since this was last called.
    pub(crate) fn asked(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Holds up answers about paths that begin so until what it returns is dropped.
    pub(crate) async fn hold_up(&self, about: &'static str) -> RwLockWriteGuard<'_, ()> {
        *self.about.lock().unwrap() = about;
        self.answers.write().await
    }
}

#[async_trait]
impl PolicyStore for Slow {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        let asked = (path.to_owned(), known.is_some());
        self.asked.lock().unwrap().push(asked);
        let answer = self.store.fetch(path, known).await;
        let about = *self.about.lock().unwrap();
        if path.starts_with(about) {
            let _given = self.answers.read().await;
        }
        answer
    }
}

/// `launches-one` is published; a process reads it through a slow store.
pub(crate) async fn published() -> (Bench, Arc<Slow>, PolicyHost) {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("launches-one"));
    bench.publish().await;
    let (slow, host) = process(&bench);
    (bench, slow, host)
}

/// A process that has just started, and the slow store through which it reads what is published.
pub(crate) fn process(bench: &Bench) -> (Arc<Slow>, PolicyHost) {
    let slow = Arc::new(Slow {
        store: Arc::<MemoryStore>::clone(&bench.store),
        answers: RwLock::default(),
        about: Mutex::default(),
        asked: Mutex::default(),
    });
    let host = bench.reading(Arc::<Slow>::clone(&slow));
    (slow, host)
}

/// The second publication: `launches-nothing`, with settings.
pub(crate) async fn publish_another(bench: &Bench) {
    bench.put("default/policy.wasm", component("launches-nothing"));
    bench.put("default/settings.json", r#"{"scale-up":{"a":1}}"#);
    bench.publish().await;
}

/// Who decides by the first publication.
pub(crate) const ONE: &str = "launches-one 1.0.0";

/// Who decides by the second.
pub(crate) const ANOTHER: &str = "launches-nothing 1.0.0";

/// That this policy decided, and nothing failed.
#[track_caller]
pub(crate) fn decided(proposal: &Proposal, policy: &str) {
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.policy, policy);
}

/// That the store was said to be down, and that policy decided all the same.
#[track_caller]
pub(crate) fn decided_without_the_store(proposal: &Proposal, policy: &str) {
    let fallback = proposal.fallback.as_ref().expect("a fallback");
    assert_eq!(fallback.cause, "policy-store");
    assert_eq!(fallback.instead, Instead::Previous);
    assert!(!fallback.alarm, "nobody has tampered with anything");
    assert_eq!(proposal.by.policy, policy);
}

/// A decision that is to be there though the store does not answer.
pub(crate) async fn decide_without_waiting(host: &PolicyHost, later: u64) -> Proposal {
    let decided = tokio::time::timeout(Duration::from_secs(10), decide_at(host, later, NEVER));
    decided.await.expect("a decision without waiting")
}

/// Waits for what goes on in the background.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it has not come to pass");
}
