//! One call into a policy: in a store of its own, with limits of its own.

use std::collections::VecDeque;

use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::contract::tame::tame;
use crate::contract::{Answer, Contract, Decision, Description, Needs};
use crate::failure::Failure;
use crate::limits::{
    CORE_ITEMS, HANDLES, LOG_LINE, Limits, MOST_COMPLAINTS, MOST_NOTES, MOST_ZONES, SCHEMA_BYTES,
};

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warning,
}

/// What the host keeps during one call.
pub(crate) struct Guest {
    memory_bytes: usize,
    memory_used: usize,
    table_elements: usize,
    /// Memory or tables were refused: the trap that follows has this cause.
    refused: bool,
    /// Bytes that may still be logged. The host does work for each line that the guest's fuel does not
    /// pay for.
    log_left: usize,
    /// More was logged than may be: the trap that follows has this cause.
    shouted: bool,
    /// What the policy logged, the newest last: a policy that traps says why at the end.
    notes: VecDeque<String>,
}

impl Guest {
    fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            memory_used: 0,
            table_elements: limits.table_elements,
            refused: false,
            log_left: limits.handed_back_bytes,
            shouted: false,
            notes: VecDeque::new(),
        }
    }

    /// Keeps a line that the policy logged.
    ///
    /// # Errors
    /// A trap, once it has logged more than it may hand back.
    pub(crate) fn note(&mut self, level: LogLevel, message: String) -> wasmtime::Result<()> {
        let Some(left) = self.log_left.checked_sub(message.len() + LOG_LINE) else {
            self.shouted = true;
            return Err(wasmtime::Error::msg("log limit"));
        };
        self.log_left = left;
        if self.notes.len() == MOST_NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(tame(match level {
            LogLevel::Debug => format!("debug: {message}"),
            LogLevel::Info => message,
            LogLevel::Warning => format!("warning: {message}"),
        }));
        Ok(())
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

/// What a call used, instantiation included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The same for the same bytes in.
    pub fuel: u64,
    /// What it could have used.
    pub fuel_limit: u64,
    /// Bytes of all linear memories together.
    pub memory: usize,
    /// What it could have used.
    pub memory_limit: usize,
}

/// A decision and what it cost.
#[derive(Debug, Clone)]
pub struct Decided<P> {
    /// Checked against what was shown.
    pub plan: P,
    /// What the policy logged, fit for a log.
    pub logged: Vec<String>,
    /// See [`Cost`].
    pub cost: Cost,
}

/// A call: what it is called in errors, and what it may use.
struct Call<'a> {
    name: &'static str,
    fuel: u64,
    limits: &'a Limits,
}

impl Call<'_> {
    /// Calls, in a fresh store.
    fn make<T>(
        &self,
        engine: &Engine,
        call: impl FnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<(T, Vec<String>, Cost), Failure> {
        let mut store = Store::new(engine, Guest::new(self.limits));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(self.limits.handed_back_bytes);
        store.set_max_component_handles(HANDLES);
        store
            .set_fuel(self.fuel)
            .map_err(|error| Failure::Instantiation(one_line(&error)))?;
        let answer = call(&mut store).map_err(|error| self.failure(&store, &error))?;
        let cost = Cost {
            fuel: self.fuel - store.get_fuel().unwrap_or(0),
            fuel_limit: self.fuel,
            memory: store.data().memory_used,
            memory_limit: self.limits.memory_bytes,
        };
        let logged = std::mem::take(&mut store.data_mut().notes);
        Ok((answer, logged.into(), cost))
    }

    /// A decision, which may be a refusal.
    fn decide<P>(
        &self,
        engine: &Engine,
        call: impl FnOnce(&mut Store<Guest>) -> wasmtime::Result<Answer<P>>,
    ) -> Result<Decided<P>, Failure> {
        let (answer, logged, cost) = self.make(engine, call)?;
        match answer {
            Answer::Plan(plan) => Ok(Decided { plan, logged, cost }),
            Answer::Refused(refusal) => Err(Failure::Refused(tame(refusal))),
            Answer::Unusable(problem) => Err(Failure::BadOutput {
                call: self.name,
                problem,
            }),
        }
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
        if store.data().shouted {
            return Failure::LoggedTooMuch {
                call,
                limit: self.limits.handed_back_bytes,
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
                said: store.data().notes.back().cloned(),
            },
            None if error.root_cause().to_string().contains(STUB) => Failure::CalledStub {
                call,
                import: tame(error.root_cause().to_string()),
            },
            // The call came back, with something that could not be read.
            None => Failure::BadOutput {
                call,
                problem: tame(one_line(error)),
            },
        }
    }
}

