//! Claims about decisions and their intents.

use std::collections::BTreeSet;

use super::{Fixtures, Held, conflict, ensure, one_winner, same};
use crate::guardrails::LAUNCHES_PER_DECISION;
use crate::ids::{IntentId, PolicyGeneration, ScopeVersion};
use crate::intent::Intent;
use crate::ports::{DecidedScope, Ledger, LedgerError, ScopeSeen, ScopeState};

fn ids(intents: &[Intent]) -> BTreeSet<IntentId> {
    intents.iter().map(|intent| intent.id.clone()).collect()
}

async fn open(ledger: &dyn Ledger, f: &Fixtures) -> Result<BTreeSet<IntentId>, LedgerError> {
    Ok(ids(&ledger.scope(f.scope(0)).await?.intents))
}

/// Saves the scope's decision of that number over that version; no policies took it.
async fn save(
    ledger: &dyn Ledger,
    f: &Fixtures,
    seen: u64,
    decision: u64,
    intents: &[Intent],
) -> Result<ScopeVersion, LedgerError> {
    let state = ScopeSeen {
        version: ScopeVersion(seen),
        generation: PolicyGeneration(0),
    };
    save_by(ledger, f, state, decision, 0, intents).await
}

/// Saves the scope's decision of that number over that state, taken by policies of that generation.
async fn save_by(
    ledger: &dyn Ledger,
    f: &Fixtures,
    state: ScopeSeen,
    decision: u64,
    generation: u64,
    intents: &[Intent],
) -> Result<ScopeVersion, LedgerError> {
    ledger
        .save_decision(&DecidedScope {
            scope: f.scope(0),
            state,
            decision: &f.decision(0, decision),
            generation: PolicyGeneration(generation),
            intents,
            due: None,
        })
        .await
}

async fn seen(ledger: &dyn Ledger, f: &Fixtures) -> Result<ScopeSeen, LedgerError> {
    Ok(ledger.scope(f.scope(0)).await?.seen())
}

pub(super) async fn an_unknown_scope_is_empty(ledger: &dyn Ledger, f: &Fixtures) -> Held {
    let state = ledger.scope(f.scope(0)).await?;
    same("the scope", &state, &ScopeState::default())
}

pub(super) async fn a_decision_shows_its_intents_and_raises_the_version(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let first = vec![f.intent(0, 0, 0), f.intent(0, 0, 1)];
    let version = save(ledger, f, 0, 0, &first).await?;
    ensure(version > ScopeVersion(0), || {
        format!("the version is {version:?}")
    })?;
    let mut state = ledger.scope(f.scope(0)).await?;
    same("the version", &state.version, &version)?;
    state.intents.sort_by(|a, b| a.id.cmp(&b.id));
    let mut expected = first.clone();
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    same("the open intents", &state.intents, &expected)?;
    let second = vec![f.intent(0, 1, 0)];
    let next = save(ledger, f, version.0, 1, &second).await?;
    ensure(next > version, || {
        format!("{version:?} was followed by {next:?}")
    })?;
    let all = ids(&[first, second].concat());
    same("the open intents", &open(ledger, f).await?, &all)
}

pub(super) async fn a_decision_on_an_old_version_is_refused_and_leaves_nothing(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let first = [f.intent(0, 0, 0)];
    let version = save(ledger, f, 0, 0, &first).await?;
    let late = [f.intent(0, 1, 0), f.intent(0, 1, 1)];
    conflict(
        "a decision on version 0",
        &save(ledger, f, 0, 1, &late).await,
    )?;
    let ahead = save(ledger, f, version.0 + 5, 1, &late).await;
    conflict("a decision on a version that never was", &ahead)?;
    let state = ledger.scope(f.scope(0)).await?;
    same("the version", &state.version, &version)?;
    same("the open intents", &ids(&state.intents), &ids(&first))
}

pub(super) async fn a_repeated_decision_succeeds_and_changes_nothing(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let intents = [f.intent(0, 0, 0)];
    let version = save(ledger, f, 0, 0, &intents).await?;
    let before = ledger.scope(f.scope(0)).await?;
    let again = save(ledger, f, 0, 0, &intents).await?;
    same("the version of the repetition", &again, &version)?;
    same("the scope", &ledger.scope(f.scope(0)).await?, &before)
}

