//! What is put aside, and handled once more.

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use stoker_aws::SqsMessages;
use stoker_aws::messages::Notes;

use crate::server::Aws;

async fn queue(aws: &Aws, name: &str) -> String {
    let made = aws.clients.sqs.create_queue().queue_name(name).send().await;
    made.unwrap().queue_url.unwrap()
}

async fn all(aws: &Aws, url: &str) -> Vec<Message> {
    let received = aws
        .clients
        .sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .visibility_timeout(0)
        .message_attribute_names("All")
        .send()
        .await;
    received.unwrap().messages.unwrap_or_default()
}

fn note(message: &Message, name: &str) -> Option<String> {
    let attribute = message.message_attributes()?.get(name)?;
    attribute.string_value().map(str::to_owned)
}

#[tokio::test]
async fn what_failed_is_handled_once_more_and_what_failed_again_or_is_unreadable_stays() {
    let aws = Aws::new().await;
    let [intake, acts, dead] = [
        queue(&aws, "redriven-events").await,
        queue(&aws, "redriven-acts").await,
        queue(&aws, "redriven-dead").await,
    ];
    let messages = SqsMessages::new(aws.clients.sqs.clone(), [intake.clone(), acts], &dead);
    for (body, why, is_redriven) in [
        ("fails", "failed", false),
        ("nonsense", "unreadable", false),
        ("fails again", "failed", true),
    ] {
        let notes = Notes {
            why,
            reason: "it is down",
            is_redriven,
        };
        messages
            .put_aside("arn:events", body, &notes)
            .await
            .unwrap();
    }
    let at_once = messages.clone().aside_for(0);
    assert_eq!(at_once.redrive("unreadable").await.unwrap(), (1, 2));
    let sent = all(&aws, &intake).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body(), Some("fails"));
    assert!(note(&sent[0], "redriven").is_some());
    assert_eq!(held(&aws, &dead).await, 2);

    // What was in the way of one that has just failed takes a while to pass.
    let notes = Notes {
        why: "failed",
        reason: "it is down",
        is_redriven: false,
    };
    messages
        .put_aside("arn:events", "young", &notes)
        .await
        .unwrap();
    assert_eq!(messages.redrive("unreadable").await.unwrap(), (0, 1));
    assert_eq!(held(&aws, &dead).await, 3);
}

/// How many messages a queue has, hidden ones included.
async fn held(aws: &Aws, url: &str) -> u32 {
    let asked = aws
        .clients
        .sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await;
    let attributes = asked.unwrap().attributes.unwrap();
    let count = |name| attributes[&name].parse::<u32>().unwrap();
    count(QueueAttributeName::ApproximateNumberOfMessages)
        + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
}
