//! Requests to act, on a FIFO queue.

use std::collections::BTreeSet;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use stoker_aws::SqsActs;
use stoker_core::ports::{ActQueue as _, ActRequest};
use stoker_core::situation::Trigger;

use crate::{Aws, unique};

async fn queue(aws: &Aws) -> String {
    aws.clients
        .sqs
        .create_queue()
        .queue_name(unique("acts") + ".fifo")
        .attributes(QueueAttributeName::FifoQueue, "true")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap()
}

/// What lies in the queue: group and request.
async fn queued(aws: &Aws, url: &str) -> Vec<(String, ActRequest)> {
    let mut all = Vec::new();
    loop {
        let some = aws
            .clients
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .unwrap();
        if some.messages().is_empty() {
            return all;
        }
        for message in some.messages() {
            let group =
                message.attributes().unwrap()[&MessageSystemAttributeName::MessageGroupId].clone();
            all.push((
                group,
                serde_json::from_str(message.body().unwrap()).unwrap(),
            ));
            aws.clients
                .sqs
                .delete_message()
                .queue_url(url)
                .receipt_handle(message.receipt_handle().unwrap())
                .send()
                .await
                .unwrap();
        }
    }
}

fn request(scope: &str, folded: &str) -> ActRequest {
    ActRequest {
        scope: scope.parse().unwrap(),
        folded: folded.to_owned(),
        trigger: Trigger::Jobs,
    }
}

#[tokio::test]
async fn a_request_arrives_in_the_group_of_its_scope() {
    let aws = Aws::new().await;
    let url = queue(&aws).await;
    let acts = SqsActs::new(aws.clients.sqs.clone(), &url, "");
    acts.ask(&request("org-1", "a-1")).await.unwrap();
    acts.ask(&request("repo-7", "a-1")).await.unwrap();
    let queued: Vec<_> = queued(&aws, &url).await;
    assert_eq!(
        queued,
        [
            ("org-1".to_owned(), request("org-1", "a-1")),
            ("repo-7".to_owned(), request("repo-7", "a-1")),
        ]
    );
}

#[tokio::test]
async fn a_repetition_is_swallowed_and_another_fold_of_the_scope_is_not() {
    let aws = Aws::new().await;
    let url = queue(&aws).await;
    let acts = SqsActs::new(aws.clients.sqs.clone(), &url, "");
    let long = "x".repeat(300);
    for folded in ["a-1", "a-1", "a-2", &long, &long] {
        acts.ask(&request("org-1", folded)).await.unwrap();
    }
    let folds: BTreeSet<String> = queued(&aws, &url)
        .await
        .into_iter()
        .map(|(_, request)| request.folded)
        .collect();
    assert_eq!(
        folds,
        BTreeSet::from(["a-1".to_owned(), "a-2".to_owned(), long])
    );
}

#[tokio::test]
async fn what_is_asked_for_later_waits_in_the_intake_queue() {
    let aws = Aws::new().await;
    let url = queue(&aws).await;
    let intake = aws.clients.sqs.create_queue().queue_name(unique("intake"));
    let intake = intake.send().await.unwrap().queue_url.unwrap();
    let acts = SqsActs::new(aws.clients.sqs.clone(), &url, &intake);
    acts.ask_in(&request("org-1", "due-1"), 2).await.unwrap();
    // SQS refuses a longer delay than 900 seconds.
    acts.ask_in(&request("org-1", "due-2"), 5_000)
        .await
        .unwrap();
    let waiting = async || {
        let attributes = aws
            .clients
            .sqs
            .get_queue_attributes()
            .queue_url(&intake)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let of = |name| attributes.attributes().unwrap()[&name].clone();
        [
            of(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
            of(QueueAttributeName::ApproximateNumberOfMessages),
        ]
    };
    assert_eq!(waiting().await, ["2", "0"]);
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(waiting().await, ["1", "1"]);
    assert!(queued(&aws, &url).await.is_empty());
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_an_error_that_names_the_scope() {
    let aws = Aws::new().await;
    let url = format!("{}/123456789012/none.fifo", aws.endpoint);
    let error = SqsActs::new(aws.clients.sqs.clone(), url, "")
        .ask(&request("org-1", "a"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("org-1"), "{error}");
    assert!(error.contains("NonExistentQueue"), "{error}");
}
