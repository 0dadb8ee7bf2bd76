//! What decides where, from what is uploaded and what is known of it. No I/O and no trial: the same
//! uploads and the same knowledge give the same document.
//!
//! Folder after folder, from the broadest level to the most specific one. What is refused of a folder is
//! as if it had not been uploaded: its scope stays with the last pair that was accepted, and so does
//! whoever inherits from it. Only what was deleted goes: then the broader level decides again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::Decision;
use stoker_policy::activation::{Document, FolderRecord, Own, Pair, PassedOver, Piece};

use crate::deciding::Decides;
use crate::knowledge::Knowledge;
use crate::problem::Problem;
use crate::view::File;

/// What is in a folder now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) own: Own,
    /// The versions of what is there, of what can't even be read too.
    pub(crate) versions: PassedOver,
    /// What is wrong with the files before anybody has looked into them.
    pub(crate) problems: Vec<Problem>,
}

/// What of a folder is to be looked at: what is in it, but for uploads that an operator went back from,
/// in whose place is what was gone back to.
struct Seen {
    own: Own,
    /// Whether what lies there is left aside, by file.
    policy_passed: bool,
    settings_passed: bool,
    /// A policy was there, and is no more.
    policy_is_deleted: bool,
}

impl Seen {
    fn of(record: Option<&FolderRecord>, found: &Files) -> Self {
        let Some(record) = record else {
            return Self {
                own: found.own.clone(),
                policy_passed: false,
                settings_passed: false,
                policy_is_deleted: false,
            };
        };
        let passed = record.passed_over.as_ref();
        let policy_passed = passed.is_some_and(|passed| passed.policy == found.versions.policy);
        let settings_passed =
            passed.is_some_and(|passed| passed.settings == found.versions.settings);
        let pick = |is_passed, accepted: &Option<Piece>, uploaded: &Option<Piece>| {
            if is_passed { accepted } else { uploaded }.clone()
        };
        let policy_was_there = match passed {
            Some(passed) => passed.policy.is_some(),
            None => record.own.policy.is_some(),
        };
        Self {
            own: Own {
                policy: pick(policy_passed, &record.own.policy, &found.own.policy),
                settings: pick(settings_passed, &record.own.settings, &found.own.settings),
            },
            // That nothing is there and nothing is meant to be passes nothing over.
            policy_passed: policy_passed
                && is_other(record.own.policy.as_ref(), found.versions.policy.as_ref()),
            settings_passed: settings_passed
                && is_other(
                    record.own.settings.as_ref(),
                    found.versions.settings.as_ref(),
                ),
            policy_is_deleted: policy_was_there && found.versions.policy.is_none(),
        }
    }

    fn is_empty(&self) -> bool {
        self.own == Own::default() && !self.passes_something_over()
    }

    fn passes_something_over(&self) -> bool {
        self.policy_passed || self.settings_passed
    }

    fn passes_over(&self, file: &str) -> bool {
        (self.policy_passed && file == File::Policy.name())
            || (self.settings_passed && file == File::Settings.name())
    }
}

/// Whether what is accepted is not the upload of that version.
fn is_other(accepted: Option<&Piece>, version: Option<&String>) -> bool {
    accepted.map(|piece| &piece.version) != version
}

/// What an operator wants a folder to be, whatever is uploaded there now.
#[derive(Debug, Clone)]
pub(crate) struct Republished {
    pub(crate) folder: PolicyFolder,
    pub(crate) own: Own,
}

/// What became of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What is in it decides.
    Active,
    /// It is refused, and what was accepted before stays.
    Refused(Vec<Problem>),
    /// It had been accepted, and does not go with what has become active on a broader level: the scope
    /// stays with what decided before.
    HeldBack(Vec<Problem>),
    /// An operator went back to something else.
    PassedOver,
    /// Nothing is in it any more.
    Withdrawn,
}

/// A refusal that was written down: it would be given again for the same inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recalled {
    /// The digest of all that it came from.
    pub(crate) inputs: ArtifactDigest,
    pub(crate) problems: Vec<Problem>,
}

