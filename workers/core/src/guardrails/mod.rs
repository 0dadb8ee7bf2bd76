//! What no policy can lift: every launch is clamped to the operator's limits, and each clamp is written
//! down as an edit; so is every retirement that is not granted ([`retire()`]).

mod retire;
mod rules;

use crate::class::Capacity;
use crate::limits::{Guards, PublicRepositories};
use crate::plan::{Launch, Plan};
use crate::situation::Situation;

pub use retire::{KeepRule, Kept, Retirements, retire};
pub use rules::{Edit, Rule};

/// The most launches of one decision: a DynamoDB transaction takes 100 items, of which the scope is one, and
/// when it is due another.
pub const LAUNCHES_PER_DECISION: usize = 50;

/// What is left of a plan's launches after every guardrail. Only [`clamp`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    launches: Vec<Launch>,
    edits: Vec<Edit>,
    cut: Vec<(usize, Rule)>,
}

impl Granted {
    /// Writes an edit down. One rule on one kind of launch is one edit, however often a plan repeats it.
    fn note(&mut self, edit: Edit) {
        let known = self.edits.iter_mut().find(|known| {
            known.rule == edit.rule && known.class == edit.class && known.capacity == edit.capacity
        });
        match known {
            Some(known) => {
                known.asked = known.asked.saturating_add(edit.asked);
                known.granted = known.granted.saturating_add(edit.granted);
            }
            None => self.edits.push(edit),
        }
    }

    /// What may be launched: every count is at least 1.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// What was taken away, and by which rule.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The jobs (positions) that lost the runner that the policy had in mind for them, and to which rule.
    pub fn cut(&self) -> &[(usize, Rule)] {
        &self.cut
    }
}

/// What is left of the limits, launch by launch.
struct Left {
    scope: u32,
    deployment: u32,
    launches: u32,
    registrations: u32,
    spend: Option<f64>,
    classes: Vec<u32>,
    /// Those that GitHub would register, as far as is known.
    registered: Vec<u32>,
    /// None: the repository has no maximum of its own.
    repositories: Vec<Option<u32>>,
    /// Runners for nobody in particular: those that are there, and those granted.
    taken_by_nobody: u32,
}

impl Left {
    fn of(situation: &Situation) -> Self {
        let headroom = &situation.headroom;
        let nobodys = situation
            .runners
            .iter()
            .filter(|runner| runner.serves.or(runner.launched_for).is_none());
        Self {
            scope: headroom.runners_left,
            deployment: headroom.deployment_left,
            launches: headroom.launches_left,
            registrations: headroom.registrations_left,
            spend: headroom.spend_left,
            classes: situation.classes.iter().map(|class| class.left).collect(),
            registered: situation
                .classes
                .iter()
                .map(|class| match &class.refused {
                    None => u32::MAX,
                    // One shows whether the next would be refused too.
                    Some(refused) => u32::from(refused.paused_for == 0),
                })
                .collect(),
            repositories: situation
                .repositories
                .iter()
                .map(|repository| repository.maximum.map(|_| repository.left))
                .collect(),
            taken_by_nobody: u32::try_from(nobodys.count()).unwrap_or(u32::MAX),
        }
    }

    /// How many runners of that price the spend limits leave.
    fn affordable(&self, price: f64) -> u32 {
        match self.spend {
            None => u32::MAX,
            Some(left) if price <= 0.0 => {
                if left > 0.0 {
                    u32::MAX
                } else {
                    0
                }
            }
            // Sums of prices are not exact to the last bit.
            Some(left) => whole(left / price + 1e-9),
        }
    }

    fn take(&mut self, launch: &Launch, price: f64) {
        self.scope -= launch.count;
        self.deployment -= launch.count;
        self.launches -= launch.count;
        self.registrations -= launch.count;
        self.classes[launch.class] -= launch.count;
        self.registered[launch.class] -= launch.count;
        self.spend = self
            .spend
            .map(|left| left - price * f64::from(launch.count));
    }

