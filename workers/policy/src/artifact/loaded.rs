//! A policy that is ready to run.

use stoker_core::distribution::{Distribution, SyncPlan};
use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::{Basis, Plan, PolicyLevel, ScaleDownPlan};
use stoker_core::situation::Situation;
use stoker_core::time::Timestamp;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::{Admitted, Trusted};
use crate::contract::tame::tame;
use crate::contract::{self, Contract, Decision, Description, Needs, Spoken};
use crate::failure::Failure;
use crate::limits::Limits;
use crate::run::{self, Cost, Decided, Guest};
use crate::zones;

/// A policy that is ready to run, any number of times and from any number of threads.
pub struct Loaded {
    contract: Box<dyn Contract>,
    spoken: Spoken,
    digest: ArtifactDigest,
    description: Description,
}

impl Loaded {
    /// Links an admitted component, and asks it who it is.
    ///
    /// # Errors
    /// Says what is missing, or how `describe` failed.
    pub fn new(admitted: Admitted, limits: &Limits) -> Result<Self, Failure> {
        Self::link(
            &admitted.component,
            admitted.digest,
            admitted.spoken,
            limits,
        )
    }

    /// Takes up machine code without compiling.
    ///
    /// # Errors
    /// If it was compiled for another engine, or as [`Self::new`].
    pub fn from_native(
        engine: &Engine,
        trusted: Trusted<'_>,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        // SAFETY: deserialising is as dangerous as running what these bytes say. `Trusted` is only made
        // where a trusted key has signed for the SHA-256 of these very bytes, which nothing can have
        // changed since: they are borrowed.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, trusted.bytes) };
        let component =
            component.map_err(|error| Failure::NotAComponent(tame(run::one_line(&error))))?;
        Self::link(&component, trusted.policy, trusted.exports, limits)
    }

    fn link(
        component: &Component,
        digest: ArtifactDigest,
        spoken: Spoken,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let unlinkable =
            |error: wasmtime::Error| Failure::Instantiation(tame(run::one_line(&error)));
        let mut linker: Linker<Guest> = Linker::new(component.engine());
        linker
            .define_unknown_imports_as_traps(component)
            .map_err(unlinkable)?;
        linker.allow_shadowing(true);
        contract::add_logging(&mut linker, &spoken).map_err(unlinkable)?;
        let instance = linker.instantiate_pre(component).map_err(unlinkable)?;
        let contract = contract::of(&instance, &spoken).map_err(unlinkable)?;
        let description = run::describe(contract.as_ref(), limits)?;
        Ok(Self {
            contract,
            spoken,
            digest,
            description,
        })
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its name and version in one line.
    pub fn title(&self) -> String {
        format!("{} {}", self.description.name, self.description.version)
    }

    /// The SHA-256 of the component.
    pub fn digest(&self) -> &ArtifactDigest {
        &self.digest
    }

    /// Which decisions it takes, and in which version of the contract.
    pub fn spoken(&self) -> &Spoken {
        &self.spoken
    }

    /// Whether it takes that decision.
    pub fn decides(&self, decision: Decision) -> bool {
        self.spoken.decisions.contains(&decision)
    }

    /// What it costs to bring it to life and to drop it again, before it is asked anything: a part of
    /// every decision.
    ///
    /// # Errors
    /// How it failed.
    pub fn instantiate(&self, limits: &Limits) -> Result<Cost, Failure> {
        run::instantiate(self.contract.as_ref(), limits)
    }

    /// Asks it whether it accepts settings, and what it needs for them.
    ///
    /// # Errors
    /// [`Failure::SettingsRefused`], or how the call failed.
    pub fn needs(
        &self,
        decision: Decision,
        settings: &str,
        limits: &Limits,
    ) -> Result<Needs, Failure> {
        run::needs(self.contract.as_ref(), decision, settings, limits)
    }

    /// What it is shown besides a situation: the settings, and the time in the zones that it needs for
    /// them.
    ///
    /// # Errors
    /// As [`Self::needs`], and [`Failure::UnknownZone`].
    pub fn basis(
        &self,
        decision: Decision,
        settings: &str,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Basis, Failure> {
        let needs = self.needs(decision, settings, limits)?;
        Ok(Basis {
            settings: settings.to_owned(),
            zones: zones::times(now, &needs)?,
            ..Basis::default()
        })
    }

    /// Asks it which runners to launch.
    ///
    /// # Errors
    /// How the call failed.
    pub fn scale_up(
        &self,
        situation: &Situation,
        level: PolicyLevel,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<Plan>, Failure> {
        self.takes(Decision::ScaleUp)?;
        run::scale_up(self.contract.as_ref(), situation, level, basis, limits)
    }

    /// Asks it which runners to retire.
    ///
    /// # Errors
    /// How the call failed.
    pub fn scale_down(
        &self,
        situation: &Situation,
        level: PolicyLevel,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<ScaleDownPlan>, Failure> {
        self.takes(Decision::ScaleDown)?;
        run::scale_down(self.contract.as_ref(), situation, level, basis, limits)
    }

    /// Asks it which versions of the runner to mirror and to offer.
    ///
    /// # Errors
    /// How the call failed.
    pub fn sync(
        &self,
        distribution: &Distribution,
        basis: &Basis,
        limits: &Limits,
    ) -> Result<Decided<SyncPlan>, Failure> {
        self.takes(Decision::Sync)?;
        run::sync(self.contract.as_ref(), distribution, basis, limits)
    }

    fn takes(&self, decision: Decision) -> Result<(), Failure> {
        if self.decides(decision) {
            return Ok(());
        }
        Err(contract::wrong_world(format!(
            "the component does not export `{decision}`"
        )))
    }
}
