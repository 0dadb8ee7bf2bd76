//! Which idle runners are surplus.

use std::collections::BTreeMap;

use super::matching::Matching;
use super::stock::Wanted;
use super::{index, position};
use crate::facts::{Runner, RunnerPhase, Situation};
use crate::scale_down::{Fate, Plan, Verdict};

/// When an idle runner that nobody needs may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retiring {
    /// Seconds that a runner lives at least.
    pub minimum_age: u32,
    /// Seconds that it has been idle at least.
    pub idle_for: u32,
}

/// Why an idle runner stays or goes; in the order in which the plan tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Needed,
    Stock(usize),
    Young,
    Recent,
    Surplus,
}

impl Retiring {
    /// The verdict on every idle runner; others are not spoken of, and so are kept. Jobs that wait keep
    /// as many as they can take, then the stock does, youngest first: of what is left, those go that
    /// are old enough and idle for long enough.
    pub fn plan(&self, situation: &Situation, stock: &[Wanted]) -> Plan {
        let idle = idle_by_class(situation);
        let fits = situation
            .label_sets
            .iter()
            .map(|set| set.fits.iter().map(|&class| index(class)).collect())
            .collect();
        let mut places = Matching::new(fits, idle.clone());
        for job in &situation.pending {
            places.place(index(job.labels));
        }
        let mut kept: Vec<u32> = idle
            .iter()
            .enumerate()
            .map(|(class, idle)| idle - places.free(class))
            .collect();
        let mut stocked = vec![0_u32; situation.classes.len()];
        let mut by_fate: BTreeMap<Why, Vec<u32>> = BTreeMap::new();
        // Runners are ordered oldest first.
        for (place, runner) in situation.runners.iter().enumerate().rev() {
            if runner.phase != RunnerPhase::Idle {
                continue;
            }
            let class = index(runner.runner_class);
            let why = self.why(runner, class, &mut kept, &mut stocked, stock);
            by_fate.entry(why).or_default().push(position(place));
        }
        Plan {
            verdicts: by_fate
                .into_iter()
                .map(|(why, mut runners)| {
                    runners.sort_unstable();
                    self.verdict(why, runners, stock)
                })
                .collect(),
            notes: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn why(
        self,
        runner: &Runner,
        class: usize,
        kept: &mut [u32],
        stocked: &mut [u32],
        stock: &[Wanted],
    ) -> Why {
        if let Some(needed) = kept.get_mut(class)
            && *needed > 0
        {
            *needed -= 1;
            return Why::Needed;
        }
        let wanted = stock.iter().position(|wanted| wanted.class == class);
        if let Some(entry) = wanted
            && stocked[class] < stock[entry].count
        {
            stocked[class] += 1;
            return Why::Stock(entry);
        }
        if runner.age < self.minimum_age {
            Why::Young
        } else if runner.in_phase < self.idle_for {
            Why::Recent
        } else {
            Why::Surplus
        }
    }

    fn verdict(self, why: Why, runners: Vec<u32>, stock: &[Wanted]) -> Verdict {
        let (fate, reason) = match why {
            Why::Needed => (Fate::Keep, "a waiting job can take it".to_owned()),
            Why::Stock(entry) => (Fate::Keep, stock[entry].reason.clone()),
            Why::Young => (
                Fate::Keep,
                format!("it is younger than {} seconds", self.minimum_age),
            ),
            Why::Recent => (
                Fate::Keep,
                format!("it has been idle for less than {} seconds", self.idle_for),
            ),
            Why::Surplus => (
                Fate::Retire,
                format!(
                    "idle for {} seconds or more, and neither a waiting job nor the idle stock needs it",
                    self.idle_for
                ),
            ),
        };
        Verdict {
            runners,
            fate,
            reason,
        }
    }
}

fn idle_by_class(situation: &Situation) -> Vec<u32> {
    let mut idle = vec![0_u32; situation.classes.len()];
    for runner in &situation.runners {
        if runner.phase == RunnerPhase::Idle
            && let Some(count) = idle.get_mut(index(runner.runner_class))
        {
            *count += 1;
        }
    }
    idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    const RULE: Retiring = Retiring {
        minimum_age: 300,
        idle_for: 60,
    };

    fn retired(situation: &Situation, stock: &[Wanted]) -> Vec<String> {
        RULE.plan(situation, stock)
            .verdicts
            .iter()
            .filter(|verdict| verdict.fate == Fate::Retire)
            .flat_map(|verdict| verdict.runners.clone())
            .map(|runner| situation.runners[index(runner)].name.clone())
            .collect()
    }

    #[test]
    fn only_idle_runners_that_nobody_needs_go() {
        let situation = fleet()
            .class("small", &["linux"])
            .runner("small", RunnerPhase::Busy, 900)
            .runner("small", RunnerPhase::Unknown, 900)
            .runner("small", RunnerPhase::Idle, 800)
            .runner("small", RunnerPhase::Idle, 299)
            .build();
        assert_eq!(retired(&situation, &[]), ["runner-800-2"]);
        let waited_for = fleet()
            .class("small", &["linux"])
            .job("app", &["linux"])
            .runner("small", RunnerPhase::Idle, 800)
            .build();
        assert_eq!(retired(&waited_for, &[]), [""; 0]);
    }

    #[test]
    fn the_stock_keeps_the_youngest() {
        let situation = fleet()
            .class("small", &["linux"])
            .runner("small", RunnerPhase::Idle, 900)
            .runner("small", RunnerPhase::Idle, 800)
            .build();
        let stock = [Wanted {
            class: 0,
            count: 1,
            reason: "wanted".to_owned(),
        }];
        assert_eq!(retired(&situation, &stock), ["runner-900-0"]);
    }
}
