//! Items as an older Stoker wrote them, for tests of adapters: what was added since is not in them.

use serde_json::Value;

use crate::job::Job;
use crate::journal::Story;
use crate::runner::Runner;

/// What was added to jobs, each with a default for those without it.
const ADDED_TO_JOBS: [&str; 5] = [
    "denials",
    "checked_at",
    "deferrals",
    "last_deferral",
    "story",
];

/// The same of runners.
const ADDED_TO_RUNNERS: [&str; 7] = [
    "scope_name",
    "booted_at",
    "interrupted",
    "last_job",
    "configured",
    "attempt",
    "retirement",
];

/// The content of a job or a runner as an older Stoker would have written it; anything else as it is.
#[must_use]
pub fn as_an_older_stoker_wrote(body: &str) -> String {
    let Ok(Value::Object(mut content)) = serde_json::from_str(body) else {
        return body.to_owned();
    };
    let added: &[&str] = if content.contains_key("instance") {
        &ADDED_TO_RUNNERS
    } else {
        &ADDED_TO_JOBS
    };
    content.retain(|name, _| !added.contains(&name.as_str()));
    Value::Object(content).to_string()
}

/// The job that is read where an older Stoker wrote this one.
#[must_use]
pub fn older_job(job: Job) -> Job {
    Job {
        denials: 0,
        checked_at: None,
        deferrals: 0,
        last_deferral: None,
        story: Story::default(),
        ..job
    }
}

/// The runner that is read where an older Stoker wrote this one.
#[must_use]
pub fn older_runner(runner: Runner) -> Runner {
    Runner {
        scope_name: None,
        booted_at: None,
        interrupted: false,
        last_job: None,
        // It was written only once the configuration was.
        configured: true,
        attempt: 0,
        retirement: None,
        ..runner
    }
}
