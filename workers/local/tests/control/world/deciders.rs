//! Who decides in the tests.

use std::sync::Arc;

use async_trait::async_trait;
use stoker_core::class::Capacity;
use stoker_core::ids::PolicyGeneration;
use stoker_core::plan::{
    DecidedBy, Deferral, Fate, Launch, Plan, PolicyLevel, Proposal, ScaleDownPlan, Verdict,
};
use stoker_core::ports::{ScaleDownDecider, ScaleUpDecider};
use stoker_core::situation::{PhaseFacts, Situation};

use super::Outside;

/// One runner for each waiting job that none is on its way for, by policies of the generation that the
/// test says.
pub(super) struct OneEach(pub(super) Arc<Outside>);

#[async_trait]
impl ScaleDownDecider for OneEach {
    /// Every idle runner that no job waits for goes.
    async fn decide(&self, situation: &Situation, _: PolicyGeneration) -> Proposal<ScaleDownPlan> {
        let places = 0..situation.runners.len();
        let idle = places.filter(|place| situation.runners[*place].phase == PhaseFacts::Idle);
        let runners: Vec<usize> = idle.skip(situation.pending.len()).collect();
        Proposal {
            plan: ScaleDownPlan {
                verdicts: vec![Verdict {
                    runners,
                    fate: Fate::Retire,
                    reason: "nobody needs it".to_owned(),
                }],
                notes: Vec::new(),
            },
            by: DecidedBy {
                policy: "one each".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation: None,
                fuel: None,
            },
            basis: stoker_core::plan::Basis::default(),
            fallback: None,
        }
    }
}

#[async_trait]
impl ScaleUpDecider for OneEach {
    async fn decide(&self, situation: &Situation, seen: PolicyGeneration) -> Proposal {
        let generation = *self.0.generation.lock().unwrap();
        self.0.generations_seen.lock().unwrap().push(seen);
        let coming = situation
            .runners
            .iter()
            .filter(|runner| {
                matches!(
                    runner.phase,
                    PhaseFacts::Launching | PhaseFacts::Booting | PhaseFacts::Idle
                )
            })
            .count();
        let jobs: Vec<usize> = (coming..situation.pending.len()).collect();
        Proposal {
            plan: Plan {
                launches: vec![Launch {
                    class: 0,
                    capacity: Capacity::Spot,
                    count: u32::try_from(jobs.len()).unwrap(),
                    launched_for: None,
                    jobs,
                    reason: "they wait".to_owned(),
                }],
                deferrals: vec![Deferral {
                    jobs: (0..coming.min(situation.pending.len())).collect(),
                    retry_after: None,
                    reason: "one is on its way".to_owned(),
                }],
                ..Plan::default()
            },
            by: DecidedBy {
                policy: "one each".to_owned(),
                level: PolicyLevel::BuiltIn,
                digest: None,
                generation,
                fuel: None,
            },
            basis: stoker_core::plan::Basis::default(),
            fallback: None,
        }
    }
}
