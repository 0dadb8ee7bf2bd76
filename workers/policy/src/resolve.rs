//! Which policy decides for a scope, and with which settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use serde_json::{Map, Value};
use stoker_core::plan::PolicyLevel;
use stoker_core::ports::{Fetched, PolicyStore, PolicyStoreError};
use stoker_core::situation::ScopeName;

use crate::failure::Failure;

/// The largest settings file, in bytes.
const SETTINGS_BYTES: usize = 64 << 10;

/// The deepest that settings may be nested: merging them recurses.
const SETTINGS_DEPTH: usize = 32;

/// A place where a policy may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) level: PolicyLevel,
    folder: String,
}

impl Place {
    fn policy(&self) -> String {
        format!("{}/policy.wasm", self.folder)
    }

    fn settings(&self) -> String {
        format!("{}/settings.json", self.folder)
    }
}

/// The places for a scope, most specific first.
pub(crate) fn places(scope: &ScopeName) -> Vec<Place> {
    let repository = scope.repository.as_ref().map(|repository| Place {
        level: PolicyLevel::Repository,
        folder: format!("repos/{}/{repository}", scope.owner),
    });
    let broader = [
        Place {
            level: PolicyLevel::Organization,
            folder: format!("orgs/{}", scope.owner),
        },
        Place {
            level: PolicyLevel::Default,
            folder: "default".to_owned(),
        },
    ];
    repository.into_iter().chain(broader).collect()
}

/// An object as it was last read.
#[derive(Debug, Clone)]
struct Object {
    tag: String,
    bytes: Arc<Vec<u8>>,
}

/// What was found at a place.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) level: PolicyLevel,
    pub(crate) policy: Option<Arc<Vec<u8>>>,
    settings_path: String,
    settings: Option<Arc<Vec<u8>>>,
}

/// Everything that was found for a scope.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// Most specific first.
    pub(crate) found: Vec<Found>,
    /// Some of it could not be read now, and is what was read before.
    pub(crate) stale: Option<PolicyStoreError>,
}

/// Reads policies and settings, and remembers what it read (never that it could not).
pub(crate) struct Reader {
    store: Arc<dyn PolicyStore>,
    /// None: there was nothing at that path.
    known: Mutex<HashMap<String, Option<Object>>>,
}

/// What there is at a path; the error comes with what there was before, if that is known.
type Read = Result<Option<Arc<Vec<u8>>>, (PolicyStoreError, Option<Option<Arc<Vec<u8>>>>)>;

impl Reader {
    pub(crate) fn new(store: Arc<dyn PolicyStore>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// Reads all places at once; each costs one conditional request.
    pub(crate) async fn read(&self, places: &[Place]) -> Result<Folders, PolicyStoreError> {
        let mut stale = None;
        let objects =
            join_all(places.iter().flat_map(|place| {
                [place.policy(), place.settings()].map(|path| self.object(path))
            }))
            .await;
        let mut objects = objects.into_iter();
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            let mut next = || match objects.next() {
                Some(Ok(bytes)) => Ok(bytes),
                Some(Err((error, Some(before)))) => {
                    stale = Some(error);
                    Ok(before)
                }
                Some(Err((error, None))) => Err(error),
                None => Ok(None),
            };
            found.push(Found {
                level: place.level,
                policy: next()?,
                settings_path: place.settings(),
                settings: next()?,
            });
        }
        Ok(Folders { found, stale })
    }

