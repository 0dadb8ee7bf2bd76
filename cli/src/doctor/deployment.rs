//! What the deployment is told: the environment of its scale-up Lambda, read by the Lambda's own code.

use std::collections::HashMap;

use stoker_aws::LambdaFunction;
use stoker_deciders::Settings;
use stoker_deciders::settings::Handling;
use stoker_lambda::reader::{Reader, SettingsError};

use super::finding::{Check, Finding};

/// All of it.
pub(super) struct Deployment {
    pub(super) settings: Settings,
    pub(super) handling: Handling,
    /// The Lambda's time-out, in seconds.
    pub(super) timeout: u64,
}

/// What is said where the Lambda is not found.
const NO_LAMBDA: &str =
    "give its name with --function, and look in the region and account that it is deployed to";

/// Reads it; else what was found in its place, and the deployment's name if that can be read.
pub(super) async fn read(function: &str) -> Result<Deployment, (Option<String>, Vec<Finding>)> {
    let subject = format!("the Lambda {function}");
    let lambda = LambdaFunction::load(function).await;
    let configuration = lambda.configuration().await.map_err(|error| {
        let unseen = Check::Settings.unseen(&subject, &error, NO_LAMBDA);
        (
            None,
            vec![unseen, nothing_else("its settings are not known")],
        )
    })?;
    let read = settings(&configuration.environment);
    read.map(|(settings, handling)| Deployment {
        settings,
        handling,
        timeout: configuration.timeout,
    })
    .map_err(|error| {
        let name = configuration.environment.get("DEPLOYMENT").cloned();
        (name, wrong(&subject, &error))
    })
}

fn settings(environment: &HashMap<String, String>) -> Result<(Settings, Handling), SettingsError> {
    let mut reader = Reader::new(|name: &str| environment.get(name).cloned());
    // Each is read before any is missed, so that all of them are listed.
    let deciding = Settings::from_reader(&mut reader);
    let handling = Handling::from_reader(&mut reader);
    reader.finish(deciding.zip(handling))
}

fn wrong(subject: &str, error: &SettingsError) -> Vec<Finding> {
    let each = error.0.iter().map(|problem| {
        Check::Settings.failure(
            format!("{} of {subject}", problem.name),
            &problem.problem,
            "the Lambda does not start with it: correct its environment (docs/settings.md)",
        )
    });
    let rest = nothing_else("the settings say where it is, and are wrong");
    each.chain([rest]).collect()
}

fn nothing_else(why: &str) -> Finding {
    Check::Settings.warning(
        "everything else",
        format!("not looked at: {why}"),
        "mend that first, and run it again",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn each_setting_that_is_wrong_is_a_finding() {
        let error = settings(&HashMap::new()).err().unwrap();
        let findings = wrong("the Lambda x", &error);
        let failed = |name: &str| {
            findings.iter().any(|finding| {
                finding.verdict == Verdict::Failure && finding.subject.starts_with(name)
            })
        };
        assert!(failed("LEDGER_TABLE") && failed("DEAD_LETTER_QUEUE_URL"));
        assert!(findings.last().unwrap().subject.contains("else"));
    }
}
