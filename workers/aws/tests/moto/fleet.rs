//! Instances, launched, found and terminated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{
    Instance, InstanceLifecycleType, InstanceStateName, InstanceType, RequestLaunchTemplateData,
    Tag,
};
use stoker_aws::Ec2Fleet;
use stoker_core::class::Capacity;
use stoker_core::contract::Fixtures;
use stoker_core::ids::{Deployment, InstanceId, IntentId};
use stoker_core::intent::{FleetRequest, Intent, Launched};
use stoker_core::ports::{Fleet as _, Ours, OwnInstance};
use stoker_core::situation::ScopeName;
use stoker_core::time::Timestamp;

use crate::{Aws, unique};

/// A deployment with a launch template.
struct Given {
    aws: Aws,
    deployment: Deployment,
    template: String,
    template_id: String,
}

impl Given {
    async fn new() -> Self {
        let aws = Aws::new().await;
        let images = aws.clients.ec2.describe_images().send().await.unwrap();
        let image = images.images()[0].image_id().unwrap();
        let template = unique("template");
        let made = aws
            .clients
            .ec2
            .create_launch_template()
            .launch_template_name(&template)
            .launch_template_data(
                RequestLaunchTemplateData::builder()
                    .image_id(image)
                    .instance_type(InstanceType::T3Micro)
                    .build(),
            )
            .send()
            .await
            .unwrap();
        let template_id = made
            .launch_template()
            .unwrap()
            .launch_template_id()
            .unwrap();
        Self {
            deployment: unique("fleet").parse().unwrap(),
            template_id: template_id.to_owned(),
            template,
            aws,
        }
    }

    fn fleet(&self) -> Ec2Fleet {
        Ec2Fleet::new(self.aws.clients.ec2.clone(), self.deployment.clone())
            .unknown_believed_after(Duration::ZERO)
    }

    fn intent(&self, capacity: Capacity, count: u32) -> Intent {
        let intent = Fixtures::new(Timestamp(1_700_000_000), 1).intent(0, 0, 0);
        Intent {
            id: IntentId(unique("intent")),
            request: FleetRequest {
                capacity,
                count,
                launch_template: self.template.clone(),
                instance_types: Vec::new(),
                ..intent.request
            },
            ..intent
        }
    }

    async fn instances(&self, launched: &Launched) -> Vec<Instance> {
        let ids = launched.instances.iter().map(|i| i.id.to_string());
        let answer = self
            .aws
            .clients
            .ec2
            .describe_instances()
            .set_instance_ids(Some(ids.collect()))
            .send()
            .await
            .unwrap();
        answer
            .reservations()
            .iter()
            .flat_map(|r| r.instances().to_vec())
            .collect()
    }

    async fn states(&self, launched: &Launched) -> BTreeSet<String> {
        self.instances(launched)
            .await
            .iter()
            .map(|i| i.state().unwrap().name().unwrap().to_string())
            .collect()
    }
}

fn ids(launched: &Launched) -> Vec<InstanceId> {
    launched.instances.iter().map(|i| i.id.clone()).collect()
}

fn tags(instance: &Instance) -> BTreeMap<&str, &str> {
    instance
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?, tag.value()?)))
        .filter(|(key, _)| !key.starts_with("aws:"))
        .collect()
}

#[tokio::test]
async fn a_launch_gives_as_many_instances_as_asked_for_each_with_its_tags() {
    let given = Given::new().await;
    for capacity in [Capacity::Spot, Capacity::OnDemand] {
        let intent = given.intent(capacity, 3);
        let launched = given.fleet().launch(&intent).await.unwrap();
        assert_eq!(launched.instances.len(), 3, "{capacity:?}");
        assert!(launched.refusals.is_empty());
        let deployment = given.deployment.to_string();
        let scope = intent.scope.to_string();
        for instance in given.instances(&launched).await {
            assert_eq!(
                tags(&instance),
                BTreeMap::from([
                    ("Name", format!("stoker-{deployment}-large").as_str()),
                    ("stoker:class", "large"),
                    ("stoker:deployment", deployment.as_str()),
                    ("stoker:intent", intent.id.0.as_str()),
                    ("stoker:scope", scope.as_str()),
                ])
            );
            assert_eq!(instance.instance_type(), Some(&InstanceType::T3Micro));
            let spot = instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
            assert_eq!(spot, capacity == Capacity::Spot);
        }
    }
}

