//! Claims about what belongs to no scope.

use stoker_intake::RepositoryId;

use super::{Fixtures, Held, conflict, ensure, one_winner, same};
use crate::ids::{PolicyGeneration, ScopeVersion};
use crate::ports::{DecidedScope, Due, Ledger, ScopeSeen, Shared, SharedItem};
use crate::time::Timestamp;

pub(super) async fn a_shared_item_is_written_only_over_the_revision_that_was_read(
    ledger: &dyn Ledger,
    _: &Fixtures,
) -> Held {
    for item in SharedItem::ALL {
        let before = ledger.shared(item).await?;
        let seen = before.revision;
        conflict(
            "a write over a revision that never was",
            &ledger.put_shared(item, seen + 1, "{}").await,
        )?;
        let body = format!("{{\"of\":\"{}\",\"größe\":1}}", item.as_str());
        ledger.put_shared(item, seen, &body).await?;
        let stored = Shared {
            revision: seen + 1,
            body,
        };
        same("the item", &ledger.shared(item).await?, &stored)?;
        conflict(
            "a second write over the same",
            &ledger.put_shared(item, seen, "{}").await,
        )?;
        let writers = (0..6).map(|_| ledger.put_shared(item, seen + 1, "{}"));
        one_winner(&futures::future::join_all(writers).await)?;
        let revision = ledger.shared(item).await?.revision;
        same("the revision", &revision, &(seen + 2))?;
    }
    Ok(())
}

/// What is due of the fixtures' own scopes.
async fn due(ledger: &dyn Ledger, f: &Fixtures, until: u64) -> Result<Vec<Due>, super::Seen> {
    let all = ledger.due(Timestamp(until), usize::MAX).await?;
    let ours = [f.scope(0), f.scope(1)];
    Ok(all
        .into_iter()
        .filter(|due| ours.contains(&due.scope))
        .collect())
}

pub(super) async fn what_is_due_is_listed_from_its_second_on_until_it_is_dropped(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let at = |seconds: u64, scope: u64| Due {
        at: Timestamp(f.now.0 + seconds),
        scope: f.scope(scope),
    };
    for entry in [at(20, 0), at(10, 1), at(30, 0), at(10, 1)] {
        ledger.put_due(&entry).await?;
    }
    same("what is due", &due(ledger, f, f.now.0 + 9).await?, &vec![])?;
    let first = vec![at(10, 1)];
    same("what is due", &due(ledger, f, f.now.0 + 10).await?, &first)?;
    let both = vec![at(10, 1), at(20, 0)];
    same("what is due", &due(ledger, f, f.now.0 + 29).await?, &both)?;
    let one = ledger.due(Timestamp(f.now.0 + 29), 1).await?;
    ensure(one.len() == 1, || format!("of at most one came {one:?}"))?;
    for entry in [at(10, 1), at(10, 1), at(77, 1)] {
        ledger.drop_due(&entry).await?;
    }
    let rest = vec![at(20, 0), at(30, 0)];
    same("what is due", &due(ledger, f, f.now.0 + 99).await?, &rest)
}

pub(super) async fn a_decision_that_is_saved_notes_when_its_scope_is_due(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let later = Timestamp(f.now.0 + 60);
    let scope = f.scope(0);
    let save = async |seen: u64, decision: u64, due: Timestamp| {
        ledger
            .save_decision(&DecidedScope {
                scope,
                state: ScopeSeen {
                    version: ScopeVersion(seen),
                    generation: PolicyGeneration(0),
                },
                decision: &f.decision(0, decision),
                generation: PolicyGeneration(0),
                intents: &[f.intent(0, decision, 0)],
                due: Some(due),
            })
            .await
    };
    save(0, 0, later).await?;
    let expected = vec![Due { at: later, scope }];
    same("what is due", &due(ledger, f, later.0).await?, &expected)?;
    // One that is refused leaves nothing.
    conflict(
        "a decision on an old version",
        &save(0, 1, Timestamp(later.0 - 1)).await,
    )?;
    same("what is due", &due(ledger, f, later.0).await?, &expected)
}

pub(super) async fn a_repository_is_found_by_the_name_that_was_noted_last(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let name = format!("acme/shop-{}", f.job_key(0).repository);
    same("the repository", &ledger.repository(&name).await?, &None)?;
    for id in [1, u64::from(u32::MAX) + 7] {
        let id = RepositoryId::new(id);
        ledger.name_repository(&name, id).await?;
        same(
            "the repository",
            &ledger.repository(&name).await?,
            &Some(id),
        )?;
    }
    Ok(())
}
