//! What our instances carry. IAM policies and the reconciliation go by these.

use aws_sdk_ec2::types::Tag;
use stoker_core::ids::Deployment;
use stoker_core::intent::Intent;

/// Which installation of Stoker it belongs to. Whatever lacks it is never counted and never touched.
pub const DEPLOYMENT: &str = "stoker:deployment";
/// For whom it is counted.
pub const SCOPE: &str = "stoker:scope";
/// The launch that it came from: by this it is found again if EC2's answer was lost.
pub const INTENT: &str = "stoker:intent";
/// Its kind.
pub const CLASS: &str = "stoker:class";
/// What EC2's console shows.
const NAME: &str = "Name";

/// The tags of what an intent launches.
pub(super) fn of(intent: &Intent, deployment: &Deployment) -> Vec<Tag> {
    let class = &intent.request.class;
    [
        (NAME, format!("stoker-{deployment}-{class}")),
        (DEPLOYMENT, deployment.to_string()),
        (SCOPE, intent.scope.to_string()),
        (INTENT, intent.id.to_string()),
        (CLASS, class.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| Tag::builder().key(key).value(value).build())
    .collect()
}