    async fn object(&self, path: String) -> Read {
        let known = self.known().get(&path).cloned();
        let before = known.clone().flatten();
        let tag = before.as_ref().map(|object| object.tag.as_str());
        let now = match self.store.fetch(&path, tag).await {
            Ok(Fetched::Unchanged) => before,
            Ok(Fetched::Absent) => None,
            Ok(Fetched::Found { bytes, tag }) => Some(Object {
                tag,
                bytes: Arc::new(bytes),
            }),
            Err(error) => {
                return Err((error, known.map(|object| object.map(|object| object.bytes))));
            }
        };
        let bytes = now.as_ref().map(|object| Arc::clone(&object.bytes));
        self.known().insert(path, now);
        Ok(bytes)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Object>>> {
        // A panic elsewhere leaves the map whole: every change of it is one call.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings of one interface, merged (RFC 7396) from the deciding policy's level down to the most
/// specific one. A JSON object.
pub(crate) fn settings(
    found: &[Found],
    deciding: PolicyLevel,
    interface: &str,
) -> Result<String, Failure> {
    let mut merged = Value::Object(Map::new());
    let from = found
        .iter()
        .position(|place| place.level == deciding)
        .map_or(found.len(), |place| place + 1);
    for place in found[..from].iter().rev() {
        if let Some(bytes) = &place.settings
            && let Some(object) = of_interface(&place.settings_path, bytes, interface)?
        {
            merge(&mut merged, object);
        }
    }
    Ok(merged.to_string())
}

fn of_interface(path: &str, bytes: &[u8], interface: &str) -> Result<Option<Value>, Failure> {
    let refuse = |problem: String| Failure::Settings {
        path: path.to_owned(),
        problem,
    };
    if bytes.len() > SETTINGS_BYTES {
        return Err(refuse(format!(
            "the file has {} bytes and may have {SETTINGS_BYTES}",
            bytes.len()
        )));
    }
    let mut file: Value = serde_json::from_slice(bytes)
        .map_err(|error| refuse(format!("it is not JSON: {error}")))?;
    if depth(&file) > SETTINGS_DEPTH {
        return Err(refuse(format!("it is nested deeper than {SETTINGS_DEPTH}")));
    }
    let Some(interfaces) = file.as_object_mut() else {
        return Err(refuse(
            "it is not an object with `scale-up`, `scale-down` or `sync` in it".to_owned(),
        ));
    };
    match interfaces.remove(interface) {
        None => Ok(None),
        Some(object) if object.is_object() => Ok(Some(object)),
        Some(_) => Err(refuse(format!("`{interface}` is not an object"))),
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
fn merge(target: &mut Value, patch: Value) {
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
    use super::*;

    fn found(level: PolicyLevel, settings: Option<&str>) -> Found {
        Found {
            level,
            policy: None,
            settings_path: "settings.json".to_owned(),
            settings: settings.map(|text| Arc::new(text.as_bytes().to_vec())),
        }
    }

    #[test]
    fn a_scope_looks_in_its_own_folder_first() {
        let scope = ScopeName {
            owner: "acme".to_owned(),
            repository: Some("app".to_owned()),
        };
        let folders: Vec<String> = places(&scope).into_iter().map(|p| p.folder).collect();
        assert_eq!(folders, ["repos/acme/app", "orgs/acme", "default"]);
    }

    #[test]
    fn settings_merge_from_the_deciding_level_down() {
        let all = [
            found(
                PolicyLevel::Organization,
                Some(r#"{"scale-up":{"a":2,"b":null}}"#),
            ),
            found(
                PolicyLevel::Default,
                Some(r#"{"scale-up":{"a":1,"b":1,"c":{"d":1}}}"#),
            ),
        ];
        let merged = settings(&all, PolicyLevel::Default, "scale-up").unwrap();
        assert_eq!(merged, r#"{"a":2,"c":{"d":1}}"#);
        let own = settings(&all, PolicyLevel::Organization, "scale-up").unwrap();
        assert_eq!(own, r#"{"a":2}"#);
    }

    #[test]
    fn settings_that_are_no_objects_are_refused_by_name() {
        for text in ["[]", "{", r#"{"scale-up":1}"#] {
            let all = [found(PolicyLevel::Default, Some(text))];
            let failure = settings(&all, PolicyLevel::Default, "scale-up").unwrap_err();
            assert_eq!(failure.cause(), "settings");
        }
        let deep = format!(
            "{{\"scale-up\":{}1{}}}",
            "{\"a\":".repeat(40),
            "}".repeat(40)
        );
        let all = [found(PolicyLevel::Default, Some(&deep))];
        assert!(settings(&all, PolicyLevel::Default, "scale-up").is_err());
    }
}
