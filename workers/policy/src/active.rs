//! Which document decides now: read again at intervals, verified, and swapped between two decisions.
//!
//! A busy process never waits for that: once the interval is over, the next decision has the document
//! read in the background, goes on with the one that is here, and whoever comes after the swap has the
//! new one, with what it names taken up already. A process that has no document yet, or was idle longer
//! than the interval and [`GRACE`], waits, so that no decision is taken by a document that was last
//! confirmed longer ago; but no longer than [`patience::DOCUMENT`], and not again soon for a store that
//! gave no answer. What is decided without one, or by one that the store can't confirm, tells so.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt as _, Shared, join_all};
use futures::stream::StreamExt as _;
use stoker_core::ids::{Deployment, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::Fetched;
use stoker_core::time::Timestamp;

use crate::activation::{Activation, paths};
use crate::artifact::PublicKeys;
use crate::contract::Decision;
use crate::failure::Failure;
use crate::library::Library;
use crate::patience::{self, Patience, since};

/// How long after the interval a document still decides while it is confirmed, in seconds.
const GRACE: u32 = 1;

/// For how many scopes, and repositories with settings of their own, what decides is taken up before it is
/// needed. Beyond it the memory starts anew.
const MOST_IN_USE: usize = 10_000;

/// How many settings are read at once.
const AT_ONCE: usize = 32;

/// Whom to trust, and how often to look.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Whose documents they are.
    pub deployment: Deployment,
    /// Who may sign them.
    pub keys: PublicKeys,
    /// How many seconds a document is used before it is confirmed again.
    pub revalidate: u32,
}

/// The document that decides now.
pub(crate) struct Active {
    trust: Trust,
    library: Arc<Library>,
    state: Mutex<State>,
    in_use: Mutex<HashSet<(PolicyFolder, Decision)>>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// When the current document was last confirmed.
    confirmed: Timestamp,
    /// When that was last tried, and what came of it.
    tried: Option<(Timestamp, Result<(), Failure>)>,
    /// When a decision last waited in vain, if nothing has come since.
    in_vain: Option<Timestamp>,
    reading: Option<Shared<BoxFuture<'static, ()>>>,
    /// How often reading it was begun, and the number of the last time that came to an end.
    begun: u64,
    ended: u64,
}

impl State {
    /// Whether the store failed when it was last asked.
    fn is_down(&self) -> bool {
        matches!(self.tried, Some((_, Err(Failure::Store(_)))))
    }
}

#[derive(Clone)]
struct Current {
    activation: Arc<Activation>,
    tag: Option<String>,
}

/// What decides, and what is the matter with it.
pub(crate) struct View {
    pub(crate) activation: Arc<Activation>,
    /// It could not be confirmed, or another was refused.
    pub(crate) trouble: Option<Failure>,
}

/// What reading came to.
enum Read {
    Unchanged,
    Other(Current),
}

impl Active {
    pub(crate) fn new(trust: Trust, library: Arc<Library>) -> Self {
        Self {
            trust,
            library,
            state: Mutex::default(),
            in_use: Mutex::default(),
        }
    }

