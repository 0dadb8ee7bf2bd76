//! Claims about runners.

use super::{Fixtures, Held, conflict, one_winner, same};
use crate::ports::Ledger;
use crate::runner::{Runner, RunnerPhase};

pub(super) async fn a_runner_is_written_only_over_the_revision_that_was_read(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let new = f.runner(&f.intent(0, 0, 0), 0);
    let unread = Runner {
        revision: 1,
        ..new.clone()
    };
    conflict(
        "a write over a revision that never was",
        &ledger.put_runner(&unread).await,
    )?;
    ledger.put_runner(&new).await?;
    conflict("a second first write", &ledger.put_runner(&new).await)?;
    let second = Runner {
        revision: 1,
        phase: RunnerPhase::Booting,
        ..new.clone()
    };
    ledger.put_runner(&second).await?;
    for revision in [0, 1, 3] {
        let wrong = Runner {
            revision,
            phase: RunnerPhase::Ended,
            ..new.clone()
        };
        let answer = ledger.put_runner(&wrong).await;
        conflict(&format!("a write over revision {revision} of 2"), &answer)?;
    }
    let stored = Some(Runner {
        revision: 2,
        ..second
    });
    same("the runner", &ledger.runner(&new.instance).await?, &stored)
}

pub(super) async fn of_writers_of_one_runner_at_once_exactly_one_wins(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let new = f.runner(&f.intent(0, 0, 0), 0);
    let writers: Vec<Runner> = (0..8)
        .map(|n| Runner {
            instance_type: format!("writer.{n}"),
            ..new.clone()
        })
        .collect();
    let puts = writers.iter().map(|runner| ledger.put_runner(runner));
    let winner = one_winner(&futures::future::join_all(puts).await)?;
    let stored = ledger.runner(&new.instance).await?;
    let expected = Some(format!("writer.{winner}"));
    same(
        "the runner",
        &stored.map(|runner| runner.instance_type),
        &expected,
    )
}

pub(super) async fn an_ended_runner_is_readable_and_not_in_its_scope(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let (ended, live) = {
        let intent = f.intent(0, 0, 0);
        (f.runner(&intent, 0), f.runner(&intent, 1))
    };
    ledger.put_runner(&ended).await?;
    ledger.put_runner(&live).await?;
    let ended = Runner {
        phase: RunnerPhase::Ended,
        revision: 1,
        ..ended
    };
    ledger.put_runner(&ended).await?;
    let state = ledger.scope(f.scope(0)).await?;
    let names: Vec<_> = state
        .runners
        .into_iter()
        .map(|runner| runner.name)
        .collect();
    same("the scope's runners", &names, &vec![live.name])?;
    let stored = Some(Runner {
        revision: 2,
        ..ended.clone()
    });
    same(
        "the ended runner",
        &ledger.runner(&ended.instance).await?,
        &stored,
    )
}

pub(super) async fn a_runner_is_found_by_its_instance_alone(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let runner = f.runner(&f.intent(1, 0, 0), 0);
    let unknown = ledger.runner(&runner.instance).await?;
    same("the runner", &unknown, &None)?;
    ledger.put_runner(&runner).await?;
    let found = ledger.runner(&runner.instance).await?;
    let scope = found.map(|runner| runner.scope);
    same("its scope", &scope, &Some(f.scope(1)))
}
