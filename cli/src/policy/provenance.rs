//! Where each value of merged settings comes from: the merge is done again, and remembers who set what.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use stoker_admission::settings::added;
use stoker_core::ids::PolicyGeneration;
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::Decision;
use stoker_policy::activation::{Document, SettingsRef};

use super::deployment::Deployment;

/// Merged settings, as they are shown.
#[derive(Debug, Serialize)]
pub(super) struct SettingsView {
    settings: Value,
    /// By JSON pointer: the folder whose `settings.json` says so. None: it can't be told.
    origins: Option<BTreeMap<String, PolicyFolder>>,
    /// What their owner is told with every decision.
    notes: Vec<String>,
    /// The time zones that the policy is told the time of.
    zones: Vec<String>,
}

impl SettingsView {
    /// What their owner is told with every decision.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A line for each value: where it is, what it is, and who set it.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut found = Vec::new();
        leaves(&self.settings, "", &mut found);
        let widest = |of: fn(&(String, String)) -> &String| {
            let widths = found.iter().map(|leaf| of(leaf).chars().count());
            widths.max().unwrap_or(0).min(40)
        };
        let (wide, wider) = (widest(|(at, _)| at), widest(|(_, value)| value));
        let line = |(at, value): &(String, String)| {
            let from = match &self.origins {
                Some(origins) => origins.get(at).map(ToString::to_string),
                None => Some("(of an earlier publication)".to_owned()),
            };
            let from = from.unwrap_or_default();
            format!("{at:<wide$}  {value:<wider$}  {from}")
        };
        found.iter().map(line).collect()
    }
}

fn leaves(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                leaves(member, &pointer(at, key), found);
            }
        }
        // The whole of it is empty.
        Value::Object(_) if at.is_empty() => {}
        leaf => found.push((at.to_owned(), leaf.to_string())),
    }
}

