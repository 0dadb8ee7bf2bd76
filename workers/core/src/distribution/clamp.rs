//! The guardrails of a sync plan: nothing is offered that is not whole, and nothing deleted that instances get.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::known::{Known, Missing};
use super::{Choice, SyncPlan};

/// What a plan wants of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// To copy it.
    Mirror,
    /// That instances get it.
    Offer,
    /// To delete it.
    Delete,
}

/// A host rule that takes something from a sync plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncRule {
    /// There is no such version among those that were shown.
    UnknownVersion,
    /// An archive is lacking, or its digest is.
    Incomplete,
    /// It is not mirrored, and the plan does not mirror it.
    NotMirrored,
    /// Nothing of it is mirrored, so there is nothing to delete.
    NothingThere,
    /// Instances get it.
    IsOffered,
    /// The same plan mirrors or offers it.
    IsWanted,
}

impl fmt::Display for SyncRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownVersion => "it is none of the versions that can be had",
            Self::Incomplete => "it can't be mirrored whole",
            Self::NotMirrored => {
                "it is not mirrored, and the plan does not mirror it: it must name it there, too"
            }
            Self::NothingThere => "nothing of it is mirrored",
            Self::IsOffered => "instances get it until another one is offered",
            Self::IsWanted => "the same plan mirrors or offers it",
        })
    }
}

/// What a rule did not grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncEdit {
    /// Which rule.
    pub rule: SyncRule,
    /// What was wanted.
    pub asked: Wish,
    /// Of which version.
    pub version: String,
    /// Why it was not granted.
    pub reason: String,
}

/// A version that is to be mirrored whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Which, and the policy's reason.
    pub choice: Choice,
    /// What of it is not there yet.
    pub missing: Missing,
}

/// What is left of a plan. Only [`clamp`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncGranted {
    copies: Vec<Copy>,
    offer: Option<Choice>,
    delete: Vec<Choice>,
    edits: Vec<SyncEdit>,
}

impl SyncGranted {
    /// The versions to mirror of which something is missing; what is offered first.
    pub fn copies(&self) -> &[Copy] {
        &self.copies
    }

    /// What instances are to get, once it is whole; none: what they get now.
    pub fn offer(&self) -> Option<&Choice> {
        self.offer.as_ref()
    }

    /// The mirrored versions to delete, none of which instances get or are to get.
    pub fn delete(&self) -> &[Choice] {
        &self.delete
    }

    /// What was not granted.
    pub fn edits(&self) -> &[SyncEdit] {
        &self.edits
    }

    fn refuse(&mut self, rule: SyncRule, asked: Wish, version: &str, detail: &[String]) {
        let mut reason = rule.to_string();
        if !detail.is_empty() {
            reason = format!("{reason}: {}", detail.join("; "));
        }
        self.edits.push(SyncEdit {
            rule,
            asked,
            version: version.to_owned(),
            reason,
        });
    }
}

/// What may be done of a plan. Whatever a policy wants, what instances get stays there and whole.
pub fn clamp(plan: &SyncPlan, known: &Known) -> SyncGranted {
    let mut granted = SyncGranted::default();
    let shown: BTreeSet<&str> = {
        let left_out = known.left_out();
        let published = known.published.iter().map(|one| one.version.as_str());
        published
            .chain(known.mirrored.keys().map(String::as_str))
            .chain(known.offered.iter().map(|one| one.release.as_str()))
            .filter(|version| !left_out.iter().any(|one| one.version == *version))
            .collect()
    };
    // Those that are there whole, or will be.
    let mut whole: BTreeSet<&str> = BTreeSet::new();
    for choice in &plan.mirror {
        let version = choice.version.as_str();
        if whole.contains(version) {
            continue;
        }
        if !shown.contains(version) {
            granted.refuse(SyncRule::UnknownVersion, Wish::Mirror, version, &[]);
            continue;
        }
        match known.missing(version) {
            Ok(missing) => {
                whole.insert(version);
                if !missing.is_empty() {
                    let choice = choice.clone();
                    granted.copies.push(Copy { choice, missing });
                }
            }
            Err(lacking) => granted.refuse(SyncRule::Incomplete, Wish::Mirror, version, &lacking),
        }
    }
    if let Some(choice) = &plan.offer {
        let version = choice.version.as_str();
        if !shown.contains(version) {
            granted.refuse(SyncRule::UnknownVersion, Wish::Offer, version, &[]);
        } else if let Err(lacking) = known.missing(version) {
            granted.refuse(SyncRule::Incomplete, Wish::Offer, version, &lacking);
        } else if whole.contains(version) || known.whole(version).is_some() {
            granted.offer = Some(choice.clone());
        } else {
            granted.refuse(SyncRule::NotMirrored, Wish::Offer, version, &[]);
        }
    }
    delete(plan, known, &whole, &mut granted);
    let offer = granted.offer.as_ref().map(|choice| choice.version.clone());
    // Its instances wait for it.
    granted
        .copies
        .sort_by_key(|copy| Some(&copy.choice.version) != offer.as_ref());
    granted
}

fn delete(plan: &SyncPlan, known: &Known, whole: &BTreeSet<&str>, granted: &mut SyncGranted) {
    for choice in &plan.delete {
        let version = choice.version.as_str();
        let is_offer = granted
            .offer
            .as_ref()
            .is_some_and(|offer| offer.version == version);
        if granted.delete.iter().any(|one| one.version == version) {
            continue;
        }
        // What another one takes the place of in this very run stays for a run more: instances that have read
        // the pointer a moment ago are reading it.
        let rule = if known.is_offered(version) {
            Some(SyncRule::IsOffered)
        } else if is_offer || whole.contains(version) {
            Some(SyncRule::IsWanted)
        } else if !known.mirrored.contains_key(version) {
            Some(SyncRule::NothingThere)
        } else {
            None
        };
        match rule {
            Some(rule) => granted.refuse(rule, Wish::Delete, version, &[]),
            None => granted.delete.push(choice.clone()),
        }
    }
}
