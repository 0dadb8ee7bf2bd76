//! A policy's decisions with its settings read: what the exported functions call, and what the host
//! calls natively for its built-in rules.

use crate::about::{Complaint, Description, Needs};
use crate::facts::Situation;
use crate::policy::{Policy, RunnerSync, ScaleDown, ScaleUp};
use crate::settings::{self, Settings};
use crate::{scale_down, scale_up, sync};

/// Which runners to launch.
///
/// # Errors
/// The policy's refusal, which settings that it does not understand are as well.
pub fn scale_up<P: ScaleUp>(situation: &Situation) -> Result<scale_up::Plan, String> {
    P::decide(situation, &understood(&situation.settings, P::complaints)?)
}

/// Which runners to retire.
///
/// # Errors
/// As [`scale_up`].
pub fn scale_down<P: ScaleDown>(situation: &Situation) -> Result<scale_down::Plan, String> {
    P::decide(situation, &understood(&situation.settings, P::complaints)?)
}

/// Which versions of the runner to mirror and to offer.
///
/// # Errors
/// As [`scale_up`].
pub fn sync<P: RunnerSync>(situation: &sync::Situation) -> Result<sync::Plan, String> {
    P::decide(situation, &understood(&situation.settings, P::complaints)?)
}

/// What a policy needs to launch by these settings.
///
/// # Errors
/// What it does not understand of them.
pub fn needs_to_scale_up<P: ScaleUp>(settings: &str) -> Result<Needs, Vec<Complaint>> {
    valid(settings, P::complaints).map(|settings| P::needs(&settings))
}

/// What a policy needs to retire by these settings.
///
/// # Errors
/// What it does not understand of them.
pub fn needs_to_scale_down<P: ScaleDown>(settings: &str) -> Result<Needs, Vec<Complaint>> {
    valid(settings, P::complaints).map(|settings| P::needs(&settings))
}

/// What a policy needs to sync by these settings: nothing, so far.
///
/// # Errors
/// What it does not understand of them.
pub fn needs_to_sync<P: RunnerSync>(settings: &str) -> Result<Needs, Vec<Complaint>> {
    valid(settings, P::complaints).map(|_| crate::no_needs())
}

/// What a policy says of itself.
pub fn describe<P: Policy, const N: usize>(
    schemas: impl FnOnce() -> [(&'static str, serde_json::Value); N],
) -> Description {
    let schema = match P::SETTINGS_SCHEMA {
        Some(schema) => schema.to_owned(),
        None => settings::schema_of_file(schemas()).to_string(),
    };
    Description {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        summary: P::SUMMARY.to_owned(),
        settings_schema: Some(schema),
    }
}

fn valid<S: Settings>(
    text: &str,
    complaints: impl Fn(&S) -> Vec<Complaint>,
) -> Result<S, Vec<Complaint>> {
    let settings = settings::parse(text).map_err(|complaint| vec![complaint])?;
    let complaints = complaints(&settings);
    if complaints.is_empty() {
        Ok(settings)
    } else {
        Err(complaints)
    }
}

fn understood<S: Settings>(
    text: &str,
    complaints: impl Fn(&S) -> Vec<Complaint>,
) -> Result<S, String> {
    valid(text, complaints).map_err(|complaints| told(&complaints))
}

/// Complaints as one sentence.
pub fn told(complaints: &[Complaint]) -> String {
    let told: Vec<String> = complaints
        .iter()
        .map(|complaint| format!("settings{}: {}", complaint.at, complaint.problem))
        .collect();
    told.join("; ")
}
