//! Real payloads: GitHub's own examples.

use serde_json::{Value, json};

use super::root;

/// The first example of that event with that action and status.
pub(crate) fn example(event: &str, action: &str, status: &str) -> Value {
    let file = root("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!(
            "{} can't be read ({error}): `make test` installs it by scripts/setup-edge --npm",
            file.display()
        )
    });
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    all.iter()
        .filter(|entry| entry["name"] == event)
        .flat_map(|entry| entry["examples"].as_array().unwrap())
        .find(|example| example["action"] == action && example[event]["status"] == status)
        .unwrap_or_else(|| panic!("GitHub has no example of {event} {action} {status}"))
        .clone()
}

/// A job that was queued, in an organisation; labels: `ubuntu-latest`.
pub(crate) fn workflow_job() -> Value {
    example("workflow_job", "queued", "queued")
}

/// The same with other ids: another job.
pub(crate) fn another_workflow_job(id: u64) -> Value {
    let mut payload = workflow_job();
    let job = &mut payload["workflow_job"];
    let url = job["check_run_url"].as_str().unwrap();
    let (start, _id) = url.rsplit_once('/').unwrap();
    job["check_run_url"] = json!(format!("{start}/{id}"));
    job["id"] = json!(id);
    payload
}

/// A check run that was created and waits, of a user's repository.
pub(crate) fn check_run() -> Value {
    example("check_run", "created", "queued")
}
