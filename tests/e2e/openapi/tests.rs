//! That what is wrong is found, and told so that one can mend it.

use serde_json::{Value, json};
use stoker_tests::github::{Answer, Content, Exchange};

use super::check;
use super::schema::{Unnamed, converted};

fn content(body: &Value) -> Content {
    if body.is_null() {
        return Content::default();
    }
    Content {
        media_type: Some("application/json; charset=utf-8".to_owned()),
        bytes: body.to_string().into_bytes(),
    }
}

fn exchange(asked: &str, request: &Value, status: u16, answer: &Value) -> Exchange {
    let (method, path) = asked.split_once(' ').unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Exchange {
        method: method.to_owned(),
        path: path.to_owned(),
        query: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        content: content(request),
        answer: Some(Answer {
            status,
            content: content(answer),
        }),
    }
}

fn told(asked: &str, request: &Value, status: u16, answer: &Value) -> String {
    check(&exchange(asked, request, status, answer)).join("\n")
}

const RUNNERS: &str = "GET /orgs/acme/actions/runners";
const REGISTER: &str = "POST /orgs/acme/actions/runners/generate-jitconfig";

fn registered() -> Value {
    json!({
        "runner": {
            "id": 5, "name": "r", "os": "unknown", "status": "offline", "busy": false, "labels": [],
        },
        "encoded_jit_config": "e30=",
    })
}

fn wanted() -> Value {
    json!({ "name": "r", "runner_group_id": 3, "labels": ["linux"], "work_folder": "_work" })
}

fn without(mut body: Value, pointer: &str, field: &str) -> Value {
    let object = body.pointer_mut(pointer).unwrap();
    object.as_object_mut().unwrap().remove(field).unwrap();
    body
}

fn with(mut body: Value, pointer: &str, field: &str, value: Value) -> Value {
    body.pointer_mut(pointer).unwrap()[field] = value;
    body
}

#[test]
fn an_exchange_as_github_describes_it_passes() {
    assert_eq!(told(REGISTER, &wanted(), 201, &registered()), "");
    let none = json!({ "total_count": 0, "runners": [] });
    let asked = format!("{RUNNERS}?name=r&per_page=100");
    assert_eq!(told(&asked, &Value::Null, 200, &none), "");
    let gone = "DELETE /repos/acme/site/actions/runners/5";
    assert_eq!(told(gone, &Value::Null, 204, &Value::Null), "");
}

#[test]
fn a_wrong_request_is_reported() {
    let none = json!({ "total_count": 0, "runners": [] });
    for (asked, request, expected) in [
        (
            "GET /organisations/acme/actions/runners",
            Value::Null,
            "GET /organisations/acme/actions/runners: GitHub has no such path",
        ),
        (
            "PUT /orgs/acme/actions/runners",
            Value::Null,
            "PUT /orgs/acme/actions/runners: GitHub has no PUT of /orgs/{org}/actions/runners",
        ),
        (
            "GET /orgs/acme/actions/runners?nam=r",
            Value::Null,
            "GET /orgs/acme/actions/runners: the query has no parameter `nam`",
        ),
        (
            "GET /orgs/acme/actions/runners?per_page=all",
            Value::Null,
            "the query's parameter `per_page`: the body: \"all\" is not of type \"integer\"",
        ),
        (
            RUNNERS,
            json!({ "name": "r" }),
            "the request: it has a body, and should have none",
        ),
    ] {
        let told = told(asked, &request, 200, &none);
        assert!(told.contains(expected), "{told}");
    }
    for (request, expected) in [
        (Value::Null, "the request: it has no body"),
        (
            without(wanted(), "", "runner_group_id"),
            "the request: the body: \"runner_group_id\" is a required property",
        ),
        (
            with(wanted(), "", "labels", json!([])),
            "the request: `/labels`: [] has less than 1 item",
        ),
        (
            with(wanted(), "", "ephemeral", json!(true)),
            "the request: the body: Additional properties are not allowed ('ephemeral' was unexpected)",
        ),
    ] {
        let told = told(REGISTER, &request, 201, &registered());
        assert!(told.contains(expected), "{told}");
    }
    let runner = "DELETE /orgs/acme/actions/runners/stoker-1";
    let told = told(runner, &Value::Null, 204, &Value::Null);
    assert!(told.contains("the path's parameter `runner_id`"), "{told}");
}

