//! The App's webhook: where GitHub delivers, and whether it is believed there.

use stoker_core::ports::Delivery;
use stoker_core::time::Timestamp;
use stoker_github::inspect::HookConfig;

use super::finding::{Check, Finding};
use crate::tell::time;

/// How far back failures are looked for, in seconds.
pub(super) const LATELY: u32 = 3_600;

const SUBJECT: &str = "the App's webhook";

/// How it is set up. `expected`: the URL that it is to have, if the operator says so.
pub(super) fn judge_config(hook: &HookConfig, expected: Option<&str>) -> Vec<Finding> {
    let on_its_page = "on the App's page (General, Webhook)";
    let Some(url) = &hook.url else {
        return vec![Check::Webhook.failure(
            SUBJECT,
            "it has no URL: GitHub delivers nothing",
            format!(
                "write the address of the Worker, or of the webhook Lambda, there {on_its_page}"
            ),
        )];
    };
    let subject = format!("{SUBJECT} at {url}");
    let mut findings = Vec::new();
    let mut fail = |problem: String, remedy: String| {
        findings.push(Check::Webhook.failure(&subject, problem, remedy));
    };
    if !url.starts_with("https://") {
        fail(
            "its URL is not https: whoever is between sees what is sent".to_owned(),
            format!("give it an https URL {on_its_page}"),
        );
    }
    if expected.is_some_and(|expected| !is_same(url, expected)) {
        fail(
            format!("its URL is not {}", expected.unwrap_or_default()),
            format!("correct it {on_its_page}"),
        );
    }
    if hook.content_type != "json" {
        fail(
            format!(
                "its content type is `{}`, which is refused",
                hook.content_type
            ),
            format!("choose application/json {on_its_page}"),
        );
    }
    if !hook.verifies_tls {
        fail(
            "GitHub does not verify whom it talks to".to_owned(),
            format!("enable SSL verification {on_its_page}"),
        );
    }
    if !hook.has_secret {
        fail(
            "it has no secret, so nothing is signed and everything is refused with 401".to_owned(),
            format!("write the secret there that the Worker has {on_its_page}"),
        );
    }
    if findings.is_empty() {
        findings.push(Check::Webhook.ok(subject));
    }
    findings
}

/// A slash at the end of a host says nothing.
fn is_same(url: &str, expected: &str) -> bool {
    url.trim_end_matches('/') == expected.trim().trim_end_matches('/')
}

/// How the deliveries went, newest first. `whole`: whether they reach back an hour.
pub(super) fn judge_deliveries(deliveries: &[Delivery], now: Timestamp, whole: bool) -> Finding {
    let subject = "the deliveries of the App's webhook";
    let Some(newest) = deliveries.first() else {
        return Check::Webhook.warning(
            subject,
            "GitHub has delivered nothing in the last three days",
            "run a workflow; if nothing comes then, see that the webhook is active and that the App is \
             subscribed to workflow_job",
        );
    };
    let lately: Vec<&Delivery> = deliveries
        .iter()
        .filter(|one| one.at.age(now) <= LATELY)
        .collect();
    if lately.is_empty() && !newest.is_accepted() {
        let (meaning, remedy) = meaning(newest.status);
        let at = time(newest.at);
        let problem = format!("the last one, {} at {at}, {meaning}", newest.event);
        return Check::Webhook.warning(subject, problem, remedy);
    }
    let failed: Vec<&&Delivery> = lately.iter().filter(|one| !one.is_accepted()).collect();
    let Some(last) = failed.first() else {
        let last = time(newest.at);
        let text = match lately.len() {
            0 => format!("{subject}: none in the last hour, the last one at {last}"),
            several => format!("{subject}: {several} in the last hour, all accepted"),
        };
        return Check::Webhook.ok(text);
    };
    let at_least = if whole { "" } else { "at least " };
    let (meaning, remedy) = meaning(last.status);
    let problem = format!(
        "{at_least}{} of {} in the last hour failed; the last one, {} at {}, {meaning}",
        failed.len(),
        match lately.len() {
            1 => "1 delivery".to_owned(),
            several => format!("{several} deliveries"),
        },
        last.event,
        time(last.at),
    );
    // One that was accepted since shows that it works again, and what failed is asked for again.
    if newest.is_accepted() {
        Check::Webhook.warning(
            subject,
            format!("{problem}. Later ones were accepted"),
            remedy,
        )
    } else {
        Check::Webhook.failure(subject, problem, remedy)
    }
}

