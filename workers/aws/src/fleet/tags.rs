//! What our instances carry. IAM policies and the reconciliation go by these.

use aws_sdk_ec2::types::Tag;
use stoker_core::ids::Deployment;
use stoker_core::intent::Intent;
use stoker_core::situation::ScopeName;

/// Which installation of Stoker it belongs to. Whatever lacks it is never counted and never touched.
pub const DEPLOYMENT: &str = "stoker:deployment";
/// For whom it is counted.
pub const SCOPE: &str = "stoker:scope";
/// What that is called (`acme`, or `acme/site`): where its runner registers. Launches that did not write it
/// down carry none, so that a repeated request is the same to the letter.
pub const SCOPE_NAME: &str = "stoker:scope-name";
/// The launch that it came from: by this it is found again if EC2's answer was lost.
pub const INTENT: &str = "stoker:intent";
/// Its kind.
pub const CLASS: &str = "stoker:class";
/// What EC2's console shows.
const NAME: &str = "Name";

/// The tags of what an intent launches.
pub(super) fn of(intent: &Intent, deployment: &Deployment) -> Vec<Tag> {
    let class = &intent.request.class;
    let scope_name = intent.scope_name.as_ref().map(ScopeName::to_string);
    let always = [
        (NAME, format!("stoker-{deployment}-{class}")),
        (DEPLOYMENT, deployment.to_string()),
        (SCOPE, intent.scope.to_string()),
        (INTENT, intent.id.to_string()),
        (CLASS, class.to_string()),
    ];
    always
        .into_iter()
        .chain(scope_name.map(|name| (SCOPE_NAME, name)))
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// A scope's name as its tag has it.
pub(super) fn scope_name(value: &str) -> ScopeName {
    let (owner, repository) = match value.split_once('/') {
        Some((owner, repository)) => (owner, Some(repository)),
        None => (value, None),
    };
    ScopeName {
        owner: owner.to_owned(),
        repository: repository.map(str::to_owned),
    }
}
