//! What admission is asked to do, and what it tells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoker_core::ids::PolicyGeneration;
use stoker_core::policy_folder::PolicyFolder;

use crate::problem::Problem;
use crate::verdict::Verdict;

/// What to do. Every task looks at everything that is uploaded: where hints were lost, it is found all
/// the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Task {
    /// Judge what is uploaded.
    #[default]
    Sweep,
    /// Publish again, as a new generation, what was admitted before; whatever is uploaded in that folder
    /// now is passed over, until something else is.
    Republish {
        /// For which folder.
        folder: PolicyFolder,
        /// What.
        source: Source,
        /// Instead of what has been there since that publication, if that is to be made sure of.
        from: Option<PolicyGeneration>,
        /// Who wants it.
        by: String,
    },
}

/// What is published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What was in the folder before what is in it now.
    Before,
    /// What was in the folder in an earlier publication.
    Generation(PolicyGeneration),
    /// The policy that is active in another folder, with the settings that this one has.
    Folder(PolicyFolder),
}

/// Who uploaded which version of a file, as S3's event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Such as `orgs/acme/policy.wasm`.
    pub path: String,
    /// The version.
    pub version: String,
    /// Who.
    pub by: String,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What is active now.
    pub generation: PolicyGeneration,
    /// Whether this task published it.
    pub published: bool,
    /// What each folder stands at.
    pub verdicts: BTreeMap<PolicyFolder, Verdict>,
    /// The folders whose verdict is another than before.
    pub news: Vec<PolicyFolder>,
    /// Files in places where they decide nothing.
    #[serde(default)]
    pub misplaced: Vec<Problem>,
    /// What an operator is to look at: somebody may have tampered with what is active.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// How many verdicts an answer had no room for.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: usize,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Report {
    /// The report with so many verdicts at most, what is new and what is refused first, and as many of
    /// everything else.
    #[must_use]
    pub fn shortened(mut self, most: usize) -> Self {
        let mut folders: Vec<(bool, PolicyFolder)> = self
            .verdicts
            .iter()
            .map(|(folder, verdict)| {
                let matters = self.news.contains(folder) || verdict.outcome.is_refusal();
                (!matters, folder.clone())
            })
            .collect();
        folders.sort();
        for (_, folder) in folders.drain(most.min(folders.len())..) {
            self.verdicts.remove(&folder);
            self.left_out += 1;
        }
        self.news
            .retain(|folder| self.verdicts.contains_key(folder));
        self.misplaced.truncate(most);
        self.alarms.truncate(most);
        self
    }
}
