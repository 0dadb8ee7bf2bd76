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
use stoker_policy::activation::{
    Document, Entry, FolderRecord, Own, Pair, PassedOver, Piece, SettingsRef,
};
use stoker_policy::{Decision, Failure, Needs, built_in_accepts};

use crate::judge::Question;
use crate::knowledge::{Component, Knowledge};
use crate::problem::Problem;
use crate::settings::{self, Merged, SettingsFile, Whose};

/// What is in a folder now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) own: Own,
    /// The versions of what is there, of what can't even be read too.
    pub(crate) versions: PassedOver,
    /// What is wrong with the files before anybody has looked into them.
    pub(crate) problems: Vec<Problem>,
}

fn versions(own: &Own) -> PassedOver {
    let version = |piece: &Option<Piece>| piece.as_ref().map(|piece| piece.version.clone());
    PassedOver {
        policy: version(&own.policy),
        settings: version(&own.settings),
    }
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

/// Boxed where it is on its way up beside something small.
#[allow(clippy::unnecessary_box_returns)]
fn unusable(about: &str, failure: &Failure) -> Refused {
    Box::new(Problem::of(about, failure))
}

struct Assembly<'a> {
    base: &'a Document,
    generation: PolicyGeneration,
    recalled: &'a BTreeMap<PolicyFolder, Recalled>,
    known: &'a mut Knowledge,
    assembled: Assembled,
}

/// A refusal on its way up.
type Refused = Box<Problem>;

/// What decides in a folder.
type Decides = (BTreeMap<Decision, Entry>, BTreeMap<Decision, SettingsRef>);