pub(super) async fn a_repeated_decision_does_not_reopen_what_is_settled(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let intent = f.intent(0, 0, 0);
    let intents = std::slice::from_ref(&intent);
    save(ledger, f, 0, 0, intents).await?;
    ledger.settle(&f.settlement(&intent, 1)).await?;
    save(ledger, f, 0, 0, intents).await?;
    same(
        "the open intents",
        &open(ledger, f).await?,
        &BTreeSet::new(),
    )
}

pub(super) async fn of_decisions_at_once_one_is_saved_whole_and_the_others_not_at_all(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let rivals: Vec<Vec<Intent>> = (0..6_u64)
        .map(|n| (0..3).map(|place| f.intent(0, n, place)).collect())
        .collect();
    let saves = rivals
        .iter()
        .zip(0..)
        .map(|(intents, n)| save(ledger, f, 0, n, intents));
    let winner = one_winner(&futures::future::join_all(saves).await)?;
    same(
        "the open intents",
        &open(ledger, f).await?,
        &ids(&rivals[winner]),
    )
}

pub(super) async fn the_largest_decision_is_saved_whole(ledger: &dyn Ledger, f: &Fixtures) -> Held {
    let intents: Vec<Intent> = (0..LAUNCHES_PER_DECISION)
        .map(|place| f.intent(0, 0, place))
        .collect();
    save(ledger, f, 0, 0, &intents).await?;
    same("the open intents", &open(ledger, f).await?, &ids(&intents))
}

pub(super) async fn a_decision_s_generation_is_shown_with_its_scope(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let intents = [f.intent(0, 0, 0)];
    save_by(ledger, f, ScopeSeen::default(), 0, 7, &intents).await?;
    let state = seen(ledger, f).await?;
    same("the generation", &state.generation, &PolicyGeneration(7))?;
    // One that launches nothing raises it as well.
    save_by(ledger, f, state, 1, 8, &[]).await?;
    let generation = seen(ledger, f).await?.generation;
    same("the generation", &generation, &PolicyGeneration(8))?;
    let other = ledger.scope(f.scope(1)).await?.generation;
    same("the other scope's", &other, &PolicyGeneration(0))
}

pub(super) async fn a_generation_never_goes_down(ledger: &dyn Ledger, f: &Fixtures) -> Held {
    save_by(ledger, f, ScopeSeen::default(), 0, 7, &[]).await?;
    for (decision, lower) in [(1, 6), (2, 0)] {
        let state = seen(ledger, f).await?;
        let intents = [f.intent(0, decision, 0)];
        let version = save_by(ledger, f, state, decision, lower, &intents).await?;
        ensure(version > state.version, || {
            format!("{:?} was followed by {version:?}", state.version)
        })?;
        let generation = seen(ledger, f).await?.generation;
        same("the generation", &generation, &PolicyGeneration(7))?;
    }
    let unread = ScopeSeen {
        generation: PolicyGeneration(0),
        ..seen(ledger, f).await?
    };
    conflict(
        "a decision that had not read the generation",
        &save_by(ledger, f, unread, 3, 6, &[]).await,
    )?;
    let generation = seen(ledger, f).await?.generation;
    same("the generation", &generation, &PolicyGeneration(7))
}

pub(super) async fn a_repeated_decision_of_policies_changes_nothing(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let intents = [f.intent(0, 0, 0)];
    let version = save_by(ledger, f, ScopeSeen::default(), 0, 7, &intents).await?;
    let before = ledger.scope(f.scope(0)).await?;
    let again = save_by(ledger, f, ScopeSeen::default(), 0, 7, &intents).await?;
    same("the version of the repetition", &again, &version)?;
    same("the scope", &ledger.scope(f.scope(0)).await?, &before)
}

pub(super) async fn a_decision_on_an_old_version_does_not_raise_the_generation(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    save_by(ledger, f, ScopeSeen::default(), 0, 7, &[]).await?;
    conflict(
        "a decision on version 0",
        &save_by(ledger, f, ScopeSeen::default(), 1, 9, &[]).await,
    )?;
    let generation = seen(ledger, f).await?.generation;
    same("the generation", &generation, &PolicyGeneration(7))
}
