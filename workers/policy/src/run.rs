//! One call into a policy: in a store of its own, with limits of its own.

use stoker_core::plan::{Plan, PolicyLevel};
use stoker_core::situation::Situation;
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::contract::v0_1::{self, bindings, logging};
use crate::failure::Failure;
use crate::limits::{CORE_ITEMS, Limits, MOST_NOTES};

/// What the host keeps during one call.
pub(crate) struct Guest {
    memory_bytes: usize,
    memory_used: usize,
    table_elements: usize,
    /// Memory or tables were refused: the trap that follows has this cause.
    refused: bool,
    /// What the policy logged.
    notes: Vec<String>,
}

impl Guest {
    fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            memory_used: 0,
            table_elements: limits.table_elements,
            refused: false,
            notes: Vec::new(),
        }
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // All memories count together, or a component could bring fifty of them.
        let used = self.memory_used + desired.saturating_sub(current);
        if used > self.memory_bytes {
            self.refused = true;
            // A trap, and not the -1 that a guest may handle in its own way.
            return Err(wasmtime::Error::msg("memory limit"));
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            self.refused = true;
            return Err(wasmtime::Error::msg("table limit"));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_ITEMS
    }

    fn tables(&self) -> usize {
        CORE_ITEMS
    }

    fn memories(&self) -> usize {
        CORE_ITEMS
    }
}

impl logging::Host for Guest {
    fn log(&mut self, _level: logging::Level, message: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(message);
        }
    }
}

/// A call: what it is called in errors, and what it may use.
struct Call<'a> {
    name: &'static str,
    fuel: u64,
    limits: &'a Limits,
}

impl Call<'_> {
    fn store(&self, engine: &Engine) -> Result<Store<Guest>, Failure> {
        let mut store = Store::new(engine, Guest::new(self.limits));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(self.limits.handed_back_bytes);
        store
            .set_fuel(self.fuel)
            .map_err(|error| Failure::Instantiation(one_line(&error)))?;
        Ok(store)
    }

    /// What a call that did not return means.
    fn failure(&self, store: &Store<Guest>, error: &wasmtime::Error) -> Failure {
        let call = self.name;
        if store.data().refused {
            return Failure::OutOfMemory {
                call,
                limit: self.limits.memory_bytes,
            };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Failure::OutOfFuel {
                call,
                limit: self.fuel,
            },
            Some(Trap::StackOverflow) => Failure::StackOverflow { call },
            Some(trap) => Failure::Trapped {
                call,
                trap: trap.to_string(),
            },
            // The call came back, with something that could not be read.
            None => Failure::BadOutput {
                call,
                problem: one_line(error),
            },
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}

/// Asks a policy who it is.
pub(crate) fn describe(
    about: &v0_1::AboutPartPre<Guest>,
    limits: &Limits,
) -> Result<Description, Failure> {
    let call = Call {
        name: "describe",
        fuel: limits.fuel_base,
        limits,
    };
    let mut store = call.store(about.engine())?;
    about
        .instantiate(&mut store)
        .and_then(|part| part.stoker_policy_about().call_describe(&mut store))
        .map_err(|error| call.failure(&store, &error))
}

/// What a policy says of itself.
pub(crate) type Description = bindings::about_part::exports::stoker::policy::about::Description;

/// A policy's name and version in one line.
pub(crate) fn title(description: &Description) -> String {
    crate::contract::tame::tame(format!("{} {}", description.name, description.version))
}

/// A decision and what it cost.
#[derive(Debug)]
pub(crate) struct Decided {
    /// Checked against the situation.
    pub(crate) plan: Plan,
    /// Instantiation included.
    pub(crate) fuel: u64,
}

/// Asks a policy which runners to launch.
pub(crate) fn scale_up(
    policy: &v0_1::ScaleUpPartPre<Guest>,
    situation: &Situation,
    level: PolicyLevel,
    settings: &str,
    limits: &Limits,
) -> Result<Decided, Failure> {
    let call = Call {
        name: "scale-up",
        fuel: limits.fuel(situation.pending.len() + situation.runners.len()),
        limits,
    };
    let mut store = call.store(policy.engine())?;
    let shown = v0_1::situation(situation, level, settings.to_owned());
    let answer = policy
        .instantiate(&mut store)
        .and_then(|part| {
            part.stoker_policy_scale_up()
                .call_decide(&mut store, &shown)
        })
        .map_err(|error| call.failure(&store, &error))?;
    let spent = call.fuel - store.get_fuel().unwrap_or(0);
    let plan = answer.map_err(|refusal| Failure::Refused(crate::contract::tame::tame(refusal)))?;
    let mut plan = v0_1::plan(plan, situation).map_err(|problem| Failure::BadOutput {
        call: call.name,
        problem,
    })?;
    let logged = std::mem::take(&mut store.data_mut().notes);
    plan.notes
        .extend(logged.into_iter().map(crate::contract::tame::tame));
    plan.notes.truncate(MOST_NOTES);
    Ok(Decided { plan, fuel: spent })
}