/// What was assembled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assembled {
    pub(crate) folders: BTreeMap<PolicyFolder, FolderRecord>,
    pub(crate) standing: BTreeMap<PolicyFolder, Standing>,
    /// The digests of what each folder's standing came from.
    pub(crate) inputs: BTreeMap<PolicyFolder, ArtifactDigest>,
    /// Why what an operator wanted to go back to is refused; empty: it is not.
    pub(crate) not_republished: Vec<Problem>,
}

/// Assembles the folders of the publication `generation`, which follows `base`.
pub(crate) fn assemble(
    base: &Document,
    generation: PolicyGeneration,
    files: &BTreeMap<PolicyFolder, Files>,
    recalled: &BTreeMap<PolicyFolder, Recalled>,
    republished: Option<&Republished>,
    known: &mut Knowledge,
) -> Assembled {
    let mut assembly = Assembly {
        base,
        generation,
        recalled,
        known,
        assembled: Assembled::default(),
    };
    let mut folders: BTreeSet<&PolicyFolder> = base.folders.keys().chain(files.keys()).collect();
    folders.extend(republished.map(|wanted| &wanted.folder));
    let nothing = Files::default();
    for folder in folders {
        let found = files.get(folder).unwrap_or(&nothing);
        match republished {
            Some(wanted) if wanted.folder == *folder => assembly.republish(folder, found, wanted),
            _ => assembly.folder(folder, found),
        }
    }
    assembly.assembled
}

/// A document on its way.
pub(crate) struct Assembly<'a> {
    pub(crate) base: &'a Document,
    pub(crate) generation: PolicyGeneration,
    recalled: &'a BTreeMap<PolicyFolder, Recalled>,
    pub(crate) known: &'a mut Knowledge,
    pub(crate) assembled: Assembled,
}

