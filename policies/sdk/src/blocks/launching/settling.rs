//! From what was asked for to a plan: which job gets what, who pays, and a reason for every job.

use super::reasons::launch;
use super::{Fate, Launching, Limit, Waiting};
use crate::blocks::{capacity, index, position};
use crate::facts::{Capacity, Job, RunnerClass};
use crate::scale_up::{Deferral, Launch, Plan};

/// Sums of prices are not exact to the last bit.
pub const CENT_FRACTION: f64 = 1e-9;

/// Whether there is money for an hour at that price; none: there is no limit.
fn affords(money: Option<f64>, price: f64) -> bool {
    money.is_none_or(|left| price <= left + CENT_FRACTION)
}

impl Launching<'_> {
    /// Makes the plan: every job is in exactly one launch or deferral. `choose` says spot or on demand
    /// for a class and a job (none: for idle stock). Where the operator's spend limit binds, those wait that
    /// were launched for last.
    pub fn finish(self, choose: impl Fn(&RunnerClass, Option<&Job>) -> Capacity) -> Plan {
        self.finish_paying(choose, |_, _| Ok(()))
    }

    /// As [`Self::finish`], and each launch is paid for: `pay` is told the job (none: for idle stock) and the
    /// price of an hour, in the order of the launches, and says why a job waits for which there is no
    /// money.
    pub fn finish_paying(
        mut self,
        choose: impl Fn(&RunnerClass, Option<&Job>) -> Capacity,
        mut pay: impl FnMut(Option<&Job>, f64) -> Result<(), Waiting>,
    ) -> Plan {
        self.cover();
        let situation = self.situation;
        let mut money = situation.headroom.spend_left;
        // By class, spot before on demand. A plan's cost is counted job by job, so there are no maps here.
        let mut launches: Vec<Vec<u32>> = vec![Vec::new(); 2 * situation.classes.len()];
        let mut waiting: Vec<(Fate, Vec<u32>)> = Vec::new();
        let covered = 0..self.fates.len();
        let order = std::mem::take(&mut self.order);
        // First those that runners are there for, then those that are launched for in the policy's order.
        for (place, launched) in covered
            .map(|p| (p, false))
            .chain(order.iter().map(|&p| (p, true)))
        {
            let mut fate = match &self.fates[place] {
                Some(Fate::Launched) if !launched => continue,
                // The policy thought better of it.
                Some(fate) if launched && *fate != Fate::Launched => continue,
                Some(fate) => *fate,
                None => self.reason(Waiting {
                    reason: "the policy did not decide about this job".to_owned(),
                    retry_after: None,
                }),
            };
            if matches!(fate, Fate::Placed | Fate::Launched) {
                fate = match self.settle(place, &mut money, &choose, &mut pay) {
                    Ok((class, on_demand)) => {
                        launches[2 * class + usize::from(on_demand)].push(position(place));
                        continue;
                    }
                    Err(fate) => fate,
                };
            }
            match waiting.iter_mut().find(|(other, _)| *other == fate) {
                Some((_, jobs)) => jobs.push(position(place)),
                None => waiting.push((fate, vec![position(place)])),
            }
        }
        waiting.sort_by_key(|(fate, _)| *fate);
        let waiting_jobs = waiting.iter_mut().map(|(_, jobs)| jobs);
        for jobs in launches.iter_mut().chain(waiting_jobs) {
            jobs.sort_unstable();
        }
        let mut plan = Plan {
            launches: launches
                .into_iter()
                .enumerate()
                .filter(|(_, jobs)| !jobs.is_empty())
                .map(|(kind, jobs)| launch(situation, kind / 2, kind % 2 == 1, jobs))
                .collect(),
            deferrals: Vec::new(),
            notes: Vec::new(),
            attributes: Vec::new(),
        };
        for stocked in &self.stock {
            let facts = &situation.classes[stocked.class];
            let chosen = choose(facts, None);
            let price = capacity::price(facts, chosen).unwrap_or(0.0);
            let mut count = 0;
            while count < stocked.launched && affords(money, price) && pay(None, price).is_ok() {
                money = money.map(|left| left - price);
                count += 1;
            }
            if count > 0 {
                plan.launches.push(Launch {
                    runner_class: position(stocked.class),
                    capacity: chosen,
                    count,
                    launched_for: None,
                    jobs: Vec::new(),
                    reason: stocked.reason.clone(),
                });
            }
        }
        plan.deferrals = waiting
            .into_iter()
            .map(|(fate, jobs)| self.deferral(fate, jobs))
            .collect();
        if situation.pending_unseen > 0 {
            plan.notes.push(format!(
                "{} more jobs wait than this decision was shown",
                situation.pending_unseen
            ));
        }
        plan
    }

    /// Gives a job its place: a launch of a class (on demand or not), or what becomes of it instead.
    fn settle(
        &mut self,
        place: usize,
        money: &mut Option<f64>,
        choose: &impl Fn(&RunnerClass, Option<&Job>) -> Capacity,
        pay: &mut impl FnMut(Option<&Job>, f64) -> Result<(), Waiting>,
    ) -> Result<(usize, bool), Fate> {
        let job = &self.situation.pending[place];
        let Some(kind) = self.places.pick(self.rows[place]) else {
            return Err(Fate::Bound(Limit::Classes(index(job.labels))));
        };
        let Some(class) = kind.checked_sub(self.situation.classes.len()) else {
            return Err(Fate::Covered);
        };
        let facts = &self.situation.classes[class];
        let chosen = choose(facts, Some(job));
        let price = capacity::price(facts, chosen).unwrap_or(0.0);
        if !affords(*money, price) {
            return Err(Fate::Bound(Limit::Spend));
        }
        if let Err(unpaid) = pay(Some(job), price) {
            return Err(self.reason(unpaid));
        }
        *money = money.map(|left| left - price);
        Ok((class, chosen == Capacity::OnDemand))
    }

    fn deferral(&self, fate: Fate, jobs: Vec<u32>) -> Deferral {
        let (reason, retry_after) = match fate {
            Fate::Wait(why) => {
                let why = &self.reasons[why];
                (why.reason.clone(), why.retry_after)
            }
            Fate::Bound(limit) => self.bound(limit),
            Fate::Covered | Fate::Placed | Fate::Launched => (
                "a runner that is idle or on its way can take it".to_owned(),
                None,
            ),
        };
        Deferral {
            jobs,
            retry_after,
            reason,
        }
    }
}
