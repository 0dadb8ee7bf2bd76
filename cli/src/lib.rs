//! `stoker`: run, try and ask the autoscaler from a terminal.
//!
//! One module a command: [`up`], [`demo`], [`webhook`], [`why`], [`ledger`],
//! [`policy`], [`doctor`]. What they share: [`limits`]; [`plane`], the
//! whole control plane in this process behind an HTTP endpoint, and [`tell`], what is printed of it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod demo;
pub mod doctor;
pub mod ledger;
pub mod limits;
pub mod operation;
pub mod plane;
pub mod policy;
pub mod tell;
pub mod up;
pub mod webhook;
pub mod why;

/// Stoker keeps a fleet of self-hosted GitHub Actions runners exactly as large as your policies say.
#[derive(Debug, Parser)]
#[command(name = "stoker", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole control plane in this process, with simulated instances.
    #[command(long_about = up::UP)]
    Up(up::UpArgs),
    /// See the way of a job from webhook to runner, in under a minute.
    Demo(demo::DemoArgs),
    /// Send webhooks.
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Tell what happened to a job, and what it waits for.
    #[command(long_about = why::WHY)]
    Why(why::WhyArgs),
    /// Look after the ledger of a deployment.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Build policies, and look after those of a deployment.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Say what is wrong with a deployment, and how to mend it.
    #[command(long_about = doctor::DOCTOR)]
    Doctor(doctor::DoctorArgs),
}

/// The exit status for wrong arguments: the one that clap has.
const WRONG_ARGUMENTS: u8 = 2;

/// Arguments that are each right, and together say nothing.
#[derive(Debug)]
pub(crate) struct WrongArguments(pub(crate) String);

impl std::fmt::Display for WrongArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongArguments {}

/// Parses the arguments, runs the command, and says how it went: 0, 1 for a failure (a sentence on
/// standard error), 2 for wrong arguments; `webhook send` adds its own.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell if even this fails.
            let _ = writeln!(std::io::stderr(), "stoker: {error:#}");
            if error.is::<WrongArguments>() {
                ExitCode::from(WRONG_ARGUMENTS)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Webhook(command) => webhook::run(command).await,
            Command::Why(args) => why::run(&args).await,
            Command::Ledger(command) => ledger::run(&command).await,
            Command::Policy(command) => policy::run(&command).await,
            Command::Doctor(args) => Box::pin(doctor::run(&args)).await,
        }
    });
    // A policy that is being compiled is not waited for.
    runtime.shutdown_background();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
