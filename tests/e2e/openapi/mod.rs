//! What the adapter and the stand-in say to each other, held against GitHub's published description of
//! its API (`@octokit/openapi`).
//!
//! What it holds: the path and the method are GitHub's, parameters are declared and of their kind, a
//! request has a body where it must and none where it can't, the answer's status is one that GitHub
//! gives to that request, and both bodies satisfy their schemas. What it can't: headers, which the
//! description does not have, and whether GitHub keeps to it.
//!
//! In reading order: [`hold`]; `description`, what GitHub says of a request; `schema`, values against
//! it; `undescribed`, what GitHub answers and does not describe.

mod description;
mod schema;
mod tests;
mod undescribed;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stoker_tests::github::{Answer, Content, Exchange, GitHub};

use description::{Description, Operation, description};
use schema::{Unnamed, problems};

/// Panics unless all that was said so far is as GitHub describes it.
pub(crate) fn hold(github: &GitHub) {
    let problems: BTreeSet<String> = github.state().exchanges().iter().flat_map(check).collect();
    assert!(
        problems.is_empty(),
        "not as GitHub describes its API:\n{}",
        Vec::from_iter(problems).join("\n")
    );
}

/// What was asked for, by GitHub's names, and with which statuses it was answered.
pub(crate) fn covered(github: &GitHub) -> BTreeSet<(String, u16)> {
    let exchanges = github.state().exchanges();
    let answered = exchanges.iter().filter_map(|exchange| {
        let operation = description().operation(&exchange.method, &exchange.path);
        Some((
            operation.ok()?.id().to_owned(),
            exchange.answer.as_ref()?.status,
        ))
    });
    answered.collect()
}

/// What is wrong with an exchange.
fn check(exchange: &Exchange) -> Vec<String> {
    let description = description();
    let problems = match description.operation(&exchange.method, &exchange.path) {
        Err(unknown) => vec![unknown],
        Ok(operation) => {
            let mut problems = parameters(description, &operation, exchange);
            problems.extend(request(description, &operation, &exchange.content));
            if let Some(given) = &exchange.answer {
                problems.extend(answer(description, &operation, given));
            }
            problems
        }
    };
    let Exchange { method, path, .. } = exchange;
    problems
        .into_iter()
        .map(|problem| format!("{method} {path}: {problem}"))
        .collect()
}

fn parameters(
    description: &Description,
    operation: &Operation<'_>,
    exchange: &Exchange,
) -> Vec<String> {
    let in_path: Vec<(&str, &str)> = operation
        .in_path
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let in_query: Vec<(&str, &str)> = exchange
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut found = Vec::new();
    for (place, given) in [("path", in_path), ("query", in_query)] {
        let declared = operation.parameters(place);
        for (name, value) in &given {
            let Some((_, schema, _)) = declared.iter().find(|(known, ..)| known == name) else {
                found.push(format!("the {place} has no parameter `{name}`"));
                continue;
            };
            let value = typed(schema, value);
            let wrong = problems(description, schema, &value, Unnamed::Allowed);
            found.extend(
                wrong
                    .iter()
                    .map(|problem| format!("the {place}'s parameter `{name}`: {problem}")),
            );
        }
        for (name, _, required) in declared {
            if required && !given.iter().any(|(known, _)| *known == name) {
                found.push(format!("the {place} lacks the parameter `{name}`"));
            }
        }
    }
    found
}

/// A parameter's text as the kind of value that it stands for; a text, if it can't.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        _ => json!(text),
    }
}

fn request(description: &Description, operation: &Operation<'_>, sent: &Content) -> Vec<String> {
    let wrong = match operation.request() {
        None => body(description, None, sent, Unnamed::Refused),
        Some((_, false)) if sent.bytes.is_empty() => Vec::new(),
        Some((described, _)) => body(description, Some(described), sent, Unnamed::Refused),
    };
    wrong
        .iter()
        .map(|problem| format!("the request: {problem}"))
        .collect()
}

fn answer(description: &Description, operation: &Operation<'_>, given: &Answer) -> Vec<String> {
    let status = given.status;
    // To a conditional request, which its guide tells of and no operation describes.
    if status == 304 && given.content.bytes.is_empty() {
        return Vec::new();
    }
    // GitHub's errors say more than is described (`status`, for one).
    let unnamed = if status < 400 {
        Unnamed::Refused
    } else {
        Unnamed::Allowed
    };
    let instead = undescribed::instead(operation.id(), status);
    let wrong = match operation.answer(status) {
        Some(_) if instead.is_some() => {
            body(description, instead.as_ref(), &given.content, unnamed)
        }
        Some(described) => {
            let described = described.get("content");
            body(description, described, &given.content, unnamed)
        }
        None if undescribed::is_known(operation.id(), status) => body(
            description,
            Some(&undescribed::body()),
            &given.content,
            unnamed,
        ),
        None => vec![format!("GitHub does not answer {} so", operation.id())],
    };
    wrong
        .iter()
        .map(|problem| format!("the answer {status}: {problem}"))
        .collect()
}

/// What is wrong with a body, by the bodies that there may be; none: there may be none.
fn body(
    description: &Description,
    described: Option<&Value>,
    sent: &Content,
    unnamed: Unnamed,
) -> Vec<String> {
    let Some(described) = described else {
        return if sent.bytes.is_empty() {
            Vec::new()
        } else {
            vec!["it has a body, and should have none".to_owned()]
        };
    };
    if sent.bytes.is_empty() {
        return vec!["it has no body".to_owned()];
    }
    let media_type = sent.media_type.as_deref().unwrap_or("nothing");
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let Some(media) = described.get(media_type) else {
        return vec![format!("its body is {media_type}, which is not described")];
    };
    match serde_json::from_slice(&sent.bytes) {
        Ok(value) => problems(description, &media["schema"], &value, unnamed),
        Err(error) => vec![format!("its body is no JSON: {error}")],
    }
}
