//! The policy of the histories: a runner for each job that waits, and some idle ones as the schedule says.

use async_trait::async_trait;
use stoker_core::class::Capacity;
use stoker_core::ids::PolicyGeneration;
use stoker_core::plan::{
    Basis, DecidedBy, Deferral, Fate, Launch, Plan, PolicyLevel, Proposal, ScaleDownPlan, Verdict,
};
use stoker_core::ports::{ScaleDownDecider, ScaleUpDecider};
use stoker_core::situation::{PhaseFacts, Situation};

use crate::ports::{Ports, Turn};

#[async_trait]
impl ScaleDownDecider for Ports {
    /// Idle runners go that no job waits for, but for some that the schedule keeps.
    async fn decide(&self, situation: &Situation, _: PolicyGeneration) -> Proposal<ScaleDownPlan> {
        Turn::default().await;
        let keeps = self.world().keeps;
        let places = 0..situation.runners.len();
        let idle = places.filter(|place| situation.runners[*place].phase == PhaseFacts::Idle);
        Proposal {
            plan: ScaleDownPlan {
                verdicts: vec![Verdict {
                    runners: idle.skip(situation.pending.len() + keeps).collect(),
                    fate: Fate::Retire,
                    reason: "nobody needs it".to_owned(),
                }],
                notes: Vec::new(),
            },
            by: one_each(),
            basis: Basis::default(),
            fallback: None,
        }
    }
}

fn one_each() -> DecidedBy {
    DecidedBy {
        policy: "one each".to_owned(),
        level: PolicyLevel::BuiltIn,
        digest: None,
        generation: None,
        fuel: None,
    }
}

#[async_trait]
impl ScaleUpDecider for Ports {
    /// A runner for each job that waits and has none coming, spot or on demand as it is drawn.
    async fn decide(&self, situation: &Situation, _: PolicyGeneration) -> Proposal {
        Turn::default().await;
        let is_coming = |phase: PhaseFacts| {
            matches!(
                phase,
                PhaseFacts::Launching | PhaseFacts::Booting | PhaseFacts::Idle
            )
        };
        let runners = situation.runners.iter();
        let coming = runners.filter(|runner| is_coming(runner.phase)).count();
        let jobs: Vec<usize> = (coming..situation.pending.len()).collect();
        let capacity = if self.world().draw.one_in(2) {
            Capacity::Spot
        } else {
            Capacity::OnDemand
        };
        Proposal {
            plan: Plan {
                launches: vec![Launch {
                    class: 0,
                    capacity,
                    count: u32::try_from(jobs.len()).unwrap_or(u32::MAX),
                    launched_for: None,
                    jobs,
                    reason: "they wait".to_owned(),
                }],
                deferrals: vec![Deferral {
                    jobs: (0..coming.min(situation.pending.len())).collect(),
                    retry_after: None,
                    reason: "one is on its way".to_owned(),
                }],
                notes: Vec::new(),
            },
            by: one_each(),
            basis: Basis::default(),
            fallback: None,
        }
    }
}
