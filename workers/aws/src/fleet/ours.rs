//! The deployment's instances, by its tag: what is there when the ledger is not.

use std::collections::HashMap;

use aws_sdk_ec2::types::{Filter, Instance, InstanceLifecycleType, InstanceStateName, Reservation};
use stoker_core::class::Capacity;
use stoker_core::ids::{ClassName, IntentId};
use stoker_core::ports::{FleetError, Ours, OwnInstance, UnreadableInstance};
use stoker_core::time::Timestamp;

use super::{Ec2Fleet, filter, tags};
use crate::problem;

impl Ec2Fleet {
    /// Those that run or are about to. One that stops or is stopped serves no more: nobody starts it again.
    pub(super) async fn all_of_ours(&self) -> Result<Ours, FleetError> {
        let states = Filter::builder()
            .name("instance-state-name")
            .values(InstanceStateName::Pending.as_str())
            .values(InstanceStateName::Running.as_str())
            .build();
        let mut pages = self
            .client
            .describe_instances()
            .filters(filter(
                &format!("tag:{}", tags::DEPLOYMENT),
                self.deployment.as_str(),
            ))
            .filters(states)
            .set_max_results(self.page_size)
            .into_paginator()
            .send();
        let mut ours = Ours::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| FleetError {
                what: format!(
                    "show the instances that carry the tag {}={}",
                    tags::DEPLOYMENT,
                    self.deployment
                ),
                problem: problem::words(&error),
            })?;
            for found in page.reservations().iter().flat_map(Reservation::instances) {
                match own(found) {
                    Ok(own) => ours.instances.push(own),
                    Err(problem) => ours.unreadable.push(UnreadableInstance {
                        id: found.instance_id().unwrap_or_default().to_owned(),
                        problem,
                    }),
                }
            }
        }
        Ok(ours)
    }
}

/// What an instance's tags tell, or what is wrong with them.
fn own(found: &Instance) -> Result<OwnInstance, String> {
    let tags: HashMap<&str, &str> = found
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?, tag.value()?)))
        .collect();
    let tag = |key: &str| {
        let value = tags.get(key).copied().filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("has no tag {key}"))
    };
    let id = found.instance_id().unwrap_or_default();
    let launched_at = found
        .launch_time()
        .map(aws_sdk_ec2::primitives::DateTime::secs);
    Ok(OwnInstance {
        id: id
            .parse()
            .map_err(|error| format!("has an odd id: {error}"))?,
        instance_type: found
            .instance_type()
            .map_or("", |kind| kind.as_str())
            .to_owned(),
        capacity: match found.instance_lifecycle() {
            Some(InstanceLifecycleType::Spot) => Capacity::Spot,
            _ => Capacity::OnDemand,
        },
        launched_at: launched_at
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Timestamp)
            .ok_or("has no time of its launch")?,
        scope: tag(tags::SCOPE)?
            .parse()
            .map_err(|error| format!("has a tag {} of another form: {error}", tags::SCOPE))?,
        scope_name: tag(tags::SCOPE_NAME).ok().map(tags::scope_name),
        class: ClassName(tag(tags::CLASS)?.to_owned()),
        intent: IntentId(tag(tags::INTENT)?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use aws_sdk_ec2::types::Tag;

    use super::*;

    fn instance(tags: &[(&str, &str)]) -> Instance {
        let tags = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(*key).value(*value).build());
        Instance::builder()
            .instance_id("i-0abc")
            .launch_time(DateTime::from_secs(1_800_000_000))
            .set_tags(Some(tags.collect()))
            .build()
    }

    const ALL: [(&str, &str); 4] = [
        (tags::SCOPE, "org-7"),
        (tags::SCOPE_NAME, "acme/site"),
        (tags::INTENT, "0123"),
        (tags::CLASS, "large"),
    ];

    #[test]
    fn an_instance_is_what_its_tags_say() {
        let own = own(&instance(&ALL)).unwrap();
        assert_eq!(own.scope, "org-7".parse().unwrap());
        assert_eq!(own.scope_name.unwrap().to_string(), "acme/site");
        assert_eq!(own.capacity, Capacity::OnDemand);
        assert_eq!(own.launched_at, Timestamp(1_800_000_000));
    }

    #[test]
    fn only_the_name_may_be_missing() {
        for (place, (key, _)) in ALL.iter().enumerate() {
            let mut tags = ALL.to_vec();
            tags.remove(place);
            match own(&instance(&tags)) {
                Ok(own) => assert!(*key == tags::SCOPE_NAME && own.scope_name.is_none()),
                Err(told) => assert!(told.contains(key), "{told}"),
            }
        }
        let odd = [(tags::SCOPE, "everybody"), ALL[2], ALL[3]];
        assert!(own(&instance(&odd)).unwrap_err().contains("everybody"));
    }
}
