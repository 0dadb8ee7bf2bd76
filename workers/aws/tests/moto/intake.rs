//! The intake queue as the webhook Lambda has it: what SQS answers decides whether it is asked again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use stoker_aws::{Delivered, SqsIntake};
use tokio::time::Instant;

use crate::wire::in_turn;
use crate::{Aws, clients_of, unique};

const TAKEN: (&str, &str) = ("200 OK", r#"{"MessageId":"m","MD5OfMessageBody":"x"}"#);

/// What becomes of a message that arrived so long ago, where SQS answers so, and how often SQS was asked.
async fn sent(answers: &[(&'static str, &'static str)], ago: u64) -> (Delivered, u32) {
    let (endpoint, asked) = in_turn(answers);
    let clients = clients_of(&endpoint).await;
    let queue = SqsIntake::new(&clients.sqs, format!("{endpoint}/1/intake"));
    let arrived = Instant::now() - Duration::from_secs(ago);
    let delivered = queue.send("m", 0, arrived).await;
    (delivered, asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_passes_is_tried_again_until_sqs_has_the_message() {
    let (delivered, asked) = sent(
        &[
            ("503 Service Unavailable", "{}"),
            ("429 Too Many Requests", "{}"),
            ("408 Request Timeout", "{}"),
            (
                "400 Bad Request",
                r#"{"__type":"com.amazonaws.sqs#RequestThrottled"}"#,
            ),
            ("400 Bad Request", r#"{"__type":"RequestLimitExceeded"}"#),
            TAKEN,
        ],
        0,
    )
    .await;
    assert!(delivered.sent, "{delivered:?}");
    assert_eq!((delivered.attempts, asked), (6, 6));
    assert_eq!(delivered.failed.unwrap().code, "RequestLimitExceeded");
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once() {
    let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}"#;
    let (delivered, asked) = sent(&[("403 Forbidden", denied), TAKEN], 0).await;
    assert!(!delivered.sent);
    assert_eq!(asked, 1);
    let failed = delivered.failed.unwrap();
    assert_eq!(
        (failed.code.as_str(), failed.status),
        ("AccessDeniedException", Some(403))
    );
    assert!(
        failed.problem.contains("allow sqs:SendMessage"),
        "{failed:?}"
    );
    // Whoever answers without a message's id is not SQS, and nothing says that the event is safe.
    let (delivered, asked) = sent(&[("200 OK", "{}"), TAKEN], 0).await;
    assert!(!delivered.sent);
    assert_eq!(
        (delivered.failed.unwrap().code.as_str(), asked),
        ("not_sqs", 1)
    );
}

#[tokio::test]
async fn nobody_is_asked_when_github_waits_no_longer() {
    let (delivered, asked) = sent(&[TAKEN], 8).await;
    assert_eq!((delivered.sent, delivered.attempts, asked), (false, 0, 0));
}

#[tokio::test]
async fn work_is_hidden_for_as_long_as_it_is_to_be() {
    let aws = Aws::new().await;
    let made = aws.clients.sqs.create_queue().queue_name(unique("intake"));
    let url = made.send().await.unwrap().queue_url.unwrap();
    let queue = SqsIntake::new(&aws.clients.sqs, &url);
    for (message, delay) in [("news", 0), ("work", 900)] {
        assert!(queue.send(message, delay, Instant::now()).await.sent);
    }
    let received = aws.clients.sqs.receive_message().queue_url(&url);
    let received = received.max_number_of_messages(10).send().await.unwrap();
    let bodies: Vec<_> = received.messages().iter().map(|m| m.body()).collect();
    assert_eq!(bodies, [Some("news")]);
}
