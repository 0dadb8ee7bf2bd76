//! Settings: one JSON object per interface, merged by RFC 7396 from the deciding policy's level down to
//! the most specific one.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::{Decision, Failure};

/// The largest settings file, in bytes.
pub(crate) const LARGEST: usize = 64 << 10;

/// The deepest that settings may be nested: merging them recurses.
const DEEPEST: usize = 32;

/// What applies only where it is declared: a stock of idle runners that every repository inherited
/// from its organisation would be a fleet of useless runners.
const NEVER_INHERITED: &str = "idle";

/// A folder's `settings.json`.
#[derive(Debug, Clone)]
pub(crate) struct SettingsFile {
    pub(crate) path: String,
    pub(crate) bytes: Arc<[u8]>,
}

/// Merged settings, and what their owner is to be told of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Merged {
    value: Value,
    pub(crate) notes: Vec<String>,
}

impl Merged {
    /// The merged object as JSON; equal settings give equal text.
    pub(crate) fn text(&self) -> String {
        self.value.to_string()
    }

    /// Settings that were merged before, from their text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        value.is_object().then_some(Self {
            value,
            notes: Vec::new(),
        })
    }
}

/// Whose settings are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The scope of the most specific folder.
    Own,
    /// A narrower scope that has no folder, and inherits all of them.
    Narrower,
}

/// The settings that a deciding policy is shown: those of the folders from the most specific one up to
/// the one that the policy is in.
///
/// # Errors
/// Names the file that can't be used, and why.
pub(crate) fn merged<'a>(
    files: impl DoubleEndedIterator<Item = Option<&'a SettingsFile>> + ExactSizeIterator,
    decision: Decision,
    whose: Whose,
) -> Result<Merged, Failure> {
    let mut merged = Merged {
        value: Value::Object(Map::new()),
        notes: Vec::new(),
    };
    for (place, file) in files.enumerate().rev() {
        let Some(file) = file else {
            continue;
        };
        let Some(mut object) = of_interface(file, decision)? else {
            continue;
        };
        if (place > 0 || whose == Whose::Narrower) && not_inherited(&mut object) {
            merged.notes.push(format!(
                "`{NEVER_INHERITED}` in {} is left aside: it applies only where it is declared",
                file.path
            ));
        }
        merge(&mut merged.value, object);
    }
    Ok(merged)
}

/// What a repository's own file makes of its organisation's settings; none if it says nothing of this
/// decision.
///
/// # Errors
/// Names the file that can't be used, and why.
pub(crate) fn tuned(
    scope: &Merged,
    file: &SettingsFile,
    decision: Decision,
) -> Result<Option<Merged>, Failure> {
    let Some(mut object) = of_interface(file, decision)? else {
        return Ok(None);
    };
    let mut notes = Vec::new();
    if not_inherited(&mut object) {
        notes.push(format!(
            "`{NEVER_INHERITED}` in {} is left aside: the repository has no runners of its own",
            file.path
        ));
    }
    let mut value = scope.value.clone();
    merge(&mut value, object);
    Ok(Some(Merged { value, notes }))
}

/// What a folder's own `settings.json` adds to the settings of a decision, before it is merged with what
/// other folders add; none if it says nothing of that decision. `own`: whether it is for the scope that the
/// folder is for, or for a narrower one that inherits it.
///
/// # Errors
/// Says why the file can't be used.
pub fn added(
    folder: &PolicyFolder,
    bytes: &[u8],
    decision: Decision,
    own: bool,
) -> Result<Option<Value>, Failure> {
    let file = SettingsFile {
        path: format!("{folder}/settings.json"),
        bytes: bytes.into(),
    };
    let mut object = of_interface(&file, decision)?;
    // No scope is the default level's own.
    if !own || *folder == PolicyFolder::Default {
        object.as_mut().map(not_inherited);
    }
    Ok(object)
}

/// The classes that the `idle` entries of settings speak of, which trials are to have.
pub(crate) fn classes(text: &str) -> Vec<String> {
    let settings: Value = serde_json::from_str(text).unwrap_or_default();
    let entries = settings[NEVER_INHERITED].as_array();
    let class = |entry: &Value| Some(entry.get("class")?.as_str()?.to_owned());
    let names: BTreeSet<String> = entries.into_iter().flatten().filter_map(class).collect();
    names.into_iter().collect()
}

/// Takes out what is never inherited; whether there was something.
fn not_inherited(object: &mut Value) -> bool {
    object
        .as_object_mut()
        .and_then(|members| members.remove(NEVER_INHERITED))
        .is_some_and(|idle| idle.as_array().is_none_or(|entries| !entries.is_empty()))
}

