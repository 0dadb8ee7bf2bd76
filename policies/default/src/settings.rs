//! What an owner can set, in `settings.json` under `scale-up`.

use serde::Deserialize;
use stoker_policy_sdk::about::Complaint;

/// The settings' JSON schema.
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "max_runners": {
      "type": "integer", "minimum": 0, "maximum": 4294967295,
      "description": "The most runners that the scope may have; the operator's own maximum applies too."
    },
    "capacity": {
      "enum": ["spot", "on-demand"], "default": "spot",
      "description": "What to launch where a class offers both."
    }
  }
}"#;

/// The settings, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The most runners that the scope may have; none: only the operator's maximum applies.
    pub max_runners: Option<u32>,
    /// What to launch where a class offers both.
    pub capacity: PreferredCapacity,
}

/// What to launch where a class offers both; the other where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreferredCapacity {
    /// The cheaper one.
    #[default]
    Spot,
    /// The one that is not taken back.
    OnDemand,
}

impl Settings {
    /// Reads a JSON object; an empty text is the empty object.
    ///
    /// # Errors
    /// Says what is not understood.
    pub fn parse(json: &str) -> Result<Self, Complaint> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(json).map_err(|error| Complaint {
            at: String::new(),
            problem: error.to_string(),
        })
    }
}
