//! A second version, for tests alone: what a module of the next version looks like beside the ones
//! that are there.

use stoker_core::class::Capacity;
use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::plan::{Basis, Launch, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use wasmtime::component::InstancePre;
use wasmtime::{Engine, Store};

use super::{Answer, Complaint, Contract, Decision, Description, Needs};
use crate::run::Guest;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../tests/policies/wit-v0.2",
        world: "scale-up-policy",
    });
}

use bindings::ScaleUpPolicyPre;
use bindings::stoker::policy::facts;

pub(super) struct Component(ScaleUpPolicyPre<Guest>);

impl Component {
    pub(super) fn new(instance: &InstancePre<Guest>) -> wasmtime::Result<Self> {
        Ok(Self(ScaleUpPolicyPre::new(instance.clone())?))
    }
}

fn not_taken<T>() -> wasmtime::Result<T> {
    Err(wasmtime::Error::msg("this version has no such decision"))
}

impl Contract for Component {
    fn engine(&self) -> &Engine {
        self.0.engine()
    }

    fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        self.0.instantiate(store).map(drop)
    }

    fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description> {
        let policy = self.0.instantiate(&mut *store)?;
        Ok(Description {
            name: policy.stoker_policy_about().call_describe(store)?,
            version: "2".to_owned(),
            summary: String::new(),
            settings_schema: None,
        })
    }

    fn validate_settings(
        &self,
        _store: &mut Store<Guest>,
        _decision: Decision,
        _settings: &str,
    ) -> wasmtime::Result<Result<Needs, Vec<Complaint>>> {
        Ok(Ok(Needs::default()))
    }

    fn scale_up(
        &self,
        store: &mut Store<Guest>,
        shown: &Situation,
        _level: PolicyLevel,
        _basis: &Basis,
    ) -> wasmtime::Result<Answer<Plan>> {
        let policy = self.0.instantiate(&mut *store)?;
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let answer = policy.stoker_policy_scale_up().call_decide(
            store,
            &facts::Situation {
                waiting: count(shown.pending.len()),
                classes: count(shown.classes.len()),
                weather: "fair".to_owned(),
            },
        )?;
        Ok(Answer::of(answer, |launches| {
            Ok(Plan {
                launches: launches
                    .into_iter()
                    .map(|launch| Launch {
                        class: 0,
                        capacity: Capacity::Spot,
                        count: launch.count,
                        launched_for: None,
                        jobs: Vec::new(),
                        reason: String::new(),
                    })
                    .collect(),
                ..Plan::default()
            })
        }))
    }

    fn scale_down(
        &self,
        _store: &mut Store<Guest>,
        _situation: &Situation,
        _level: PolicyLevel,
        _basis: &Basis,
    ) -> wasmtime::Result<Answer<ScaleDownPlan>> {
        not_taken()
    }

    fn sync(
        &self,
        _store: &mut Store<Guest>,
        _distribution: &Distribution,
        _basis: &Basis,
    ) -> wasmtime::Result<Answer<SyncPlan>> {
        not_taken()
    }
}
