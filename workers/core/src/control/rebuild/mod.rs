//! A ledger that was lost is rebuilt from EC2's tags, GitHub's runners, and the jobs that wait or run.
//!
//! Everything that is written is conditional, so a rebuild may run beside acts and folds, twice, or end
//! halfway: what the ledger knows stays as it is. A scope's runners are written before its jobs, so that
//! whoever took one is found, and its version is raised last: a scope of version 0 that has instances was
//! not rebuilt yet, or not to the end, and is not decided.
//!
//! Who rebuilds: `stoker ledger rebuild` ([`Control::rebuild`]); the tick, at the beginning of a ledger's
//! life; and the first act on a scope, where that comes before it.

mod jobs;
mod runners;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{FutureExt as _, join};
use futures::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};

pub use summary::{Rebuilt, RebuiltScope};

use super::act::target_of;
use super::{CONFLICTS_BORNE, Control, ControlError};
use crate::happening::Happening;
use crate::ids::{DecisionId, InstanceId, ScopeKey, ScopeVersion};
use crate::ports::{
    ActRequest, DecidedScope, Due, InstalledAccount, LedgerError, LiveJobs, Ours, OwnInstance,
    RegistrationTarget, ScopeState, SharedItem,
};
use crate::situation::{ScopeName, Trigger};
use crate::time::Timestamp;

/// How many scopes are rebuilt at once: GitHub is asked about ten jobs or repositories of each at once, and
/// bears a hundred requests.
const REBUILT_AT_ONCE: usize = 4;

/// EC2 shows an instance at the latest so long after its launch, in seconds: who looked before that has to
/// look again.
const SHOWN_WITHIN: u32 = 50;

/// For how long GitHub is asked again, each minute, for the jobs of whole accounts that it has not told, in
/// seconds. What it does not tell of one repository is not asked for again: that may never come, and the others
/// would be asked each time, at the cost of registrations.
const ASKED_FOR_JOBS: u32 = 3_600;

/// When a ledger was first held against what there is outside: its [`SharedItem::Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// When.
    pub at: Timestamp,
    /// Whether that was done again later, so that nothing is missing that EC2 showed late.
    pub confirmed: bool,
    /// Something was lost, and GitHub was not asked yet for all jobs that wait or run.
    #[serde(default)]
    pub lacks_jobs: bool,
}

type ByScope = BTreeMap<ScopeKey, Vec<OwnInstance>>;

fn by_scope(ours: Vec<OwnInstance>) -> ByScope {
    let mut scopes = ByScope::new();
    for instance in ours {
        scopes.entry(instance.scope).or_default().push(instance);
    }
    scopes
}

impl Control {
    /// Writes into the ledger what it lacks: the runners on the deployment's instances, and the jobs that
    /// wait or run wherever the App is installed. Then each scope is asked to be acted on.
    ///
    /// # Errors
    /// If EC2 or the ledger did not answer: what was written stays, and the next rebuild goes on. What GitHub
    /// did not answer is among the problems of what it came to.
    pub async fn rebuild(&self) -> Result<Rebuilt, ControlError> {
        let ours = self.ports.fleet.ours().await?;
        self.note_found(&count(&ours.instances)).await?;
        let rebuilt = self.rebuild_from(ours).await?;
        if rebuilt.is_complete() {
            self.note_origin(rebuilt.knows_all_jobs()).await?;
        }
        Ok(rebuilt)
    }

