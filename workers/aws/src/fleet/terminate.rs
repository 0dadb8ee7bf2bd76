//! Termination: of what is ours, and of what is gone already without a complaint.
//!
//! Three facts of EC2's shape this. It shows new instances late, so an instance that it does not show
//! may be there all the same: it is not left out. It refuses a whole request for one id that it does
//! not know. And it terminates whatever it is told to: so an instance that it does show without our
//! deployment's tag is left alone, whatever the ledger says.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName, Reservation};
use stoker_core::ids::InstanceId;
use stoker_core::ports::FleetError;

use super::{Ec2Fleet, tags};
use crate::problem;

/// How many instances go into one request: a filter takes 200 values.
pub(super) const AT_ONCE: usize = 200;

/// EC2's code for an id that it does not know.
const NOT_FOUND: &str = "InvalidInstanceID.NotFound";

/// What EC2 shows of instances that are to go.
#[derive(Default)]
struct Shown {
    /// Not ours: by its tags.
    foreign: BTreeSet<InstanceId>,
    /// On their way out, or gone.
    ending: BTreeSet<InstanceId>,
}

impl Ec2Fleet {
    /// Terminates at most [`AT_ONCE`] instances.
    pub(super) async fn terminate_some(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        let shown = self.look_at(instances).await?;
        let mut left: BTreeSet<InstanceId> = instances
            .iter()
            .filter(|id| !shown.foreign.contains(*id) && !shown.ending.contains(*id))
            .cloned()
            .collect();
        let mut asked_again = false;
        while !left.is_empty() {
            match self.ask(&left).await? {
                Asked::Done => break,
                Asked::Unknown(_) if !asked_again => {
                    asked_again = true;
                    tokio::time::sleep(self.unknown_believed_after).await;
                }
                // Every round leaves fewer.
                Asked::Unknown(gone) => left.retain(|id| !gone.contains(id)),
            }
        }
        match shown.foreign.first() {
            None => Ok(()),
            Some(_) => Err(FleetError {
                what: format!("terminate {}", list(&shown.foreign)),
                problem: format!(
                    "they do not carry the tag {}={} and are left alone",
                    tags::DEPLOYMENT,
                    self.deployment
                ),
            }),
        }
    }

    async fn look_at(&self, instances: &[InstanceId]) -> Result<Shown, FleetError> {
        let ids = Filter::builder()
            .name("instance-id")
            .set_values(Some(instances.iter().map(ToString::to_string).collect()))
            .build();
        let mut pages = self
            .client
            .describe_instances()
            .filters(ids)
            .into_paginator()
            .send();
        let mut shown = Shown::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| FleetError {
                what: "show the instances that are to be terminated".to_owned(),
                problem: problem::words(&error),
            })?;
            for instance in page.reservations().iter().flat_map(Reservation::instances) {
                let Some(id) = instance.instance_id().and_then(|id| id.parse().ok()) else {
                    continue;
                };
                if is_ending(instance) {
                    shown.ending.insert(id);
                } else if !self.is_ours(instance) {
                    shown.foreign.insert(id);
                }
            }
        }
        Ok(shown)
    }

    fn is_ours(&self, instance: &Instance) -> bool {
        instance.tags().iter().any(|tag| {
            tag.key() == Some(tags::DEPLOYMENT) && tag.value() == Some(self.deployment.as_str())
        })
    }

    async fn ask(&self, instances: &BTreeSet<InstanceId>) -> Result<Asked, FleetError> {
        let answer = self
            .client
            .terminate_instances()
            .set_instance_ids(Some(instances.iter().map(ToString::to_string).collect()))
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(Asked::Done);
        };
        if problem::code(&error) == Some(NOT_FOUND) {
            let named = named(problem::message(&error).unwrap_or_default(), instances);
            if !named.is_empty() {
                return Ok(Asked::Unknown(named));
            }
        }
        Err(FleetError {
            what: format!("terminate {}", list(instances)),
            problem: problem::words(&error),
        })
    }
}

/// What EC2 said to a termination.
enum Asked {
    /// It is done.
    Done,
    /// Nothing was terminated: these are not known.
    Unknown(BTreeSet<InstanceId>),
}

fn is_ending(instance: &Instance) -> bool {
    matches!(
        instance.state().and_then(|state| state.name()),
        Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
    )
}

/// Those of the instances that a message names.
fn named(message: &str, instances: &BTreeSet<InstanceId>) -> BTreeSet<InstanceId> {
    let words: BTreeSet<&str> = message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .collect();
    instances
        .iter()
        .filter(|id| words.contains(id.as_str()))
        .cloned()
        .collect()
}

fn list(instances: &BTreeSet<InstanceId>) -> String {
    let ids: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instances_that_ec2_does_not_know_are_read_from_its_words() {
        let ids: BTreeSet<InstanceId> = ["i-1", "i-11", "i-2"]
            .into_iter()
            .map(|id| id.parse().unwrap())
            .collect();
        let unknown = named("The instance IDs 'i-11, i-2' do not exist", &ids);
        assert_eq!(list(&unknown), "i-11, i-2");
    }
}
