//! The ledger's items over time: those of newer and older Stokers, and when they are forgotten.

use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use stoker_core::account::Account;
use stoker_core::contract::{as_an_older_stoker_wrote, older_job, older_runner};
use stoker_core::job::{Job, JobPhase};
use stoker_core::ports::{Due, Ledger as _, LedgerError, SharedItem};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_intake::RepositoryId;

use crate::ledger::{Given, job_pk, now};

type Item = std::collections::HashMap<String, AttributeValue>;

/// The key of an item.
fn key(item: &Item) -> (String, String) {
    let part = |name: &str| item[name].as_s().unwrap().clone();
    (part("pk"), part("sk"))
}

impl Given {
    async fn all(&self) -> Vec<Item> {
        let scan = self.aws.clients.dynamodb.scan().table_name(&self.table);
        let answer = scan.send().await.unwrap();
        assert_eq!(answer.last_evaluated_key(), None);
        answer.items().to_vec()
    }

    /// Writes one item of each kind, live and ended.
    async fn write_everything(&self) {
        let (ledger, f) = (&self.ledger, self.fixtures);
        let launches = [f.intent(0, 0, 0), f.intent(0, 0, 1)];
        self.decide(&launches[0].decision, &launches).await.unwrap();
        ledger.settle(&f.settlement(&launches[0], 2)).await.unwrap();
        ledger.put_job(&f.job(0, 0)).await.unwrap();
        ledger
            .put_job(&Job {
                phase: JobPhase::Ended,
                ended_at: Some(now()),
                ..f.job(0, 1)
            })
            .await
            .unwrap();
        ledger
            .put_runner(&Runner {
                phase: RunnerPhase::Ended,
                revision: 1,
                ..f.runner(&launches[0], 1)
            })
            .await
            .unwrap();
        ledger
            .book(f.scope(0), &Account::default(), &[])
            .await
            .unwrap();
        ledger
            .put_shared(SharedItem::Budget, 0, "{}")
            .await
            .unwrap();
        let (at, scope) = (now(), f.scope(0));
        ledger.put_due(&Due { at, scope }).await.unwrap();
        ledger
            .name_repository("acme/shop", RepositoryId::new(1))
            .await
            .unwrap();
    }

    /// Reads whatever there may be, and what each was answered by.
    async fn read_everything(&self) -> Vec<(&'static str, Result<(), LedgerError>)> {
        let (ledger, f) = (&self.ledger, self.fixtures);
        let runner = f.runner(&f.intent(0, 0, 0), 0);
        vec![
            ("job", ledger.job(f.job_key(0)).await.map(|_| ())),
            ("tombstone", ledger.job(f.job_key(1)).await.map(|_| ())),
            ("runner", ledger.runner(&runner.instance).await.map(|_| ())),
            ("scope", ledger.scope(f.scope(0)).await.map(|_| ())),
            (
                "shared",
                ledger.shared(SharedItem::Budget).await.map(|_| ()),
            ),
            ("due", ledger.due(now(), 1).await.map(|_| ())),
            (
                "repository",
                ledger.repository("acme/shop").await.map(|_| ()),
            ),
        ]
    }
}

#[tokio::test]
async fn an_item_of_a_newer_stoker_is_refused_and_named_whatever_it_is() {
    let given = Given::new().await;
    given.write_everything().await;
    for (what, answer) in given.read_everything().await {
        assert!(answer.is_ok(), "{what}: {answer:?}");
    }
    for item in given.all().await {
        let (pk, sk) = key(&item);
        let newer = AttributeValue::N("2".to_owned());
        given.set(pk, &sk, "schema", newer).await;
    }
    for (what, answer) in given.read_everything().await {
        let error = answer.unwrap_err();
        assert!(
            matches!(error, LedgerError::Unreadable { .. }),
            "{what}: {error:?}"
        );
        let words = error.to_string();
        assert!(words.contains("its `schema` is 2"), "{words}");
        assert!(words.contains("finish the upgrade"), "{words}");
    }
}

