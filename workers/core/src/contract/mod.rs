//! The contracts that every adapter of a port keeps, as claims that run against one: [`Ledger`], and
//! the ports of policies.
//!
//! An adapter's tests call [`check_ledger`]: it tries every claim on the ledger it is given, each in
//! scopes and repositories of its own, so that one table serves them all, and says which do not hold.
//! [`Fixtures`] makes the jobs, launches and runners; adapters may use it in tests of their own, and
//! [`as_an_older_stoker_wrote`], since how items look inside is not the port's.
//! [`check_journal`], [`check_admission_store`], [`check_uploads`], [`check_signer`], [`check_distribution_store`]
//! and [`check_releases`] do the same for theirs.
//!
//! In reading order: [`fixtures`], then the claims by subject: `jobs`, `decisions`, `outcomes`,
//! `runners`, `accounts`, `shared`; `policies` (private).

use std::fmt;

use thiserror::Error;

use crate::ports::{JournalError, Ledger, LedgerError, PolicyStoreError, SignerError};
use crate::time::Timestamp;

mod accounts;
mod decisions;
mod distribution;
pub mod fixtures;
mod jobs;
mod journal;
mod older;
mod outcomes;
mod policies;
mod runners;
mod shared;

pub use distribution::{check_distribution_store, check_releases};
pub use fixtures::Fixtures;
pub use journal::check_journal;
pub use older::{as_an_older_stoker_wrote, older_job, older_runner};
pub use policies::{check_admission_store, check_signer, check_uploads};

/// A claim that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The claim, as a sentence.
    pub claim: String,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not hold: {}", self.claim, self.seen)
    }
}

/// The claims that do not hold; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Breaches {
    /// Whose contract it is: `ledger`.
    pub port: &'static str,
    /// Which claims.
    pub breaches: Vec<Breach>,
}

impl fmt::Display for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, breaches } = self;
        write!(f, "the {port} breaks its contract in {}:", breaches.len())?;
        for breach in breaches {
            write!(f, "\n  {breach}")?;
        }
        Ok(())
    }
}

/// What became of the claims that were tried so far.
struct Tried {
    port: &'static str,
    breaches: Vec<Breach>,
}

impl Tried {
    fn of(port: &'static str) -> Self {
        Self {
            port,
            breaches: Vec::new(),
        }
    }

    /// Notes a claim, which is named like the function that tries it.
    fn note(&mut self, claim: &str, held: Held) {
        if let Err(Seen(seen)) = held {
            self.breaches.push(Breach {
                claim: claim.replace('_', " "),
                seen,
            });
        }
    }

    fn result(self) -> Result<(), Breaches> {
        if self.breaches.is_empty() {
            Ok(())
        } else {
            Err(Breaches {
                port: self.port,
                breaches: self.breaches,
            })
        }
    }
}

/// What was seen where a claim does not hold.
struct Seen(String);

impl From<LedgerError> for Seen {
    fn from(error: LedgerError) -> Self {
        Self(format!("the ledger failed: {error}"))
    }
}

impl From<JournalError> for Seen {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}

impl From<PolicyStoreError> for Seen {
    fn from(error: PolicyStoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<SignerError> for Seen {
    fn from(error: SignerError) -> Self {
        Self(error.to_string())
    }
}

type Held = Result<(), Seen>;

/// Goes on where `holds`, and says what was `seen` otherwise.
fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(Seen(seen())) }
}

/// That both are the same.
fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Held {
    ensure(found == expected, || {
        format!("{what} is {found:?}, expected {expected:?}")
    })
}

/// That a write was refused because another had come first.
fn conflict<T: fmt::Debug>(what: &str, answer: &Result<T, LedgerError>) -> Held {
    ensure(matches!(answer, Err(LedgerError::Conflict(_))), || {
        format!("{what} was answered by {answer:?}, expected a conflict")
    })
}

