//! Claims about jobs.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _};

use super::{Fixtures, Held, conflict, ensure, one_winner, same};
use crate::ids::{JobKey, PolicyGeneration, ScopeVersion};
use crate::job::{Job, JobPhase, fold};
use crate::ports::{DecidedScope, Ledger, LedgerError, ScopeSeen};

/// How many writes of a claim go at once: enough to be quick on a ledger behind a network.
const WRITTEN_AT_ONCE: usize = 16;

fn ended(job: Job, f: &Fixtures) -> Job {
    Job {
        phase: JobPhase::Ended,
        conclusion: Some("success".to_owned()),
        ended_at: Some(f.now),
        ..job
    }
}

async fn shown(ledger: &dyn Ledger, f: &Fixtures, scope: u64) -> Result<Vec<JobKey>, LedgerError> {
    let state = ledger.scope(f.scope(scope)).await?;
    let mut keys: Vec<JobKey> = state.jobs.iter().map(|job| job.key).collect();
    keys.sort();
    Ok(keys)
}

pub(super) async fn what_was_never_written_is_not_there(ledger: &dyn Ledger, f: &Fixtures) -> Held {
    same("the job", &ledger.job(f.job_key(0)).await?, &None)?;
    let runner = f.runner(&f.intent(0, 0, 0), 0);
    same("the runner", &ledger.runner(&runner.instance).await?, &None)
}

pub(super) async fn a_written_job_is_read_back_to_the_letter_one_revision_on(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let whole = Job {
        runner_name: Some("stoker-test-i-1".to_owned()),
        branch: Some("main".to_owned()),
        ..f.job(0, 0)
    };
    let bare = Job {
        labels: None,
        workflow: None,
        last_deferral: None,
        installation: None,
        job_id: None,
        ..f.job(0, 1)
    };
    let no_labels = Job {
        labels: Some(Vec::new()),
        ..f.job(0, 2)
    };
    for job in [whole, bare, no_labels] {
        ledger.put_job(&job).await?;
        let stored = Some(Job {
            revision: 1,
            ..job.clone()
        });
        same("the job", &ledger.job(job.key).await?, &stored)?;
        let state = ledger.scope(job.scope).await?;
        let shown = state.jobs.into_iter().find(|other| other.key == job.key);
        same("the scope's job", &shown, &stored)?;
    }
    Ok(())
}

pub(super) async fn a_job_is_written_only_over_the_revision_that_was_read(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let new = f.job(0, 0);
    let unread = Job {
        revision: 1,
        ..new.clone()
    };
    conflict(
        "a write over a revision that never was",
        &ledger.put_job(&unread).await,
    )?;
    ledger.put_job(&new).await?;
    conflict("a second first write", &ledger.put_job(&new).await)?;
    let second = Job {
        revision: 1,
        name: "second".to_owned(),
        ..new.clone()
    };
    ledger.put_job(&second).await?;
    for revision in [0, 1, 3] {
        let wrong = Job {
            revision,
            name: "wrong".to_owned(),
            ..new.clone()
        };
        let answer = ledger.put_job(&wrong).await;
        conflict(&format!("a write over revision {revision} of 2"), &answer)?;
    }
    let stored = Some(Job {
        revision: 2,
        ..second
    });
    same(
        "the job after refused writes",
        &ledger.job(new.key).await?,
        &stored,
    )
}

pub(super) async fn of_writers_of_one_job_at_once_exactly_one_wins(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    for revision in [0, 1] {
        let writers: Vec<Job> = (0..8)
            .map(|n| Job {
                revision,
                name: format!("writer {n}"),
                ..f.job(0, 0)
            })
            .collect();
        let puts = writers.iter().map(|job| ledger.put_job(job));
        let winner = one_winner(&futures::future::join_all(puts).await)?;
        let stored = ledger
            .job(f.job_key(0))
            .await?
            .map(|job| (job.name, job.revision));
        let expected = Some((format!("writer {winner}"), revision + 1));
        same("the job", &stored, &expected)?;
    }
    Ok(())
}