/// How wasmtime's error begins where a stub was called. Its wording is pinned with its version, and
/// tested.
const STUB: &str = "unknown import";

/// An error and its causes in one line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}

/// What it costs to bring a policy to life and to drop it again.
pub(crate) fn instantiate(contract: &dyn Contract, limits: &Limits) -> Result<Cost, Failure> {
    let call = Call {
        name: "instantiation",
        fuel: limits.fuel_base,
        limits,
    };
    let ((), _, cost) = call.make(contract.engine(), |store| contract.instantiate(store))?;
    Ok(cost)
}

/// Asks a policy who it is.
pub(crate) fn describe(contract: &dyn Contract, limits: &Limits) -> Result<Description, Failure> {
    let call = Call {
        name: "describe",
        fuel: limits.fuel_base,
        limits,
    };
    let (said, _, _) = call.make(contract.engine(), |store| contract.describe(store))?;
    Ok(Description {
        name: tame(said.name),
        version: tame(said.version),
        summary: tame(said.summary),
        settings_schema: said
            .settings_schema
            .filter(|schema| schema.len() <= SCHEMA_BYTES),
    })
}

/// Asks a policy whether it accepts settings, and what it needs for them.
pub(crate) fn needs(
    contract: &dyn Contract,
    decision: Decision,
    settings: &str,
    limits: &Limits,
) -> Result<Needs, Failure> {
    let call = Call {
        name: "validate-settings",
        fuel: limits.fuel_base,
        limits,
    };
    let (answer, _, _) = call.make(contract.engine(), |store| {
        contract.validate_settings(store, decision, settings)
    })?;
    let needs = answer.map_err(|complaints| {
        let told: Vec<String> = complaints
            .into_iter()
            .take(MOST_COMPLAINTS)
            .map(|complaint| {
                let problem = tame(complaint.problem);
                match complaint.at.as_str() {
                    "" => problem,
                    at => format!("{}: {problem}", tame(at.to_owned())),
                }
            })
            .collect();
        Failure::SettingsRefused(if told.is_empty() {
            "it does not say why".to_owned()
        } else {
            told.join("; ")
        })
    })?;
    if needs.time_zones.len() > MOST_ZONES {
        return Err(Failure::BadOutput {
            call: call.name,
            problem: format!(
                "it asks for the time in {} zones, and {MOST_ZONES} are the most",
                needs.time_zones.len()
            ),
        });
    }
    Ok(needs)
}

/// Asks a policy which runners to launch.
pub(crate) fn scale_up(
    contract: &dyn Contract,
    situation: &Situation,
    level: PolicyLevel,
    basis: &Basis,
    limits: &Limits,
) -> Result<Decided<Plan>, Failure> {
    about(Decision::ScaleUp, situation, limits).decide(contract.engine(), |store| {
        contract.scale_up(store, situation, level, basis)
    })
}

/// Asks a policy which runners to retire.
pub(crate) fn scale_down(
    contract: &dyn Contract,
    situation: &Situation,
    level: PolicyLevel,
    basis: &Basis,
    limits: &Limits,
) -> Result<Decided<ScaleDownPlan>, Failure> {
    about(Decision::ScaleDown, situation, limits).decide(contract.engine(), |store| {
        contract.scale_down(store, situation, level, basis)
    })
}

fn about<'a>(decision: Decision, situation: &Situation, limits: &'a Limits) -> Call<'a> {
    Call {
        name: decision.as_str(),
        fuel: limits.fuel(situation.pending.len() + situation.runners.len()),
        limits,
    }
}

/// Asks a policy which versions of the runner to mirror and to offer.
pub(crate) fn sync(
    contract: &dyn Contract,
    distribution: &Distribution,
    basis: &Basis,
    limits: &Limits,
) -> Result<Decided<SyncPlan>, Failure> {
    let call = Call {
        name: Decision::Sync.as_str(),
        fuel: limits.fuel(distribution.releases.len()),
        limits,
    };
    call.decide(contract.engine(), |store| {
        contract.sync(store, distribution, basis)
    })
}