/// That of writers at once exactly one was let through, and the others were told of a conflict.
fn one_winner<T: fmt::Debug>(answers: &[Result<T, LedgerError>]) -> Result<usize, Seen> {
    let winners: Vec<usize> = (0..answers.len()).filter(|&i| answers[i].is_ok()).collect();
    let conflicts = answers
        .iter()
        .filter(|answer| matches!(answer, Err(LedgerError::Conflict(_))))
        .count();
    match winners.as_slice() {
        [winner] if conflicts == answers.len() - 1 => Ok(*winner),
        _ => Err(Seen(format!("of writers at once these came: {answers:?}"))),
    }
}

/// Tries every claim on a ledger.
///
/// `now` is about the real time (an adapter may hide what ended long ago), and keeps the items apart
/// from those of an earlier run on the same table.
///
/// # Errors
/// The claims that do not hold.
pub async fn check_ledger(ledger: &dyn Ledger, now: Timestamp) -> Result<(), Breaches> {
    let mut place = 0;
    let mut tried = Tried::of("ledger");
    macro_rules! claims {
        ($($subject:ident::$claim:ident,)+) => {
            $(
                place += 1;
                let held = $subject::$claim(ledger, &Fixtures::new(now, place)).await;
                tried.note(stringify!($claim), held);
            )+
        };
    }
    claims! {
        jobs::what_was_never_written_is_not_there,
        jobs::a_written_job_is_read_back_to_the_letter_one_revision_on,
        jobs::a_job_is_written_only_over_the_revision_that_was_read,
        jobs::of_writers_of_one_job_at_once_exactly_one_wins,
        jobs::a_scope_shows_the_jobs_that_have_not_ended_and_no_others,
        jobs::a_tombstone_is_readable_and_no_late_queued_brings_it_back,
        jobs::scopes_are_apart,
        jobs::a_scope_of_250_jobs_is_returned_whole,
        decisions::an_unknown_scope_is_empty,
        decisions::a_decision_shows_its_intents_and_raises_the_version,
        decisions::a_decision_on_an_old_version_is_refused_and_leaves_nothing,
        decisions::a_repeated_decision_succeeds_and_changes_nothing,
        decisions::a_repeated_decision_does_not_reopen_what_is_settled,
        decisions::of_decisions_at_once_one_is_saved_whole_and_the_others_not_at_all,
        decisions::the_largest_decision_is_saved_whole,
        decisions::a_decision_s_generation_is_shown_with_its_scope,
        decisions::a_generation_never_goes_down,
        decisions::a_repeated_decision_of_policies_changes_nothing,
        decisions::a_decision_on_an_old_version_does_not_raise_the_generation,
        outcomes::a_settlement_shows_the_runners_and_closes_the_intent,
        outcomes::a_repeated_settlement_succeeds_and_changes_nothing,
        outcomes::a_runner_that_has_moved_on_is_not_put_back,
        outcomes::a_settlement_does_not_mind_the_version,
        outcomes::a_launch_that_gave_nothing_is_closed_too,
        outcomes::a_settlement_of_150_runners_is_saved_whole,
        outcomes::a_settlement_that_found_more_adds_them,
        runners::a_runner_is_written_only_over_the_revision_that_was_read,
        runners::of_writers_of_one_runner_at_once_exactly_one_wins,
        runners::an_ended_runner_is_readable_and_not_in_its_scope,
        runners::a_runner_is_found_by_its_instance_alone,
        accounts::an_ended_runner_is_listed_until_it_is_booked,
        accounts::an_account_is_written_only_over_the_revision_that_was_read,
        accounts::of_writers_of_one_account_at_once_exactly_one_books,
        accounts::as_many_as_may_be_are_booked_at_once,
        accounts::what_is_not_on_the_list_is_not_booked,
        shared::a_shared_item_is_written_only_over_the_revision_that_was_read,
        shared::what_is_due_is_listed_from_its_second_on_until_it_is_dropped,
        shared::a_decision_that_is_saved_notes_when_its_scope_is_due,
        shared::a_repository_is_found_by_the_name_that_was_noted_last,
    }
    tried.result()
}
