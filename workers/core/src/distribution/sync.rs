//! One round of syncing: look → decide → clamp → copy → offer → copy the rest → delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::happening::{Happening, SyncDecision};
use crate::ids::DecisionId;
use crate::journal::Considered;
use crate::plan::Proposal;
use crate::ports::{
    Clock, DistributionError, DistributionStore, Releases, ReleasesError, Replaced, Reporter,
    SyncDecider, Timer,
};
use crate::time::Timestamp;

use super::SyncPlan;
use super::act::Acting;
use super::clamp::{SyncGranted, clamp};
use super::known::{Known, SyncRules};
use super::layout::{Document as _, OFFERED, SEEN};
use super::look::Found;

/// The outside.
pub struct SyncPorts {
    /// Where releases come from.
    pub releases: Arc<dyn Releases>,
    /// Where they are mirrored.
    pub store: Arc<dyn DistributionStore>,
    /// Who decides.
    pub decider: Arc<dyn SyncDecider>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who waits.
    pub timer: Arc<dyn Timer>,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
}

/// What became of a round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Synced {
    /// The version that instances get; none: nothing yet.
    pub offered: Option<String>,
    /// Seconds since that was published, if that is known.
    pub offered_age: Option<u32>,
    /// Versions of which archives were copied, and that are whole now.
    pub mirrored: Vec<String>,
    /// Mirrored versions that were deleted.
    pub deleted: Vec<String>,
    /// Versions for which the time did not last: the next round goes on.
    pub unfinished: Vec<String>,
    /// Whether GitHub said that nothing has changed since the last round.
    pub unchanged: bool,
}

/// Why a round failed. What instances get is what they got before, or what was decided now; never half of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyncError {
    /// GitHub could not be asked, and has not been before.
    #[error("{0}; instances get what they got before")]
    Releases(#[from] ReleasesError),
    /// The mirror could not be read or written.
    #[error(transparent)]
    Store(#[from] DistributionError),
    /// What is offered can't be understood.
    #[error(
        "`{OFFERED}` is not what Stoker wrote: {0}. Instances can't read it either; mend it, or delete it, and \
         the next run offers what the policy chooses"
    )]
    Offered(String),
    /// A newer Stoker has been here.
    #[error("`{path}`: {problem}")]
    Newer {
        /// What it has written.
        path: String,
        /// What to do.
        problem: String,
    },
    /// Not all could be done.
    #[error("{}; what instances get is whole, and the next run tries again", .0.join("; "))]
    Problems(Vec<String>),
    /// Somebody else wrote at the same time.
    #[error(
        "somebody else has written `{0}` at the same time, and that stays: let one syncer alone write there at a \
         time"
    )]
    Rival(String),
}

/// Mirrors the runner's distribution.
pub struct Syncer {
    pub(super) rules: SyncRules,
    pub(super) ports: SyncPorts,
}

impl Syncer {
    /// One that keeps to these rules.
    pub fn new(rules: SyncRules, ports: SyncPorts) -> Self {
        Self { rules, ports }
    }

    /// One round. No archive is begun that could not be finished `until` then.
    ///
    /// # Errors
    /// What kept it from being done whole; what instances get is whole all the same.
    pub async fn sync(&self, until: Timestamp) -> Result<Synced, SyncError> {
        let came = self.round(until).await;
        let happening = match &came {
            Ok(synced) => Happening::Synced(synced.clone()),
            Err(error) => Happening::SyncFailed {
                problem: error.to_string(),
            },
        };
        self.tell(&happening);
        came
    }

    async fn round(&self, until: Timestamp) -> Result<Synced, SyncError> {
        let mut found = self.look().await?;
        let now = self.ports.clock.now();
        let granted = self.decide(&mut found, now).await;
        if found.is_news {
            // It says what GitHub said, whatever becomes of the rest. And who has decided: where somebody newer has
            // at the same time, nothing is done of what was decided here.
            let seen = found.seen.to_bytes();
            self.replace(&mut found.tags, SEEN, &seen).await?;
        }
        let mut acting = Acting::new(self, found, until);
        acting.act(&granted).await?;
        acting.came(now)
    }

    /// Writes a document over the one that was found, of which `tags` has the tag.
    pub(super) async fn replace(
        &self,
        tags: &mut BTreeMap<String, String>,
        path: &str,
        bytes: &[u8],
    ) -> Result<(), SyncError> {
        let known = tags.get(path).map(String::as_str);
        match self.ports.store.replace(path, known, bytes).await? {
            Replaced::Written { tag } => {
                tags.insert(path.to_owned(), tag);
                Ok(())
            }
            Replaced::Conflict => Err(SyncError::Rival(path.to_owned())),
        }
    }

    async fn decide(&self, found: &mut Found, now: Timestamp) -> SyncGranted {
        let situation = found.known.situation(now);
        let seen = found.seen.generation;
        let proposal = self.ports.decider.decide(&situation, seen).await;
        if let Some(generation) = proposal.by.generation.filter(|one| *one > seen) {
            found.seen.generation = generation;
            found.is_news = true;
        }
        let granted = clamp(&proposal.plan, &found.known);
        let told = told(&proposal, &granted, &found.known, now);
        let considered = Considered {
            situation: &situation,
            basis: &proposal.basis,
            plan: &proposal.plan,
        };
        self.ports.reporter.decided_sync(now, &told, &considered);
        for problem in found.known.changed() {
            self.trouble(problem);
        }
        granted
    }

    pub(super) fn tell(&self, happening: &Happening) {
        self.ports
            .reporter
            .report(self.ports.clock.now(), happening);
    }

    pub(super) fn trouble(&self, problem: String) {
        self.tell(&Happening::Trouble {
            scope: None,
            problem,
        });
    }
}

/// What is told of a decision.
fn told(
    proposal: &Proposal<SyncPlan>,
    granted: &SyncGranted,
    known: &Known,
    now: Timestamp,
) -> SyncDecision {
    let to_copy = granted.copies().iter().map(|copy| copy.choice.clone());
    SyncDecision {
        id: DecisionId(format!("sync-{}", now.0)),
        by: proposal.by.clone(),
        fallback: proposal.fallback.clone(),
        offered: known.offered.as_ref().map(|one| one.release.clone()),
        offered_age: known.offered_age(now),
        minimum_version: known.minimum_version(now),
        offer: granted.offer().cloned(),
        copies: to_copy.collect(),
        deletions: granted.delete().to_vec(),
        edits: granted.edits().to_vec(),
        left_out: known.left_out(),
        notes: proposal.plan.notes.clone(),
    }
}