fn of_interface(file: &SettingsFile, decision: Decision) -> Result<Option<Value>, Failure> {
    let refuse = |problem: String| Failure::Settings {
        path: file.path.clone(),
        problem,
    };
    if file.bytes.len() > LARGEST {
        return Err(refuse(format!(
            "the file has {} bytes and may have {LARGEST}",
            file.bytes.len()
        )));
    }
    let mut parsed: Value = serde_json::from_slice(&file.bytes)
        .map_err(|error| refuse(format!("it is not JSON: {error}")))?;
    if depth(&parsed) > DEEPEST {
        return Err(refuse(format!("it is nested deeper than {DEEPEST}")));
    }
    let expected = "it is not an object with `scale-up`, `scale-down` or `sync` in it";
    let Some(interfaces) = parsed.as_object_mut() else {
        return Err(refuse(expected.to_owned()));
    };
    let unknown = interfaces
        .keys()
        .find(|key| !Decision::ALL.iter().any(|d| d.as_str() == *key) && *key != "$schema");
    if let Some(unknown) = unknown {
        return Err(refuse(format!(
            "it has `{}` at its top, and only `scale-up`, `scale-down` and `sync` (and `$schema`) go there",
            stoker_policy::tame(unknown.clone())
        )));
    }
    match interfaces.remove(decision.as_str()) {
        None => Ok(None),
        Some(object) if object.is_object() => Ok(Some(object)),
        Some(_) => Err(refuse(format!("`{decision}` is not an object"))),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// RFC 7396: null removes, objects merge, everything else replaces.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(&key);
            } else {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(text: &str) -> SettingsFile {
        SettingsFile {
            path: "settings.json".to_owned(),
            bytes: text.as_bytes().into(),
        }
    }

    fn own(files: &[Option<&str>]) -> Merged {
        of(files, Whose::Own).unwrap()
    }

    /// The most specific first.
    fn of(files: &[Option<&str>], whose: Whose) -> Result<Merged, Failure> {
        let files: Vec<Option<SettingsFile>> = files.iter().map(|text| text.map(file)).collect();
        merged(files.iter().map(Option::as_ref), Decision::ScaleUp, whose)
    }

    #[test]
    fn settings_merge_from_the_deciding_level_down() {
        let narrow = r#"{"scale-up":{"a":2,"b":null},"scale-down":{"z":1}}"#;
        let broad = r#"{"scale-up":{"a":1,"b":1,"c":{"d":1}}}"#;
        assert_eq!(
            own(&[Some(narrow), Some(broad)]).text(),
            r#"{"a":2,"c":{"d":1}}"#
        );
        assert_eq!(own(&[Some(narrow)]).text(), r#"{"a":2}"#);
        assert_eq!(
            own(&[None, Some(broad)]).text(),
            r#"{"a":1,"b":1,"c":{"d":1}}"#
        );
        assert_eq!(own(&[None]).text(), "{}");
    }

    #[test]
    fn idle_stock_applies_where_it_is_declared_and_its_owner_is_told_otherwise() {
        let idle = r#"{"scale-up":{"idle":[{"count":1}],"a":1}}"#;
        let told = own(&[None, Some(idle)]);
        assert_eq!(told.text(), r#"{"a":1}"#);
        assert!(told.notes[0].contains("only where it is declared"));
        let kept = own(&[Some(idle), None]);
        assert_eq!(kept.text(), r#"{"a":1,"idle":[{"count":1}]}"#);
        assert_eq!(kept.notes, [""; 0]);
        let narrower = of(&[Some(idle), None], Whose::Narrower).unwrap();
        assert_eq!(narrower.text(), r#"{"a":1}"#);
    }

    #[test]
    fn a_repository_tunes_its_organisation_s_settings() {
        let scope = own(&[Some(r#"{"scale-up":{"a":1,"b":1}}"#)]);
        let of_app = |text| tuned(&scope, &file(text), Decision::ScaleUp).unwrap();
        let merged = of_app(r#"{"scale-up":{"a":7,"idle":[1]}}"#).unwrap();
        assert_eq!(merged.text(), r#"{"a":7,"b":1}"#);
        assert!(merged.notes[0].contains("no runners of its own"));
        assert_eq!(of_app(r#"{"scale-down":{}}"#), None);
        assert_eq!(Merged::parse(&scope.text()), Some(scope));
        assert_eq!(Merged::parse("[]"), None);
    }

    #[test]
    fn settings_that_can_t_be_used_are_refused_by_name() {
        let deep = |levels: usize| {
            let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
            format!(r#"{{"scale-up":{open}1{close}}}"#)
        };
        let of = |text: &str| of(&[Some(text)], Whose::Own);
        assert!(of(&deep(DEEPEST - 1)).is_ok());
        let large = format!(r#"{{"scale-up":{{"a":"{}"}}}}"#, "x".repeat(LARGEST));
        for (text, problem) in [
            (deep(DEEPEST), "nested deeper than 32"),
            (deep(5_000), "not JSON: recursion limit"),
            (large, "65557 bytes and may have 65536"),
            ("[]".to_owned(), "not an object with"),
            (
                r#"{"scale-up":3}"#.to_owned(),
                "`scale-up` is not an object",
            ),
            (
                r#"{"scaleup":{}}"#.to_owned(),
                "it has `scaleup` at its top",
            ),
            ("{".to_owned(), "not JSON"),
        ] {
            let told = of(&text).unwrap_err().to_string();
            assert!(told.contains(problem), "{told}");
            assert!(told.starts_with("settings.json: "), "{told}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A patch that was merged once changes nothing the second time.
        #[test]
        fn merging_twice_is_merging_once(target in json(), patch in json()) {
            let mut once = target;
            merge(&mut once, patch.clone());
            let mut twice = once.clone();
            merge(&mut twice, patch);
            prop_assert_eq!(once, twice);
        }

        /// An empty object is no patch.
        #[test]
        fn an_empty_patch_changes_no_object(members in prop::collection::btree_map("[a-c]", json(), 0..4)) {
            let target = Value::Object(members.into_iter().collect());
            let mut merged = target.clone();
            merge(&mut merged, Value::Object(Map::new()));
            prop_assert_eq!(merged, target);
        }
    }
}
