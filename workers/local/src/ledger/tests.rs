use stoker_core::contract::{
    Fixtures, as_an_older_stoker_wrote, check_ledger, older_job, older_runner,
};
use stoker_core::ids::PolicyGeneration;
use stoker_core::ports::{Clock as _, ScopeSeen};

use super::*;
use crate::clock::SystemClock;

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_memory_keeps_the_contract() {
    let ledger = SqliteLedger::new(Database::in_memory().unwrap());
    if let Err(breaches) = check_ledger(&ledger, SystemClock.now()).await {
        panic!("{breaches}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("ledger.sqlite")).unwrap();
    if let Err(breaches) = check_ledger(&SqliteLedger::new(database), SystemClock.now()).await {
        panic!("{breaches}");
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let f = Fixtures::new(SystemClock.now(), 1);
    let (job, intent) = (f.job(0, 0), f.intent(0, 0, 0));
    {
        let ledger = SqliteLedger::new(Database::open(&path).unwrap());
        ledger.put_job(&job).await.unwrap();
        let decided = DecidedScope {
            scope: job.scope,
            state: ScopeSeen::default(),
            decision: &intent.decision,
            generation: PolicyGeneration(3),
            intents: std::slice::from_ref(&intent),
            due: None,
        };
        ledger.save_decision(&decided).await.unwrap();
    }
    let ledger = SqliteLedger::new(Database::open(&path).unwrap());
    let state = ledger.scope(job.scope).await.unwrap();
    assert_eq!(state.jobs.len(), 1);
    assert_eq!(state.intents, [intent]);
    assert_eq!(state.generation, PolicyGeneration(3));
    assert_eq!(ledger.live_scopes().await.unwrap(), [job.scope]);
}

#[tokio::test]
async fn tombstones_are_forgotten_when_they_are_old_and_not_before() {
    let ledger = SqliteLedger::new(Database::in_memory().unwrap());
    let f = Fixtures::new(Timestamp(1_000_000), 1);
    let ended = |n, at| Job {
        phase: stoker_core::job::JobPhase::Ended,
        ended_at: Some(Timestamp(at)),
        ..f.job(0, n)
    };
    let (old, recent) = (ended(0, 1_000), ended(1, 2_000));
    ledger.put_job(&old).await.unwrap();
    ledger.put_job(&recent).await.unwrap();
    ledger.forget_ended_before(Timestamp(1_500)).await.unwrap();
    assert_eq!(ledger.job(old.key).await.unwrap(), None);
    assert!(ledger.job(recent.key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_runner_that_ended_is_forgotten_when_it_is_booked_and_old_and_a_live_one_never() {
    let ledger = SqliteLedger::new(Database::in_memory().unwrap());
    let f = Fixtures::new(Timestamp(1_000_000), 1);
    let [booked, unbooked, live] = [0, 1, 2].map(|n| Runner {
        phase_since: Timestamp(1_000),
        ..f.runner(&f.intent(0, 0, 0), n)
    });
    for runner in [&booked, &unbooked, &live] {
        ledger.put_runner(runner).await.unwrap();
    }
    for runner in [&booked, &unbooked] {
        let ended = Runner {
            phase: stoker_core::runner::RunnerPhase::Ended,
            revision: 1,
            ..runner.clone()
        };
        ledger.put_runner(&ended).await.unwrap();
    }
    ledger
        .book(
            f.scope(0),
            &Account::default(),
            std::slice::from_ref(&booked.instance),
        )
        .await
        .unwrap();
    ledger.forget_ended_before(Timestamp(1_500)).await.unwrap();
    assert_eq!(ledger.runner(&booked.instance).await.unwrap(), None);
    for kept in [&unbooked, &live] {
        assert!(ledger.runner(&kept.instance).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_item_of_an_older_stoker_is_read() {
    let ledger = SqliteLedger::new(Database::in_memory().unwrap());
    let f = Fixtures::new(Timestamp(1_000_000), 1);
    let job = f.job(0, 0);
    let runner = Runner {
        attempt: 3,
        interrupted: true,
        last_job: Some(job.key),
        ..f.runner(&f.intent(0, 0, 0), 0)
    };
    ledger.put_job(&job).await.unwrap();
    ledger.put_runner(&runner).await.unwrap();
    for table in ["jobs", "runners"] {
        ledger
            .database
            .with(move |connection| {
                let read = format!("SELECT item FROM {table}");
                let body: String = connection.query_row(&read, [], |row| row.get(0))?;
                let older = as_an_older_stoker_wrote(&body);
                connection.execute(&format!("UPDATE {table} SET item = ?"), [older])
            })
            .await
            .unwrap()
            .unwrap();
    }
    let revision = 1;
    let job = Job {
        revision,
        ..older_job(job)
    };
    let runner = Runner {
        revision,
        ..older_runner(runner)
    };
    let state = ledger.scope(job.scope).await.unwrap();
    assert_eq!(state.jobs, [job]);
    assert_eq!(state.runners, [runner]);
}

#[tokio::test]
async fn an_item_of_another_form_is_told_as_unreadable() {
    let ledger = SqliteLedger::new(Database::in_memory().unwrap());
    let job = Fixtures::new(Timestamp(1_000_000), 1).job(0, 0);
    ledger.put_job(&job).await.unwrap();
    ledger
        .database
        .with(|connection| connection.execute("UPDATE jobs SET item = '{}'", []))
        .await
        .unwrap()
        .unwrap();
    let told = ledger.job(job.key).await.unwrap_err();
    assert!(matches!(told, LedgerError::Unreadable { .. }), "{told}");
}
