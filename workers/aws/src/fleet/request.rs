//! An intent as a `CreateFleet` request. It is made of the intent (and the deployment's name) alone,
//! so that a repetition is the same to the letter: EC2 refuses a token that comes with other words.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::create_fleet::builders::CreateFleetFluentBuilder;
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest,
    FleetOnDemandAllocationStrategy, FleetType, InstanceType, OnDemandOptionsRequest, ResourceType,
    SpotAllocationStrategy, SpotInstanceInterruptionBehavior, SpotOptionsRequest, TagSpecification,
    TargetCapacitySpecificationRequest,
};
use stoker_core::class::Capacity;
use stoker_core::ids::Deployment;
use stoker_core::intent::{FleetRequest, Intent};

use super::tags;

/// The request. Volumes are not tagged here: an instant fleet takes tags for the fleet and its
/// instances only, so the launch template tags them.
pub(super) fn create_fleet(
    client: &Client,
    intent: &Intent,
    deployment: &Deployment,
) -> CreateFleetFluentBuilder {
    let request = &intent.request;
    // EC2 counts in signed numbers; no maximum comes near the largest of them.
    let count = i32::try_from(request.count).unwrap_or(i32::MAX);
    let call = client
        .create_fleet()
        .r#type(FleetType::Instant)
        .client_token(intent.id.to_string())
        .launch_template_configs(
            FleetLaunchTemplateConfigRequest::builder()
                .launch_template_specification(template(request))
                .set_overrides(overrides(request))
                .build(),
        )
        .tag_specifications(tagged(ResourceType::Instance, intent, deployment))
        .tag_specifications(tagged(ResourceType::Fleet, intent, deployment));
    let capacity = TargetCapacitySpecificationRequest::builder().total_target_capacity(count);
    match request.capacity {
        Capacity::Spot => call
            .target_capacity_specification(
                capacity
                    .default_target_capacity_type(DefaultTargetCapacityType::Spot)
                    .build(),
            )
            // The pools that are least likely to be taken back, and of those the cheapest.
            .spot_options(
                SpotOptionsRequest::builder()
                    .allocation_strategy(SpotAllocationStrategy::PriceCapacityOptimized)
                    .instance_interruption_behavior(SpotInstanceInterruptionBehavior::Terminate)
                    .build(),
            ),
        Capacity::OnDemand => call
            .target_capacity_specification(
                capacity
                    .default_target_capacity_type(DefaultTargetCapacityType::OnDemand)
                    .build(),
            )
            .on_demand_options(
                OnDemandOptionsRequest::builder()
                    .allocation_strategy(FleetOnDemandAllocationStrategy::LowestPrice)
                    .build(),
            ),
    }
}

fn template(request: &FleetRequest) -> FleetLaunchTemplateSpecificationRequest {
    let template = FleetLaunchTemplateSpecificationRequest::builder()
        .version(&request.launch_template_version);
    if request.launch_template.starts_with("lt-") {
        template.launch_template_id(&request.launch_template)
    } else {
        template.launch_template_name(&request.launch_template)
    }
    .build()
}

/// Every type in every subnet. What the request leaves open is the launch template's.
fn overrides(request: &FleetRequest) -> Option<Vec<FleetLaunchTemplateOverridesRequest>> {
    let types = or_one_open(&request.instance_types);
    let subnets = or_one_open(&request.subnets);
    let overrides: Vec<_> = subnets
        .iter()
        .flat_map(|subnet| {
            types
                .iter()
                .map(move |instance_type| (subnet, instance_type))
        })
        .filter(|(subnet, instance_type)| subnet.is_some() || instance_type.is_some())
        .map(|(subnet, instance_type)| {
            let mut place = FleetLaunchTemplateOverridesRequest::builder();
            if let Some(subnet) = subnet {
                place = place.subnet_id(*subnet);
            }
            if let Some(instance_type) = instance_type {
                place = place.instance_type(InstanceType::from(*instance_type));
            }
            place.build()
        })
        .collect();
    (!overrides.is_empty()).then_some(overrides)
}

fn or_one_open(choices: &[String]) -> Vec<Option<&str>> {
    if choices.is_empty() {
        vec![None]
    } else {
        choices.iter().map(|choice| Some(choice.as_str())).collect()
    }
}

fn tagged(resource: ResourceType, intent: &Intent, deployment: &Deployment) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(resource)
        .set_tags(Some(tags::of(intent, deployment)))
        .build()
}
