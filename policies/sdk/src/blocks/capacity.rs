//! Spot or on demand.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::facts::{Capacity, Job, Recent, RunnerClass};

/// What to launch where a class offers both; the other where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preferred {
    /// The cheaper one, which EC2 may take back.
    #[default]
    Spot,
    /// The one that is not taken back.
    OnDemand,
}

/// Spot, and when not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// What is taken when nothing speaks against it.
    pub preferred: Preferred,
    /// A job that has waited this long, in seconds, gets on-demand capacity. None: however long.
    pub on_demand_after_seconds: Option<u32>,
    /// So does one whose runner was interrupted before.
    pub on_demand_after_interruption: bool,
}

/// Of at least so many spot instances that were asked for within the hour, more than half refused or
/// taken back is more than bad luck.
const ENOUGH_TO_JUDGE: u32 = 4;

impl Choice {
    /// What to launch for a job; without one, for nobody in particular.
    pub fn of(&self, class: &RunnerClass, job: Option<&Job>) -> Capacity {
        let waited = |job: &Job| {
            self.on_demand_after_seconds
                .is_some_and(|limit| job.waited >= limit)
        };
        let interrupted = |job: &Job| self.on_demand_after_interruption && job.interrupted;
        let on_demand = self.preferred == Preferred::OnDemand
            || job.is_some_and(|job| waited(job) || interrupted(job))
            || fails(class.spot);
        match (on_demand, class.spot_price, class.on_demand_price) {
            (false, Some(_), _) | (true, _, None) => Capacity::Spot,
            _ => Capacity::OnDemand,
        }
    }
}

/// Whether spot capacity has failed more often than not of late.
fn fails(spot: Recent) -> bool {
    let asked = spot.launched.saturating_add(spot.refused);
    let failed = spot.interrupted.saturating_add(spot.refused);
    asked >= ENOUGH_TO_JUDGE && failed > asked / 2
}

/// The cheaper of what a class offers.
pub fn cheapest(class: &RunnerClass) -> Capacity {
    match (class.spot_price, class.on_demand_price) {
        (Some(spot), Some(on_demand)) if on_demand < spot => Capacity::OnDemand,
        (Some(_), _) => Capacity::Spot,
        (None, _) => Capacity::OnDemand,
    }
}

/// The price of an hour; none: not offered.
pub fn price(class: &RunnerClass, capacity: Capacity) -> Option<f64> {
    match capacity {
        Capacity::Spot => class.spot_price,
        Capacity::OnDemand => class.on_demand_price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    const SPOT: Choice = Choice {
        preferred: Preferred::Spot,
        on_demand_after_seconds: Some(600),
        on_demand_after_interruption: true,
    };

    fn class() -> RunnerClass {
        fleet().class("small", &["linux"]).build().classes.remove(0)
    }

    fn job(waited: u32, interrupted: bool) -> Job {
        let mut situation = fleet()
            .class("small", &["linux"])
            .job("app", &["linux"])
            .build();
        Job {
            waited,
            interrupted,
            ..situation.pending.remove(0)
        }
    }

    #[test]
    fn spot_unless_the_job_waited_long_or_was_interrupted() {
        assert_eq!(SPOT.of(&class(), Some(&job(599, false))), Capacity::Spot);
        assert_eq!(
            SPOT.of(&class(), Some(&job(600, false))),
            Capacity::OnDemand
        );
        assert_eq!(SPOT.of(&class(), Some(&job(0, true))), Capacity::OnDemand);
        assert_eq!(SPOT.of(&class(), None), Capacity::Spot);
    }

    #[test]
    fn what_a_class_does_not_offer_is_not_chosen() {
        let spot_only = RunnerClass {
            on_demand_price: None,
            ..class()
        };
        assert_eq!(SPOT.of(&spot_only, Some(&job(9_999, true))), Capacity::Spot);
        let on_demand_only = RunnerClass {
            spot_price: None,
            ..class()
        };
        assert_eq!(SPOT.of(&on_demand_only, None), Capacity::OnDemand);
        assert_eq!(cheapest(&on_demand_only), Capacity::OnDemand);
    }

    #[test]
    fn where_spot_failed_more_often_than_not_it_is_on_demand() {
        let fared = |launched, interrupted, refused| {
            let mut class = class();
            class.spot = Recent {
                launched,
                interrupted,
                refused,
                ..class.spot
            };
            SPOT.of(&class, None)
        };
        assert_eq!(fared(0, 0, 3), Capacity::Spot, "too few to judge");
        assert_eq!(fared(1, 0, 3), Capacity::OnDemand);
        assert_eq!(fared(10, 6, 0), Capacity::OnDemand);
        assert_eq!(fared(10, 5, 0), Capacity::Spot);
    }
}