/// A JSON pointer (RFC 6901) to a member.
fn pointer(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Settings that are being merged.
#[derive(Debug, Clone, PartialEq)]
struct Merged {
    value: Value,
    origins: BTreeMap<String, PolicyFolder>,
}

impl Merged {
    fn nothing() -> Self {
        Self {
            value: Value::Object(Map::new()),
            origins: BTreeMap::new(),
        }
    }

    /// Merges what a folder adds: RFC 7396.
    fn add(&mut self, folder: &PolicyFolder, patch: Value) {
        merge(&mut self.value, patch, "", folder, &mut self.origins);
    }
}

fn merge(
    target: &mut Value,
    patch: Value,
    at: &str,
    folder: &PolicyFolder,
    origins: &mut BTreeMap<String, PolicyFolder>,
) {
    let Value::Object(patch) = patch else {
        forget(origins, at);
        origins.insert(at.to_owned(), folder.clone());
        *target = patch;
        return;
    };
    if !target.is_object() {
        forget(origins, at);
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (key, value) in patch {
        let at = pointer(at, &key);
        if value.is_null() {
            forget(origins, &at);
            members.remove(&key);
        } else {
            let member = members.entry(key).or_insert(Value::Null);
            merge(member, value, &at, folder, origins);
        }
    }
    // An object is a value of its own only while nothing is in it.
    if !members.is_empty() {
        origins.remove(at);
    } else if !at.is_empty() {
        origins
            .entry(at.to_owned())
            .or_insert_with(|| folder.clone());
    }
}

/// Nobody set this, or anything in it, any more.
fn forget(origins: &mut BTreeMap<String, PolicyFolder>, at: &str) {
    let inside = format!("{at}/");
    origins.retain(|other, _| other != at && !other.starts_with(&inside));
}

/// Which settings are merged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) decision: Decision,
    /// The most specific folder.
    pub(super) folder: &'a PolicyFolder,
    /// The level of the policy that is shown them.
    pub(super) level: PolicyLevel,
    /// Whether they are for the folder's own scope, or for a narrower one that inherits them.
    pub(super) own: bool,
    /// A repository that has its own for its jobs.
    pub(super) tuned_by: Option<&'a PolicyFolder>,
}

impl Deployment {
    /// Merged settings, with where each value comes from.
    pub(super) async fn merged(
        &self,
        document: &Document,
        settings: &SettingsRef,
        whose: Whose<'_>,
        since: Option<PolicyGeneration>,
    ) -> anyhow::Result<SettingsView> {
        let text = self.settings(&settings.digest).await?;
        let value: Value = serde_json::from_slice(&text)?;
        let origins = |again: Merged| (again.value == value).then_some(again.origins);
        let mut found = origins(self.again(document, whose).await?);
        // What is held back stays as it was merged when it was accepted.
        if let (None, Some(since)) = (&found, since)
            && let Some(then) = self.archived(since).await?
        {
            found = origins(self.again(&then.document, whose).await?);
        }
        Ok(SettingsView {
            origins: found,
            settings: value,
            notes: settings.notes.clone(),
            zones: settings.zones.clone(),
        })
    }

    /// Merges again what a document says that was merged.
    async fn again(&self, document: &Document, whose: Whose<'_>) -> anyhow::Result<Merged> {
        let Whose {
            decision,
            folder,
            level,
            own,
            tuned_by,
        } = whose;
        // Without a policy, every level's settings are the built-in rules'.
        let mut places: Vec<PolicyFolder> = folder.chain().collect();
        if let Some(deciding) = places.iter().position(|place| place.level() == level) {
            places.truncate(deciding + 1);
        }
        let narrower = tuned_by.map(|place| (place.clone(), false));
        let places = places.into_iter().rev().map(|place| {
            let own = own && place == *folder;
            (place, own)
        });
        let mut merged = Merged::nothing();
        for (place, own) in places.chain(narrower) {
            let record = document.folders.get(&place);
            let Some(piece) = record.and_then(|record| record.own.settings.as_ref()) else {
                continue;
            };
            let bytes = self.settings(&piece.digest).await?;
            if let Some(object) = added(&place, &bytes, decision, own)? {
                merged.add(&place, object);
            }
        }
        Ok(merged)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(patches: &[(&str, Value)]) -> Merged {
        let mut merged = Merged::nothing();
        for (folder, patch) in patches {
            merged.add(&folder.parse().unwrap(), patch.clone());
        }
        merged
    }

    fn origins(merged: &Merged) -> Vec<(&str, String)> {
        let origins = merged.origins.iter();
        origins
            .map(|(at, folder)| (at.as_str(), folder.to_string()))
            .collect()
    }

    #[test]
    fn each_value_is_its_last_setter_s() {
        let found = merged(&[
            (
                "default",
                json!({"a": 1, "b": {"c": 1, "d": 1}, "e": [1], "f": 1}),
            ),
            (
                "orgs/acme",
                json!({"b": {"d": 2, "x/y~z": 2}, "e": [2], "f": null}),
            ),
            ("repos/acme/app", json!({"a": {"g": 3}})),
        ]);
        assert_eq!(
            found.value,
            json!({"a": {"g": 3}, "b": {"c": 1, "d": 2, "x/y~z": 2}, "e": [2]})
        );
        let expected = [
            ("/a/g", "repos/acme/app"),
            ("/b/c", "default"),
            ("/b/d", "orgs/acme"),
            ("/b/x~1y~0z", "orgs/acme"),
            ("/e", "orgs/acme"),
        ];
        assert_eq!(
            origins(&found),
            expected.map(|(at, folder)| (at, folder.to_owned()))
        );
    }

    #[test]
    fn an_empty_object_is_a_value_while_it_is_empty() {
        let empty = merged(&[
            ("default", json!({"a": {"b": 1}})),
            ("orgs/acme", json!({"a": {"b": null}})),
        ]);
        assert_eq!(empty.value, json!({"a": {}}));
        assert_eq!(origins(&empty), [("/a", "orgs/acme".to_owned())]);
        let filled = merged(&[
            ("default", json!({"a": {}})),
            ("orgs/acme", json!({"a": {"b": 1}})),
        ]);
        assert_eq!(origins(&filled), [("/a/b", "orgs/acme".to_owned())]);
        assert_eq!(merged(&[("default", json!({}))]), Merged::nothing());
    }

    #[test]
    fn values_are_shown_in_lines_with_their_folder() {
        let Merged { value, origins } = merged(&[
            ("default", json!({"capacity": "spot"})),
            ("orgs/acme", json!({"max_runners": 40})),
        ]);
        let shown = SettingsView {
            settings: value,
            origins: Some(origins),
            notes: Vec::new(),
            zones: Vec::new(),
        };
        assert_eq!(
            shown.lines(),
            [
                "/capacity     \"spot\"  default",
                "/max_runners  40      orgs/acme"
            ]
        );
    }
}
