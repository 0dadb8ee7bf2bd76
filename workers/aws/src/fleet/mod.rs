//! Instances, from EC2: one intent is one instant `CreateFleet`.
//!
//! Nothing is launched twice, for two reasons that hold on their own: the intent's id is the client
//! token, which EC2 answers with the same fleet again; and instances carry the intent as a tag from
//! their first moment, so that whoever lost the answer finds them before asking again.

mod ours;
mod refusal;
mod request;
pub mod tags;
mod terminate;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::create_fleet::CreateFleetOutput;
use aws_sdk_ec2::types::{Filter, Reservation};
use stoker_core::ids::{Deployment, InstanceId};
use stoker_core::intent::{Instance, Intent, Launched, Refusal};
use stoker_core::ports::{Fleet, FleetError, Ours};

use crate::problem;

/// A new instance may be unknown to parts of EC2 for some seconds.
const UNKNOWN_BELIEVED_AFTER: Duration = Duration::from_secs(3);

/// The instances of one deployment.
#[derive(Debug, Clone)]
pub struct Ec2Fleet {
    client: Client,
    deployment: Deployment,
    unknown_believed_after: Duration,
    page_size: Option<i32>,
}

impl Ec2Fleet {
    /// The instances that carry this deployment's tag.
    pub fn new(client: Client, deployment: Deployment) -> Self {
        Self {
            client,
            deployment,
            unknown_believed_after: UNKNOWN_BELIEVED_AFTER,
            page_size: None,
        }
    }

    /// Reads the deployment's instances in pages of at most that many (5 to 1,000). Without it, a page is
    /// what EC2 makes it.
    #[must_use]
    pub fn page_size(mut self, instances: i32) -> Self {
        self.page_size = Some(instances);
        self
    }

    /// How long after EC2 said for the first time that it does not know an instance it is asked once
    /// more, before it is believed that the instance is gone (3 s).
    #[must_use]
    pub fn unknown_believed_after(mut self, pause: Duration) -> Self {
        self.unknown_believed_after = pause;
        self
    }

    /// What an answer says.
    async fn read(
        &self,
        intent: &Intent,
        answer: &CreateFleetOutput,
    ) -> Result<Launched, FleetError> {
        let mut launched = Launched {
            instances: Vec::new(),
            refusals: refusal::of_answer(answer.errors()),
        };
        for group in answer.instances() {
            for id in group.instance_ids() {
                launched.instances.push(instance(
                    id,
                    group.instance_type().map_or("", |kind| kind.as_str()),
                    false,
                )?);
            }
        }
        if launched.instances.is_empty() && launched.refusals.is_empty() {
            // The fleet of a repeated token: what it launched is known by its tag.
            let found = self.find(intent).await?;
            if found.instances.is_empty() {
                return Err(FleetError {
                    what: launching(intent),
                    problem: "it answered with neither an instance nor a reason".to_owned(),
                });
            }
            return Ok(found);
        }
        Ok(launched)
    }

    /// EC2 will not do it. If it is not the first time that the request was made, it may have done it
    /// then, and only what it looks at first (a template that was deleted since) has changed.
    async fn nothing_launched_now(
        &self,
        intent: &Intent,
        refusal: Refusal,
    ) -> Result<Launched, FleetError> {
        let mut launched = self.find(intent).await?;
        launched.refusals.push(refusal);
        Ok(launched)
    }
}

#[async_trait]
impl Fleet for Ec2Fleet {
    async fn launch(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let answer = request::create_fleet(&self.client, intent, &self.deployment)
            .send()
            .await;
        match answer {
            Ok(answer) => self.read(intent, &answer).await,
            Err(error) => match problem::code(&error) {
                Some(code) if refusal::launched_nothing(code) => {
                    let refusal = Refusal {
                        code: code.to_owned(),
                        message: problem::message(&error).unwrap_or_default().to_owned(),
                    };
                    self.nothing_launched_now(intent, refusal).await
                }
                _ => Err(FleetError {
                    what: launching(intent),
                    problem: problem::words(&error),
                }),
            },
        }
    }

    /// In every state: EC2 shows an instance for about an hour after it was terminated, and a launch
    /// whose instances have ended was a launch all the same, not to be made again.
    async fn find(&self, intent: &Intent) -> Result<Launched, FleetError> {
        let mut pages = self
            .client
            .describe_instances()
            .filters(filter(&format!("tag:{}", tags::INTENT), &intent.id.0))
            .filters(filter(
                &format!("tag:{}", tags::DEPLOYMENT),
                self.deployment.as_str(),
            ))
            .into_paginator()
            .send();
        let mut launched = Launched::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| FleetError {
                what: format!("find what intent {} launched", intent.id),
                problem: problem::words(&error),
            })?;
            for found in page.reservations().iter().flat_map(Reservation::instances) {
                launched.instances.push(instance(
                    found.instance_id().unwrap_or_default(),
                    found.instance_type().map_or("", |kind| kind.as_str()),
                    is_gone(found),
                )?);
            }
        }
        Ok(launched)
    }

    async fn ours(&self) -> Result<Ours, FleetError> {
        self.all_of_ours().await
    }

    async fn terminate(&self, instances: &[InstanceId]) -> Result<(), FleetError> {
        for some in instances.chunks(terminate::AT_ONCE) {
            self.terminate_some(some).await?;
        }
        Ok(())
    }
}

fn launching(intent: &Intent) -> String {
    format!(
        "launch {} of class {} for {} (intent {})",
        intent.request.count, intent.request.class, intent.scope, intent.id
    )
}

fn instance(id: &str, instance_type: &str, gone: bool) -> Result<Instance, FleetError> {
    let id = id.parse().map_err(|error| FleetError {
        what: "name an instance that it launched".to_owned(),
        problem: format!("{error}"),
    })?;
    Ok(Instance {
        id,
        instance_type: instance_type.to_owned(),
        gone,
    })
}

/// Whether an instance can serve no more. A stopped one counts too: nobody starts it again.
fn is_gone(instance: &aws_sdk_ec2::types::Instance) -> bool {
    use aws_sdk_ec2::types::InstanceStateName as State;

    instance
        .state()
        .and_then(|state| state.name())
        .is_some_and(|name| {
            matches!(
                name,
                State::ShuttingDown | State::Terminated | State::Stopping | State::Stopped
            )
        })
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}
