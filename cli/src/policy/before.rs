//! What is looked at before anything is uploaded: the same questions that admission asks, of the same code.

use std::sync::Arc;

use serde_json::{Map, Value};
use stoker_admission::Problem;
use stoker_admission::judge::{About, Judge as _, Opened, Question};
use stoker_admission::settings::{added, merge};
use stoker_admission::trial::InProcess;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::PolicyStoreError;
use stoker_policy::engine::Configuration;
use stoker_policy::{Decision, Limits};

use super::deployment::Deployment;

/// What is thought of a policy.
pub(super) enum Looked {
    Good(About),
    Refused(Vec<Problem>),
}

/// What is wrong with the form of a `settings.json`. Whether they are accepted, the policy says that decides
/// there.
pub(super) fn settings(folder: &PolicyFolder, bytes: &[u8]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for decision in Decision::ALL {
        if let Err(failure) = added(folder, bytes, decision, true) {
            let problem = Problem::of("settings.json", &failure);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// The `settings.json` that is in a folder now, with which a policy that is put there is judged.
pub(super) async fn settings_there(
    deployment: &Deployment,
    folder: &PolicyFolder,
) -> Result<Option<Vec<u8>>, PolicyStoreError> {
    let path = format!("{folder}/settings.json");
    let uploads = deployment.uploads().list().await?;
    let Some(upload) = uploads.into_iter().find(|upload| upload.path == path) else {
        return Ok(None);
    };
    let read = deployment.uploads().read(&upload).await?;
    Ok(read.map(|read| read.bytes))
}

/// Has a policy compiled here, and tried with the settings of its folder; without trials, if these can't be
/// read.
pub(super) async fn policy(
    folder: &PolicyFolder,
    bytes: Arc<Vec<u8>>,
    settings: &Result<Option<Vec<u8>>, PolicyStoreError>,
    limits: Limits,
) -> anyhow::Result<Looked> {
    let judge = InProcess::new(Configuration::STANDARD, limits);
    let (about, mut policy) = match judge.open(bytes).await? {
        Opened::Refused(problem) => return Ok(Looked::Refused(vec![problem])),
        Opened::Open { about, policy, .. } => (about, policy),
    };
    let Ok(settings) = settings else {
        return Ok(Looked::Good(about));
    };
    let mut questions = Vec::new();
    for &decision in &about.exports.decisions {
        // There is one distribution: what an owner thinks of it is not asked.
        if decision == Decision::Sync && *folder != PolicyFolder::Default {
            continue;
        }
        let own = match settings {
            Some(bytes) => added(folder, bytes, decision, true),
            None => Ok(None),
        };
        let own = match own {
            Ok(own) => own,
            Err(failure) => {
                let problem = Problem::of("settings.json", &failure);
                return Ok(Looked::Refused(vec![problem]));
            }
        };
        // The level of a policy is where the merge begins.
        let mut merged = Value::Object(Map::new());
        if let Some(own) = own {
            merge(&mut merged, own);
        }
        questions.push(Question {
            decision,
            settings: merged.to_string(),
            trial: true,
        });
    }
    let mut problems: Vec<Problem> = Vec::new();
    for answer in policy.ask(questions).await? {
        if let Err(problem) = answer
            && !problems.contains(&problem)
        {
            problems.push(problem);
        }
    }
    Ok(if problems.is_empty() {
        Looked::Good(about)
    } else {
        Looked::Refused(problems)
    })
}
