//! `stoker ledger`: the state of a deployment, for operators.

mod rebuild;

use std::process::ExitCode;

use clap::Subcommand;

/// Commands about the ledger.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
    /// Write into the ledger what it lacks: runners that there are, and jobs that wait or run.
    #[command(long_about = rebuild::REBUILD)]
    Rebuild(rebuild::RebuildArgs),
}

pub(crate) async fn run(command: &LedgerCommand) -> anyhow::Result<ExitCode> {
    match command {
        LedgerCommand::Rebuild(args) => rebuild::run(args).await,
    }
}
