//! `stoker policy rollback` and `stoker policy promote`: what was admitted before is published again.

use std::process::ExitCode;

use anyhow::{Error, anyhow};
use clap::Args;
use stoker_admission::{AdmissionError, Source, Task};
use stoker_aws::LambdaError;
use stoker_core::ids::PolicyGeneration;
use stoker_core::policy_folder::PolicyFolder;

use super::deployment::{Deployment, JudgeArgs, PlaceArgs};
use super::outcome::{self, Wanted};
use super::publish::ByArgs;
use super::scope::Scope;
use super::told::Told;

/// What `stoker policy rollback` does, at length.
pub(super) const ROLLBACK: &str = "Go back in one folder: publish again, as a new generation, what was in it before (its policy \
    and its settings), or what was in it in an earlier generation. Going back once more goes forward again.

What is uploaded there is passed over from then on, until something else is put in its place: publishing the \
    same file again counts.";

/// Arguments of `stoker policy rollback`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy rollback --scope acme --policies policies/
  stoker policy rollback --scope acme --to 20261125031415 --bucket acme-stoker-policies

`stoker policy history --scope acme` lists the generations.

Exit status: 0 it decides, 1 it is refused or something failed, 2 wrong arguments.")]
pub struct RollbackArgs {
    /// Where: `default`, OWNER, or OWNER/REPO.
    #[arg(long)]
    scope: Scope,
    /// To which generation; without it, to what was there before what is there now.
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    #[command(flatten)]
    by: ByArgs,
    /// Write what became of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

/// What `stoker policy promote` does, at length.
pub(super) const PROMOTE: &str = "Promote a policy: have the one that is active in one folder decide in another, with the \
    settings that are there. The very bytes that were admitted are published again; nothing is uploaded.

What is uploaded in the other folder is passed over from then on, until something else is put in its place.";

/// Arguments of `stoker policy promote`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  stoker policy promote --from acme/app --to acme --policies policies/
  stoker policy promote --from acme --to default --bucket acme-stoker-policies --by julia

Exit status: 0 it decides, 1 it is refused or something failed, 2 wrong arguments.")]
pub struct PromoteArgs {
    /// Where the policy is: `default`, OWNER, or OWNER/REPO.
    #[arg(long, value_name = "SCOPE")]
    from: Scope,
    /// Where it is to decide as well.
    #[arg(long, value_name = "SCOPE")]
    to: Scope,
    #[command(flatten)]
    by: ByArgs,
    /// Write what became of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    judge: JudgeArgs,
}

pub(super) async fn rollback(args: &RollbackArgs) -> anyhow::Result<ExitCode> {
    let source = args.to.map_or(Source::Before, |generation| {
        Source::Generation(PolicyGeneration(generation))
    });
    let Scope(folder) = &args.scope;
    let told = Told::new(args.json);
    republish(folder, source, &args.by, &args.place, &args.judge, &told).await
}

pub(super) async fn promote(args: &PromoteArgs) -> anyhow::Result<ExitCode> {
    let (Scope(from), Scope(to)) = (&args.from, &args.to);
    let source = Source::Folder(from.clone());
    let told = Told::new(args.json);
    republish(to, source, &args.by, &args.place, &args.judge, &told).await
}

async fn republish(
    folder: &PolicyFolder,
    source: Source,
    by: &ByArgs,
    place: &PlaceArgs,
    judge: &JudgeArgs,
    told: &Told,
) -> anyhow::Result<ExitCode> {
    let deployment = place.open().await?;
    let from = match source {
        Source::Before => since(&deployment, folder).await,
        // The same whatever is there.
        Source::Generation(_) | Source::Folder(_) => None,
    };
    let task = Task::Republish {
        folder: folder.clone(),
        source,
        from,
        by: by.name(),
    };
    let report = deployment.admit(&task, judge).await;
    let report = report.map_err(|error| failure(folder, &error))?;
    outcome::tell(told, &deployment, folder, &report, &Wanted::Republished).await
}

/// The publication since which a folder is what it is, so that it is left for what was before only if nobody else
/// publishes there meanwhile. None if that can't be read: going back may be what mends it.
async fn since(deployment: &Deployment, folder: &PolicyFolder) -> Option<PolicyGeneration> {
    let published = deployment.active().await.ok()?;
    let record = published.document.folders.get(folder);
    Some(record.map(|record| record.changed).unwrap_or_default())
}

/// What is told when that failed. The pointer may have been moved all the same, where an answer of the store or
/// of the Lambda got lost; and who goes back twice goes forward again.
fn failure(folder: &PolicyFolder, error: &Error) -> Error {
    let undone = match error.downcast_ref::<AdmissionError>() {
        Some(AdmissionError::Store(_) | AdmissionError::Json(_)) => false,
        Some(_) => true,
        // Admission in this process was not even asked; of a Lambda, nobody knows how far it came.
        None => !error.is::<LambdaError>() && !error.is::<serde_json::Error>(),
    };
    let what = if undone {
        format!("{folder} stays as it is")
    } else {
        format!(
            "whether it was done is not known: `stoker policy show --scope {folder}` tells; do not repeat it \
             before you have looked"
        )
    };
    anyhow!(without_the_sweep(&format!("{error:#}")).to_owned()).context(what)
}

/// What went wrong, without what admission says at its end of its next sweep: that does not do this again.
fn without_the_sweep(problem: &str) -> &str {
    let Some(at) = problem.find("the next sweep") else {
        return problem;
    };
    let before = &problem[..at];
    before.rsplit_once("; ").map_or(before, |(what, _)| what)
}

#[cfg(test)]
mod tests {
    use stoker_core::ports::{PolicyStoreError, SignerError};