#[test]
fn a_wrong_answer_is_reported() {
    let error = json!({ "message": "Bad", "documentation_url": "https://docs.github.com/rest" });
    for (status, answer, expected) in [
        (
            201,
            without(registered(), "/runner", "busy"),
            "POST /orgs/acme/actions/runners/generate-jitconfig: the answer 201: \
             `/runner`: \"busy\" is a required property",
        ),
        (
            201,
            with(registered(), "/runner", "id", json!("5")),
            "the answer 201: `/runner/id`: \"5\" is not of type \"integer\"",
        ),
        (
            201,
            with(registered(), "/runner", "registered_at", json!(1)),
            "('registered_at' was unexpected)",
        ),
        (201, Value::Null, "the answer 201: it has no body"),
        (
            200,
            registered(),
            "the answer 200: GitHub does not answer \
             actions/generate-runner-jitconfig-for-org so",
        ),
        (418, error.clone(), "the answer 418: GitHub does not answer"),
        (
            422,
            without(error.clone(), "", "documentation_url"),
            "the answer 422: the body: \"documentation_url\" is a required property",
        ),
        (
            401,
            with(error, "", "message", json!(["Bad"])),
            "the answer 401: `/message`: [\"Bad\"] is not of type \"string\"",
        ),
    ] {
        let told = told(REGISTER, &wanted(), status, &answer);
        assert!(told.contains(expected), "{told}");
    }
    let gone = "DELETE /orgs/acme/actions/runners/5";
    let told = told(gone, &Value::Null, 204, &registered());
    assert!(
        told.contains("the answer 204: it has a body, and should have none"),
        "{told}"
    );
}

#[test]
fn a_body_of_another_kind_is_reported() {
    let mut page = exchange(RUNNERS, &Value::Null, 200, &Value::Null);
    let mut page_of = |media_type: &str| {
        page.answer.as_mut().unwrap().content = Content {
            media_type: Some(media_type.to_owned()),
            bytes: b"<p>sorry</p>".to_vec(),
        };
        check(&page).join("\n")
    };
    let told = page_of("text/html");
    assert!(told.contains("its body is text/html"), "{told}");
    let told = page_of("application/json");
    assert!(told.contains("its body is no JSON"), "{told}");
}

#[test]
fn what_a_nested_alternative_lacks_is_named() {
    let account = json!({ "login": "acme", "id": 1, "avatar_url": "no url" });
    let installation = json!({ "account": account });
    let asked = "GET /orgs/acme/installation";
    let told = told(asked, &Value::Null, 200, &installation);
    assert!(
        told.contains("`/account`: \"html_url\" is a required property"),
        "{told}"
    );
    assert!(
        told.contains("`/account/avatar_url`: \"no url\" is not a \"uri\""),
        "{told}"
    );
}

#[test]
fn openapi_schemas_become_json_schemas() {
    for (openapi, expected) in [
        (
            json!({ "type": "string", "nullable": true, "enum": ["a"], "example": { "$ref": "#/x" } }),
            json!({ "type": ["string", "null"], "enum": ["a", null] }),
        ),
        (
            json!({ "nullable": true, "anyOf": [{ "type": "string" }] }),
            json!({ "anyOf": [{ "anyOf": [{ "type": "string" }] }, { "type": "null" }] }),
        ),
        (
            json!({ "$ref": "#/components/schemas/a", "nullable": true }),
            json!({ "$ref": "#/components/schemas/a" }),
        ),
        // Properties may be called what keywords are called.
        (
            json!({ "properties": { "nullable": { "type": "boolean" }, "example": { "nullable": true } } }),
            json!({
                "properties": {
                    "nullable": { "type": "boolean" },
                    "example": { "anyOf": [{}, { "type": "null" }] },
                },
                "additionalProperties": false,
            }),
        ),
        (
            json!({ "allOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }] }),
            json!({ "allOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }] }),
        ),
    ] {
        assert_eq!(converted(&openapi, Unnamed::Refused), expected);
    }
}