impl Assembly<'_> {
    fn folder(&mut self, folder: &PolicyFolder, found: &Files) {
        let record = self.base.folders.get(folder);
        let before = record.map(|record| record.own.clone()).unwrap_or_default();
        let seen = Seen::of(record, found);
        let problems: Vec<Problem> = found
            .problems
            .iter()
            .filter(|problem| !seen.passes_over(&problem.about))
            .cloned()
            .collect();
        let refusals = match self.candidate(folder, &seen, &problems) {
            Ok(decides) => {
                let (standing, passed) = if seen.is_empty() {
                    (Standing::Withdrawn, None)
                } else if seen.passes_something_over() {
                    (Standing::PassedOver, Some(found.versions.clone()))
                } else {
                    (Standing::Active, None)
                };
                if !seen.is_empty() {
                    self.put(folder, seen.own, decides, passed);
                }
                self.stands(folder, standing);
                return;
            }
            Err(refusals) => refusals,
        };
        let was_accepted = problems.is_empty() && seen.own == before;
        self.stands(
            folder,
            if was_accepted {
                Standing::HeldBack(refusals)
            } else {
                Standing::Refused(refusals)
            },
        );
        self.without(folder, &seen, before);
    }

    /// What a folder is when what is in it is refused: what was accepted before, but for what was deleted.
    fn without(&mut self, folder: &PolicyFolder, seen: &Seen, before: Own) {
        let kept = Own {
            // It does not come back with the settings that went with it.
            policy: before.policy.filter(|_| !seen.policy_is_deleted),
            settings: before.settings,
        };
        if kept == Own::default() {
            return;
        }
        if kept == seen.own {
            // It was refused a moment ago.
            self.keep(folder, seen);
        } else if let Ok(decides) = self.decides(folder, &kept) {
            let record = self.base.folders.get(folder);
            let passed = record.and_then(|record| record.passed_over.clone());
            self.put(folder, kept, decides, passed);
        } else {
            self.keep(folder, seen);
        }
    }

    /// What an operator went back to, unless it is refused now: then the folder is what it is without that.
    fn republish(&mut self, folder: &PolicyFolder, found: &Files, wanted: &Republished) {
        match self.decides(folder, &wanted.own) {
            Ok(decides) => {
                self.put(
                    folder,
                    wanted.own.clone(),
                    decides,
                    Some(found.versions.clone()),
                );
                self.stands(folder, Standing::PassedOver);
            }
            Err(refusals) => {
                self.folder(folder, found);
                self.assembled.not_republished = refusals;
            }
        }
    }

    fn stands(&mut self, folder: &PolicyFolder, standing: Standing) {
        self.assembled.standing.insert(folder.clone(), standing);
    }

    /// Leaves a folder as it is, but for policies that were deleted.
    fn keep(&mut self, folder: &PolicyFolder, seen: &Seen) {
        let Some(record) = self.base.folders.get(folder) else {
            return;
        };
        let deleted = |level: PolicyLevel| {
            level != PolicyLevel::BuiltIn
                && if level == folder.level() {
                    seen.policy_is_deleted
                } else {
                    !self.has_policy(folder, level)
                }
        };
        let mut record = record.clone();
        record.own.policy.take_if(|_| seen.policy_is_deleted);
        record.scope.retain(|_, entry| !deleted(entry.pair.level));
        for entry in record.scope.values_mut() {
            entry.previous.take_if(|previous| deleted(previous.level));
        }
        if record.scope.is_empty() && record.own == Own::default() {
            return;
        }
        // Its organisation's policy may be another now, which is shown only what it accepts.
        let own = record.own.clone();
        record.tunes = Decision::ALL
            .into_iter()
            .filter_map(|decision| Some((decision, self.tunes(folder, &own, decision).ok()??)))
            .collect();
        self.insert(folder, record);
    }

    /// Whether a policy is accepted in the broader folder of that level.
    pub(crate) fn has_policy(&self, folder: &PolicyFolder, level: PolicyLevel) -> bool {
        folder.chain().any(|place| {
            let record = self.assembled.folders.get(&place);
            place.level() == level && record.is_some_and(|record| record.own.policy.is_some())
        })
    }

    fn put(
        &mut self,
        folder: &PolicyFolder,
        own: Own,
        (scope, tunes): Decides,
        passed_over: Option<PassedOver>,
    ) {
        let record = FolderRecord {
            own,
            scope,
            tunes,
            changed: self.generation,
            passed_over,
        };
        self.insert(folder, record);
    }

    /// Takes a record up, as changed now if it is another than it was.
    fn insert(&mut self, folder: &PolicyFolder, mut record: FolderRecord) {
        record.changed = self.generation;
        if let Some(before) = self.base.folders.get(folder) {
            let same = FolderRecord {
                changed: before.changed,
                ..record.clone()
            };
            if same == *before {
                record = same;
            }
        }
        self.assembled.folders.insert(folder.clone(), record);
    }

    fn candidate(
        &mut self,
        folder: &PolicyFolder,
        seen: &Seen,
        problems: &[Problem],
    ) -> Result<Decides, Vec<Problem>> {
        if !problems.is_empty() {
            return Err(problems.to_vec());
        }
        if seen.is_empty() {
            return Ok(Decides::default());
        }
        let inputs = self.inputs(folder, &seen.own);
        let recalled = self.recalled.get(folder);
        if let Some(recalled) = recalled.filter(|recalled| recalled.inputs == inputs) {
            return Err(recalled.problems.clone());
        }
        self.decides(folder, &seen.own)
    }

    /// The digest of all that what is thought of a folder comes from, but for the context.
    fn inputs(&mut self, folder: &PolicyFolder, own: &Own) -> ArtifactDigest {
        let digest = |piece: &Option<Piece>| piece.as_ref().map(|piece| piece.digest.clone());
        let mut all = vec![json!([digest(&own.policy), digest(&own.settings)])];
        for place in folder.chain().skip(1) {
            let record = self.assembled.folders.get(&place);
            all.push(json!(record.map(|record| {
                let pairs: Vec<&Pair> = record.scope.values().map(|entry| &entry.pair).collect();
                json!([
                    digest(&record.own.policy),
                    digest(&record.own.settings),
                    pairs
                ])
            })));
        }
        let inputs = ArtifactDigest::of(json!(all).to_string().as_bytes());
        let known = &mut self.assembled.inputs;
        known.insert(folder.clone(), inputs.clone());
        inputs
    }
}
