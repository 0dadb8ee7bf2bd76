//! Values against the description's schemas. They are `OpenAPI` 3.0's, which differ a little from JSON
//! Schema; here they become JSON Schema, by which a library validates.

use std::collections::BTreeSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError};
use serde_json::{Map, Value, json};

use super::description::Description;

const COMPONENTS: &str = "#/components/schemas/";

/// Whether an object may have what its schema does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// It may, as the schemas themselves have it.
    Allowed,
    /// It may not: one that relies on it relies on what GitHub does not promise, or lets it fall.
    Refused,
}

/// What is wrong with a value.
pub(super) fn problems(
    description: &Description,
    schema: &Value,
    value: &Value,
    unnamed: Unnamed,
) -> Vec<String> {
    let document = document(description, schema, unnamed);
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&document)
        .unwrap_or_else(|error| panic!("GitHub's schema can't be used: {error}: {document}"));
    validator
        .iter_errors(value)
        .flat_map(|error| told(&error))
        .collect()
}

/// A schema with all that it refers to, where it refers to it.
fn document(description: &Description, schema: &Value, unnamed: Unnamed) -> Value {
    let mut document = converted(schema, unnamed);
    let mut needed = BTreeSet::new();
    let mut open = references(&document);
    let mut schemas = Map::new();
    while let Some(name) = open.pop() {
        if needed.insert(name.clone()) {
            let component = converted(description.schema(&name), unnamed);
            open.extend(references(&component));
            schemas.insert(name, component);
        }
    }
    document["components"] = json!({ "schemas": schemas });
    document
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(keywords) => keywords
            .iter()
            .flat_map(|(keyword, value)| match (keyword.as_str(), value) {
                ("$ref", Value::String(to)) => {
                    vec![to.strip_prefix(COMPONENTS).unwrap_or(to).to_owned()]
                }
                _ => references(value),
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// A schema of `OpenAPI` 3.0 as one of JSON Schema.
pub(super) fn converted(schema: &Value, unnamed: Unnamed) -> Value {
    let Value::Object(keywords) = schema else {
        return schema.clone();
    };
    if let Some(to) = keywords.get("$ref") {
        // What stands beside it counts for nothing in OpenAPI 3.0.
        return json!({ "$ref": to });
    }
    let mut made = Map::new();
    for (keyword, value) in keywords {
        let value = match (keyword.as_str(), value) {
            // Words for readers; an example may look like a reference.
            ("nullable" | "example" | "default" | "description" | "title", _) => continue,
            ("properties", Value::Object(all)) => all
                .iter()
                .map(|(name, schema)| (name.clone(), converted(schema, unnamed)))
                .collect(),
            ("items" | "additionalProperties" | "not", schema) => converted(schema, unnamed),
            ("anyOf" | "oneOf", Value::Array(all)) => all
                .iter()
                .map(|schema| converted(schema, unnamed))
                .collect(),
            // Each of them is shown what the others name.
            ("allOf", Value::Array(all)) => all
                .iter()
                .map(|schema| converted(schema, Unnamed::Allowed))
                .collect(),
            (_, value) => value.clone(),
        };
        made.insert(keyword.clone(), value);
    }
    let composed = ["anyOf", "oneOf", "allOf"]
        .iter()
        .any(|keyword| made.contains_key(*keyword));
    if unnamed == Unnamed::Refused && made.contains_key("properties") && !composed {
        made.entry("additionalProperties").or_insert(json!(false));
    }
    if keywords.get("nullable") == Some(&json!(true)) {
        nullable(made)
    } else {
        Value::Object(made)
    }
}

/// The same schema, or null. GitHub means null also where an enumeration does not list it.
fn nullable(mut schema: Map<String, Value>) -> Value {
    let composed = ["anyOf", "oneOf", "allOf", "not"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword));
    match schema.get("type") {
        // An error in one type tells more than one in two alternatives.
        Some(Value::String(one)) if !composed => {
            let either = json!([one, "null"]);
            schema.insert("type".to_owned(), either);
            if let Some(Value::Array(all)) = schema.get_mut("enum") {
                all.push(Value::Null);
            }
            Value::Object(schema)
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// An error, or, where none of several alternatives fits, those of the one that was meant.
fn told(error: &ValidationError<'_>) -> Vec<String> {
    let path = error.instance_path();
    let place = match path.as_str() {
        "" => "the body".to_owned(),
        path => format!("`{path}`"),
    };
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) =
        error.kind()
    else {
        return vec![format!("{place}: {error}")];
    };
    // Not the one that takes the fewest words: what lacks much was not meant to be null, or another thing.
    let meant = context.iter().min_by_key(|errors| {
        let strange = errors
            .iter()
            .map(|error| match error.kind() {
                ValidationErrorKind::Type { .. } if error.instance_path() == path => usize::MAX,
                ValidationErrorKind::AdditionalProperties { unexpected } => unexpected.len(),
                _ => 0,
            })
            .max();
        (strange, errors.len())
    });
    meant.into_iter().flatten().flat_map(told).collect()
}
