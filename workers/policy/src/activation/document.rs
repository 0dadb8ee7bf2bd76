//! What `active.json` says.
//!
//! An older Stoker reads what a newer one wrote while an upgrade rolls out, so fields that are not known
//! are ignored; a change that must not be ignored raises [`SCHEMA`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::time::Timestamp;

use crate::contract::{Decision, Needs, Spoken};
use crate::engine::EngineId;

/// The form that this version of Stoker writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// What decides where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The form of this document.
    pub schema: u32,
    /// Which publication it is.
    pub generation: PolicyGeneration,
    /// When it was published.
    pub published: Timestamp,
    /// What it was published for, in a sentence.
    pub why: String,
    /// The policies that are named below.
    pub policies: BTreeMap<ArtifactDigest, PolicyRecord>,
    /// What decides for the scopes of each folder. A scope without a folder of its own is decided for by
    /// the next broader one that is here.
    pub folders: BTreeMap<PolicyFolder, FolderRecord>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Its own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The component's size.
    pub bytes: u64,
    /// What it exports.
    pub exports: Spoken,
    /// Its machine code, for one engine, or two while an upgrade rolls out.
    pub natives: Vec<NativeCode>,
}

/// A policy's machine code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeCode {
    /// For which engine.
    pub engine: EngineId,
    /// The SHA-256 of the code.
    pub digest: ArtifactDigest,
    /// Its size.
    pub bytes: u64,
}

impl PolicyRecord {
    /// Its machine code for an engine.
    pub fn native(&self, engine: &EngineId) -> Option<&NativeCode> {
        self.natives.iter().find(|native| native.engine == *engine)
    }
}

/// A folder: what is accepted of it, and what decides for its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderRecord {
    /// The last of what was put into it that was accepted.
    pub own: Own,
    /// What decides for its scope.
    pub scope: BTreeMap<Decision, Entry>,
    /// What it makes of its organisation's settings for its jobs, if it is a repository without a
    /// policy of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tunes: BTreeMap<Decision, SettingsRef>,
    /// The publication in which this record last changed.
    #[serde(default)]
    pub changed: PolicyGeneration,
    /// An upload that is there and is not looked at, because an operator went back to something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<PassedOver>,
}

/// Accepted files of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Own {
    /// Its `policy.wasm`.
    pub policy: Option<Piece>,
    /// Its `settings.json`.
    pub settings: Option<Piece>,
}

/// One accepted file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The SHA-256 of its bytes.
    pub digest: ArtifactDigest,
    /// The version of the upload.
    pub version: String,
    /// When it was uploaded.
    pub at: Timestamp,
    /// Who uploaded it, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Versions of uploads that an operator went back from. Others that are put in their place are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PassedOver {
    /// Of `policy.wasm`; none: there was none.
    pub policy: Option<String>,
    /// Of `settings.json`; none: there was none.
    pub settings: Option<String>,
}

/// What decides for a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A policy with its settings.
    #[serde(flatten)]
    pub pair: Pair,
    /// Since which publication.
    pub since: PolicyGeneration,
    /// What decided before, and does so again should this one fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Pair>,
}

/// A policy with its settings, as they were judged together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The policy; none: the built-in rules.
    pub policy: Option<ArtifactDigest>,
    /// Where it was found.
    pub level: PolicyLevel,
    /// For the folder's own scope.
    pub settings: SettingsRef,
    /// For narrower scopes without a folder, where what is never inherited makes a difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<SettingsRef>,
}

/// Merged settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRef {
    /// The SHA-256 of their text.
    pub digest: ArtifactDigest,
    /// The time zones that the policy needs for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// What their owner is to be told with every decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Document {
    /// The document of a deployment in which nothing was published.
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA,
            generation: PolicyGeneration(0),
            published: Timestamp(0),
            why: String::new(),
            policies: BTreeMap::new(),
            folders: BTreeMap::new(),
        }
    }

    /// What decides for a folder's scope, and with which settings.
    pub fn entry(
        &self,
        folder: &PolicyFolder,
        decision: Decision,
    ) -> Option<(&Entry, &SettingsRef)> {
        folder.chain().find_map(|place| {
            let entry = self.folders.get(&place)?.scope.get(&decision)?;
            Some((entry, entry.pair.for_scope(place == *folder)))
        })
    }

    /// Every policy that somebody may be decided for by, with those that stand in.
    pub fn named(&self) -> impl Iterator<Item = &ArtifactDigest> {
        self.folders
            .values()
            .flat_map(|folder| folder.scope.values())
            .flat_map(|entry| std::iter::once(&entry.pair).chain(entry.previous.as_ref()))
            .filter_map(|pair| pair.policy.as_ref())
    }
}

impl SettingsRef {
    /// What the policy needs for them.
    pub(crate) fn needs(&self) -> Needs {
        Needs {
            time_zones: self.zones.clone(),
        }
    }
}

impl Pair {
    /// The settings of the folder's own scope, or of one that inherits them.
    pub fn for_scope(&self, own: bool) -> &SettingsRef {
        match &self.inherited {
            Some(inherited) if !own => inherited,
            _ => &self.settings,
        }
    }
}