impl Assembly<'_> {
    fn folder(&mut self, folder: &PolicyFolder, found: &Files) {
        let record = self.base.folders.get(folder);
        let before = record.map(|record| record.own.clone()).unwrap_or_default();
        if let Some(passed) = record.and_then(|record| record.passed_over.clone())
            && passed == found.versions
        {
            let standing = match self.decides(folder, &before) {
                Ok(decides) => {
                    self.put(folder, before, decides, Some(passed));
                    Standing::PassedOver
                }
                Err(refusals) => {
                    self.keep(folder, found);
                    Standing::HeldBack(refusals)
                }
            };
            self.stands(folder, standing);
            return;
        }
        let refusals = match self.candidate(folder, found) {
            Ok(decides) => {
                let standing = if found.own == Own::default() {
                    Standing::Withdrawn
                } else {
                    Standing::Active
                };
                if found.own != Own::default() {
                    self.put(folder, found.own.clone(), decides, None);
                }
                self.stands(folder, standing);
                return;
            }
            Err(refusals) => refusals,
        };
        let was_accepted = found.problems.is_empty() && versions(&before) == found.versions;
        self.stands(
            folder,
            if was_accepted {
                Standing::HeldBack(refusals)
            } else {
                Standing::Refused(refusals)
            },
        );
        self.without(folder, found, before);
    }

    /// What a folder is when what is in it is refused.
    fn without(&mut self, folder: &PolicyFolder, found: &Files, before: Own) {
        let kept = if found.versions.policy.is_some() {
            before
        } else {
            // The policy was deleted: it does not come back with the settings that went with it.
            Own {
                policy: None,
                settings: before.settings,
            }
        };
        if kept == Own::default() {
            return;
        }
        if kept == found.own {
            // It was refused a moment ago.
            self.keep(folder, found);
        } else if let Ok(decides) = self.decides(folder, &kept) {
            self.put(folder, kept, decides, None);
        } else {
            self.keep(folder, found);
        }
    }

    /// What an operator went back to, unless it is refused now.
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
                self.stands(folder, Standing::Refused(refusals));
            }
        }
    }

    fn stands(&mut self, folder: &PolicyFolder, standing: Standing) {
        self.assembled.standing.insert(folder.clone(), standing);
    }

    /// Leaves a folder as it is, unless that would leave a policy in place that was deleted.
    fn keep(&mut self, folder: &PolicyFolder, found: &Files) {
        let Some(record) = self.base.folders.get(folder) else {
            return;
        };
        let deleted = |level: PolicyLevel| {
            level != PolicyLevel::BuiltIn
                && if level == folder.level() {
                    found.versions.policy.is_none()
                } else {
                    !self.has_policy(folder, level)
                }
        };
        if record.scope.values().any(|entry| deleted(entry.pair.level)) {
            return;
        }
        let mut record = record.clone();
        for entry in record.scope.values_mut() {
            entry.previous.take_if(|previous| deleted(previous.level));
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
    fn has_policy(&self, folder: &PolicyFolder, level: PolicyLevel) -> bool {
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

    fn candidate(&mut self, folder: &PolicyFolder, found: &Files) -> Result<Decides, Vec<Problem>> {
        if !found.problems.is_empty() {
            return Err(found.problems.clone());
        }
        if found.own == Own::default() {
            return Ok(Decides::default());
        }
        let inputs = self.inputs(folder, found);
        let recalled = self.recalled.get(folder);
        if let Some(recalled) = recalled.filter(|recalled| recalled.inputs == inputs) {
            return Err(recalled.problems.clone());
        }
        self.decides(folder, &found.own)
    }

    /// The digest of all that what is thought of a folder comes from, but for the context.
    fn inputs(&mut self, folder: &PolicyFolder, found: &Files) -> ArtifactDigest {
        let digest = |piece: &Option<Piece>| piece.as_ref().map(|piece| piece.digest.clone());
        let mut all = vec![json!([
            digest(&found.own.policy),
            digest(&found.own.settings)
        ])];
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

    /// What decides for a folder's scope, were this in it.
    fn decides(&mut self, folder: &PolicyFolder, own: &Own) -> Result<Decides, Vec<Problem>> {
        let mut refusals = Vec::new();
        if let Some(piece) = &own.policy
            && let Some(Component::Refused(problem)) = self.known.component(&piece.digest)
        {
            return Err(vec![problem]);
        }
        let mut decides = Decides::default();
        for decision in Decision::ALL {
            // There is one distribution: what an owner thinks of it is nobody's decision.
            if decision == Decision::Sync && *folder != PolicyFolder::Default {
                continue;
            }
            match self.pair(folder, own, decision) {
                Ok(pair) => {
                    let entry = self.entry(folder, decision, pair);
                    decides.0.insert(decision, entry);
                }
                Err(refusal) => refusals.push(*refusal),
            }
            match self.tunes(folder, own, decision) {
                Ok(Some(settings)) => {
                    decides.1.insert(decision, settings);
                }
                Ok(None) => {}
                Err(refusal) => refusals.push(*refusal),
            }
        }
        if refusals.is_empty() {
            Ok(decides)
        } else {
            refusals.dedup();
            Err(refusals)
        }
    }

    /// Since when a pair decides, and instead of what.
    fn entry(&self, folder: &PolicyFolder, decision: Decision, pair: Pair) -> Entry {
        let before = self
            .base
            .folders
            .get(folder)
            .and_then(|record| record.scope.get(&decision));
        let (since, previous) = match before {
            Some(before) if before.pair == pair => (before.since, before.previous.clone()),
            Some(before) => (self.generation, Some(before.pair.clone())),
            // Until now the next broader level decided.
            None => {
                let broader = self.base.entry(folder, decision);
                let previous = broader.map(|(entry, settings)| Pair {
                    settings: settings.clone(),
                    inherited: None,
                    ..entry.pair.clone()
                });
                (self.generation, previous)
            }
        };
        Entry {
            previous: previous.filter(|previous| {
                previous.policy.is_some()
                    && *previous != pair
                    && self.is_meant(folder, previous.level, pair.level)
            }),
            pair,
            since,
        }
    }

    /// Whether a policy is still meant to decide on that level: what was withdrawn does not come back.
    fn is_meant(&self, folder: &PolicyFolder, level: PolicyLevel, now: PolicyLevel) -> bool {
        level == now || self.has_policy(folder, level)
    }

    /// The folder and the broader ones, with what is accepted of each.
    fn chain(&self, folder: &PolicyFolder, own: &Own) -> Vec<(PolicyFolder, Own)> {
        let broader = folder.chain().skip(1).map(|place| {
            let record = self.assembled.folders.get(&place);
            let own = record.map(|record| record.own.clone()).unwrap_or_default();
            (place, own)
        });
        std::iter::once((folder.clone(), own.clone()))
            .chain(broader)
            .collect()
    }

    /// Who decides, by the place in the chain.
    fn deciding(
        &mut self,
        chain: &[(PolicyFolder, Own)],
        decision: Decision,
    ) -> Option<(usize, ArtifactDigest)> {
        chain.iter().enumerate().find_map(|(place, (_, own))| {
            let piece = own.policy.as_ref()?;
            let takes = match self.known.component(&piece.digest) {
                Some(Component::Policy(record)) => record.exports.decisions.contains(&decision),
                Some(Component::Refused(_)) => false,
                // Until it is known, it is taken to be good.
                None => true,
            };
            takes.then(|| (place, piece.digest.clone()))
        })
    }

    fn pair(
        &mut self,
        folder: &PolicyFolder,
        own: &Own,
        decision: Decision,
    ) -> Result<Pair, Refused> {
        let chain = self.chain(folder, own);
        let deciding = self.deciding(&chain, decision);
        let merged_from = deciding
            .as_ref()
            .map_or(chain.len(), |(place, _)| place + 1);
        let files: Vec<Option<SettingsFile>> = chain[..merged_from]
            .iter()
            .map(|(place, own)| self.file(place, own))
            .collect();
        let merged = |whose| {
            settings::merged(files.iter().map(Option::as_ref), decision, whose)
                .map_err(|failure| unusable("settings.json", &failure))
        };
        let for_own = merged(Whose::Own)?;
        let for_narrower = merged(Whose::Narrower)?;
        let policy = deciding.as_ref().map(|(_, digest)| digest);
        // No scope is the default level's own: what is declared there applies nowhere.
        let (settings, inherited) = if *folder == PolicyFolder::Default {
            (self.accepted(policy, decision, &for_narrower, true)?, None)
        } else {
            let settings = self.accepted(policy, decision, &for_own, true)?;
            let differs = for_narrower.text() != for_own.text();
            let inherited = if differs {
                Some(self.accepted(policy, decision, &for_narrower, false)?)
            } else {
                None
            };
            (settings, inherited)
        };
        Ok(Pair {
            level: deciding
                .as_ref()
                .map_or(PolicyLevel::BuiltIn, |(place, _)| chain[*place].0.level()),
            policy: deciding.map(|(_, digest)| digest),
            settings,
            inherited,
        })
    }

    /// What a repository without a policy makes of its organisation's settings for its jobs.
    fn tunes(
        &mut self,
        folder: &PolicyFolder,
        own: &Own,
        decision: Decision,
    ) -> Result<Option<SettingsRef>, Refused> {
        let PolicyFolder::Repository(owner, _) = folder else {
            return Ok(None);
        };
        if own.policy.is_some() {
            return Ok(None);
        }
        let Some(file) = self.file(folder, own) else {
            return Ok(None);
        };
        let owner = PolicyFolder::Organization(owner.clone());
        let place = owner
            .chain()
            .find(|place| self.assembled.folders.contains_key(place));
        let deciding = place.and_then(|place| {
            let entry = self.assembled.folders.get(&place)?.scope.get(&decision)?;
            let settings = entry.pair.for_scope(place == owner);
            Some((entry.pair.policy.clone(), settings.digest.clone()))
        });
        let (policy, scope) = match deciding {
            None => (None, Merged::parse("{}")),
            Some((policy, digest)) => {
                let text = self.known.text(&digest);
                let text = text
                    .as_deref()
                    .and_then(|text| std::str::from_utf8(text).ok());
                (
                    policy,
                    text.map_or_else(|| Merged::parse("{}"), Merged::parse),
                )
            }
        };
        let Some(scope) = scope else {
            return Ok(None);
        };
        let tuned = settings::tuned(&scope, &file, decision)
            .map_err(|failure| unusable("settings.json", &failure))?;
        match tuned {
            None => Ok(None),
            Some(tuned) => self
                .accepted(policy.as_ref(), decision, &tuned, false)
                .map(Some),
        }
    }

    fn file(&mut self, folder: &PolicyFolder, own: &Own) -> Option<SettingsFile> {
        let piece = own.settings.as_ref()?;
        Some(SettingsFile {
            path: format!("{folder}/settings.json"),
            bytes: self.known.text(&piece.digest)?,
        })
    }

    /// Merged settings, if whoever decides accepts them.
    fn accepted(
        &mut self,
        policy: Option<&ArtifactDigest>,
        decision: Decision,
        merged: &Merged,
        trial: bool,
    ) -> Result<SettingsRef, Refused> {
        let text = merged.text();
        let digest = self.known.text_is(text.as_bytes().into());
        let needs: Needs = match policy {
            None => built_in_accepts(decision, &text)
                .map_err(|failure| unusable(decision.as_str(), &failure))?,
            Some(policy) => {
                let question = Question {
                    decision,
                    settings: text,
                    trial,
                };
                let answer = self.known.answer(policy, question);
                answer.unwrap_or(Ok(Needs::default())).map_err(Box::new)?
            }
        };
        Ok(SettingsRef {
            digest,
            zones: needs.time_zones,
            notes: merged.notes.clone(),
        })
    }
}
