mod anything;

use serde_json::{Value, json};

use super::*;
use crate::event::{Action, JobEvent};
use crate::signature::sign;

const SECRET: &str = "a secret of the tests";

fn settings(extra: &[(&str, &str)]) -> Settings {
    let secret = ("GITHUB_WEBHOOK_SECRET", SECRET);
    let lookup = |name: &str| {
        let mut all = extra.iter().chain([&secret]);
        all.find(|(own, _)| *own == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Settings::from_lookup(lookup).unwrap()
}

/// A delivery with GitHub's headers.
struct Delivery {
    method: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Delivery {
    fn signed(event: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            method: "POST",
            headers: vec![
                ("x-hub-signature-256", sign(&SECRET.into(), &body)),
                ("x-github-event", event.into()),
                (
                    "x-github-delivery",
                    "72d3162e-cc78-11e3-81ab-4c9367dc0958".into(),
                ),
                ("content-type", "application/json".into()),
            ],
            body,
        }
    }

    fn of(event: &str, payload: &Value) -> Self {
        Self::signed(event, payload.to_string())
    }

    fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.extend(value.map(|value| (name, value.into())));
        self
    }

    fn receive(&self, settings: &Settings) -> Reception {
        let header = |name: &str| {
            let found = self.headers.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| value.clone())
        };
        receive(self.method, header, &self.body, settings)
    }

    fn answer(&self) -> Answer {
        match self.receive(&settings(&[])).received {
            Received::Answer(answer) => answer,
            Received::Enqueue(enqueue) => panic!("enqueued: {enqueue:?}"),
        }
    }

    fn enqueue(&self, settings: &Settings) -> Enqueue {
        match self.receive(settings).received {
            Received::Enqueue(enqueue) => *enqueue,
            Received::Answer(answer) => panic!("answered: {answer:?}"),
        }
    }
}

fn repository() -> Value {
    json!({
        "id": 186_853_002, "name": "Example", "full_name": "Octo-Org/Example", "private": true,
        "owner": { "id": 6_811_672, "login": "Octo-Org", "type": "Organization" },
    })
}

fn workflow_job(action: &str) -> Value {
    json!({
        "action": action,
        "workflow_job": {
            "id": 289_782_451, "run_id": 2_202_229_078_u64, "run_attempt": 1, "name": "linters",
            "check_run_url": "https://api.github.com/repos/Octo-Org/Example/check-runs/1291536064",
            "status": if action == "waiting" { "waiting" } else { action },
            "labels": ["self-hosted", "linux"], "head_branch": "main",
            "runner_id": null, "runner_name": null, "conclusion": null, "steps": [],
            "created_at": "2021-09-13T02:21:13Z",
        },
        "repository": repository(),
        "installation": { "id": 3_456_996 },
    })
}

fn check_run(action: &str, status: &str) -> Value {
    json!({
        "action": action,
        "check_run": {
            "id": 1_291_536_064, "name": "linters", "status": status, "conclusion": null,
            "head_sha": "ec26c3e57ca3a959ca5aad62de7213c562f8c821",
            "details_url": "https://github.com/Octo-Org/Example/actions/runs/2202229078/job/289782451",
            "check_suite": { "head_branch": "changes" },
            "app": { "slug": "github-actions" },
        },
        "repository": repository(),
    })
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(answer.body()).unwrap()
}

