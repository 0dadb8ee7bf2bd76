//! What the deployment keeps secret: there, readable, and what it should be. None of it is ever shown.

use async_trait::async_trait;
use futures::future::join;
use stoker_aws::{LambdaFunction, ParameterError, Parameters};
use stoker_github::{AppCredentials, Credentials, CredentialsError};

use super::deployment::Deployment;
use super::finding::{Check, Finding};

/// What was read once, and is not asked for again.
pub(super) struct Kept(pub(super) AppCredentials);

#[async_trait]
impl Credentials for Kept {
    async fn read(&self) -> Result<AppCredentials, CredentialsError> {
        Ok(self.0.clone())
    }
}

/// Reads the App's id and key. With what was found; the credentials only if both will do.
pub(super) async fn app(
    parameters: &Parameters,
    deployment: &Deployment,
) -> (Option<AppCredentials>, Vec<Finding>) {
    let id_name = &deployment.settings.app_id_parameter;
    let key_name = &deployment.settings.app_key_parameter;
    let (id, key) = join(parameters.plain(id_name), parameters.secret(key_name)).await;
    let id_subject = format!("the App's id in the SSM parameter {id_name}");
    let key_subject = format!("the App's private key in the SSM parameter {key_name}");
    let mut findings = Vec::new();
    let id = match id {
        Err(error) => Err(unread(&id_subject, &error)),
        Ok(id) if is_app_id(&id) => Ok(id),
        Ok(_) => Err(Check::Secrets.failure(
            &id_subject,
            "it is neither a number nor a client id (Iv…)",
            "write there the App ID or the client ID that the App's page at GitHub shows",
        )),
    };
    // A key signs for any id: whether it is one is known without the App's own.
    let key = match key {
        Err(error) => Err(unread(&key_subject, &error)),
        Ok(private_key) => {
            let app = "1".to_owned();
            let credentials = AppCredentials { app, private_key };
            match credentials.check() {
                Ok(()) => Ok(credentials.private_key),
                Err(problem) => Err(Check::Secrets.failure(
                    &key_subject,
                    problem.to_string(),
                    "write the whole .pem file there: aws ssm put-parameter --type SecureString --overwrite \
                     --value file://key.pem --name …; make a new key on the App's page if it is lost",
                )),
            }
        }
    };
    findings.push(finding(&id, &id_subject));
    findings.push(finding(&key, &key_subject));
    let credentials = id
        .ok()
        .zip(key.ok())
        .map(|(app, private_key)| AppCredentials { app, private_key });
    (credentials, findings)
}

fn finding<T>(read: &Result<T, Finding>, subject: &str) -> Finding {
    match read {
        Ok(_) => Check::Secrets.ok(subject),
        Err(finding) => finding.clone(),
    }
}

/// Digits, or a client id such as `Iv23liAbCd` or `Iv1.0123456789abcdef`.
fn is_app_id(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    is_number || (text.starts_with("Iv") && text.len() <= 64 && text.chars().all(is_word))
}

fn unread(subject: &str, error: &ParameterError) -> Finding {
    let (problem, remedy) = match error {
        ParameterError::Missing(_) => (
            "there is no such parameter in this region".to_owned(),
            "create it (a SecureString if it is a secret), or correct its name in the Lambda's settings",
        ),
        ParameterError::Placeholder(_) => (
            "it holds only a placeholder".to_owned(),
            "write its value: aws ssm put-parameter --overwrite",
        ),
        ParameterError::NoAccess { problem, .. } => {
            return Check::Secrets.warning(
                subject,
                format!("not looked at: {problem}"),
                "allow ssm:GetParameter on it, and kms:Decrypt on its key, to whoever runs this",
            );
        }
        ParameterError::Unavailable { problem, .. } => {
            return Check::Secrets.warning(
                subject,
                format!("not looked at: {problem}"),
                "check this machine's region, credentials and network, and run it again",
            );
        }
    };
    Check::Secrets.failure(subject, problem, remedy)
}

/// The webhook's secret, which the webhook Lambda verifies by; and whether it posts where scale-up reads.
pub(super) async fn webhook(
    parameters: &Parameters,
    deployment: &Deployment,
    function: &str,
) -> Vec<Finding> {
    const SECRET: &str = "GITHUB_WEBHOOK_SECRET_PARAMETER";
    const QUEUE: &str = "INTAKE_QUEUE_URL";
    let subject = format!("the webhook Lambda {function}");
    let lambda = LambdaFunction::load(function).await;
    let environment = match lambda.configuration().await {
        Ok(configuration) => configuration.environment,
        Err(error) => {
            let remedy = "give its name with --webhook-function, or leave that out where a Worker takes the \
                webhooks";
            return vec![Check::Secrets.unseen(subject, &error, remedy)];
        }
    };
    let mut findings = Vec::new();
    let named = |name: &str| environment.get(name).map(|value| value.trim());
    match named(SECRET).filter(|name| !name.is_empty()) {
        None => findings.push(Check::Secrets.failure(
            &subject,
            format!("{SECRET} is not set"),
            "give it the name of the SSM parameter with the webhook's secret",
        )),
        Some(name) => {
            let subject = format!("the webhook's secret in the SSM parameter {name}");
            findings.push(match parameters.secret(name).await {
                Ok(_) => Check::Secrets.ok(subject),
                Err(error) => unread(&subject, &error),
            });
        }
    }
    let reads = deployment.settings.intake_queue_url.as_str();
    if named(QUEUE) != Some(reads) {
        findings.push(Check::Settings.failure(
            &subject,
            format!("its {QUEUE} is not the one that scale-up reads, {reads}"),
            "give both Lambdas the same queue: what the one posts the other never sees",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn an_app_id_is_a_number_or_a_client_id() {
        for good in ["12345", "Iv1.0123456789abcdef", "Iv23liAbCdEf"] {
            assert!(is_app_id(good), "{good}");
        }
        for bad in [
            "",
            "stoker",
            "-----BEGIN RSA PRIVATE KEY-----",
            "Iv 1",
            "12a",
        ] {
            assert!(!is_app_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_parameter_that_may_not_be_read_is_no_failure() {
        let denied = ParameterError::NoAccess {
            name: "/k".to_owned(),
            problem: "AccessDeniedException".to_owned(),
        };
        let finding = unread("it", &denied);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.remedy.unwrap().contains("ssm:GetParameter"));
        let missing = unread("it", &ParameterError::Missing("/k".to_owned()));
        assert_eq!(missing.verdict, Verdict::Failure);
    }
}
