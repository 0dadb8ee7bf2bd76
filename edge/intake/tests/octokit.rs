//! Every example payload that GitHub's community has gathered (`@octokit/webhooks-examples`), signed and
//! received: each is answered, and each that speaks of jobs gets exactly the answer written here.

// The helpers of these tests may fail them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use stoker_intake::{JobEvent, Outcome, Received, Settings, receive, sign};

const SECRET: &str = "a secret of the tests";

/// One event's examples, in a folder's `index.json`.
#[derive(Deserialize)]
struct Examples {
    name: String,
    examples: Vec<Box<RawValue>>,
}

/// What becomes of each example, under the default rules and with everything admitted.
type Outcomes = &'static [(&'static str, &'static str)];

/// Per folder and event, what becomes of each example: under the default rules, and with every App and
/// every repository admitted.
const EXPECTED: &[(&str, &str, Outcomes)] = &[
    (
        "api.github.com",
        "check_run",
        &[
            ("app_not_admitted", "work"),
            ("news", "news"),
            ("news", "news"),
            ("news", "news"),
            ("app_not_admitted", "work"),
            ("app_not_admitted", "work"),
            ("action_not_handled", "action_not_handled"),
            ("action_not_handled", "action_not_handled"),
            ("action_not_handled", "action_not_handled"),
        ],
    ),
    (
        "api.github.com",
        "workflow_job",
        &[
            ("news", "news"),
            ("news", "news"),
            ("news", "news"),
            ("news", "news"),
            ("news", "news"),
            ("public_repository", "work"),
            ("job_waiting", "job_waiting"),
            ("job_waiting", "job_waiting"),
        ],
    ),
    ("ghes-31", "check_run", &[("app_not_admitted", "work")]),
    ("ghes-32", "check_run", &[("app_not_admitted", "work")]),
    ("ghes-33", "check_run", &[("app_not_admitted", "work")]),
    ("ghes-33", "workflow_job", &[("news", "news")]),
    (
        "ghes-34",
        "check_run",
        &[
            ("app_not_admitted", "work"),
            ("news", "news"),
            ("app_not_admitted", "work"),
        ],
    ),
    ("ghes-34", "workflow_job", &[("news", "news")]),
    (
        "ghes-35",
        "check_run",
        &[
            ("app_not_admitted", "work"),
            ("news", "news"),
            ("app_not_admitted", "work"),
        ],
    ),
    ("ghes-35", "workflow_job", &[("news", "news")]),
];

fn examples_folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("node_modules/@octokit/webhooks-examples");
    assert!(
        folder.is_dir(),
        "GitHub's example payloads are not installed: run `make setup` in the repository's root, which \
         puts them into node_modules/@octokit/webhooks-examples."
    );
    folder
}

/// All examples, by folder.
fn examples() -> Vec<(String, Vec<Examples>)> {
    let mut folders: Vec<_> = fs::read_dir(examples_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("index.json").is_file())
        .collect();
    folders.sort();
    folders
        .into_iter()
        .map(|folder| {
            let index = fs::read(folder.join("index.json")).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&index).unwrap())
        })
        .collect()
}

fn settings(open: bool) -> Settings {
    Settings::from_lookup(|name| match name {
        "GITHUB_WEBHOOK_SECRET" => Some(SECRET.into()),
        "ALLOW_PUBLIC_REPOSITORIES" if open => Some("true".into()),
        "CHECK_RUN_APPS" if open => Some("*".into()),
        _ => None,
    })
    .unwrap()
}

/// What becomes of a payload, in one word; whatever is passed on is checked on the way.
fn outcome(event: &str, payload: &RawValue, open: bool) -> String {
    let body = payload.get().as_bytes();
    let header = |name: &str| match name {
        "x-hub-signature-256" => Some(sign(&SECRET.into(), body)),
        "x-github-event" => Some(event.into()),
        "x-github-delivery" => Some("72d3162e-cc78-11e3-81ab-4c9367dc0958".into()),
        "content-type" => Some("application/json".into()),
        _ => None,
    };
    let enqueue = match receive("POST", header, body, &settings(open)).received {
        Received::Enqueue(enqueue) => enqueue,
        Received::Answer(answer) => {
            assert_eq!(answer.http_status(), 200, "{event}: {}", answer.body());
            return match answer.outcome() {
                Outcome::Pong => "pong".into(),
                Outcome::Dropped(reason) => reason.as_str().into(),
                other => panic!("{event}: {other:?}"),
            };
        }
    };
    let read_again = JobEvent::from_message(enqueue.message()).unwrap();
    assert_eq!(read_again, *enqueue.event());
    assert_eq!(enqueue.accepted().http_status(), 202);

    let payload: serde_json::Value = serde_json::from_str(payload.get()).unwrap();
    let told = enqueue.event();
    assert_eq!(told.is_work(), enqueue.class().as_str() == "work");
    assert_eq!(payload["action"], told.action.as_str());
    assert_eq!(payload["repository"]["id"], told.repository.id.get());
    assert_eq!(payload["repository"]["owner"]["id"], told.owner.id.get());
    assert_eq!(payload[event]["name"], told.name);
    assert_eq!(
        payload[event]["head_sha"].as_str(),
        told.head_sha.as_deref()
    );
    if event == "workflow_job" {
        let url = payload[event]["check_run_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/{}", told.check_run_id)));
        assert_eq!(payload[event]["id"].as_u64(), told.job_id.map(u64::from));
        assert_eq!(payload[event]["labels"], serde_json::json!(told.labels));
    } else {
        assert_eq!(payload[event]["id"], told.check_run_id.get());
        assert_eq!(told.labels, None);
    }
    enqueue.class().as_str().into()
}

#[test]
fn every_example_of_a_job_gets_exactly_the_expected_answer() {
    let mut seen = Vec::new();
    for (folder, events) in examples() {
        for event in events {
            if !matches!(event.name.as_str(), "check_run" | "workflow_job") {
                continue;
            }
            let answers: Vec<_> = event
                .examples
                .iter()
                .map(|example| {
                    let strict = outcome(&event.name, example, false);
                    (strict, outcome(&event.name, example, true))
                })
                .collect();
            seen.push((folder.clone(), event.name, answers));
        }
    }
    let expected: Vec<_> = EXPECTED
        .iter()
        .map(|(folder, event, answers)| {
            let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            (
                (*folder).to_owned(),
                (*event).to_owned(),
                answers.iter().map(owned).collect(),
            )
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn every_other_example_is_acknowledged_and_dropped() {
    let mut count = 0;
    for (_, events) in examples() {
        for event in events {
            if matches!(event.name.as_str(), "check_run" | "workflow_job") {
                continue;
            }
            let expected = if event.name == "ping" {
                "pong"
            } else {
                "event_not_handled"
            };
            for example in &event.examples {
                assert_eq!(
                    outcome(&event.name, example, true),
                    expected,
                    "{}",
                    event.name
                );
                count += 1;
            }
        }
    }
    assert!(count > 600, "only {count} examples were found");
}
