//! `stoker policy …`: what an author does with a policy, from a new project to a checked component; and what
//! an operator does with a deployment's policies.
//!
//! The author's: [`new`], [`build`], [`check`], [`run`](mod@run). The operator's, each over a [`deployment`]:
//! [`publish`] (which looks [`before`] it uploads), [`republish`] and [`admit`], which tell the [`outcome`];
//! [`list`], [`show`] (with the [`provenance`] of settings) and [`history`], which only look.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::Value;
use stoker_policy::{Decision, Limits};
use stoker_policy_testkit::Component;

mod admit;
mod before;
mod build;
mod check;
pub(crate) mod deployment;
mod history;
mod list;
mod new;
mod outcome;
mod provenance;
mod publish;
mod republish;
mod run;
mod scope;
mod show;
pub(crate) mod told;
mod views;
mod words;

pub use build::encode;

/// What to do with policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Begin a policy: a project that builds and tests as it stands.
    New(new::NewArgs),
    /// Build a policy's project, or make a component of a core module.
    Build(build::BuildArgs),
    /// Check a component: what a host requires, what it costs, and what every policy keeps.
    Check(check::CheckArgs),
    /// Ask a component for one decision.
    Run(run::RunArgs),
    /// Publish a policy: check it, upload it, have it judged and activated.
    #[command(long_about = publish::PUBLISH)]
    Publish(publish::PublishArgs),
    /// Publish settings.
    #[command(subcommand)]
    Settings(publish::SettingsCommand),
    /// Have what is uploaded judged now.
    #[command(long_about = admit::ADMIT)]
    Admit(admit::AdmitArgs),
    /// What decides where, and what is refused.
    List(list::ListArgs),
    /// What decides for one scope, and where each of its settings comes from.
    Show(show::ShowArgs),
    /// What was published when, and why.
    History(history::HistoryArgs),
    /// Go back to what was published before.
    #[command(long_about = republish::ROLLBACK)]
    Rollback(republish::RollbackArgs),
    /// Have the policy of one folder decide in another.
    #[command(long_about = republish::PROMOTE)]
    Promote(republish::PromoteArgs),
}

/// Runs the command.
pub async fn run(command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::New(args) => new::run(args),
        PolicyCommand::Build(args) => build::run(args),
        PolicyCommand::Check(args) => check::run(args),
        PolicyCommand::Run(args) => run::run(args),
        PolicyCommand::Publish(args) => publish::run(args).await,
        PolicyCommand::Settings(command) => publish::run_settings(command).await,
        PolicyCommand::Admit(args) => admit::run(args).await,
        PolicyCommand::List(args) => list::run(args).await,
        PolicyCommand::Show(args) => show::run(args).await,
        PolicyCommand::History(args) => history::run(args).await,
        PolicyCommand::Rollback(args) => republish::rollback(args).await,
        PolicyCommand::Promote(args) => republish::promote(args).await,
    }
}

/// The component of a file, in a host with those limits.
fn component(path: &Path, limits: Limits) -> anyhow::Result<Component> {
    let bytes = std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
    Component::new(&bytes, limits).with_context(|| format!("{} is refused", path.display()))
}

/// The settings of each decision in a `settings.json`; without a file, none.
struct SettingsFile(Value);

impl SettingsFile {
    fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self(Value::Null));
        };
        let shown = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{shown} can't be read"))?;
        let file: Value =
            serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))?;
        let Some(interfaces) = file.as_object() else {
            bail!("{shown} is not an object with `scale-up`, `scale-down` or `sync` in it");
        };
        let known = |key: &str| key == "$schema" || Decision::ALL.iter().any(|d| d.as_str() == key);
        if let Some(unknown) = interfaces.keys().find(|key| !known(key)) {
            bail!(
                "{shown} has `{unknown}` at its top; `scale-up`, `scale-down` and `sync` go there"
            );
        }
        Ok(Self(file))
    }

    /// The `idle` entries of a decision, as the shipped policies and the SDK's building block have them:
    /// class and count.
    fn idle(&self, decision: Decision) -> Vec<(String, u32)> {
        let entries = self.0[decision.as_str()]["idle"].as_array();
        let entry = |entry: &Value| {
            let count = entry["count"].as_u64().unwrap_or(0);
            let class = entry["class"].as_str()?.to_owned();
            Some((class, u32::try_from(count).unwrap_or(u32::MAX)))
        };
        entries.into_iter().flatten().filter_map(entry).collect()
    }

    /// The classes that the settings speak of.
    fn classes(&self) -> Vec<String> {
        let all = Decision::ALL
            .iter()
            .flat_map(|&decision| self.idle(decision));
        let names: BTreeSet<String> = all.map(|(class, _)| class).collect();
        names.into_iter().collect()
    }

    /// How many idle runners a decision may want at once: of entries for one class, the largest counts.
    fn stock(&self, decision: Decision) -> u32 {
        let mut by_class: BTreeMap<String, u32> = BTreeMap::new();
        for (class, count) in self.idle(decision) {
            let most = by_class.entry(class).or_default();
            *most = count.max(*most);
        }
        by_class
            .values()
            .fold(0, |all, &count| all.saturating_add(count))
    }

    /// The JSON object of a decision.
    fn of(&self, decision: Decision) -> String {
        self.0
            .get(decision.as_str())
            .map_or_else(|| "{}".to_owned(), Value::to_string)
    }
}
