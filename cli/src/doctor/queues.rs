//! The queues: there, of the right kind, and moving.

use futures::future::join3;
use stoker_aws::inspect::QueueFacts;
use stoker_aws::{InspectError, Inspector};

use super::deployment::Deployment;
use super::finding::{Check, Finding};
use crate::tell::counted;

/// More messages than this wait only where nobody reads them, or too slowly: a batch is ten, and a burst of a
/// thousand jobs is folded within seconds.
const BACKLOG: u64 = 1_000;

/// AWS's own advice for a queue that feeds a Lambda, in its time-outs.
const TIMEOUTS: u64 = 6;

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Intake,
    Act,
    DeadLetters,
}

impl Role {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Intake => ("the intake queue", "INTAKE_QUEUE_URL"),
            Self::Act => ("the act queue", "ACT_QUEUE_URL"),
            Self::DeadLetters => ("the dead-letter queue", "DEAD_LETTER_QUEUE_URL"),
        }
    }
}

/// Asks about all three.
pub(super) async fn all(aws: &Inspector, deployment: &Deployment) -> Vec<Finding> {
    let settings = &deployment.settings;
    let one = async |role, url: &str| of(role, url, aws.queue(url).await, deployment);
    let (intake, act, dead) = join3(
        one(Role::Intake, &settings.intake_queue_url),
        one(Role::Act, &settings.act_queue_url),
        one(
            Role::DeadLetters,
            &deployment.handling.dead_letter_queue_url,
        ),
    )
    .await;
    [intake, act, dead].concat()
}

fn of(
    role: Role,
    url: &str,
    answer: Result<QueueFacts, InspectError>,
    deployment: &Deployment,
) -> Vec<Finding> {
    let receives = u64::from(deployment.handling.most_receives);
    match answer {
        Ok(facts) => judge(role, url, &facts, deployment.timeout, receives),
        Err(error) => {
            let (what, setting) = role.words();
            let remedy = format!("make the queue, or correct {setting}");
            vec![Check::Queues.unseen(format!("{what} {url}"), &error, &remedy)]
        }
    }
}

fn judge(role: Role, url: &str, queue: &QueueFacts, timeout: u64, receives: u64) -> Vec<Finding> {
    let (what, setting) = role.words();
    let name = url.rsplit('/').next().unwrap_or(url);
    let subject = format!("{what} {name}");
    let mut findings = Vec::new();
    if queue.is_fifo != (role == Role::Act) {
        let (is, should) = if queue.is_fifo {
            ("a FIFO queue", "a standard queue")
        } else {
            ("a standard queue", "a FIFO queue")
        };
        findings.push(Check::Queues.failure(
            &subject,
            format!("it is {is} and has to be {should}"),
            format!("make {should} and put its URL into {setting}; a queue can't be turned into the other kind"),
        ));
    }
    if role == Role::DeadLetters {
        if queue.waiting > 0 {
            findings.push(Check::Queues.warning(
                &subject,
                format!("{} that could not be handled", counted_here(queue.waiting)),
                "the tick sends each to the intake queue once more, after ten minutes. Of those that stay, read the \
                 attribute `reason` (aws sqs receive-message --message-attribute-names All); mend that, then send \
                 them to the queue that their attribute `queue` names, or purge them",
            ));
        }
    } else {
        findings.extend(consumed(&subject, queue, timeout, receives));
    }
    if !queue.is_encrypted {
        findings.push(Check::Queues.warning(
            &subject,
            "its messages are not encrypted at rest",
            "turn on SSE-SQS (SqsManagedSseEnabled), or give it a KMS key",
        ));
    }
    if findings.is_empty() {
        findings.push(Check::Queues.ok(format!("{subject}: {}", counted_here(queue.waiting))));
    }
    findings
}

/// What holds of queues that the Lambda reads.
fn consumed(subject: &str, queue: &QueueFacts, timeout: u64, receives: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if queue.waiting > BACKLOG {
        findings.push(Check::Queues.warning(
            subject,
            format!("{} in it", counted_here(queue.waiting)),
            "see that its event source mapping is enabled, and what the Lambda's log says; if it only has more to \
             do than it can, raise its reserved concurrency",
        ));
    }
    let least = timeout.saturating_mul(TIMEOUTS);
    if queue.visibility_timeout < least {
        findings.push(Check::Queues.warning(
            subject,
            format!(
                "its visibility time-out is {} s, less than six times the Lambda's time-out of {timeout} s: a \
                 message may be handled twice at once",
                queue.visibility_timeout
            ),
            format!("set its VisibilityTimeout to {least} s or more"),
        ));
    }
    if let Some(moved) = queue.max_receives.filter(|moved| *moved <= receives) {
        findings.push(Check::Queues.warning(
            subject,
            format!(
                "SQS moves a message away after {moved} deliveries, before the Lambda puts it aside with its \
                 reason (after {receives})"
            ),
            format!(
                "set maxReceiveCount of its redrive policy above MAX_RECEIVES ({receives}), such as to {}",
                receives * 2
            ),
        ));
    }
    findings
}

/// `1 message waits`, `2 messages wait`.
fn counted_here(waiting: u64) -> String {
    let count = usize::try_from(waiting).unwrap_or(usize::MAX);
    let verb = if waiting == 1 { "waits" } else { "wait" };
    format!("{} {verb}", counted(count, "message"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn sound(is_fifo: bool) -> QueueFacts {
        QueueFacts {
            is_fifo,
            visibility_timeout: 360,
            waiting: 0,
            is_encrypted: true,
            max_receives: Some(20),
        }
    }

    fn judged(role: Role, queue: &QueueFacts) -> Vec<Finding> {
        judge(
            role,
            "https://sqs.eu-west-1.amazonaws.com/1/q",
            queue,
            60,
            10,
        )
    }

    #[test]
    fn sound_queues_are_said_so() {
        for (role, fifo) in [
            (Role::Intake, false),
            (Role::Act, true),
            (Role::DeadLetters, false),
        ] {
            let told = judged(role, &sound(fifo));
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].verdict, Verdict::Ok);
            assert!(told[0].subject.ends_with("q: 0 messages wait"), "{told:?}");
        }
    }

    #[test]
    fn each_fault_of_a_queue_is_named() {
        let bad = QueueFacts {
            visibility_timeout: 30,
            waiting: 5_000,
            is_encrypted: false,
            max_receives: Some(3),
            ..sound(false)
        };
        let told = judged(Role::Intake, &bad);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().all(|one| one.verdict == Verdict::Warning));
        assert!(told[1].remedy.as_deref().unwrap().contains("360 s"));
        let wrong = judged(Role::Act, &sound(false));
        assert_eq!(wrong[0].verdict, Verdict::Failure);
    }

    #[test]
    fn dead_letters_are_counted_and_not_held_to_what_a_lambda_needs() {
        let dead = QueueFacts {
            waiting: 1,
            visibility_timeout: 0,
            max_receives: None,
            ..sound(false)
        };
        let told = judged(Role::DeadLetters, &dead);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].verdict, Verdict::Warning);
        assert!(
            told[0]
                .problem
                .as_deref()
                .unwrap()
                .starts_with("1 message waits"),
            "{told:?}"
        );
    }
}
