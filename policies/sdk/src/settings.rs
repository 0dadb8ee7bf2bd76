//! Settings as types of the policy's own: read from JSON, with complaints that say where and what.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use crate::about::Complaint;

/// What a policy's settings are: `#[derive(Deserialize, JsonSchema)]` and
/// `#[serde(deny_unknown_fields)]`, so that a misspelt key is told and not ignored. Doc comments become
/// the schema's descriptions.
pub trait Settings: DeserializeOwned + JsonSchema {}

impl<T: DeserializeOwned + JsonSchema> Settings for T {}

/// Reads a JSON object; an empty text is the empty object.
///
/// # Errors
/// What is not understood, and where.
pub fn parse<S: Settings>(json: &str) -> Result<S, Complaint> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| Complaint {
        at: pointer(error.path()),
        problem: without_place(&error.inner().to_string()),
    })
}

/// The JSON pointer of a path.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => {
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    pointer
}

/// Line and column are of the merged settings, which nobody has in front of them.
fn without_place(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(place) => message[..place].to_owned(),
        None => message.to_owned(),
    }
}

/// The schema of one interface's settings.
pub fn schema<S: Settings>() -> Value {
    schemars::schema_for!(S).to_value()
}

/// The schema of a whole `settings.json`: one object for each interface that the policy exports.
pub fn schema_of_file(interfaces: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<String, Value> = interfaces
        .into_iter()
        .map(|(interface, mut schema)| {
            if let Some(members) = schema.as_object_mut() {
                members.remove("$schema");
            }
            (interface.to_owned(), schema)
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some settings.
    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Some {
        /// A number.
        number: u32,
        list: Vec<Inner>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        count: u32,
    }

    impl Default for Some {
        fn default() -> Self {
            Self {
                number: 7,
                list: Vec::new(),
            }
        }
    }

    #[test]
    fn an_empty_text_and_an_empty_object_are_the_defaults() {
        for text in ["", "  ", "{}"] {
            assert_eq!(parse::<Some>(text).unwrap(), Some::default());
        }
    }

    #[test]
    fn a_complaint_says_where_and_what() {
        for (text, at, problem) in [
            (r#"{"numbr":1}"#, "/numbr", "unknown field `numbr`"),
            (r#"{"number":-1}"#, "/number", "invalid value"),
            (
                r#"{"list":[{"count":1},{"count":"x"}]}"#,
                "/list/1/count",
                "invalid type",
            ),
            ("[1", "", ""),
        ] {
            let complaint = parse::<Some>(text).unwrap_err();
            assert!(complaint.problem.contains(problem), "{complaint:?}");
            assert!(!complaint.problem.contains("line"), "{complaint:?}");
            if !problem.is_empty() {
                assert_eq!(complaint.at, at, "{complaint:?}");
            }
        }
    }

    #[test]
    fn the_schema_has_the_doc_comments_and_refuses_what_is_unknown() {
        let schema = schema_of_file([("scale-up", schema::<Some>())]);
        let own = &schema["properties"]["scale-up"];
        assert_eq!(own["properties"]["number"]["description"], "A number.");
        assert_eq!(own["additionalProperties"], false);
        assert_eq!(own.get("$schema"), None);
    }
}
