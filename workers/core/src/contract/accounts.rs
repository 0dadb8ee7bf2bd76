//! Claims about accounts and what is booked in them.

use super::{Fixtures, Held, Seen, conflict, one_winner, same};
use crate::account::Account;
use crate::ids::InstanceId;
use crate::ports::{BOOKED_AT_ONCE, Ledger, ScopeState};
use crate::runner::{Runner, RunnerPhase};

/// Runners of the first scope that have ended.
async fn ended(ledger: &dyn Ledger, f: &Fixtures, count: usize) -> Result<Vec<Runner>, Seen> {
    let intent = f.intent(0, 0, 0);
    let mut all = Vec::new();
    for n in 0..count {
        let live = f.runner(&intent, n);
        ledger.put_runner(&live).await?;
        let ended = Runner {
            phase: RunnerPhase::Ended,
            revision: 1,
            ..live
        };
        ledger.put_runner(&ended).await?;
        all.push(Runner {
            revision: 2,
            ..ended
        });
    }
    all.sort_by(|a, b| a.instance.cmp(&b.instance));
    Ok(all)
}

async fn state(ledger: &dyn Ledger, f: &Fixtures) -> Result<ScopeState, Seen> {
    let mut state = ledger.scope(f.scope(0)).await?;
    state.ended.sort_by(|a, b| a.instance.cmp(&b.instance));
    Ok(state)
}

/// An account with these runners booked, and their instances.
fn booked(f: &Fixtures, before: &Account, runners: &[Runner]) -> (Account, Vec<InstanceId>) {
    let instances = runners.iter().map(|runner| runner.instance.clone());
    (before.with_ended(runners, f.now), instances.collect())
}

pub(super) async fn an_ended_runner_is_listed_until_it_is_booked(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let runners = ended(ledger, f, 3).await?;
    let before = state(ledger, f).await?;
    same("the account", &before.account, &Account::default())?;
    same("what is to be booked", &before.ended, &runners)?;
    let (account, instances) = booked(f, &before.account, &runners[..2]);
    ledger.book(f.scope(0), &account, &instances).await?;
    let after = state(ledger, f).await?;
    let stored = account.at_revision(1);
    same("the account", &after.account, &stored)?;
    same("what is left", &after.ended, &runners[2..].to_vec())?;
    let other = ledger.scope(f.scope(1)).await?;
    same("the other scope's", &other.account, &Account::default())
}

pub(super) async fn an_account_is_written_only_over_the_revision_that_was_read(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let runners = ended(ledger, f, 1).await?;
    let (first, instances) = booked(f, &Account::default(), &runners);
    let unread = first.at_revision(1);
    conflict(
        "a write over a revision that never was",
        &ledger.book(f.scope(0), &unread, &instances).await,
    )?;
    same(
        "what is to be booked",
        &state(ledger, f).await?.ended,
        &runners,
    )?;
    ledger.book(f.scope(0), &first, &instances).await?;
    // The answer was lost, and the writer tries again: nothing is booked twice.
    conflict(
        "a repeated write",
        &ledger.book(f.scope(0), &first, &instances).await,
    )?;
    let second = first.at_revision(1);
    ledger.book(f.scope(0), &second, &[]).await?;
    same(
        "the revision",
        &state(ledger, f).await?.account.revision,
        &2,
    )
}

pub(super) async fn of_writers_of_one_account_at_once_exactly_one_books(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let runners = ended(ledger, f, 1).await?;
    let (account, instances) = booked(f, &Account::default(), &runners);
    let writes = (0..8).map(|_| ledger.book(f.scope(0), &account, &instances));
    one_winner(&futures::future::join_all(writes).await)?;
    let after = state(ledger, f).await?;
    same("the revision", &after.account.revision, &1)?;
    same("what is left", &after.ended, &Vec::new())
}

pub(super) async fn as_many_as_may_be_are_booked_at_once(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let runners = ended(ledger, f, BOOKED_AT_ONCE).await?;
    let (account, instances) = booked(f, &Account::default(), &runners);
    ledger.book(f.scope(0), &account, &instances).await?;
    same("what is left", &state(ledger, f).await?.ended, &Vec::new())
}

pub(super) async fn what_is_not_on_the_list_is_not_booked(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let runners = ended(ledger, f, 2).await?;
    let (first, instances) = booked(f, &Account::default(), &runners[..1]);
    ledger.book(f.scope(0), &first, &instances).await?;
    // Another read the list before and the account after: its revision is right.
    let (again, both) = booked(f, &first.at_revision(1), &runners);
    conflict(
        "a second booking",
        &ledger.book(f.scope(0), &again, &both).await,
    )?;
    let after = state(ledger, f).await?;
    same("the revision", &after.account.revision, &1)?;
    same("what is left", &after.ended, &runners[1..].to_vec())
}
