//! The clients themselves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use stoker_aws::{ClientSettings, Clients, DynamoLedger};
use stoker_core::contract::Fixtures;
use stoker_core::ports::{Ledger as _, LedgerError};
use stoker_core::time::Timestamp;

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