#[tokio::test]
async fn a_scope_is_refused_if_any_item_in_it_is_of_a_newer_stoker() {
    let given = Given::new().await;
    given.write_everything().await;
    let scope = given.fixtures.scope(0);
    let pk = format!("scope#{scope}");
    let mut kinds = 0;
    for item in given.all().await {
        let (found, sk) = key(&item);
        if found != pk {
            continue;
        }
        let of = |schema: &str| AttributeValue::N(schema.to_owned());
        given.set(pk.clone(), &sk, "schema", of("2")).await;
        let error = given.ledger.scope(scope).await.unwrap_err();
        assert!(error.to_string().contains(&sk), "{sk}: {error}");
        given.set(pk.clone(), &sk, "schema", of("1")).await;
        kinds += 1;
    }
    assert_eq!(
        kinds, 6,
        "of the scope, its account, launch, job and runners"
    );
    given.ledger.scope(scope).await.unwrap();
}

#[tokio::test]
async fn an_item_of_an_older_stoker_is_read_and_written_over() {
    let given = Given::new().await;
    let f = given.fixtures;
    let launch = f.intent(0, 0, 0);
    let (job, runner) = (f.job(0, 0), f.runner(&launch, 0));
    given
        .decide(&launch.decision, std::slice::from_ref(&launch))
        .await
        .unwrap();
    given.ledger.put_job(&job).await.unwrap();
    let taken = Runner {
        attempt: 3,
        interrupted: true,
        last_job: Some(job.key),
        ..runner.clone()
    };
    given.ledger.put_runner(&taken).await.unwrap();
    for item in given.all().await {
        let (pk, sk) = key(&item);
        if let Some(body) = item.get("body") {
            let older = as_an_older_stoker_wrote(body.as_s().unwrap());
            given.set(pk, &sk, "body", AttributeValue::S(older)).await;
        }
    }
    let older = |revision: u64| {
        let job = Job {
            revision,
            ..older_job(job.clone())
        };
        let runner = Runner {
            revision,
            ..older_runner(runner.clone())
        };
        (job, runner)
    };
    let (read_job, read_runner) = older(1);
    let state = given.ledger.scope(f.scope(0)).await.unwrap();
    assert_eq!(state.jobs, std::slice::from_ref(&read_job));
    assert_eq!(state.runners, std::slice::from_ref(&read_runner));
    assert_eq!(state.intents, [launch]);
    let found = given.ledger.job(job.key).await.unwrap();
    assert_eq!(found.as_ref(), Some(&read_job));
    given.ledger.put_job(&read_job).await.unwrap();
    given.ledger.put_runner(&read_runner).await.unwrap();
    let (written_job, written_runner) = older(2);
    let found = given.ledger.job(job.key).await.unwrap();
    assert_eq!(found, Some(written_job));
    let found = given.ledger.runner(&runner.instance).await.unwrap();
    assert_eq!(found, Some(written_runner));
}

#[tokio::test]
async fn nothing_but_what_has_ended_is_ever_forgotten() {
    let given = Given::new().await;
    given.write_everything().await;
    let f = given.fixtures;
    let ended = f.runner(&f.intent(0, 0, 0), 1).instance;
    let mut forgotten: Vec<_> = given
        .all()
        .await
        .iter()
        .filter(|item| item.contains_key("expires_at"))
        .map(key)
        .collect();
    forgotten.sort();
    let expected = [
        (job_pk(&f.job(0, 1)), "job".to_owned()),
        (format!("runner#{ended}"), "runner".to_owned()),
    ];
    assert_eq!(forgotten, expected);
    let table = given
        .aws
        .clients
        .dynamodb
        .describe_time_to_live()
        .table_name(&given.table)
        .send()
        .await
        .unwrap();
    let ttl = table.time_to_live_description().unwrap();
    assert_eq!(ttl.attribute_name(), Some("expires_at"));
    assert_eq!(ttl.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
}
