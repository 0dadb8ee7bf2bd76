//! The clients themselves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use stoker_aws::ledger::create_table;
use stoker_aws::{ClientSettings, Clients, DynamoLedger};
use stoker_core::contract::Fixtures;
use stoker_core::ports::{Ledger as _, LedgerError};
use stoker_core::time::Timestamp;

use crate::faults::{Fault, Plan, Wire};
use crate::{Aws, clients_of, unique};

async fn config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(endpoint)
        .load()
        .await
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_error_in_words_and_soon() {
    // Taken, and closed again: nobody listens there.
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let config = config(&format!("http://127.0.0.1:{port}")).await;
    let clients = Clients::new(&config, &ClientSettings::default());
    let ledger = DynamoLedger::new(clients.dynamodb, "stoker");
    let begun = Instant::now();
    let error = ledger
        .job(Fixtures::new(Timestamp(1), 0).job_key(0))
        .await
        .unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(15));
    let LedgerError::Unavailable { problem, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(problem.contains("could not be reached"), "{problem}");
    assert!(!problem.contains("DispatchFailure"), "{problem}");
}

#[tokio::test]
async fn a_dynamodb_that_is_busy_is_asked_again_for_seconds() {
    let aws = Aws::new().await;
    let table = unique("ledger");
    create_table(&aws.clients.dynamodb, &table).await.unwrap();
    let f = Fixtures::new(Timestamp(1), 0);
    let busy: [&[Fault]; 2] = [
        &[Fault::Busy("ThrottlingException")],
        &[Fault::Cancelled("ThrottlingError")],
    ];
    for (faults, n) in busy.into_iter().zip(0..) {
        let plan = Plan {
            faults,
            every: 1,
            times: 7,
            ..Plan::default()
        };
        let wire = Wire::new(&aws.endpoint, plan);
        let clients = clients_of(&wire.endpoint).await;
        let ledger = DynamoLedger::new(clients.dynamodb, &table);
        let begun = Instant::now();
        ledger.put_job(&f.job(0, n)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(wire.struck()[&faults[0]], 7);
    }
}
