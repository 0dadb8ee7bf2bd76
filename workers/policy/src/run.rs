//! One call into a policy: in a store of its own, with limits of its own.

use std::collections::VecDeque;

use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::contract::tame::tame;
use crate::contract::{Answer, Complaint, Contract, Decision, Description, Needs};
use crate::failure::Failure;
use crate::limits::{
    CORE_ITEMS, HANDLES, LOG_LINE, Limits, MOST_COMPLAINTS, MOST_NOTES, MOST_ZONES, SCHEMA_BYTES,
};

/// How many jobs or runners a repository with settings of its own counts for: they are as large as the
/// scope's, and are read and shown once more.
const ITEMS_PER_TUNED_REPOSITORY: usize = 10;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warning,
}

/// What was to grow beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Memory,
    Tables,
}

/// What the host keeps during one call.
pub(crate) struct Guest {
    memory_bytes: usize,
    memory_used: usize,
    table_elements: usize,
    table_used: usize,
    /// What was refused to grow: the trap that follows has this cause.
    refused: Option<Refused>,
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
            table_used: 0,
            refused: None,
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
            self.refused = Some(Refused::Memory);
            // A trap, and not the -1 that a guest may handle in its own way.
            return Err(wasmtime::Error::msg("memory limit"));
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // All tables count together, as memories do.
        let used = self.table_used + desired.saturating_sub(current);
        if used > self.table_elements {
            self.refused = Some(Refused::Tables);
            return Err(wasmtime::Error::msg("table limit"));
        }
        self.table_used = used;
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
            .map_err(|error| Failure::Instantiation(tame(one_line(&error))))?;
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
        match store.data().refused {
            Some(Refused::Memory) => {
                return Failure::OutOfMemory {
                    call,
                    limit: self.limits.memory_bytes,
                };
            }
            Some(Refused::Tables) => {
                return Failure::TablesTooLarge {
                    call,
                    limit: self.limits.table_elements,
                };
            }
            None => {}
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
    understood(&call, answer)
}

fn understood(call: &Call<'_>, answer: Result<Needs, Vec<Complaint>>) -> Result<Needs, Failure> {
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
    // They are remembered, and no zone has a name that this changes.
    Ok(Needs {
        time_zones: needs.time_zones.into_iter().map(tame).collect(),
    })
}

/// Asks a policy which runners to launch.
pub(crate) fn scale_up(
    contract: &dyn Contract,
    situation: &Situation,
    level: PolicyLevel,
    basis: &Basis,
    limits: &Limits,
) -> Result<Decided<Plan>, Failure> {
    about(Decision::ScaleUp, situation, basis, limits).decide(contract.engine(), |store| {
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
    about(Decision::ScaleDown, situation, basis, limits).decide(contract.engine(), |store| {
        contract.scale_down(store, situation, level, basis)
    })
}

fn about<'a>(
    decision: Decision,
    situation: &Situation,
    basis: &Basis,
    limits: &'a Limits,
) -> Call<'a> {
    let tuned = basis
        .repository_settings
        .len()
        .saturating_mul(ITEMS_PER_TUNED_REPOSITORY);
    Call {
        name: decision.as_str(),
        fuel: limits.fuel(situation.pending.len() + situation.runners.len() + tuned),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SizeClass;
    use crate::engine::Configuration;

    /// What the failure is of a call that grows its tables or memories so, one after another.
    fn growing(grow: impl Fn(&mut Guest, usize) -> wasmtime::Result<bool>, each: usize) -> Failure {
        let limits = SizeClass::Small.limits();
        let call = Call {
            name: "scale-up",
            fuel: 1,
            limits: &limits,
        };
        let engine = Configuration::STANDARD.engine().unwrap();
        let made = call.make(&engine, |store| {
            for _ in 0..2 {
                grow(store.data_mut(), each)?;
            }
            Ok(())
        });
        made.unwrap_err()
    }

    #[test]
    fn tables_count_all_together_and_their_refusal_is_no_lack_of_memory() {
        let limits = SizeClass::Small.limits();
        let tables = growing(
            |guest, size| guest.table_growing(0, size, None),
            limits.table_elements / 2 + 1,
        );
        assert_eq!(tables.cause(), "tables-too-large");
        assert!(
            tables
                .to_string()
                .contains("more than 20000 elements in its tables"),
            "{tables}"
        );
        let memories = growing(
            |guest, size| guest.memory_growing(0, size, None),
            limits.memory_bytes / 2 + 1,
        );
        assert_eq!(memories.cause(), "out-of-memory");
        assert!(!memories.to_string().contains("tables"), "{memories}");
    }
}
