//! The ledger, in a table.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use stoker_aws::DynamoLedger;
use stoker_aws::ledger::create_table;
use stoker_core::contract::{Fixtures, check_ledger};
use stoker_core::ids::{DecisionId, IntentId, PolicyGeneration, ScopeVersion};
use stoker_core::intent::Intent;
use stoker_core::job::{Job, JobPhase, TOMBSTONE_KEPT};
use stoker_core::ports::{DecidedScope, Ledger as _, LedgerError, ScopeSeen};
use stoker_core::runner::{Runner, RunnerPhase};
use stoker_core::time::Timestamp;

use crate::{Aws, unique};

pub(crate) struct Given {
    pub(crate) aws: Aws,
    pub(crate) table: String,
    pub(crate) ledger: DynamoLedger,
    pub(crate) fixtures: Fixtures,
}

impl Given {
    pub(crate) async fn new() -> Self {
        let aws = Aws::new().await;
        let table = unique("ledger");
        create_table(&aws.clients.dynamodb, &table).await.unwrap();
        Self {
            ledger: DynamoLedger::new(aws.clients.dynamodb.clone(), &table),
            fixtures: Fixtures::new(now(), 0),
            table,
            aws,
        }
    }

    pub(crate) async fn item(
        &self,
        pk: String,
        sk: &str,
    ) -> Option<std::collections::HashMap<String, AttributeValue>> {
        self.aws
            .clients
            .dynamodb
            .get_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk.to_owned()))
            .send()
            .await
            .unwrap()
            .item
    }

    /// Saves a decision of the first scope, which was never decided before; no policies took it.
    pub(crate) async fn decide(
        &self,
        decision: &DecisionId,
        intents: &[Intent],
    ) -> Result<ScopeVersion, LedgerError> {
        let decided = DecidedScope {
            scope: self.fixtures.scope(0),
            state: ScopeSeen::default(),
            decision,
            generation: PolicyGeneration(0),
            intents,
            due: None,
        };
        self.ledger.save_decision(&decided).await
    }

    pub(crate) async fn set(&self, pk: String, sk: &str, name: &str, value: AttributeValue) {
        self.aws
            .clients
            .dynamodb
            .update_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk.to_owned()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .send()
            .await
            .unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
}

pub(crate) fn job_pk(job: &Job) -> String {
    format!("job#{}#{}", job.key.repository, job.key.check_run)
}

fn expiry(item: &std::collections::HashMap<String, AttributeValue>) -> Option<&str> {
    Some(item.get("expires_at")?.as_n().unwrap().as_str())
}

#[tokio::test]
async fn the_ledger_keeps_the_contract_of_all_ledgers() {
    let given = Given::new().await;
    if let Err(breaches) = check_ledger(&given.ledger, now()).await {
        panic!("{breaches}");
    }
}

#[tokio::test]
async fn a_tombstone_expires_four_days_after_the_jobs_end_and_a_live_job_never() {
    let given = Given::new().await;
    let job = given.fixtures.job(0, 0);
    given.ledger.put_job(&job).await.unwrap();
    let live = given.item(job_pk(&job), "job").await.unwrap();
    assert_eq!(expiry(&live), None);
    let ended = Job {
        phase: JobPhase::Ended,
        ended_at: Some(Timestamp(1_000)),
        revision: 1,
        ..job.clone()
    };
    given.ledger.put_job(&ended).await.unwrap();
    let tombstone = given.item(job_pk(&job), "job").await.unwrap();
    assert_eq!(
        expiry(&tombstone),
        Some((1_000 + TOMBSTONE_KEPT).to_string().as_str())
    );
    let copy = given
        .item(format!("scope#{}", job.scope), &job_pk(&job))
        .await;
    assert_eq!(copy, None);
}

