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

/// Where a schema keeps what it refers to.
const DEFINITIONS: &str = "$defs";

/// The schema of a whole `settings.json`: one object for each interface that the policy exports. What
/// they define is at the file's root, where every `$ref` looks for it.
pub fn schema_of_file(interfaces: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut parts: Vec<Part> = interfaces
        .into_iter()
        .map(|(interface, schema)| Part::of(interface, schema))
        .collect();
    let clashes = |part: &Part| parts.iter().any(|other| part.clashes_with(other));
    // All, since what looks alike in two interfaces may refer to what does not.
    if parts.iter().any(clashes) {
        parts.iter_mut().for_each(Part::name_by_interface);
    }
    let mut properties = Map::new();
    let mut definitions = Map::new();
    for part in parts {
        properties.insert(part.interface.to_owned(), part.schema);
        definitions.extend(part.definitions);
    }
    let mut file = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
    });
    if !definitions.is_empty() {
        file[DEFINITIONS] = Value::Object(definitions);
    }
    file
}

/// One interface's schema on its way into the file's.
struct Part {
    interface: &'static str,
    schema: Value,
    definitions: Map<String, Value>,
}

impl Part {
    fn of(interface: &'static str, mut schema: Value) -> Self {
        // Settings that hold themselves mean their own root.
        each_ref(&mut schema, &mut |reference| {
            if reference == "#" {
                *reference = format!("#/properties/{interface}");
            }
        });
        let mut definitions = Map::new();
        if let Some(members) = schema.as_object_mut() {
            members.remove("$schema");
            if let Some(Value::Object(own)) = members.remove(DEFINITIONS) {
                definitions = own;
            }
        }
        Self {
            interface,
            schema,
            definitions,
        }
    }

    /// Whether both define a name, and not alike.
    fn clashes_with(&self, other: &Self) -> bool {
        self.definitions.iter().any(|(name, definition)| {
            let theirs = other.definitions.get(name);
            theirs.is_some_and(|theirs| theirs != definition)
        })
    }

    /// Puts the interface before the name of all that is defined.
    fn name_by_interface(&mut self) {
        let interface = self.interface;
        let renamed = std::mem::take(&mut self.definitions)
            .into_iter()
            .map(|(name, definition)| (format!("{interface}-{name}"), definition));
        self.definitions = renamed.collect();
        let start = format!("#/{DEFINITIONS}/");
        for schema in std::iter::once(&mut self.schema).chain(self.definitions.values_mut()) {
            each_ref(schema, &mut |reference| {
                if let Some(name) = reference.strip_prefix(&start) {
                    *reference = format!("{start}{interface}-{name}");
                }
            });
        }
    }
}

/// Visits every `$ref` of a schema.
fn each_ref(schema: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if key == "$ref" => visit(reference),
                    _ => each_ref(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_ref(item, visit)),
        _ => {}
    }
}

/// The `$ref`s of a file's schema that lead to nothing in it.
#[cfg(all(any(test, feature = "testing"), not(target_arch = "wasm32")))]
pub(crate) fn unresolved(file: &Value) -> Vec<String> {
    let mut references = Vec::new();
    each_ref(&mut file.clone(), &mut |reference| {
        references.push(reference.clone());
    });
    // Percent signs in a reference are the schema's matter.
    let schema = schemars::Schema::try_from(file.clone()).unwrap_or_default();
    references.retain(|reference| schema.pointer(reference).is_none());
    references
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

    /// Has a definition of the name that [`Some`] has one of, with other content.
    #[derive(serde::Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Other {
        list: Vec<other::Inner>,
    }

    mod other {
        use super::JsonSchema;

        #[derive(serde::Deserialize, JsonSchema)]
        #[allow(dead_code, reason = "only its schema is looked at")]
        pub(super) struct Inner {
            name: String,
        }
    }

    /// Holds itself.
    #[derive(serde::Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Tree {
        branches: Vec<Tree>,
    }

    #[test]
    fn what_interfaces_define_alike_is_defined_once_where_refs_look_for_it() {
        let one = schema_of_file([("scale-up", schema::<Some>())]);
        let two = schema_of_file([
            ("scale-down", schema::<Some>()),
            ("scale-up", schema::<Some>()),
        ]);
        for file in [one, two] {
            assert_eq!(unresolved(&file), [""; 0]);
            assert_eq!(file["$defs"].as_object().unwrap().len(), 1);
            let own = &file["properties"]["scale-up"];
            assert_eq!(own.get("$defs"), None);
            assert_eq!(own["properties"]["list"]["items"]["$ref"], "#/$defs/Inner");
        }
    }

    #[test]
    fn what_interfaces_define_differently_is_named_by_the_interface() {
        let file = schema_of_file([
            ("scale-down", schema::<Other>()),
            ("scale-up", schema::<Some>()),
        ]);
        assert_eq!(unresolved(&file), [""; 0]);
        for (interface, field) in [("scale-down", "name"), ("scale-up", "count")] {
            let list = &file["properties"][interface]["properties"]["list"];
            let name = format!("{interface}-Inner");
            assert_eq!(list["items"]["$ref"], format!("#/$defs/{name}"));
            assert!(file["$defs"][name]["properties"][field].is_object());
        }
        assert_eq!(file["$defs"].get("Inner"), None);
    }

    #[test]
    fn settings_that_hold_themselves_do_not_hold_the_file() {
        let file = schema_of_file([("sync", schema::<Tree>())]);
        let own = &file["properties"]["sync"]["properties"];
        assert_eq!(own["branches"]["items"]["$ref"], "#/properties/sync");
        assert_eq!(unresolved(&file), [""; 0]);
        assert_eq!(file.get("$defs"), None);
    }

    #[test]
    fn a_ref_to_nothing_is_found() {
        let file = json!({
            "items": [{ "$ref": "#/$defs/Gone" }, { "$ref": "#/$defs/A%20B" }],
            "$defs": { "A B": {} },
        });
        assert_eq!(unresolved(&file), ["#/$defs/Gone"]);
    }
}