pub(super) async fn a_scope_shows_the_jobs_that_have_not_ended_and_no_others(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    for n in 0..3 {
        ledger.put_job(&f.job(0, n)).await?;
    }
    same(
        "the scope",
        &shown(ledger, f, 0).await?,
        &vec![f.job_key(0), f.job_key(1), f.job_key(2)],
    )?;
    let taken = Job {
        phase: JobPhase::InProgress,
        revision: 1,
        ..f.job(0, 0)
    };
    ledger.put_job(&taken).await?;
    ledger
        .put_job(&Job {
            revision: 1,
            ..ended(f.job(0, 1), f)
        })
        .await?;
    // Heard of for the first time when it has ended.
    ledger.put_job(&ended(f.job(0, 3), f)).await?;
    let mut left = vec![f.job_key(0), f.job_key(2)];
    left.sort();
    same("the scope", &shown(ledger, f, 0).await?, &left)
}

pub(super) async fn a_tombstone_is_readable_and_no_late_queued_brings_it_back(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let tombstone = ended(f.job(0, 0), f);
    ledger.put_job(&tombstone).await?;
    let known = ledger.job(tombstone.key).await?;
    same(
        "the tombstone",
        &known,
        &Some(Job {
            revision: 1,
            ..tombstone
        }),
    )?;
    let event = f.queued_event(0, 0);
    if let Some(job) = fold(known.as_ref(), &event, f.scope(0), f.now) {
        // What else the event tells may be kept.
        ledger.put_job(&job).await?;
    }
    let phase = ledger.job(f.job_key(0)).await?.map(|job| job.phase);
    same(
        "its phase after a late queued",
        &phase,
        &Some(JobPhase::Ended),
    )?;
    same("the scope", &shown(ledger, f, 0).await?, &Vec::new())
}

pub(super) async fn scopes_are_apart(ledger: &dyn Ledger, f: &Fixtures) -> Held {
    let intent = f.intent(0, 0, 0);
    ledger.put_job(&f.job(0, 0)).await?;
    ledger.put_job(&f.job(1, 1)).await?;
    ledger
        .save_decision(&DecidedScope {
            scope: f.scope(0),
            state: ScopeSeen::default(),
            decision: &intent.decision,
            generation: PolicyGeneration(1),
            intents: &[intent.clone(), f.intent(0, 0, 1)],
            due: None,
        })
        .await?;
    ledger.settle(&f.settlement(&intent, 1)).await?;
    same(
        "one scope",
        &shown(ledger, f, 0).await?,
        &vec![f.job_key(0)],
    )?;
    let other = ledger.scope(f.scope(1)).await?;
    same(
        "the other scope's version",
        &other.version,
        &ScopeVersion::default(),
    )?;
    ensure(
        other.runners.is_empty() && other.intents.is_empty() && other.jobs.len() == 1,
        || format!("the other scope is {other:?}"),
    )
}

pub(super) async fn a_scope_of_250_jobs_is_returned_whole(
    ledger: &dyn Ledger,
    f: &Fixtures,
) -> Held {
    let jobs: Vec<Job> = (0..250)
        .map(|n| Job {
            // Long enough that the whole exceeds one page of any ledger.
            name: format!("{n} {}", "x".repeat(5_000)),
            ..f.job(0, n)
        })
        .collect();
    let mut writes =
        stream::iter(jobs.iter().map(|job| ledger.put_job(job))).buffer_unordered(WRITTEN_AT_ONCE);
    while let Some(written) = writes.next().await {
        written?;
    }
    let state = ledger.scope(f.scope(0)).await?;
    let found: BTreeSet<JobKey> = state.jobs.iter().map(|job| job.key).collect();
    ensure(found.len() == 250 && state.jobs.len() == 250, || {
        format!(
            "{} jobs, of which {} different",
            state.jobs.len(),
            found.len()
        )
    })
}