#[tokio::test]
async fn a_late_queued_meets_the_tombstone_and_conflicts() {
    let given = Given::new().await;
    let queued = given.fixtures.job(0, 0);
    let ended = Job {
        phase: JobPhase::Ended,
        ended_at: Some(now()),
        ..queued.clone()
    };
    given.ledger.put_job(&ended).await.unwrap();
    let late = given.ledger.put_job(&queued).await;
    assert!(matches!(late, Err(LedgerError::Conflict(_))), "{late:?}");
    let stored = given.ledger.job(queued.key).await.unwrap().unwrap();
    assert_eq!(stored.phase, JobPhase::Ended);
    assert!(
        given
            .ledger
            .scope(queued.scope)
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
}

#[tokio::test]
async fn an_ended_runner_leaves_its_scope_and_is_forgotten_four_days_later() {
    let given = Given::new().await;
    let runner = given.fixtures.runner(&given.fixtures.intent(0, 0, 0), 0);
    given.ledger.put_runner(&runner).await.unwrap();
    let ended = Runner {
        phase: RunnerPhase::Ended,
        phase_since: Timestamp(1_000),
        revision: 1,
        ..runner.clone()
    };
    given.ledger.put_runner(&ended).await.unwrap();
    let item = given
        .item(format!("runner#{}", runner.instance), "runner")
        .await
        .unwrap();
    assert_eq!(expiry(&item), Some("346600"));
    assert!(
        given
            .ledger
            .scope(runner.scope)
            .await
            .unwrap()
            .runners
            .is_empty()
    );
}

#[tokio::test]
async fn a_scope_of_many_pages_is_read_whole_whoever_cuts_them() {
    let given = Given::new().await;
    let f = given.fixtures;
    let scope = f.scope(0);
    // 60 times 30 KB is more than the megabyte after which DynamoDB itself begins a new page.
    for n in 0..60 {
        let job = Job {
            name: "n".repeat(30_000),
            ..f.job(0, n)
        };
        given.ledger.put_job(&job).await.unwrap();
    }
    let intents: Vec<Intent> = (0..7).map(|place| f.intent(0, 0, place)).collect();
    given.decide(&f.decision(0, 0), &intents).await.unwrap();
    given
        .ledger
        .settle(&f.settlement(&intents[0], 5))
        .await
        .unwrap();
    let whole = given.ledger.scope(scope).await.unwrap();
    assert_eq!(whole.jobs.len(), 60);
    assert_eq!(whole.runners.len(), 5);
    assert_eq!(whole.intents.len(), 6);
    assert_eq!(whole.version, ScopeVersion(1));
    let small = given.ledger.clone().page_size(7);
    assert_eq!(small.scope(scope).await.unwrap(), whole);
}

#[tokio::test]
async fn a_decision_repeated_is_saved_once_and_anothers_is_a_conflict() {
    let given = Given::new().await;
    let f = given.fixtures;
    let intents = [f.intent(0, 0, 0)];
    for _ in 0..2 {
        let version = given.decide(&f.decision(0, 0), &intents).await;
        assert_eq!(version.unwrap(), ScopeVersion(1));
    }
    let other = given.decide(&f.decision(0, 1), &[]).await;
    assert!(matches!(other, Err(LedgerError::Conflict(_))), "{other:?}");
}

#[tokio::test]
async fn a_decision_keeps_what_else_is_known_of_its_scope() {
    let given = Given::new().await;
    let f = given.fixtures;
    let pk = format!("scope#{}", f.scope(0));
    let of_another = AttributeValue::N("7".to_owned());
    given
        .set(pk.clone(), "scope", "of_another", of_another.clone())
        .await;
    given.decide(&f.decision(0, 0), &[]).await.unwrap();
    let scope = given.item(pk, "scope").await.unwrap();
    assert_eq!(scope["of_another"], of_another);
    assert_eq!(scope["version"], AttributeValue::N("1".to_owned()));
}

#[tokio::test]
async fn a_scope_that_was_decided_before_there_were_generations_has_seen_none_and_gets_one() {
    let given = Given::new().await;
    let f = given.fixtures;
    let pk = format!("scope#{}", f.scope(0));
    for (name, value) in [
        ("version", AttributeValue::N("3".to_owned())),
        ("schema", AttributeValue::N("1".to_owned())),
        ("decision", AttributeValue::S("old".to_owned())),
    ] {
        given.set(pk.clone(), "scope", name, value).await;
    }
    let seen = given.ledger.scope(f.scope(0)).await.unwrap().seen();
    assert_eq!(seen.version, ScopeVersion(3));
    assert_eq!(seen.generation, PolicyGeneration(0));
    let decided = DecidedScope {
        scope: f.scope(0),
        state: seen,
        decision: &f.decision(0, 0),
        generation: PolicyGeneration(7),
        intents: &[],
        due: None,
    };
    given.ledger.save_decision(&decided).await.unwrap();
    let after = given.ledger.scope(f.scope(0)).await.unwrap().seen();
    assert_eq!(after.version, ScopeVersion(4));
    assert_eq!(after.generation, PolicyGeneration(7));
}

#[tokio::test]
async fn a_decision_of_more_launches_than_a_transaction_takes_is_refused_in_words() {
    let given = Given::new().await;
    let f = given.fixtures;
    let intents: Vec<Intent> = (0..100).map(|place| f.intent(0, 0, place)).collect();
    let answer = given.decide(&f.decision(0, 0), &intents).await;
    assert!(answer.unwrap_err().to_string().contains("100 launches"));
    let saved = given.decide(&f.decision(0, 0), &intents[2..]).await;
    assert_eq!(saved.unwrap(), ScopeVersion(1));
}

#[tokio::test]
async fn an_outcome_adds_what_is_new_among_what_is_known_whatever_the_order() {
    let given = Given::new().await;
    let f = given.fixtures;
    let intent = f.intent(0, 0, 0);
    let settlement = f.settlement(&intent, 120);
    // Known before, in both of the transactions that the outcome takes; one of them has ended.
    for n in [3, 60, 119] {
        given
            .ledger
            .put_runner(&settlement.runners[n])
            .await
            .unwrap();
    }
    let ended = Runner {
        phase: RunnerPhase::Ended,
        revision: 1,
        ..settlement.runners[60].clone()
    };
    given.ledger.put_runner(&ended).await.unwrap();
    given.ledger.settle(&settlement).await.unwrap();
    let state = given.ledger.scope(f.scope(0)).await.unwrap();
    let instances: BTreeSet<_> = state.runners.iter().map(|r| &r.instance).collect();
    assert_eq!(instances.len(), 119);
    assert!(!instances.contains(&ended.instance));
    assert!(state.intents.is_empty());
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error_in_dynamodbs_words() {
    let aws = Aws::new().await;
    let ledger = DynamoLedger::new(aws.clients.dynamodb.clone(), "none");
    let f = Fixtures::new(now(), 0);
    let answers = [
        ledger.job(f.job_key(0)).await.map(|_| ()),
        ledger.scope(f.scope(0)).await.map(|_| ()),
        ledger.put_job(&f.job(0, 0)).await,
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(
            matches!(error, LedgerError::Unavailable { .. }),
            "{error:?}"
        );
        let words = error.to_string();
        assert!(words.contains("ResourceNotFoundException"), "{words}");
        assert!(!words.contains("ServiceError"), "{words}");
    }
}

#[tokio::test]
async fn an_intent_is_read_back_to_the_letter() {
    let given = Given::new().await;
    let f = given.fixtures;
    let intent = Intent {
        id: IntentId("0".repeat(32)),
        price: 0.1 + 0.2,
        ..f.intent(0, 0, 0)
    };
    given
        .decide(&f.decision(0, 0), std::slice::from_ref(&intent))
        .await
        .unwrap();
    assert_eq!(
        given.ledger.scope(f.scope(0)).await.unwrap().intents,
        [intent]
    );
}
