//! Who decides: what is active, and whether who may has signed it.

use stoker_aws::{Clients, S3Policies};
use stoker_core::ids::PolicyGeneration;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{Fetched, PolicyStore as _, PolicyStoreError};
use stoker_deciders::Settings;
use stoker_policy::activation::{Activation, Document, paths};
use stoker_policy::{Decision, PolicyMode};

use super::deployment::Deployment;
use super::finding::{Check, Finding};
use crate::tell::time;

/// What is active.
pub(super) async fn all(clients: &Clients, deployment: &Deployment) -> Vec<Finding> {
    let settings = &deployment.settings;
    if settings.policies.host.mode == PolicyMode::BuiltIn {
        return vec![Check::Policies.warning(
            "POLICY_MODE",
            "it is `built-in`: the glass was broken, and no policy is read",
            "take the setting away once the policy that made trouble is mended or rolled back",
        )];
    }
    let store = S3Policies::new(clients.s3.clone(), &settings.policies.place.bucket)
        .prefix(&settings.policies.place.prefix);
    let fetched = store.fetch(paths::ACTIVE, None).await;
    judge(settings, fetched)
}

fn judge(settings: &Settings, fetched: Result<Fetched, PolicyStoreError>) -> Vec<Finding> {
    let subject = format!(
        "{} in the bucket {}",
        paths::ACTIVE,
        settings.policies.place.bucket
    );
    let bytes = match fetched {
        Ok(Fetched::Found { bytes, .. }) => bytes,
        Ok(Fetched::Absent | Fetched::Unchanged) => {
            return vec![Check::Policies.failure(
                subject,
                "it is not there: admission has never published, so the built-in rules decide",
                "have it publish (stoker policy admit --bucket …), and see that its schedule runs and that \
                 POLICIES_PREFIX is the same there",
            )];
        }
        Err(error) if error.problem.contains("NoSuchBucket") => {
            return vec![Check::Policies.failure(
                subject,
                "there is no such bucket",
                "make it (terraform apply), or correct POLICIES_BUCKET",
            )];
        }
        Err(error) => {
            return vec![Check::Policies.warning(
                subject,
                format!("not looked at: {}", error.problem),
                "whoever runs this needs s3:GetObject on it, s3:ListBucket on the bucket, and kms:Decrypt on the \
                 bucket's key",
            )];
        }
    };
    match Activation::verify(&settings.policies.trust.keys, &settings.policies.trust.deployment, &bytes) {
        Ok(activation) => judge_document(&subject, activation.document()),
        Err(failure) => vec![Check::Policies.failure(
            subject,
            failure.to_string(),
            "scale-up goes by what was active before. Find out who wrote there; give POLICY_PUBLIC_KEYS the key that \
             admission signs with, or have admission publish again (stoker policy admit)",
        )],
    }
}

fn judge_document(subject: &str, document: &Document) -> Vec<Finding> {
    if document.generation == PolicyGeneration(0) {
        return vec![Check::Policies.failure(
            subject,
            "it is of generation 0, which none is that was published",
            "have admission publish again (stoker policy admit)",
        )];
    }
    let text = format!(
        "{subject}: signed, generation {}, published {}, {}",
        document.generation.0,
        time(document.published),
        match document.policies.len() {
            1 => "1 policy".to_owned(),
            several => format!("{several} policies"),
        }
    );
    let mut findings = vec![Check::Policies.ok(text)];
    let decides = |folder| {
        let record = document.folders.get(folder);
        record.is_some_and(|record| record.scope.contains_key(&Decision::ScaleUp))
    };
    if !decides(&PolicyFolder::Default) {
        findings.push(Check::Policies.warning(
            "the policy of default/",
            "none decides about scaling up: where an organisation or repository has none either, the built-in \
             rules do",
            "publish the one that ships: stoker policy publish policy.wasm --scope default --bucket …",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use stoker_core::time::Timestamp;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_publication_without_a_default_policy_is_worth_a_word() {
        let document = Document {
            generation: PolicyGeneration(7),
            published: Timestamp(1_800_000_000),
            ..Document::empty()
        };
        let told = judge_document("active.json", &document);
        assert_eq!(told[0].verdict, Verdict::Ok);
        assert!(told[0].subject.contains("generation 7"), "{told:?}");
        assert_eq!(told[1].verdict, Verdict::Warning);
        let never = judge_document("active.json", &Document::empty());
        assert_eq!(never[0].verdict, Verdict::Failure);
    }
}
