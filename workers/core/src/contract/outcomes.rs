//! Claims about settlements.

use super::{Fixtures, Held, Seen, ensure, same};
use crate::ids::{PolicyGeneration, ScopeVersion};
use crate::intent::Intent;
use crate::ports::{DecidedScope, Ledger, LedgerError, ScopeSeen};
use crate::runner::{Runner, RunnerNews, RunnerPhase};

/// Saves a decision of one launch over a version.
async fn decided(
    ledger: &dyn Ledger,
    f: &Fixtures,
    seen: ScopeVersion,
    decision: u64,
) -> Result<(Intent, ScopeVersion), LedgerError> {
    let intent = f.intent(0, decision, 0);
    let generation = PolicyGeneration(0);
    let decided = DecidedScope {
        scope: f.scope(0),
        state: ScopeSeen {
            version: seen,
            generation,
        },
        decision: &intent.decision,
        generation,
        intents: std::slice::from_ref(&intent),
        due: None,
    };
    let version = ledger.save_decision(&decided).await?;
    Ok((intent, version))
}

async fn runner(ledger: &dyn Ledger, like: &Runner) -> Result<Runner, Seen> {
    ledger
        .runner(&like.instance)
        .await?
        .ok_or_else(|| Seen(format!("there is no runner on {}", like.instance)))
}

pub(super) async fn a_settlement_shows_the_runners_and_closes_the_intent(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (intent, version) = decided(ledger, f, ScopeVersion(0), 0).await?;
    let settlement = f.settlement(&intent, 2);
    ledger.settle(&settlement).await?;
    let expected: Vec<Runner> = settlement
        .runners
        .iter()
        .map(|runner| Runner {
            revision: 1,
            ..runner.clone()
        })
        .collect();
    let mut state = ledger.scope(f.scope(0)).await?;
    state.runners.sort_by(|a, b| a.instance.cmp(&b.instance));
    same("the scope's runners", &state.runners, &expected)?;
    same("the open intents", &state.intents, &Vec::new())?;
    ensure(state.version >= version, || {
        format!("{version:?} became {:?}", state.version)
    })?;
    for one in &expected {
        same("the runner", &runner(ledger, one).await?, one)?;
    }
    Ok(())
}

pub(super) async fn a_repeated_settlement_succeeds_and_changes_nothing(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (intent, _) = decided(ledger, f, ScopeVersion(0), 0).await?;
    let settlement = f.settlement(&intent, 2);
    ledger.settle(&settlement).await?;
    let before = ledger.scope(f.scope(0)).await?;
    ledger.settle(&settlement).await?;
    let after = ledger.scope(f.scope(0)).await?;
    same("the intents", &after.intents, &before.intents)?;
    for one in &before.runners {
        same("the runner", &runner(ledger, one).await?, one)?;
    }
    same(
        "the number of runners",
        &after.runners.len(),
        &before.runners.len(),
    )
}

pub(super) async fn a_runner_that_has_moved_on_is_not_put_back(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (intent, _) = decided(ledger, f, ScopeVersion(0), 0).await?;
    let settlement = f.settlement(&intent, 2);
    ledger.settle(&settlement).await?;
    for (known, news) in settlement
        .runners
        .iter()
        .zip([RunnerNews::Took(f.job_key(0)), RunnerNews::Gone])
    {
        let stored = runner(ledger, known).await?;
        if let Some(moved) = stored.fold(&news, f.now) {
            ledger.put_runner(&moved).await?;
        }
    }
    ledger.settle(&settlement).await?;
    let busy = runner(ledger, &settlement.runners[0]).await?;
    same(
        "the busy one",
        &busy.phase,
        &RunnerPhase::Busy { job: f.job_key(0) },
    )?;
    let gone = runner(ledger, &settlement.runners[1]).await?;
    same("the one that ended", &gone.phase, &RunnerPhase::Ended)?;
    let state = ledger.scope(f.scope(0)).await?;
    same("the scope's runners", &state.runners, &vec![busy])
}

pub(super) async fn a_settlement_does_not_mind_the_version(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (first, version) = decided(ledger, f, ScopeVersion(0), 0).await?;
    let (second, _) = decided(ledger, f, version, 1).await?;
    ledger.settle(&f.settlement(&first, 1)).await?;
    let state = ledger.scope(f.scope(0)).await?;
    same("the open intents", &state.intents, &vec![second])?;
    same("the number of runners", &state.runners.len(), &1)
}

pub(super) async fn a_launch_that_gave_nothing_is_closed_too(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (intent, _) = decided(ledger, f, ScopeVersion(0), 0).await?;
    ledger.settle(&f.settlement(&intent, 0)).await?;
    let state = ledger.scope(f.scope(0)).await?;
    ensure(state.intents.is_empty() && state.runners.is_empty(), || {
        format!("the scope is {state:?}")
    })
}

pub(super) async fn a_settlement_of_150_runners_is_saved_whole(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (intent, _) = decided(ledger, f, ScopeVersion(0), 0).await?;
    ledger.settle(&f.settlement(&intent, 150)).await?;
    let state = ledger.scope(f.scope(0)).await?;
    same("the number of runners", &state.runners.len(), &150)?;
    same("the open intents", &state.intents, &Vec::new())
}

pub(super) async fn a_settlement_that_found_more_adds_them(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (intent, _) = decided(ledger, f, ScopeVersion(0), 0).await?;
    ledger.settle(&f.settlement(&intent, 1)).await?;
    // Instances can be visible late: who took the launch up again may have found another.
    ledger.settle(&f.settlement(&intent, 2)).await?;
    let state = ledger.scope(f.scope(0)).await?;
    same("the number of runners", &state.runners.len(), &2)?;
    same("the open intents", &state.intents, &Vec::new())
}
