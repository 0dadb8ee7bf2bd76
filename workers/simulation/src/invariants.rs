//! What must hold: at every step, and once everything has settled.

use stoker_core::job::JobPhase;
use stoker_core::runner::Runner;

use crate::history::{DEPLOYMENT_MAXIMUM, History, POINTS_A_MINUTE, SCOPE_MAXIMUM, SCOPES};
use crate::outside::{Stands, Work};

impl History {
    /// What holds at every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        let world = self.ports.world();
        if let Some(breach) = world.outside.breaches.first() {
            return Err(breach.clone());
        }
        let mut all = 0;
        for scope in 1..=SCOPES {
            let usable = world.outside.usable(world.fixtures.scope(scope));
            if usable > usize::try_from(SCOPE_MAXIMUM).unwrap_or(0) {
                return Err(format!("scope {scope} has {usable} runners"));
            }
            all += usable;
        }
        if all > usize::try_from(DEPLOYMENT_MAXIMUM).unwrap_or(0) {
            return Err(format!("there are {all} runners in all"));
        }
        Ok(())
    }

    /// What holds once everything has settled.
    pub(crate) fn check_the_end(&self) -> Result<(), String> {
        let world = self.ports.world();
        for (key, (scope, work)) in &world.outside.jobs {
            if *work != Work::Ended {
                return Err(format!("job {key} of {scope} is {work:?} in the end"));
            }
        }
        for job in world.books.jobs.values() {
            // Late news of a job may come to a ledger that has lost that it has ended: GitHub tells that no
            // more.
            if job.phase != JobPhase::Ended && !world.forgotten.contains(&job.key) {
                return Err(format!(
                    "job {} is {:?} in the ledger in the end",
                    job.key, job.phase
                ));
            }
        }
        if let Some(((scope, intent), _)) = world.books.intents.first_key_value() {
            return Err(format!("intent {intent} of {scope} is open in the end"));
        }
        for (id, machine) in &world.outside.machines {
            let known = world.books.runners.get(id);
            let is_known = known.is_some_and(Runner::is_live);
            let is_gone = machine.stands == Stands::Gone;
            if !is_gone && !is_known {
                return Err(format!("instance {id} of {} is nobody's", machine.scope));
            }
            if is_gone && is_known {
                return Err(format!("runner {id} of {} is a ghost", machine.scope));
            }
        }
        let most = world.outside.most_spent;
        if most > POINTS_A_MINUTE {
            return Err(format!(
                "GitHub was asked for {most} points of writes in a minute"
            ));
        }
        for scope in 1..=SCOPES {
            let scope = world.fixtures.scope(scope);
            let there = world.outside.machines.values();
            let there = there.filter(|one| one.scope == scope && one.stands != Stands::Gone);
            let (there, idle) = (there.count(), world.outside.idle(scope));
            if idle > world.keeps || there > idle {
                return Err(format!(
                    "{scope} has {there} instances in the end, {idle} of them idle, and {} are kept",
                    world.keeps
                ));
            }
        }
        if let Some(name) = world.outside.registered_without_instance() {
            return Err(format!("{name} is registered and has no instance"));
        }
        let mut dead = world.dead.iter();
        if let Some((message, _)) = dead.find(|(_, is_redriven)| !is_redriven) {
            return Err(format!("{message:?} is put aside in the end"));
        }
        let text = format!("{:?} {:?}", world.books.jobs, world.books.runners);
        if text.contains(crate::ports::SECRET) {
            return Err("a secret is in the ledger".to_owned());
        }
        Ok(())
    }
}
