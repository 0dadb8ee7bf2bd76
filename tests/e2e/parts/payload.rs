//! Real payloads: GitHub's own examples.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::root;

/// All examples of all versions of GitHub: the event's name, and the payload as it stands in the file.
pub(crate) fn all() -> Vec<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Examples {
        name: String,
        examples: Vec<Box<RawValue>>,
    }
    let folders = root("node_modules/@octokit/webhooks-examples");
    let mut indices: Vec<_> = std::fs::read_dir(folders)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("index.json"))
        .filter(|index| index.is_file())
        .collect();
    indices.sort();
    let events = indices.into_iter().flat_map(|index| {
        let text = std::fs::read_to_string(index).unwrap();
        serde_json::from_str::<Vec<Examples>>(&text).unwrap()
    });
    events
        .flat_map(|event| {
            let payloads = event.examples.into_iter();
            payloads.map(move |payload| (event.name.clone(), payload.get().to_owned()))
        })
        .collect()
}

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