#[test]
fn a_queued_job_is_delayed_work() {
    let delayed = settings(&[("DELAY_SECONDS", "30")]);
    let delivery = Delivery::of("workflow_job", &workflow_job("queued"));
    let enqueue = delivery.enqueue(&delayed);
    assert_eq!(enqueue.delay_seconds(), 30);
    assert_eq!(
        JobEvent::from_message(enqueue.message()).unwrap(),
        *enqueue.event()
    );
    let answer = enqueue.accepted();
    assert_eq!(answer.http_status(), 202);
    assert_eq!(
        body(&answer),
        json!({
            "status": "accepted", "kind": "work", "delay_seconds": 30,
            "delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        })
    );
    assert_eq!(enqueue.unavailable().http_status(), 503);
    assert_eq!(body(&enqueue.unavailable())["status"], "unavailable");
}

#[test]
fn news_is_never_delayed() {
    let delayed = settings(&[("DELAY_SECONDS", "30")]);
    for delivery in [
        Delivery::of("workflow_job", &workflow_job("in_progress")),
        Delivery::of("workflow_job", &workflow_job("completed")),
        Delivery::of("check_run", &check_run("completed", "completed")),
    ] {
        let enqueue = delivery.enqueue(&delayed);
        assert_eq!(enqueue.delay_seconds(), 0);
        assert_eq!(body(&enqueue.accepted())["kind"], "news");
    }
}

#[test]
fn a_job_announced_by_both_events_is_one_job() {
    let by_job = Delivery::of("workflow_job", &workflow_job("queued")).enqueue(&settings(&[]));
    let by_check =
        Delivery::of("check_run", &check_run("created", "queued")).enqueue(&settings(&[]));
    let (by_job, by_check) = (by_job.event(), by_check.event());
    assert_eq!(by_job.check_run_id, by_check.check_run_id);
    assert_eq!(by_job.repository, by_check.repository);
    assert_eq!(by_job.job_id, by_check.job_id);
    assert_eq!(by_job.run_id, by_check.run_id);
    assert_eq!(by_check.labels, None);
    assert_eq!(by_check.head_branch.as_deref(), Some("changes"));
    assert!(by_job.is_work() && by_check.is_work());
}

#[test]
fn without_a_check_run_url_the_ids_are_one() {
    for url in [None, Some(Value::Null)] {
        let mut payload = workflow_job("queued");
        let job = payload["workflow_job"].as_object_mut().unwrap();
        job.remove("check_run_url");
        job.extend(url.map(|url| ("check_run_url".to_owned(), url)));
        let enqueue = Delivery::of("workflow_job", &payload).enqueue(&settings(&[]));
        assert_eq!(enqueue.event().check_run_id.get(), 289_782_451);
    }
}

#[test]
fn a_job_that_ended_without_a_runner_names_none() {
    let mut payload = workflow_job("completed");
    payload["workflow_job"]["runner_id"] = json!(0);
    payload["workflow_job"]["runner_name"] = json!("");
    let enqueue = Delivery::of("workflow_job", &payload).enqueue(&settings(&[]));
    assert_eq!(enqueue.event().action, Action::Completed);
    assert_eq!(enqueue.event().runner_id, None);
    assert_eq!(enqueue.event().runner_name, None);
}

#[test]
fn other_methods_are_told_which_is_right() {
    for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "post", ""] {
        let mut delivery = Delivery::of("ping", &json!({}));
        delivery.method = method;
        let answer = delivery.answer();
        assert_eq!(answer.http_status(), 405, "{method}");
        assert!(answer.headers().any(|header| header == ("allow", "POST")));
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_its_signature_is_looked_at() {
    let mut delivery = Delivery::signed("ping", "{}");
    delivery.body = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(delivery.answer().http_status(), 413);
    delivery.body.pop();
    assert_eq!(delivery.answer().http_status(), 401);
    let refused =
        |length: &str| refuse_early("POST", Some(length)).map(|answer| answer.http_status());
    assert_eq!(refused("26214400"), None);
    assert_eq!(refused("26214401"), Some(413));
    assert_eq!(refused("many"), None);
    assert_eq!(refuse_early("POST", None), None);
}

#[test]
fn every_bad_signature_gets_the_same_answer_whatever_the_rest_is() {
    let wrong = sign(&"another secret".into(), b"{}");
    let mut answers = Vec::new();
    for signature in [
        None,
        Some(""),
        Some("sha256=00"),
        Some("sha1=00"),
        Some(wrong.as_str()),
    ] {
        for event in ["workflow_job", "push", ""] {
            for content in ["{}", "{ not json", "payload=%7B%7D", ""] {
                let delivery = Delivery::signed(event, content)
                    .with("x-hub-signature-256", signature)
                    .with("x-github-delivery", None);
                let reception = delivery.receive(&settings(&[]));
                assert_eq!((reception.event, reception.delivery), (None, None));
                answers.push(delivery.answer());
            }
        }
    }
    assert_eq!(answers[0].http_status(), 401);
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[test]
fn a_signed_request_without_githubs_headers_is_a_bad_request() {
    for (name, value, reason) in [
        ("x-github-event", None, "event_header_missing"),
        ("x-github-event", Some(""), "event_header_missing"),
        ("x-github-delivery", None, "delivery_header_missing"),
        ("x-github-delivery", Some(""), "delivery_header_missing"),
        (
            "x-github-delivery",
            Some("two words"),
            "delivery_header_invalid",
        ),
    ] {
        let answer = Delivery::of("ping", &json!({})).with(name, value).answer();
        assert_eq!(answer.http_status(), 400);
        assert_eq!(body(&answer)["reason"], reason);
    }
}

#[test]
fn a_form_is_told_to_be_json() {
    let form = Delivery::signed("workflow_job", "payload=%7B%7D");
    let by_header = Delivery::signed("push", "{}").with(
        "content-type",
        Some("Application/X-WWW-Form-Urlencoded; charset=utf-8"),
    );
    for delivery in [form, by_header] {
        let answer = delivery.answer();
        assert_eq!(answer.http_status(), 400);
        let detail = body(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("application/json"), "{detail}");
    }
}

#[test]
fn malformed_json_is_a_bad_request_whatever_the_event() {
    let deep = "[".repeat(1_000_000);
    for event in ["workflow_job", "check_run", "ping", "push"] {
        for content in ["", "{", "{\"a\":}", "{} {}", "\u{feff}{}", deep.as_str()] {
            let answer = Delivery::signed(event, content).answer();
            assert_eq!(answer.http_status(), 400, "{event}");
            assert_eq!(body(&answer)["reason"], "malformed_json");
        }
    }
}

#[test]
fn a_payload_that_lacks_what_it_must_have_is_told_the_field() {
    for (event, payload, fields) in [
        (
            "workflow_job",
            workflow_job("queued"),
            vec![
                "action",
                "workflow_job",
                "workflow_job.id",
                "workflow_job.name",
                "workflow_job.status",
                "repository",
                "repository.id",
                "repository.name",
                "repository.full_name",
                "repository.private",
                "repository.owner",
                "repository.owner.id",
                "repository.owner.login",
            ],
        ),
        (
            "check_run",
            check_run("created", "queued"),
            vec![
                "check_run",
                "check_run.id",
                "check_run.name",
                "check_run.status",
            ],
        ),
    ] {
        for field in fields {
            for replacement in [None, Some(Value::Null), Some(json!([1.5]))] {
                let wrong = replacement.as_ref().is_some_and(Value::is_array);
                let mut payload = payload.clone();
                let (parents, last) = field.rsplit_once('.').unwrap_or(("", field));
                let parent = parents
                    .split('.')
                    .filter(|part| !part.is_empty())
                    .fold(&mut payload, |value, part| &mut value[part]);
                let object = parent.as_object_mut().unwrap();
                object.remove(last);
                object.extend(replacement.map(|value| (last.to_owned(), value)));

                let answer = Delivery::of(event, &payload).answer();
                assert_eq!(answer.http_status(), 400, "{field}");
                let detail = body(&answer)["detail"].as_str().unwrap().to_owned();
                let start = if wrong {
                    "the payload's "
                } else {
                    "the payload lacks "
                };
                let rest = detail
                    .strip_prefix(start)
                    .unwrap_or_else(|| panic!("{detail}"));
                assert_eq!(rest.split(' ').next(), Some(field), "{detail}");
            }
        }
    }
}

#[test]
fn a_ping_is_answered() {
    let answer = Delivery::of("ping", &json!({ "zen": "Design for failure." })).answer();
    assert_eq!(
        (answer.http_status(), answer.body()),
        (200, r#"{"status":"pong"}"#)
    );
}

#[test]
fn what_is_not_for_stoker_is_dropped_with_its_reason() {
    let mut gated = workflow_job("queued");
    gated["workflow_job"]["status"] = json!("waiting");
    for (event, payload, reason) in [
        (
            "push",
            json!({ "ref": "refs/heads/main" }),
            "event_not_handled",
        ),
        (
            "check_suite",
            json!({ "action": "completed" }),
            "event_not_handled",
        ),
        (
            "check_run",
            json!({ "action": "rerequested" }),
            "action_not_handled",
        ),
        (
            "workflow_job",
            json!({ "action": "invented" }),
            "action_not_handled",
        ),
        ("workflow_job", workflow_job("waiting"), "job_waiting"),
        ("workflow_job", gated, "job_waiting"),
        (
            "check_run",
            check_run("created", "completed"),
            "check_run_not_queued",
        ),
    ] {
        let answer = Delivery::of(event, &payload).answer();
        assert_eq!(answer.http_status(), 200);
        let body = body(&answer);
        assert_eq!(
            (&body["status"], &body["reason"]),
            (&json!("dropped"), &json!(reason))
        );
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
    }
}

#[test]
fn an_event_that_fits_no_message_is_refused() {
    let mut payload = workflow_job("queued");
    payload["workflow_job"]["name"] = json!("x".repeat(300_000));
    let answer = Delivery::of("workflow_job", &payload).answer();
    assert_eq!(body(&answer)["reason"], "oversized_event");
}

#[test]
fn a_delivery_signed_with_the_previous_secret_says_so() {
    let rotating = settings(&[("GITHUB_WEBHOOK_SECRET_PREVIOUS", "the old one")]);
    let delivery = Delivery::of("ping", &json!({}));
    let signature = sign(&"the old one".into(), &delivery.body);
    let reception = delivery
        .with("x-hub-signature-256", Some(&signature))
        .receive(&rotating);
    assert_eq!(reception.signed_with, Some(SignedWith::Previous));
}
