//! Runners that serve job after job.

use serde_json::json;
use stoker_tests::github::Level;

use crate::parts::payload::workflow_job;
use crate::parts::stack::{ORGANIZATION, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_runner_finds_its_registration_token_and_where_to_register() {
    let stack = Stack::start("persistent").await;
    stack.queue("guid-1", &workflow_job()).await;
    stack.settle().await;

    let instances = stack.aws.running().await;
    let [instance] = instances.as_slice() else {
        panic!("{instances:?}; {:#?}", stack.lambda.log());
    };
    let tokens = stack.github.state().registration_tokens();
    let [(level, token)] = tokens.as_slice() else {
        panic!("{tokens:?}");
    };
    assert_eq!(*level, Level::organization(ORGANIZATION));
    assert_eq!(
        stack.aws.configuration(&instance.id).await.unwrap(),
        json!({
            "version": 1,
            "mode": "persistent",
            "name": format!("stoker-e2e-{}", instance.id),
            "url": "https://github.example/octocoders",
            "token": token,
            "labels": ["self-hosted", "ubuntu-latest"],
            "ephemeral": false,
        })
    );
}
