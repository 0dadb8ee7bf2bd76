//! The control plane in drawn histories: the real `stoker-core`, over simulated ports, a virtual clock and
//! one seed.
//!
//! In a history processes die between any two requests, messages are doubled, late and in disorder, requests
//! fail before or after they were served, EC2 gives less than it was asked for and shows instances late,
//! some never boot and some are taken back, GitHub refuses, limits, and forgets to answer. After every step
//! what must never be is looked for; and when nothing fails any more, everything must come to rest.
//!
//! In reading order: [`history`]; `world`, what there is; `outside`, EC2 and GitHub; `ledger`; `ports` and
//! `ledger_port`, how they fail.

mod deciders;
mod draw;
pub mod history;
mod invariants;
mod ledger;
mod ledger_port;
mod outside;
mod ports;
mod processes;
mod queues;
mod timer;
mod world;

pub use history::{Breach, run, shrunk};

/// How many steps of disorder a history has.
pub const STEPS: u64 = 4_000;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Histories that every test run draws.
    const SEEDS: u64 = 200;

    #[test]
    fn whatever_happens_every_job_gets_a_runner_and_nothing_is_left() {
        for seed in 0..SEEDS {
            if let Err(breach) = run(seed, STEPS) {
                let breach = shrunk(breach);
                let last = breach.told.len().saturating_sub(150);
                panic!("{breach}\n{}", breach.told[last..].join("\n"));
            }
        }
    }

    #[test]
    fn a_seed_has_one_history() {
        let told = |seed| {
            let mut history = Vec::new();
            // A history that is cut short is never at rest, so what was told of it is at hand.
            for steps in [300, 300] {
                history.push(run(seed, steps).map_err(|breach| breach.told));
            }
            history
        };
        for seed in 0..5 {
            let both = told(seed);
            assert_eq!(both[0], both[1]);
        }
    }

    #[tokio::test]
    async fn the_ledger_keeps_the_contract_of_all_ledgers() {
        let world = world::World::new(1);
        let ledger = ports::Ports(Arc::new(Mutex::new(world)));
        if let Err(breaches) = stoker_core::contract::check_ledger(&ledger, world::START).await {
            panic!("{breaches}");
        }
    }
}