    /// At the beginning of a ledger's life, twice: if there are instances that it does not know, it is
    /// rebuilt.
    ///
    /// # Errors
    /// If EC2 or the ledger did not answer: the next tick tries again.
    pub(super) async fn look_around(&self, ours: Ours) -> Result<(), ControlError> {
        let (origin, _revision): (Origin, u64) = self.read_shared(SharedItem::Origin).await?;
        let is_new = origin.at == Timestamp::default();
        let asks_on = origin.lacks_jobs && (is_new || origin.at.age(self.now()) <= ASKED_FOR_JOBS);
        if origin.confirmed && !asks_on {
            return Ok(());
        }
        let mut lost = Vec::new();
        for (scope, instances) in by_scope(ours.instances) {
            if self.lacks(scope, &instances).await? {
                lost.extend(instances);
            }
        }
        let mut knows_all_jobs = true;
        if !lost.is_empty() || asks_on {
            self.note_loss().await?;
            self.note_found(&count(&lost)).await?;
            let lost = Ours {
                instances: lost,
                unreadable: ours.unreadable,
            };
            let rebuilt = self.rebuild_from(lost).await?;
            if !rebuilt.is_complete() {
                return Ok(());
            }
            knows_all_jobs = rebuilt.knows_all_jobs();
        }
        self.note_origin(knows_all_jobs).await
    }

