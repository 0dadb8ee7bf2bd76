//! Booking: runners that have ended, and how launches went. After everything else, since runners are
//! waited for and books are not: a situation counts what is not booked yet.

use super::Control;
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
    /// Writes a scope's account. What can't be booked now stays on the list and is booked by the next
    /// act; what was written by another act meanwhile is its to book.
    pub(super) async fn book(&self, scope: ScopeKey, state: &ScopeState, answered: &[Answered]) {
        let mut account = state.account.clone();
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
        let mut chunks: Vec<&[Runner]> = state.ended.chunks(BOOKED_AT_ONCE).collect();
        if chunks.is_empty() && !answered.is_empty() {
            chunks.push(&[]);
        }
        for runners in chunks {
            match self.book_some(scope, &mut account, runners).await {
                Ok(()) => {}
                Err(LedgerError::Conflict(_)) => return,
                Err(error) => {
                    self.report(&Happening::Trouble {
                        scope: Some(scope),
                        problem: format!(
                            "the account could not be written: {error}; the next act writes it"
                        ),
                    });
                    return;
                }
            }
        }
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
