//! Who decides in a folder, with which settings, were this in it: policies and settings of the levels put
//! together, and whether the ones accept the others.

use std::collections::BTreeMap;

use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::activation::{Entry, Own, Pair, SettingsRef};
use stoker_policy::{Decision, Failure, Needs, built_in_accepts};

use crate::assemble::Assembly;
use crate::judge::Question;
use crate::knowledge::Component;
use crate::problem::Problem;
use crate::settings::{self, Merged, SettingsFile, Whose};
use crate::view::File;

/// A refusal on its way up.
pub(crate) type Refused = Box<Problem>;

/// What decides in a folder.
pub(crate) type Decides = (BTreeMap<Decision, Entry>, BTreeMap<Decision, SettingsRef>);

/// Boxed where it is on its way up beside something small.
#[allow(clippy::unnecessary_box_returns)]
fn unusable(about: &str, failure: &Failure) -> Refused {
    Box::new(Problem::of(about, failure))
}

impl Assembly<'_> {
    /// What decides for a folder's scope, were this in it.
    pub(crate) fn decides(
        &mut self,
        folder: &PolicyFolder,
        own: &Own,
    ) -> Result<Decides, Vec<Problem>> {
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
        let files = chain[..merged_from]
            .iter()
            .map(|(place, own)| self.file(place, own))
            .collect::<Result<Vec<Option<SettingsFile>>, Refused>>()?;
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
    pub(crate) fn tunes(
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
        let Some(file) = self.file(folder, own)? else {
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
                let text = self.known.text(&digest).map_err(Box::new)?;
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

    /// A folder's own settings; none: there are none, or they are not known yet.
    fn file(&mut self, folder: &PolicyFolder, own: &Own) -> Result<Option<SettingsFile>, Refused> {
        let Some(piece) = &own.settings else {
            return Ok(None);
        };
        let bytes = self.known.text(&piece.digest).map_err(Box::new)?;
        Ok(bytes.map(|bytes| SettingsFile {
            path: format!("{folder}/{}", File::Settings.name()),
            bytes,
        }))
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
