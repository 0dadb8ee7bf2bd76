//! Booking: runners that have ended, and how launches went. After everything else, since runners are
//! waited for and books are not: a situation counts what is not booked yet.

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

impl Control {
    /// Writes a scope's account. Runners that can't be booked now stay on the list and are booked by the next
    /// act. How launches went is nowhere else: where somebody else has written the account meanwhile (the
    /// fallback of this very act, for one), it is added to what that wrote.
    pub(super) async fn book(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        mut answered: &[Answered],
    ) {
        let mut newer = None;
        for _ in 0..=CONFLICTS_BORNE {
            let problem = match self
                .try_book(scope, newer.as_ref().unwrap_or(state), &mut answered)
                .await
            {
                Ok(()) => return,
                Err(LedgerError::Conflict(_)) if answered.is_empty() => return,
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

    /// Books on that state. What was answered is written once, though not all runners may be.
    async fn try_book(
        &self,
        scope: ScopeKey,
        state: &ScopeState,
        answered: &mut &[Answered],
    ) -> Result<(), LedgerError> {
        let mut account = state.account.clone();
        for answer in *answered {
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
        let mut chunks: Vec<&[Runner]> = state.ended.chunks(BOOKED_AT_ONCE).collect();
        if chunks.is_empty() && !answered.is_empty() {
            chunks.push(&[]);
        }
        for runners in chunks {
            self.book_some(scope, &mut account, runners).await?;
            *answered = &[];
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