    /// What decides at that time; no document below the generation `seen`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn at(
        self: &Arc<Self>,
        now: Timestamp,
        seen: PolicyGeneration,
    ) -> Result<View, Failure> {
        let asked = self.state().begun;
        let read = async {
            // One that is being read may have been asked for too long ago.
            for _ in 0..2 {
                match self.due(now, seen, asked) {
                    Due::Now => self.read_again(now).await,
                    Due::InBackground => return drop(self.read_again(now)),
                    Due::No => return,
                }
            }
        };
        let in_time = tokio::time::timeout(patience::DOCUMENT, read).await;
        if in_time.is_err() {
            // It goes on without us.
            self.state().in_vain = Some(now);
        }
        self.view(now, seen, asked)
    }

    /// Has what a folder contributes to decisions taken up with every new document.
    pub(crate) fn used(&self, folder: &PolicyFolder, decision: Decision) {
        let mut in_use = lock(&self.in_use);
        let which = (folder.clone(), decision);
        if in_use.len() >= MOST_IN_USE && !in_use.contains(&which) {
            in_use.clear();
        }
        in_use.insert(which);
    }

    /// Whether a decision that began when reading had been begun `asked` times needs it once more.
    fn due(&self, now: Timestamp, seen: PolicyGeneration, asked: u64) -> Due {
        let state = self.state();
        let interval = self.trust.revalidate;
        let age = since(state.confirmed, now);
        let tried = state.tried.as_ref().map(|(at, _)| since(*at, now));
        let is_answered = state.ended > asked;
        let has_just_failed = tried == Some(0) && state.is_down();
        let is_wanted = match &state.current {
            // Whoever comes in the second in which the store failed is told what it said.
            None => !is_answered && !has_just_failed,
            // Another process has seen a newer one, so it must be there, however lately this was read.
            Some(current) if current.activation.generation() < seen && !is_answered => true,
            // A store that fails has been waited for in this interval.
            Some(_) => {
                age > interval.saturating_add(GRACE) && tried.is_none_or(|tried| tried >= interval)
            }
        };
        if is_wanted && !patience::is_left_to_itself(state.in_vain, now) {
            Due::Now
        } else if tried == Some(0) {
            // One that failed is tried again every second.
            Due::No
        } else if is_wanted || (state.current.is_some() && age >= interval) {
            Due::InBackground
        } else {
            Due::No
        }
    }

    fn view(&self, now: Timestamp, seen: PolicyGeneration, asked: u64) -> Result<View, Failure> {
        let state = self.state();
        let trouble = state
            .tried
            .as_ref()
            .and_then(|(_, came_to)| came_to.as_ref().err().cloned());
        let Some(current) = &state.current else {
            return Err(trouble.unwrap_or_else(|| patience::not_yet(paths::ACTIVE)));
        };
        let found = current.activation.generation();
        if found < seen {
            return Err(trouble.unwrap_or_else(|| {
                if state.ended > asked {
                    Failure::OldGeneration { found, seen }
                } else {
                    // Nobody knows whether the newer one is there.
                    patience::not_yet(paths::ACTIVE)
                }
            }));
        }
        // A store that does not answer once is tried again in a second, and nobody's decision is worse.
        let age = since(state.confirmed, now);
        let trouble = if age <= self.trust.revalidate.saturating_add(GRACE) {
            trouble.filter(|failure| !matches!(failure, Failure::Store(_)))
        } else {
            Some(trouble.unwrap_or_else(|| patience::not_yet(paths::ACTIVE)))
        };
        Ok(View {
            activation: Arc::clone(&current.activation),
            trouble,
        })
    }

    /// Reads the document again, or joins who is doing so.
    fn read_again(self: &Arc<Self>, now: Timestamp) -> Shared<BoxFuture<'static, ()>> {
        let mut state = self.state();
        // Nobody may have looked since it came to an end, and `peek` tells what was looked at.
        if let Some(reading) = &state.reading
            && reading.clone().now_or_never().is_none()
        {
            return reading.clone();
        }
        state.begun += 1;
        let (this, number) = (Arc::clone(self), state.begun);
        let task = tokio::spawn(async move { this.read(now, number).await });
        let reading = async move {
            // What it came to is in the state; a panic leaves that as it was.
            let _ = task.await;
        }
        .boxed()
        .shared();
        state.reading = Some(reading.clone());
        reading
    }

    async fn read(&self, now: Timestamp, number: u64) {
        let before = self.state().current.clone();
        let came_to = match self.fetch(before.as_ref()).await {
            Ok(Read::Other(new)) => {
                self.take_up(&new.activation).await;
                self.state().current = Some(new);
                Ok(())
            }
            Ok(Read::Unchanged) => Ok(()),
            Err(failure) => Err(failure),
        };
        let mut state = self.state();
        if came_to.is_ok() {
            state.confirmed = now;
            state.in_vain = None;
        }
        state.tried = Some((now, came_to));
        state.ended = number;
    }

    async fn fetch(&self, before: Option<&Current>) -> Result<Read, Failure> {
        let tag = before.and_then(|current| current.tag.as_deref());
        let new = match self.library.store().fetch(paths::ACTIVE, tag).await? {
            Fetched::Unchanged => return Ok(Read::Unchanged),
            Fetched::Absent => Current {
                activation: Arc::new(Activation::none()),
                tag: None,
            },
            Fetched::Found { bytes, tag } => {
                let Trust {
                    deployment, keys, ..
                } = self.trust.clone();
                // Its size grows with the repositories that have settings.
                let verified = tokio::task::spawn_blocking(move || {
                    Activation::verify(&keys, &deployment, &bytes)
                })
                .await
                .map_err(|panic| Failure::HostPanic(panic.to_string()))??;
                Current {
                    activation: Arc::new(verified),
                    tag: Some(tag),
                }
            }
        };
        let seen = before.map_or(PolicyGeneration(0), |current| {
            current.activation.generation()
        });
        let found = new.activation.generation();
        if found < seen {
            return Err(Failure::OldGeneration { found, seen });
        }
        Ok(Read::Other(new))
    }

    async fn take_up(&self, activation: &Arc<Activation>) {
        let in_use: Vec<(PolicyFolder, Decision)> = lock(&self.in_use).iter().cloned().collect();
        let mut all = Vec::new();
        let document = activation.document();
        for (folder, decision) in &in_use {
            if let Some((entry, settings)) = document.entry(folder, *decision) {
                all.push(self.library.prepare(activation, &entry.pair, settings));
            }
        }
        let mut tunes = Vec::new();
        for (folder, decision) in &in_use {
            let record = document.folders.get(folder);
            if let Some(settings) = record.and_then(|record| record.tunes.get(decision)) {
                tunes.push(self.library.settings(settings, Patience::ENDLESS).boxed());
            }
        }
        let tunes = futures::stream::iter(tunes).buffer_unordered(AT_ONCE);
        // What fails is told by the decision that needs it.
        let _told: (_, Vec<_>) = tokio::join!(join_all(all), tunes.collect());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Whether the document is to be read, and who waits for it.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    No,
    InBackground,
    Now,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
