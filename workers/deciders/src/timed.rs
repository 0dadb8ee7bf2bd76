//! How long policies take to decide.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::ids::PolicyGeneration;
use stoker_core::plan::{Plan, Proposal, ScaleDownPlan};
use stoker_core::ports::{Clock as _, ScaleDownDecider, ScaleUpDecider, SyncDecider};
use stoker_core::situation::Situation;
use stoker_lambda::SystemClock;
use stoker_lambda::metric::{Measured, Unit};

use crate::metric::DECISION_TIME;
use crate::record::Records;
use crate::report::Lines;

/// Measures how long another one takes.
pub struct Timed<D> {
    decider: Arc<D>,
    lines: Lines,
}

impl<D> Timed<D> {
    /// Measures that one, for those who read these lines.
    pub fn new(decider: Arc<D>, records: &Records) -> Self {
        Self {
            decider,
            lines: records.lines.clone(),
        }
    }

    async fn time<T>(&self, part: &str, deciding: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let decided = deciding.await;
        let took = Measured {
            unit: Unit::Milliseconds,
            value: (begun.elapsed().as_secs_f64() * 1e5).round() / 100.0,
            ..Measured::count(DECISION_TIME, 0).by("Interface", part)
        };
        self.lines.measure(SystemClock.now(), &took);
        decided
    }
}

#[async_trait]
impl<D: ScaleUpDecider> ScaleUpDecider for Timed<D> {
    async fn decide(&self, situation: &Situation, seen: PolicyGeneration) -> Proposal<Plan> {
        let deciding = ScaleUpDecider::decide(&*self.decider, situation, seen);
        self.time("scale-up", deciding).await
    }
}

#[async_trait]
impl<D: ScaleDownDecider> ScaleDownDecider for Timed<D> {
    async fn decide(
        &self,
        situation: &Situation,
        seen: PolicyGeneration,
    ) -> Proposal<ScaleDownPlan> {
        let deciding = ScaleDownDecider::decide(&*self.decider, situation, seen);
        self.time("scale-down", deciding).await
    }
}

#[async_trait]
impl<D: SyncDecider> SyncDecider for Timed<D> {
    async fn decide(
        &self,
        distribution: &Distribution,
        seen: PolicyGeneration,
    ) -> Proposal<SyncPlan> {
        let deciding = SyncDecider::decide(&*self.decider, distribution, seen);
        self.time("sync", deciding).await
    }
}
