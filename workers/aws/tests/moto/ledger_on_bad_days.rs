//! The whole contract of ledgers, while the wire to DynamoDB misbehaves.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use stoker_aws::DynamoLedger;
use stoker_aws::ledger::create_table;
use stoker_core::contract::check_ledger;
use stoker_core::time::Timestamp;

use crate::faults::{ALL, BUSY, Fault, LOST, MET, Plan, Wire};
use crate::{Aws, clients_of, unique};

/// The real time, and any: each run has a table of its own.
const NOW: Timestamp = Timestamp(1_900_000_000);

/// How often each fault strikes at least, or the plan does not do what it should. Writes of one item are few
/// in the contract.
fn at_least(fault: Fault) -> usize {
    if fault == Fault::Met { 1 } else { 20 }
}

/// A client as it is in production, but for what only costs time here: its pauses, and the SDK's limit on
/// how many of all requests may be repeated, which is far above what any day but these brings.
fn hurried(client: &Client) -> Client {
    let config = client.config();
    let retries = config.retry_config().unwrap().clone();
    let config = config
        .to_builder()
        .retry_config(retries.with_initial_backoff(Duration::from_millis(1)))
        .retry_partition(
            RetryPartition::custom(unique("retries"))
                .token_bucket(TokenBucket::unlimited())
                .build(),
        )
        .build();
    Client::from_conf(config)
}

/// Tries all claims on a ledger behind such a wire.
async fn keeps_the_contract(plan: Plan) {
    let aws = Aws::new().await;
    let table = unique("ledger");
    create_table(&aws.clients.dynamodb, &table).await.unwrap();
    let wire = Wire::new(&aws.endpoint, plan);
    let client = hurried(&clients_of(&wire.endpoint).await.dynamodb);
    let held = check_ledger(&DynamoLedger::new(client, &table), NOW).await;
    let struck = wire.struck();
    if let Err(breaches) = held {
        panic!("{plan:?}: {breaches}");
    }
    for fault in plan.faults {
        let times = struck.get(fault).copied().unwrap_or_default();
        assert!(
            times >= at_least(*fault),
            "{fault:?} struck {times} times: {plan:?}"
        );
    }
    if plan.small_pages {
        assert!(wire.cut_pages() >= 100, "{}", wire.cut_pages());
    }
}

#[tokio::test]
async fn it_is_kept_while_answers_to_writes_get_lost() {
    for from in 0..2 {
        keeps_the_contract(Plan {
            faults: LOST,
            every: 2,
            from,
            times: 1,
            ..Plan::default()
        })
        .await;
    }
}

#[tokio::test]
async fn it_is_kept_while_the_answer_to_each_write_gets_lost_twice() {
    keeps_the_contract(Plan {
        faults: LOST,
        every: 1,
        from: 0,
        times: 2,
        ..Plan::default()
    })
    .await;
}

#[tokio::test]
async fn it_is_kept_while_dynamodb_is_busy() {
    for from in 0..2 {
        keeps_the_contract(Plan {
            faults: BUSY,
            every: 2,
            from,
            times: 2,
            ..Plan::default()
        })
        .await;
    }
}

#[tokio::test]
async fn it_is_kept_while_writes_meet_other_transactions() {
    for from in 0..2 {
        keeps_the_contract(Plan {
            faults: MET,
            every: 2,
            from,
            times: 1,
            ..Plan::default()
        })
        .await;
    }
}

#[tokio::test]
async fn it_is_kept_in_pages_of_one_to_three_items() {
    keeps_the_contract(Plan {
        small_pages: true,
        every: 1,
        ..Plan::default()
    })
    .await;
}

#[tokio::test]
async fn it_is_kept_while_all_of_that_happens() {
    for from in 0..2 {
        keeps_the_contract(Plan {
            faults: ALL,
            every: 2,
            from,
            times: 1,
            small_pages: true,
        })
        .await;
    }
}
