//! What GitHub answers although its description of the operation leaves it out, or has it wrong. Whatever is
//! not here has to be described.

use serde_json::{Value, json};

/// Operations that GitHub describes no 404 for. It answers so what is not there and what is not to be
/// seen (its guide "Troubleshooting the REST API").
const NOT_FOUND: [&str; 10] = [
    "apps/get-org-installation",
    "apps/get-user-installation",
    "actions/get-job-for-workflow-run",
    "actions/create-registration-token-for-org",
    "actions/create-registration-token-for-repo",
    "actions/list-self-hosted-runner-groups-for-org",
    "actions/list-self-hosted-runners-for-org",
    "actions/list-self-hosted-runners-for-repo",
    "actions/delete-self-hosted-runner-from-org",
    "actions/delete-self-hosted-runner-from-repo",
];

/// What GitHub's guides have it answer to any request.
const ANYWHERE: [(u16, &str); 5] = [
    (401, "a JWT or a token that is not good, or no longer"),
    (403, "a permission that is missing, or a rate limit"),
    (429, "a rate limit"),
    (500, "GitHub failed"),
    (502, "GitHub failed, or gave up after ten seconds"),
];

/// Whether GitHub gives that answer.
pub(super) fn is_known(operation: &str, status: u16) -> bool {
    ANYWHERE.iter().any(|(anywhere, _why)| *anywhere == status)
        || (status == 404 && NOT_FOUND.contains(&operation))
}

/// The body of an answer that GitHub describes wrongly, by media type: of an installation in the list an
/// account is to be a user and an enterprise at once (`allOf`); it is either (`anyOf`), as where one
/// installation is asked for.
pub(super) fn instead(operation: &str, status: u16) -> Option<Value> {
    let installations = json!({
        "type": "array",
        "items": { "$ref": "#/components/schemas/installation" },
    });
    (operation == "apps/list-installations" && status == 200)
        .then(|| json!({ "application/json": { "schema": installations } }))
}

/// The body of such an answer, by media type: that of the errors that are described.
pub(super) fn body() -> Value {
    json!({ "application/json": { "schema": { "$ref": "#/components/schemas/basic-error" } } })
}