#[tokio::test]
async fn types_and_subnets_override_the_launch_template_which_may_be_named_by_id() {
    let given = Given::new().await;
    let subnets = given
        .aws
        .clients
        .ec2
        .describe_subnets()
        .send()
        .await
        .unwrap();
    let subnets: Vec<String> = subnets
        .subnets()
        .iter()
        .take(2)
        .map(|subnet| subnet.subnet_id().unwrap().to_owned())
        .collect();
    let mut intent = given.intent(Capacity::OnDemand, 1);
    given
        .template_id
        .clone_into(&mut intent.request.launch_template);
    intent.request.launch_template_version = "1".to_owned();
    intent.request.subnets = subnets.clone();
    intent.request.instance_types = vec!["c7i.large".to_owned(), "c7a.large".to_owned()];
    let launched = given.fleet().launch(&intent).await.unwrap();
    assert!(
        intent
            .request
            .instance_types
            .contains(&launched.instances[0].instance_type)
    );
    let instance = &given.instances(&launched).await[0];
    assert!(
        subnets
            .iter()
            .any(|subnet| Some(subnet.as_str()) == instance.subnet_id())
    );
}

#[tokio::test]
async fn what_an_intent_launched_is_found_in_every_state_and_by_its_own_deployment_only() {
    let given = Given::new().await;
    let fleet = given.fleet();
    let intent = given.intent(Capacity::Spot, 2);
    assert_eq!(fleet.find(&intent).await.unwrap(), Launched::default());
    let launched = fleet.launch(&intent).await.unwrap();
    let other = fleet
        .launch(&given.intent(Capacity::Spot, 1))
        .await
        .unwrap();
    let found = fleet.find(&intent).await.unwrap();
    assert_eq!(
        ids(&found).into_iter().collect::<BTreeSet<_>>(),
        ids(&launched).into_iter().collect::<BTreeSet<_>>()
    );
    assert_eq!(found.instances[0].instance_type, "t3.micro");
    assert_eq!(other.instances.len(), 1);

    fleet.terminate(&ids(&launched)).await.unwrap();
    assert_eq!(fleet.find(&intent).await.unwrap().instances.len(), 2);

    let stranger = Ec2Fleet::new(given.aws.clients.ec2.clone(), "stranger".parse().unwrap());
    assert_eq!(stranger.find(&intent).await.unwrap(), Launched::default());
}