/// What was answered, in words, and what is to be done about it.
fn meaning(status: u16) -> (String, &'static str) {
    let (what, remedy) = match status {
        0 => (
            "got no answer within 10 s".to_owned(),
            "see that the Worker or webhook Lambda is deployed at that address, and its log for what takes so \
             long",
        ),
        401 => (
            "was answered 401: its signature did not verify".to_owned(),
            "the secret at GitHub and the one of the Worker or webhook Lambda differ: write the same into both",
        ),
        403 => (
            "was answered 403: something before the Worker refuses it".to_owned(),
            "let GitHub's hook addresses (GET /meta) through the firewall, and leave requests to the webhook's \
             path without authorisation of another kind",
        ),
        404 | 405 => (
            format!("was answered {status}: nothing listens at its URL"),
            "correct the webhook's URL: its path is /webhook",
        ),
        300..=399 => (
            format!("was answered {status}: GitHub follows no redirection"),
            "give the webhook the URL that it is redirected to",
        ),
        429 => (
            "was answered 429: there are more of them than are let through".to_owned(),
            "raise the rate limit before the Worker; what failed is asked for again",
        ),
        500.. => (
            format!(
                "was answered {status}: the Worker or webhook Lambda failed, or SQS did not take it"
            ),
            "see its log: credentials that may not send to the intake queue, a wrong queue, settings that are \
             wrong",
        ),
        _ => (
            format!("was answered {status}"),
            "see that delivery and its answer on the App's page (Advanced, Recent deliveries)",
        ),
    };
    (what, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    fn delivery(ago: u64, status: u16) -> Delivery {
        Delivery {
            id: 1,
            guid: "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse().unwrap(),
            at: Timestamp(NOW.0 - ago),
            status,
            redelivery: false,
            event: "workflow_job".to_owned(),
            action: Some("queued".to_owned()),
        }
    }

    fn sound() -> HookConfig {
        HookConfig {
            url: Some("https://hooks.acme.example/webhook".to_owned()),
            content_type: "json".to_owned(),
            verifies_tls: true,
            has_secret: true,
        }
    }

    #[test]
    fn each_fault_of_a_hook_is_named() {
        let told = judge_config(&sound(), Some("https://hooks.acme.example/webhook/"));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].verdict, Verdict::Ok);
        let bad = HookConfig {
            url: Some("http://hooks.acme.example".to_owned()),
            content_type: "form".to_owned(),
            verifies_tls: false,
            has_secret: false,
        };
        let told = judge_config(&bad, Some("https://other.example/webhook"));
        assert_eq!(told.len(), 5, "{told:?}");
        let nowhere = HookConfig {
            url: None,
            ..sound()
        };
        let told = judge_config(&nowhere, None);
        assert!(told[0].problem.as_deref().unwrap().contains("no URL"));
    }

    #[test]
    fn failures_of_the_last_hour_are_counted_and_explained() {
        let all = [
            delivery(10, 401),
            delivery(20, 202),
            delivery(30, 502),
            delivery(4_000, 500),
        ];
        let told = judge_deliveries(&all, NOW, true);
        assert_eq!(told.verdict, Verdict::Failure);
        let problem = told.problem.unwrap();
        assert!(
            problem.starts_with("2 of 3 deliveries in the last hour failed"),
            "{problem}"
        );
        assert!(problem.contains("401"), "{problem}");
        assert!(told.remedy.unwrap().contains("secret"));
        for (status, word) in [
            (0, "no answer"),
            (404, "nothing listens"),
            (302, "redirection"),
            (503, "SQS"),
        ] {
            let told = judge_deliveries(&[delivery(5, status)], NOW, true)
                .problem
                .unwrap();
            assert!(told.contains(word), "{told}");
        }
    }

    #[test]
    fn what_works_again_is_a_warning_and_quiet_hours_are_fine() {
        let again = judge_deliveries(&[delivery(5, 202), delivery(9, 500)], NOW, false);
        assert_eq!(again.verdict, Verdict::Warning);
        assert!(again.problem.unwrap().starts_with("at least 1 of 2"));
        let quiet = judge_deliveries(&[delivery(7_200, 202), delivery(7_300, 500)], NOW, true);
        assert_eq!(quiet.verdict, Verdict::Ok);
        let old = judge_deliveries(&[delivery(7_200, 500)], NOW, true);
        assert_eq!(old.verdict, Verdict::Warning);
        assert_eq!(judge_deliveries(&[], NOW, true).verdict, Verdict::Warning);
    }
}