    /// Whether the ledger does not know a scope, or one of its instances.
    async fn lacks(
        &self,
        scope: ScopeKey,
        instances: &[OwnInstance],
    ) -> Result<bool, ControlError> {
        // After EC2 was asked: what was launched meanwhile is known by its intent.
        let state = self.ports.ledger.scope(scope).await?;
        if is_undecided(&state) {
            return Ok(true);
        }
        let runners: BTreeSet<&InstanceId> =
            state.runners.iter().map(|one| &one.instance).collect();
        for instance in instances {
            let is_known = runners.contains(&instance.id)
                || state.intents.iter().any(|one| one.id == instance.intent)
                || self.ports.ledger.runner(&instance.id).await?.is_some();
            if !is_known {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sees to it that nothing is decided for a scope that had runners before the ledger was lost: they are
    /// written down first. The scope as it is then; none: that could not be done now.
    pub(super) async fn before_its_first_decision(
        &self,
        scope: ScopeKey,
        state: ScopeState,
    ) -> Result<Option<ScopeState>, ControlError> {
        if !is_undecided(&state) || self.has_origin().await? {
            return Ok(Some(state));
        }
        let ours = match self.ports.fleet.ours().await {
            Ok(ours) => ours,
            Err(error) => {
                self.report(&Happening::Trouble {
                    scope: Some(scope),
                    problem: format!(
                        "whether there are runners of it already is not known: {error}; nothing is launched \
                         until it is, and EC2 is asked again"
                    ),
                });
                return Ok(None);
            }
        };
        // The deployment's maximum counts the others' runners too, which nobody has noted yet.
        self.note_found(&count(&ours.instances)).await?;
        let Some(instances) = by_scope(ours.instances).remove(&scope) else {
            return Ok(Some(state));
        };
        // The next tick asks for the jobs of the others.
        self.note_loss().await?;
        let rebuilt = self.rebuild_scope(scope, instances).await?;
        self.tell_rebuilt(&rebuilt);
        if !rebuilt.is_complete() {
            return Ok(None);
        }
        Ok(Some(self.ports.ledger.scope(scope).await?))
    }

    async fn rebuild_from(&self, ours: Ours) -> Result<Rebuilt, ControlError> {
        let mut rebuilt = Rebuilt::default();
        for instance in &ours.unreadable {
            rebuilt.problem(format!(
                "instance {} carries this deployment's tag, but {}: nobody knows for whom it is, and it is \
                 left alone; terminate it if it is of no use",
                instance.id, instance.problem
            ));
        }
        let mut parts = Vec::new();
        for (scope, instances) in by_scope(ours.instances) {
            parts.push(self.rebuild_scope(scope, instances).boxed());
        }
        let mut parts = stream::iter(parts).buffer_unordered(REBUILT_AT_ONCE);
        while let Some(part) = parts.next().await {
            rebuilt.join(part?);
        }
        // After all that have instances: nothing is asked for that has any and was not rebuilt.
        self.rebuild_the_rest(&mut rebuilt).await?;
        self.tell_rebuilt(&rebuilt);
        Ok(rebuilt)
    }

    /// One scope with its instances.
    pub(super) async fn rebuild_scope(
        &self,
        scope: ScopeKey,
        instances: Vec<OwnInstance>,
    ) -> Result<Rebuilt, ControlError> {
        let mut rebuilt = Rebuilt::default();
        // After EC2 was asked: what it has shown is either of a launch that is open here, which whoever takes
        // that up writes down and configures, or the launch is settled and its runners are known.
        let state = self.ports.ledger.scope(scope).await?;
        let instances: Vec<OwnInstance> = instances
            .into_iter()
            .filter(|instance| state.intents.iter().all(|one| one.id != instance.intent))
            .collect();
        let Some(target) = target(scope, &state, &instances) else {
            rebuilt.left.insert(scope);
            rebuilt.problem(format!(
                "what {scope} is called is not known, since its {} instances were launched by a Stoker that \
                 did not write it on them: it is rebuilt with the next webhook of one of its jobs",
                instances.len()
            ));
            return Ok(rebuilt);
        };
        let name = target.scope.to_string();
        let asked = join(
            self.ports.github.runners(&target),
            self.ports.github.live_jobs(&target),
        );
        let (registered, live) = match asked.await {
            (Ok(registered), Ok(live)) => (registered, live),
            (Err(error), _) | (_, Err(error)) => {
                rebuilt.left.insert(scope);
                rebuilt.problem(format!(
                    "{name} is not rebuilt: {error}; nothing is launched for it unless it was decided \
                     before, and the next act or tick tries again"
                ));
                return Ok(rebuilt);
            }
        };
        // Each repository is asked for its runs in two states, and each run for its jobs.
        self.note_reads(1 + 2 * live.repositories + live.events.len())
            .await;
        let written = self.write_runners(&instances, &registered).await?;
        let entry = rebuilt.scope(scope, &name);
        entry.runners += written.new;
        entry.known += written.known;
        for problem in written.problems {
            rebuilt.problem(problem);
        }
        let others = self.fold_live(live, &name, &mut rebuilt).await?;
        self.conclude(scope).await?;
        for other in others.iter().filter(|other| **other != scope) {
            self.put_due_now(*other).await?;
            self.ask_rebuilt(*other).await;
        }
        self.ask_rebuilt(scope).await;
        Ok(rebuilt)
    }

    /// The jobs of accounts that have no instances.
    async fn rebuild_the_rest(&self, rebuilt: &mut Rebuilt) -> Result<(), ControlError> {
        let accounts = match self.ports.github.accounts().await {
            Ok(accounts) => accounts,
            Err(error) => {
                rebuilt.lacks_jobs = true;
                rebuilt.problem(format!(
                    "jobs of those who have no runner are not known: {error}; run the rebuild again"
                ));
                return Ok(());
            }
        };
        // An organisation that was rebuilt was asked about all its jobs.
        let asked: BTreeSet<String> = rebuilt
            .scopes
            .iter()
            .filter(|(scope, _)| matches!(scope, ScopeKey::Organization(_)))
            .map(|(_, came)| came.name.to_lowercase())
            .collect();
        let accounts = accounts
            .into_iter()
            .filter(|account| !asked.contains(&account.login.to_lowercase()));
        let mut parts = Vec::new();
        for account in accounts {
            parts.push(self.rebuild_account(account).boxed());
        }
        let mut parts = stream::iter(parts).buffer_unordered(REBUILT_AT_ONCE);
        let mut touched = BTreeSet::new();
        while let Some(part) = parts.next().await {
            let (part, scopes) = part?;
            rebuilt.join(part);
            touched.extend(scopes);
        }
        for scope in touched.difference(&rebuilt.left) {
            self.put_due_now(*scope).await?;
            self.ask_rebuilt(*scope).await;
        }
        Ok(())
    }

    async fn rebuild_account(
        &self,
        account: InstalledAccount,
    ) -> Result<(Rebuilt, BTreeSet<ScopeKey>), ControlError> {
        let mut rebuilt = Rebuilt::default();
        let target = RegistrationTarget {
            scope: ScopeName {
                owner: account.login.to_lowercase(),
                repository: None,
            },
            installation: Some(account.installation),
        };
        let live: LiveJobs = match self.ports.github.live_jobs(&target).await {
            Ok(live) => live,
            Err(error) => {
                rebuilt.lacks_jobs = true;
                rebuilt.problem(format!(
                    "the jobs of {} are not known: {error}; run the rebuild again",
                    account.login
                ));
                return Ok((rebuilt, BTreeSet::new()));
            }
        };
        self.note_reads(1 + 2 * live.repositories + live.events.len())
            .await;
        let scopes = self.fold_live(live, "", &mut rebuilt).await?;
        Ok((rebuilt, scopes))
    }

    /// A scope is rebuilt: its version is raised, so that nobody decides it by what was read before, and it
    /// is due.
    async fn conclude(&self, scope: ScopeKey) -> Result<(), ControlError> {
        for _ in 0..=CONFLICTS_BORNE {
            let state = self.ports.ledger.scope(scope).await?;
            self.note_there(scope, &state).await?;
            let now = self.now();
            let decision = DecisionId::new(
                &self.operation.deployment,
                scope,
                state.version,
                now,
                self.next_turn(),
            );
            let concluded = DecidedScope {
                scope,
                state: state.seen(),
                decision: &decision,
                generation: state.generation,
                intents: &[],
                due: Some(now),
            };
            match self.ports.ledger.save_decision(&concluded).await {
                Ok(_version) => return Ok(()),
                Err(LedgerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Conflict(format!("scope {scope}")).into())
    }

    async fn put_due_now(&self, scope: ScopeKey) -> Result<(), ControlError> {
        let at = self.now();
        self.ports.ledger.put_due(&Due { at, scope }).await?;
        Ok(())
    }

    /// Asks for an act at once. Where that fails, the tick asks: the scope is due.
    async fn ask_rebuilt(&self, scope: ScopeKey) {
        let request = ActRequest {
            scope,
            folded: format!("rebuilt-{}", self.now().0),
            trigger: Trigger::Tick,
        };
        if let Err(error) = self.ports.acts.ask(&request).await {
            self.report(&Happening::Trouble {
                scope: Some(scope),
                problem: format!("{error}; it is due, and the next tick asks for it"),
            });
        }
    }

    pub(super) fn tell_rebuilt(&self, rebuilt: &Rebuilt) {
        self.report(&Happening::Rebuilt(Box::new(rebuilt.clone())));
    }

    async fn has_origin(&self) -> Result<bool, ControlError> {
        let (origin, _revision): (Origin, u64) = self.read_shared(SharedItem::Origin).await?;
        Ok(origin.confirmed)
    }

    /// Something was lost.
    async fn note_loss(&self) -> Result<(), ControlError> {
        self.change_shared(SharedItem::Origin, |origin: &mut Origin| {
            origin.lacks_jobs = true;
        })
        .await
    }

    async fn note_origin(&self, knows_all_jobs: bool) -> Result<(), ControlError> {
        let now = self.now();
        self.change_shared(SharedItem::Origin, |origin: &mut Origin| {
            if knows_all_jobs {
                origin.lacks_jobs = false;
            }
            if origin.at == Timestamp::default() {
                origin.at = now;
            } else if origin.at.age(now) >= SHOWN_WITHIN {
                origin.confirmed = true;
            }
        })
        .await
    }
}

/// Nothing was ever launched for it by this ledger, and it was not rebuilt.
fn is_undecided(state: &ScopeState) -> bool {
    state.version == ScopeVersion::default()
}

fn count(instances: &[OwnInstance]) -> BTreeMap<ScopeKey, u32> {
    let mut counts = BTreeMap::new();
    for instance in instances {
        *counts.entry(instance.scope).or_default() += 1;
    }
    counts
}

/// Where a scope's runners register: as its newest job has it, else as its newest instance has.
pub(super) fn target(
    scope: ScopeKey,
    state: &ScopeState,
    instances: &[OwnInstance],
) -> Option<RegistrationTarget> {
    target_of(scope, state).or_else(|| {
        let named = instances.iter().filter(|one| one.scope_name.is_some());
        let newest = named.max_by_key(|one| (one.launched_at, &one.id))?;
        Some(RegistrationTarget {
            scope: newest.scope_name.clone()?,
            installation: None,
        })
    })
}
