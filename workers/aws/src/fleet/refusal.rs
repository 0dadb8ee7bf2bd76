//! Which of EC2's errors say that nothing was launched.
//!
//! An instant fleet that finds no capacity is an answer with errors in it, and rarely an error itself.
//! An error of the whole request is one of two kinds:
//!
//! - EC2 looked at the request and will not do it: no capacity, a limit, something named that does not
//!   exist, not permitted. Nothing runs; the launch is over, and its reason belongs into the decision's
//!   record.
//! - Nobody knows: throttled on the way in, broken inside, no answer. The launch stays open and the
//!   very same request is made again.
//!
//! What is not known to be of the first kind is of the second, since an intent that stays open costs
//! ten minutes and one that is closed wrongly costs instances that nobody counts.

use aws_sdk_ec2::types::CreateFleetError as PoolError;
use stoker_core::intent::Refusal;

/// No capacity, or a limit of the account's.
const NOTHING_TO_GIVE: &[&str] = &[
    "FleetCapacityUnfulfillable",
    "InstanceLimitExceeded",
    "InsufficientAddressCapacity",
    "InsufficientCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientVolumeCapacity",
    "MaxSpotFleetRequestCountExceeded",
    "MaxSpotInstanceCountExceeded",
    "ResourceLimitExceeded",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "VcpuLimitExceeded",
    "VolumeLimitExceeded",
];

/// The request can't be done as it stands: the operator's configuration or permissions.
const NOT_LIKE_THIS: &[&str] = &[
    "InvalidFleetConfig",
    "InvalidFleetConfiguration",
    "InvalidParameter",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "OptInRequired",
    "UnauthorizedOperation",
    "Unsupported",
    "UnsupportedOperation",
];

/// What does not exist, or is not of the right form; each family has a code for every fault
/// (`InvalidLaunchTemplateId.NotFound`, `InvalidSubnetID.NotFound`, …).
const NOT_THERE: &[&str] = &[
    "InvalidAMIID.",
    "InvalidGroup.",
    "InvalidKeyPair.",
    "InvalidLaunchTemplate",
    "InvalidSecurityGroupID.",
    "InvalidSubnet",
];

/// Whether an error with that code means that nothing was launched, for good.
pub(super) fn launched_nothing(code: &str) -> bool {
    NOTHING_TO_GIVE.contains(&code)
        || NOT_LIKE_THIS.contains(&code)
        || NOT_THERE.iter().any(|family| code.starts_with(family))
}

/// Why an answer has fewer instances than were asked for. EC2 says it once for each pool; here, each
/// reason is there once.
pub(super) fn of_answer(errors: &[PoolError]) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for error in errors {
        let refusal = Refusal {
            code: error.error_code().unwrap_or("Unknown").to_owned(),
            message: error.error_message().unwrap_or_default().to_owned(),
        };
        if !refusals.contains(&refusal) {
            refusals.push(refusal);
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_limits_and_faulty_requests_launch_nothing() {
        for code in [
            "InsufficientInstanceCapacity",
            "MaxSpotInstanceCountExceeded",
            "InvalidLaunchTemplateId.NotFound",
            "InvalidLaunchTemplateName.NotFoundException",
            "InvalidSubnetID.NotFound",
            "UnauthorizedOperation",
        ] {
            assert!(launched_nothing(code), "{code}");
        }
    }

    #[test]
    fn throttling_faults_inside_ec2_and_a_mismatched_token_tell_nothing() {
        for code in [
            "RequestLimitExceeded",
            "Throttling",
            "InternalError",
            "Unavailable",
            "RequestExpired",
            "AuthFailure",
            "IdempotentParameterMismatch",
            "SomethingNew",
        ] {
            assert!(!launched_nothing(code), "{code}");
        }
    }

    #[test]
    fn one_reason_given_for_every_pool_is_said_once() {
        let pool = |code: &str| {
            PoolError::builder()
                .error_code(code)
                .error_message("none left")
                .build()
        };
        let refusals = of_answer(&[pool("A"), pool("A"), pool("B")]);
        let codes: Vec<_> = refusals
            .iter()
            .map(|refusal| refusal.code.as_str())
            .collect();
        assert_eq!(codes, ["A", "B"]);
    }
}