#[tokio::test]
async fn what_is_ours_is_shown_with_all_that_it_was_launched_for_and_nothing_else_is() {
    let given = Given::new().await;
    // The smallest pages that EC2 has.
    let fleet = given.fleet().page_size(5);
    assert_eq!(fleet.ours().await.unwrap(), Ours::default());
    let spot = Intent {
        scope_name: Some(ScopeName {
            owner: "acme".to_owned(),
            repository: Some("site".to_owned()),
        }),
        ..given.intent(Capacity::Spot, 7)
    };
    let launched = fleet.launch(&spot).await.unwrap();
    let unnamed = given.intent(Capacity::OnDemand, 6);
    let others = fleet.launch(&unnamed).await.unwrap();
    fleet.terminate(&ids(&others)[..2]).await.unwrap();
    let stranger = Ec2Fleet::new(given.aws.clients.ec2.clone(), "stranger".parse().unwrap());
    stranger
        .launch(&given.intent(Capacity::Spot, 1))
        .await
        .unwrap();

    let ours = fleet.ours().await.unwrap();
    assert!(ours.unreadable.is_empty(), "{ours:?}");
    let shown: BTreeMap<InstanceId, OwnInstance> = ours
        .instances
        .into_iter()
        .map(|own| (own.id.clone(), own))
        .collect();
    let expected: BTreeSet<InstanceId> = [ids(&launched), ids(&others)[2..].to_vec()]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(shown.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (id, own) in &shown {
        let of_spot = ids(&launched).contains(id);
        let intent = if of_spot { &spot } else { &unnamed };
        assert_eq!(own.scope_name, intent.scope_name);
        assert_eq!((own.scope, &own.intent), (intent.scope, &intent.id));
        assert_eq!(own.class, intent.request.class);
        assert_eq!(own.capacity, intent.request.capacity);
        assert_eq!(own.instance_type, "t3.micro");
        assert!(own.launched_at > Timestamp(1_700_000_000));
    }
}

#[tokio::test]
async fn an_instance_that_lost_its_tags_is_told_of_and_left_out() {
    let given = Given::new().await;
    let fleet = given.fleet();
    let launched = fleet
        .launch(&given.intent(Capacity::Spot, 2))
        .await
        .unwrap();
    let bare = ids(&launched)[0].clone();
    given
        .aws
        .clients
        .ec2
        .delete_tags()
        .resources(bare.as_str())
        .tags(Tag::builder().key("stoker:scope").build())
        .send()
        .await
        .unwrap();
    let ours = fleet.ours().await.unwrap();
    assert_eq!(ours.instances.len(), 1);
    assert_eq!(ours.unreadable[0].id, bare.as_str());
    assert!(ours.unreadable[0].problem.contains("stoker:scope"));
}

#[tokio::test]
async fn terminating_twice_or_what_is_unknown_is_no_error_and_spares_nothing_else() {
    let given = Given::new().await;
    let fleet = given.fleet();
    let launched = fleet
        .launch(&given.intent(Capacity::OnDemand, 3))
        .await
        .unwrap();
    let mut instances = ids(&launched);
    fleet.terminate(&instances[..1]).await.unwrap();
    instances.push("i-00000000000000000".parse().unwrap());
    instances.push("i-00000000000000001".parse().unwrap());
    for _ in 0..2 {
        fleet.terminate(&instances).await.unwrap();
        assert_eq!(
            given.states(&launched).await,
            BTreeSet::from([InstanceStateName::Terminated.to_string()])
        );
    }
    fleet.terminate(&[]).await.unwrap();
}

#[tokio::test]
async fn an_instance_of_another_deployment_is_left_alone_and_told_of() {
    let given = Given::new().await;
    let other = Ec2Fleet::new(given.aws.clients.ec2.clone(), "stranger".parse().unwrap());
    let theirs = other
        .launch(&given.intent(Capacity::OnDemand, 1))
        .await
        .unwrap();
    let ours = given
        .fleet()
        .launch(&given.intent(Capacity::OnDemand, 1))
        .await
        .unwrap();
    let both = [ids(&theirs), ids(&ours)].concat();
    let error = given.fleet().terminate(&both).await.unwrap_err();
    assert!(error.to_string().contains(both[0].as_str()), "{error}");
    assert!(!error.to_string().contains(both[1].as_str()), "{error}");
    assert_eq!(
        given.states(&theirs).await,
        BTreeSet::from(["running".to_owned()])
    );
    assert_eq!(
        given.states(&ours).await,
        BTreeSet::from(["terminated".to_owned()])
    );
}

#[tokio::test]
async fn a_launch_template_that_is_not_there_launches_nothing_and_says_why() {
    let given = Given::new().await;
    let mut intent = given.intent(Capacity::Spot, 1);
    "lt-00000000000000000".clone_into(&mut intent.request.launch_template);
    let launched = given.fleet().launch(&intent).await.unwrap();
    assert!(launched.instances.is_empty());
    assert!(
        launched.refusals[0]
            .code
            .starts_with("InvalidLaunchTemplate"),
        "{launched:?}"
    );
}
