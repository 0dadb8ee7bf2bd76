//! `stoker:policy@0.1`: the host's side.

use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use wasmtime::component::{HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

use super::{Answer, Complaint, Contract, Decision, Description, Needs, Spoken};
use crate::run::{Guest, LogLevel};

/// Generated from `wit/`, one part at a time: a component exports exactly the decisions it takes.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod bindings {
    pub(crate) mod about_part {
        wasmtime::component::bindgen!({
            path: "../../wit/v0.1",
            world: "about-part",
            // A policy that logs without end is stopped.
            imports: { default: trappable },
        });
    }

    pub(crate) mod scale_up_part {
        wasmtime::component::bindgen!({
            path: "../../wit/v0.1",
            world: "scale-up-part",
            with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
        });
    }

    pub(crate) mod scale_down_part {
        wasmtime::component::bindgen!({
            path: "../../wit/v0.1",
            world: "scale-down-part",
            with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
        });
    }

    pub(crate) mod sync_part {
        wasmtime::component::bindgen!({
            path: "../../wit/v0.1",
            world: "sync-part",
            with: { "stoker:policy/facts@0.1.0": super::about_part::stoker::policy::facts },
        });
    }
}

use bindings::about_part::stoker::policy::{facts, logging};
use bindings::about_part::{AboutPartPre, exports::stoker::policy::about};
use bindings::scale_down_part::{ScaleDownPartPre, exports::stoker::policy::scale_down};
use bindings::scale_up_part::{ScaleUpPartPre, exports::stoker::policy::scale_up};
use bindings::sync_part::{SyncPartPre, exports::stoker::policy::sync};

super::shapes::situation_into!();
super::shapes::plan_from!(scale_up::Plan, facts::Capacity);
super::shapes::verdicts_from!(scale_down::Plan, scale_down::Fate);
super::shapes::sync_shapes!();

impl logging::Host for Guest {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Debug => LogLevel::Debug,
            logging::Level::Info => LogLevel::Info,
            logging::Level::Warning => LogLevel::Warning,
        };
        self.note(level, message)
    }
}

/// Gives policies of this version their `log`.
pub(super) fn add_logging(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    logging::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

/// A component of this version.
pub(super) struct Component {
    about: AboutPartPre<Guest>,
    scale_up: Option<ScaleUpPartPre<Guest>>,
    scale_down: Option<ScaleDownPartPre<Guest>>,
    sync: Option<SyncPartPre<Guest>>,
}

impl Component {
    /// Looks up what the component exports.
    pub(super) fn new(instance: &InstancePre<Guest>, spoken: &Spoken) -> wasmtime::Result<Self> {
        let takes = |decision| {
            spoken
                .decisions
                .contains(&decision)
                .then(|| instance.clone())
        };
        Ok(Self {
            about: AboutPartPre::new(instance.clone())?,
            scale_up: takes(Decision::ScaleUp)
                .map(ScaleUpPartPre::new)
                .transpose()?,
            scale_down: takes(Decision::ScaleDown)
                .map(ScaleDownPartPre::new)
                .transpose()?,
            sync: takes(Decision::Sync).map(SyncPartPre::new).transpose()?,
        })
    }
}

/// What was not looked up can't be called; [`Contract`] is only asked for what is exported.
fn exported<T>(part: Option<&T>) -> wasmtime::Result<&T> {
    part.ok_or_else(|| wasmtime::Error::msg("the component does not take this decision"))
}

impl Contract for Component {
    fn engine(&self) -> &Engine {
        self.about.engine()
    }

    fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        self.about.instantiate(store).map(drop)
    }

    fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description> {
        let part = self.about.instantiate(&mut *store)?;
        let said = part.stoker_policy_about().call_describe(store)?;
        Ok(Description {
            name: said.name,
            version: said.version,
            summary: said.summary,
            settings_schema: said.settings_schema,
        })
    }

    fn validate_settings(
        &self,
        store: &mut Store<Guest>,
        decision: Decision,
        settings: &str,
    ) -> wasmtime::Result<Result<Needs, Vec<Complaint>>> {
        let decision = match decision {
            Decision::ScaleUp => facts::DecisionKind::ScaleUp,
            Decision::ScaleDown => facts::DecisionKind::ScaleDown,
            Decision::Sync => facts::DecisionKind::Sync,
        };
        let part = self.about.instantiate(&mut *store)?;
        let answer = part
            .stoker_policy_about()
            .call_validate_settings(store, decision, settings)?;
        Ok(answer
            .map(|needs: about::Needs| Needs {
                time_zones: needs.time_zones,
            })
            .map_err(|complaints| {
                complaints
                    .into_iter()
                    .map(|complaint| Complaint {
                        at: complaint.at,
                        problem: complaint.problem,
                    })
                    .collect()
            }))
    }

    fn scale_up(
        &self,
        store: &mut Store<Guest>,
        shown: &Situation,
        level: PolicyLevel,
        basis: &Basis,
    ) -> wasmtime::Result<Answer<Plan>> {
        let part = exported(self.scale_up.as_ref())?.instantiate(&mut *store)?;
        let answer = part
            .stoker_policy_scale_up()
            .call_decide(store, &situation(shown, level, basis))?;
        Ok(Answer::of(answer, |wanted| plan(wanted, shown)))
    }

    fn scale_down(
        &self,
        store: &mut Store<Guest>,
        shown: &Situation,
        level: PolicyLevel,
        basis: &Basis,
    ) -> wasmtime::Result<Answer<ScaleDownPlan>> {
        let part = exported(self.scale_down.as_ref())?.instantiate(&mut *store)?;
        let answer = part
            .stoker_policy_scale_down()
            .call_decide(store, &situation(shown, level, basis))?;
        Ok(Answer::of(answer, |wanted| verdicts(wanted, shown)))
    }

    fn sync(
        &self,
        store: &mut Store<Guest>,
        shown: &Distribution,
        basis: &Basis,
    ) -> wasmtime::Result<Answer<SyncPlan>> {
        let part = exported(self.sync.as_ref())?.instantiate(&mut *store)?;
        let answer = part
            .stoker_policy_sync()
            .call_decide(store, &distribution(shown, basis))?;
        Ok(Answer::of(answer, |wanted| sync_plan(wanted, shown)))
    }
}
