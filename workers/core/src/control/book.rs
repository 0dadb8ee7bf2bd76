//! Booking: runners that have ended, and how launches went. After everything else, since runners are
//! waited for and books are not: a situation counts what is not booked yet.

use std::collections::BTreeMap;

use super::{CONFLICTS_BORNE, Control};
use crate::account::Account;
use crate::class::Capacity;
use crate::happening::Happening;
use crate::ids::{ClassName, InstanceId, ScopeKey};
use crate::ports::{BOOKED_AT_ONCE, LedgerError, ScopeState};
use crate::runner::Runner;
use crate::time::Timestamp;

pub(super) use crate::account::FIRST_PAUSE;

/// What EC2 answered to a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) class: ClassName,
    pub(super) capacity: Capacity,
    /// Instances that it gave.
    pub(super) launched: u32,
    /// Instances that it did not have.
    pub(super) refused: u32,
    /// Its code for why, where it did not have all of them.
    pub(super) lacking: Option<String>,
    pub(super) at: Timestamp,
}

/// What an act has learnt that is nowhere else.
#[derive(Debug, Clone, Default)]
pub(super) struct Learnt {
    /// How its launches went.
    pub(super) answered: Vec<Answered>,
    /// By class, that GitHub registered its runners (none), or why it refused to.
    pub(super) registered: BTreeMap<ClassName, Option<String>>,
}

/// From how many on runners that have ended are booked without waiting for more: each booking writes the
/// account.
const BOOKED_FROM: usize = 10;

/// After how long they are, in seconds.
const BOOKED_WITHIN: u32 = 300;

impl Control {
    /// Whether an account is to be written for the runners that have ended. They count as well before: but where
    /// none is left that would bring another act, or a re-run is to be known again, it is done at once.
    fn is_to_be_booked(&self, state: &ScopeState) -> bool {
        let now = self.now();
        let is_old = |runner: &Runner| runner.phase_since.age(now) >= BOOKED_WITHIN;
        state.ended.len() >= BOOKED_FROM
            || !state.runners.iter().any(Runner::is_live)
            || state
                .ended
                .iter()
                .any(|runner| runner.interrupted || is_old(runner))
    }

    /// Writes a scope's account. Runners that can't be booked now stay on the list and are booked by the next
    /// act. How launches went is nowhere else: where somebody else has written the account meanwhile (the
    /// fallback of this very act, for one), it is added to what that wrote.
    pub(super) async fn book(&self, scope: ScopeKey, state: &ScopeState, learnt: &Learnt) {
        let mut learnt = self.news(learnt, state);
        if learnt.is_none() && (state.ended.is_empty() || !self.is_to_be_booked(state)) {
            return;
        }
        let mut newer = None;
        for _ in 0..=CONFLICTS_BORNE {
            let problem = match self
                .try_book(scope, newer.as_ref().unwrap_or(state), &mut learnt)
                .await
            {
                Ok(()) => return,
                Err(LedgerError::Conflict(_)) if learnt.is_none() => return,
                Err(LedgerError::Conflict(_)) => match self.ports.ledger.scope(scope).await {
                    Ok(state) => {
                        newer = Some(state);
                        continue;
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            return self.report(&Happening::Trouble {
                scope: Some(scope),
                problem: format!(
                    "the account could not be written: {problem}; a later act writes it"
                ),
            });
        }
        self.report(&Happening::Trouble {
            scope: Some(scope),
            problem: "the account could not be written: others write it all the time".to_owned(),
        });
    }

    /// What of it the account does not say already; none: nothing.
    fn news<'l>(&self, learnt: &'l Learnt, state: &ScopeState) -> Option<&'l Learnt> {
        let mut account = state.account.clone();
        let is_news = !learnt.answered.is_empty()
            || learnt.registered.iter().any(|(class, refused)| {
                account.note_registration(class, refused.as_deref(), self.now())
            });
        is_news.then_some(learnt)
    }

    /// Books on that state. What was learnt is written once, though not all runners may be.
    async fn try_book(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        learnt: &mut Option<&Learnt>,
    ) -> Result<(), LedgerError> {
        let mut account = state.account.clone();
        let answered = learnt.iter().flat_map(|learnt| &learnt.answered);
        for answer in answered {
            account.note_launch(
                &answer.class,
                answer.capacity,
                answer.launched,
                answer.refused,
                answer.at,
            );
            let lacking = answer.lacking.as_deref();
            account.note_room(&answer.class, answer.capacity, lacking, answer.at);
        }
        let registered = learnt.iter().flat_map(|learnt| &learnt.registered);
        for (class, refused) in registered {
            account.note_registration(class, refused.as_deref(), self.now());
        }
        let mut chunks: Vec<&[Runner]> = state.ended.chunks(BOOKED_AT_ONCE).collect();
        if chunks.is_empty() && learnt.is_some() {
            chunks.push(&[]);
        }
        for runners in chunks {
            self.book_some(scope, &mut account, runners).await?;
            *learnt = None;
        }
        Ok(())
    }

    async fn book_some(
        &self,
        scope: ScopeKey,
        account: &mut Account,
        runners: &[Runner],
    ) -> Result<(), LedgerError> {
        for runner in runners {
            account.book(runner, self.now());
            self.note_interrupted(account, runner).await;
        }
        let instances: Vec<InstanceId> = runners
            .iter()
            .map(|runner| runner.instance.clone())
            .collect();
        self.ports.ledger.book(scope, account, &instances).await?;
        account.revision += 1;
        Ok(())
    }

    /// The job that an interrupted runner had, so that a re-run is known again.
    async fn note_interrupted(&self, account: &mut Account, runner: &Runner) {
        let (true, Some(key)) = (runner.interrupted, runner.last_job) else {
            return;
        };
        match self.ports.ledger.job(key).await {
            Ok(Some(job)) => {
                if let Some(run) = job.run_id {
                    account.note_interrupted(run, job.name, runner.phase_since);
                }
            }
            Ok(None) => {}
            // Money is not to wait for a job that can't be read.
            Err(error) => self.report(&Happening::Trouble {
                scope: Some(runner.scope),
                problem: format!(
                    "the job that {} ran when it was interrupted is not known: {error}; a re-run of it \
                     counts as any other job",
                    runner.name
                ),
            }),
        }
    }
}