    use super::*;

    const NOT_KNOWN: &str = "whether it was done is not known: `stoker policy show --scope orgs/acme` tells; do \
        not repeat it before you have looked";

    fn told(error: impl Into<Error>) -> String {
        format!(
            "{:#}",
            failure(&"orgs/acme".parse().unwrap(), &error.into())
        )
    }

    fn store() -> AdmissionError {
        AdmissionError::Store(PolicyStoreError {
            path: "verdicts/orgs/acme.json".to_owned(),
            problem: "slow down".to_owned(),
        })
    }

    fn lambda(problem: String) -> LambdaError {
        let function = "admission".to_owned();
        LambdaError::Failed { function, problem }
    }

    #[test]
    fn no_sweep_is_promised_to_do_again_what_failed() {
        let signer = AdmissionError::Signer(SignerError {
            key: "alias/stoker".to_owned(),
            what: "sign",
            problem: "denied".to_owned(),
        });
        for error in [store(), signer, AdmissionError::Overtaken] {
            let quoted = told(lambda(error.to_string()));
            assert!(quoted.starts_with(NOT_KNOWN), "{quoted}");
            assert!(!quoted.contains("sweep"), "{quoted}");
            let told = told(error);
            assert!(!told.contains("sweep"), "{told}");
        }
        assert!(told(store()).ends_with("slow down"), "{}", told(store()));
    }

    #[test]
    fn what_may_have_been_done_is_not_said_to_be_undone() {
        let lost = LambdaError::NotInvoked {
            function: "admission".to_owned(),
            problem: "the connection broke".to_owned(),
        };
        let strange = serde_json::from_str::<u8>("{}").unwrap_err();
        let strange = Error::from(strange).context("the answer can't be understood");
        for told in [told(store()), told(lost), told(strange)] {
            assert!(told.starts_with(NOT_KNOWN), "{told}");
        }
        let nothing = AdmissionError::NothingToRepublish("there is no generation 5".to_owned());
        for undone in [nothing, AdmissionError::Overtaken] {
            let told = told(undone);
            assert!(told.starts_with("orgs/acme stays as it is: "), "{told}");
        }
        let unasked = told(anyhow!("there is no key"));
        assert_eq!(unasked, "orgs/acme stays as it is: there is no key");
    }
}