    /// How many runners for nobody in particular may be granted: as many as the repositories that are
    /// known may have between them, where each has a maximum.
    fn for_nobody(&self) -> u32 {
        let places = |all: u32, left: &Option<u32>| left.map(|left| all.saturating_add(left));
        if self.repositories.is_empty() {
            return u32::MAX;
        }
        let all = self.repositories.iter().try_fold(0, places);
        all.map_or(u32::MAX, |all| all.saturating_sub(self.taken_by_nobody))
    }

    /// Takes one of a repository's places. Whether there was one.
    fn take_place(&mut self, repository: usize) -> bool {
        match &mut self.repositories[repository] {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// The whole part of a number that is not negative; beyond 32 bits, as much as they hold.
fn whole(number: f64) -> u32 {
    if number >= f64::from(u32::MAX) {
        return u32::MAX;
    }
    // Checked above, and `max` turns what is negative or no number into 0.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = number.max(0.0) as u32;
    whole
}

/// Clamps a plan whose positions all exist in the situation.
pub fn clamp(plan: &Plan, situation: &Situation, guards: &Guards) -> Granted {
    let mut left = Left::of(situation);
    let mut granted = Granted {
        launches: Vec::new(),
        edits: Vec::new(),
        cut: Vec::new(),
    };
    for launch in plan.launches.iter().filter(|launch| launch.count > 0) {
        let mut clamping = Clamping {
            situation,
            launch: launch.clone(),
            edits: Vec::new(),
            cut: Vec::new(),
        };
        clamping.room(guards.spot_failures);
        clamping.clamp(&mut left, guards, granted.launches.len());
        clamping.edits.drain(..).for_each(|edit| granted.note(edit));
        granted.cut.append(&mut clamping.cut);
        if clamping.launch.count > 0 {
            let price = clamping.price().unwrap_or(0.0);
            left.take(&clamping.launch, price);
            granted.launches.push(clamping.launch);
        }
    }
    // A job that another launch serves all the same has lost nothing.
    let served: Vec<usize> = granted
        .launches
        .iter()
        .flat_map(|launch| launch.jobs.iter().copied())
        .collect();
    granted.cut.retain(|(job, _)| !served.contains(job));
    granted
}

/// One launch on its way through the rules.
struct Clamping<'a> {
    situation: &'a Situation,
    launch: Launch,
    edits: Vec<Edit>,
    cut: Vec<(usize, Rule)>,
}

impl Clamping<'_> {
    fn price(&self) -> Option<f64> {
        let class = &self.situation.classes[self.launch.class].class;
        class.price(self.launch.capacity)
    }

    /// What EC2 did not have a moment ago is not asked for again at once; where it did not have spot
    /// instances several times in a row, on-demand ones are, for a while.
    fn room(&mut self, spot_failures: Option<u32>) {
        let facts = &self.situation.classes[self.launch.class];
        let tried = match self.launch.capacity {
            Capacity::Spot => &facts.spot,
            Capacity::OnDemand => &facts.on_demand,
        };
        if tried.paused_for == 0 {
            return;
        }
        let instead = self.launch.capacity == Capacity::Spot
            && spot_failures.is_some_and(|most| tried.failures >= most)
            && facts.class.on_demand_price.is_some();
        if instead {
            self.edit(Rule::SpotPaused, self.launch.count);
            self.launch.capacity = Capacity::OnDemand;
            if facts.on_demand.paused_for == 0 {
                return;
            }
        }
        self.limit(Rule::NoRoom, 0);
    }

    fn clamp(&mut self, left: &mut Left, guards: &Guards, launches_before: usize) {
        let Some(price) = self.price() else {
            return self.limit(Rule::CapacityNotOffered, 0);
        };
        if guards.public_repositories == PublicRepositories::Refused {
            self.private_only();
        }
        self.limit(
            Rule::RegistrationRefused,
            left.registered[self.launch.class],
        );
        self.limit(Rule::ClassMaximum, left.classes[self.launch.class]);
        self.limit(Rule::DeploymentMaximum, left.deployment);
        self.limit(Rule::ScopeMaximum, left.scope);
        self.limit(Rule::LaunchBudget, left.launches);
        self.limit(Rule::RegistrationBudget, left.registrations);
        self.limit(Rule::SpendLimit, left.affordable(price));
        if launches_before == LAUNCHES_PER_DECISION {
            self.limit(Rule::LaunchesPerDecision, 0);
        }
        // Last: only what is launched takes a repository's places.
        self.repositories(left);
    }

    /// Lowers the count to what a rule leaves; the jobs at the end lose their runner.
    fn limit(&mut self, rule: Rule, left: u32) {
        if self.launch.count <= left {
            return;
        }
        self.edit(rule, left);
        let kept = usize::try_from(left).unwrap_or(usize::MAX);
        if kept < self.launch.jobs.len() {
            let lost = self.launch.jobs.split_off(kept);
            self.cut.extend(lost.into_iter().map(|job| (job, rule)));
        }
    }

    fn edit(&mut self, rule: Rule, granted: u32) {
        self.edits.push(Edit {
            rule,
            class: self.situation.classes[self.launch.class].class.name.clone(),
            capacity: self.launch.capacity,
            asked: self.launch.count,
            granted,
        });
        self.launch.count = granted;
    }

    /// Takes out the jobs of public repositories. Runners for nobody in particular stay, where there is
    /// a repository that may have them: which job they take is GitHub's decision, and the runner group's
    /// to limit.
    fn private_only(&mut self) {
        let is_public = |repository: usize| {
            self.situation.repositories[repository].visibility == stoker_intake::Visibility::Public
        };
        let all = self.situation.repositories.len();
        let nobody_may = all > 0 && (0..all).all(is_public);
        if nobody_may || self.launch.launched_for.is_some_and(is_public) {
            return self.limit(Rule::PrivateOnly, 0);
        }
        let lost: Vec<usize> = self
            .launch
            .jobs
            .iter()
            .copied()
            .filter(|&job| is_public(self.situation.pending[job].repository))
            .collect();
        self.lose(Rule::PrivateOnly, &lost);
    }

    /// Takes out jobs for which a rule lets nothing be launched, and the runners that were for them: what
    /// the launch has beyond its other jobs was for nobody in particular.
    fn lose(&mut self, rule: Rule, lost: &[usize]) {
        if lost.is_empty() {
            return;
        }
        let before = self.launch.jobs.len();
        self.launch.jobs.retain(|job| !lost.contains(job));
        self.cut.extend(lost.iter().map(|&job| (job, rule)));
        let count = usize::try_from(self.launch.count).unwrap_or(usize::MAX);
        let for_nobody = count.saturating_sub(before);
        let granted = count.min(self.launch.jobs.len() + for_nobody);
        let granted = u32::try_from(granted).unwrap_or(u32::MAX);
        if granted < self.launch.count {
            self.edit(rule, granted);
        }
    }

    /// A launch for a repository takes that one's places; one that names none takes those of its jobs'
    /// repositories, and for runners beyond its jobs there must be a repository that may have them. Where
    /// the scope is one repository, every launch is for it.
    fn repositories(&mut self, left: &mut Left) {
        let scope_is_one = self.situation.scope.repository.is_some();
        let whose = self
            .launch
            .launched_for
            .or((scope_is_one && left.repositories.len() == 1).then_some(0));
        if let Some(repository) = whose {
            if let Some(places) = left.repositories[repository] {
                self.limit(Rule::RepositoryMaximum, places);
                left.repositories[repository] = Some(places - self.launch.count);
            }
            return;
        }
        let runners = usize::try_from(self.launch.count).unwrap_or(usize::MAX);
        // A plan may name more jobs than it wants runners: those count for whom there is a place.
        let mut placed = 0;
        let mut lost = Vec::new();
        for &job in &self.launch.jobs {
            if placed == runners {
                break;
            }
            if left.take_place(self.situation.pending[job].repository) {
                placed += 1;
            } else {
                lost.push(job);
            }
        }
        self.lose(Rule::RepositoryMaximum, &lost);
        let named = u32::try_from(self.launch.jobs.len()).unwrap_or(u32::MAX);
        let for_nobody = self.launch.count.saturating_sub(named);
        let granted = for_nobody.min(left.for_nobody());
        if granted < for_nobody {
            self.limit(Rule::RepositoryMaximum, named + granted);
        }
        left.taken_by_nobody += granted;
    }
}
