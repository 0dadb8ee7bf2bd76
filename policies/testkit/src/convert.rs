//! The SDK's situations as the host has them, and the host's plans as the SDK has them.
//!
//! What the contract does not show (GitHub's ids, launch templates) is made up.

use std::collections::BTreeMap;

use stoker_core::class::{Capacity, RunnerClass, Scalar};
use stoker_core::distribution::{Choice, Distribution, Release, SyncPlan};
use stoker_core::ids::{ClassName, JobKey};
use stoker_core::limits::RunnerMode;
use stoker_core::plan::{Basis, Fate, Plan, PolicyLevel, ScaleDownPlan, ZoneTime};
use stoker_core::situation::{
    ClassFacts, Headroom, LabelSet, PendingJob, PhaseFacts, Recent, RepositoryFacts, RunnerFacts,
    ScopeName, Situation, Spend, Trigger,
};
use stoker_core::time::Timestamp;
use stoker_intake::{CheckRunId, RepositoryId, Visibility};
use stoker_policy_sdk::{facts, scale_down, scale_up, sync};

/// A situation as the host has it: what is recorded, the level, and what the host adds.
pub fn situation(from: &facts::Situation) -> (Situation, PolicyLevel, Basis) {
    let shown = Situation {
        now: Timestamp(from.now.into()),
        seed: from.seed,
        scope: ScopeName {
            owner: from.scope.owner.clone(),
            repository: from.scope.repository.clone(),
        },
        trigger: match from.trigger {
            facts::Trigger::Jobs | facts::Trigger::Other(_) => Trigger::Jobs,
            facts::Trigger::Tick => Trigger::Tick,
            facts::Trigger::Fleet => Trigger::Fleet,
            facts::Trigger::Policy => Trigger::Policy,
        },
        mode: mode(from),
        repositories: (1..).zip(&from.repositories).map(repository).collect(),
        label_sets: from
            .label_sets
            .iter()
            .map(|set| LabelSet {
                labels: set.labels.clone(),
                fits: set.fits.iter().map(|&class| index(class)).collect(),
            })
            .collect(),
        classes: from.classes.iter().map(class).collect(),
        pending: (1..).zip(&from.pending).map(job).collect(),
        pending_unseen: from.pending_unseen,
        runners: from.runners.iter().map(runner).collect(),
        headroom: Headroom {
            runners_maximum: from.headroom.runners_maximum,
            runners_left: from.headroom.runners_left,
            deployment_left: u32::MAX,
            launches_left: from.headroom.launches_left,
            registrations_left: from.headroom.registrations_left,
            registrations_reset: from.headroom.registrations_reset,
            spend_left: from.headroom.spend_left,
        },
        spend: Spend {
            this_hour: from.spend.this_hour,
            today: from.spend.today,
            this_month: from.spend.this_month,
        },
    };
    let level = match from.level {
        facts::PolicyLevel::BuiltIn => PolicyLevel::BuiltIn,
        facts::PolicyLevel::Default => PolicyLevel::Default,
        facts::PolicyLevel::Organisation => PolicyLevel::Organization,
        facts::PolicyLevel::Repository => PolicyLevel::Repository,
    };
    let repository_settings: BTreeMap<usize, String> = from
        .repositories
        .iter()
        .enumerate()
        .filter_map(|(place, repository)| Some((place, repository.settings.clone()?)))
        .collect();
    let basis = Basis {
        settings: from.settings.clone(),
        repository_settings,
        zones: from.zones.iter().map(zone).collect(),
    };
    (shown, level, basis)
}

fn index(reference: u32) -> usize {
    usize::try_from(reference).unwrap_or(usize::MAX)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn mode(from: &facts::Situation) -> RunnerMode {
    let persistent = from.attributes.iter().any(|attribute| {
        attribute.key == "runner-mode"
            && attribute.value == facts::Scalar::Text("persistent".to_owned())
    });
    if persistent {
        RunnerMode::Persistent
    } else {
        RunnerMode::Ephemeral
    }
}

fn zone(from: &facts::ZoneTime) -> ZoneTime {
    ZoneTime {
        zone: from.zone.clone(),
        year: from.year,
        month: from.month,
        day: from.day,
        weekday: from.weekday,
        hour: from.hour,
        minute: from.minute,
        utc_offset: from.utc_offset,
        next_change: from.next_change,
    }
}

/// The time in a zone as the contract has it.
pub fn zone_facts(from: &ZoneTime) -> facts::ZoneTime {
    facts::ZoneTime {
        zone: from.zone.clone(),
        year: from.year,
        month: from.month,
        day: from.day,
        weekday: from.weekday,
        hour: from.hour,
        minute: from.minute,
        utc_offset: from.utc_offset,
        next_change: from.next_change,
    }
}

fn repository((id, from): (u64, &facts::Repository)) -> RepositoryFacts {
    RepositoryFacts {
        id: RepositoryId::new(id),
        name: from.name.clone(),
        visibility: match from.visibility {
            facts::Visibility::Public => Visibility::Public,
            facts::Visibility::Private => Visibility::Private,
            facts::Visibility::Internal => Visibility::Internal,
        },
        waiting_jobs: from.waiting_jobs,
        running_jobs: from.running_jobs,
        maximum: from.maximum,
        left: from.left,
        spent_today: from.spent_today,
    }
}

fn class(from: &facts::RunnerClass) -> ClassFacts {
    let recent = |from: facts::Recent| Recent {
        launched: from.launched,
        interrupted: from.interrupted,
        refused: from.refused,
        boot_median: from.boot_median,
        boot_slowest: from.boot_slowest,
        ..Recent::default()
    };
    ClassFacts {
        refused: None,
        class: RunnerClass {
            name: ClassName(from.name.clone()),
            labels: from.labels.clone(),
            launch_template: "runners".to_owned(),
            launch_template_version: "$Default".to_owned(),
            instance_types: from.instance_types.clone(),
            subnets: Vec::new(),
            maximum: from.maximum,
            spot_price: from.spot_price,
            on_demand_price: from.on_demand_price,
            attributes: from.attributes.iter().map(attribute).collect(),
        },
        left: from.left,
        spot: recent(from.spot),
        on_demand: recent(from.on_demand),
    }
}

fn attribute(from: &facts::Attribute) -> (String, Scalar) {
    let value = match &from.value {
        facts::Scalar::Text(text) => Scalar::Text(text.clone()),
        facts::Scalar::Number(number) => Scalar::Number(*number),
        facts::Scalar::Truth(truth) => Scalar::Truth(*truth),
    };
    (from.key.clone(), value)
}

fn job((id, from): (u64, &facts::Job)) -> PendingJob {
    PendingJob {
        key: JobKey {
            repository: RepositoryId::new(u64::from(from.repository) + 1),
            check_run: CheckRunId::new(id),
        },
        repository: index(from.repository),
        labels: index(from.labels),
        workflow: from.workflow.clone(),
        name: from.name.clone(),
        branch: from.branch.clone(),
        attempt: from.attempt,
        waited: from.waited,
        deferrals: from.deferrals,
        last_deferral: from.last_deferral.clone(),
        interrupted: from.interrupted,
    }
}

fn runner(from: &facts::Runner) -> RunnerFacts {
    RunnerFacts {
        name: from.name.clone(),
        class: index(from.runner_class),
        capacity: match from.capacity {
            facts::Capacity::Spot => Capacity::Spot,
            facts::Capacity::OnDemand => Capacity::OnDemand,
        },
        phase: match from.phase {
            facts::RunnerPhase::Launching => PhaseFacts::Launching,
            facts::RunnerPhase::Booting => PhaseFacts::Booting,
            facts::RunnerPhase::Idle => PhaseFacts::Idle,
            facts::RunnerPhase::Busy => PhaseFacts::Busy,
            facts::RunnerPhase::Retiring => PhaseFacts::Retiring,
            facts::RunnerPhase::Unknown => PhaseFacts::Unknown,
        },
        launched_for: from.launched_for.map(index),
        serves: from.serves.map(index),
        age: from.age,
        in_phase: from.in_phase,
        price: from.price,
    }
}

/// A plan as the SDK has it.
pub fn plan(from: Plan) -> scale_up::Plan {
    let positions = |places: Vec<usize>| places.into_iter().map(position).collect();
    scale_up::Plan {
        launches: from
            .launches
            .into_iter()
            .map(|launch| scale_up::Launch {
                runner_class: position(launch.class),
                capacity: match launch.capacity {
                    Capacity::Spot => facts::Capacity::Spot,
                    Capacity::OnDemand => facts::Capacity::OnDemand,
                },
                count: launch.count,
                launched_for: launch.launched_for.map(position),
                jobs: positions(launch.jobs),
                reason: launch.reason,
            })
            .collect(),
        deferrals: from
            .deferrals
            .into_iter()
            .map(|deferral| scale_up::Deferral {
                jobs: positions(deferral.jobs),
                retry_after: deferral.retry_after,
                reason: deferral.reason,
            })
            .collect(),
        notes: from.notes,
        attributes: Vec::new(),
    }
}

/// Verdicts as the SDK has them.
pub fn verdicts(from: ScaleDownPlan) -> scale_down::Plan {
    scale_down::Plan {
        verdicts: from
            .verdicts
            .into_iter()
            .map(|verdict| scale_down::Verdict {
                runners: verdict.runners.into_iter().map(position).collect(),
                fate: match verdict.fate {
                    Fate::Keep => scale_down::Fate::Keep,
                    Fate::Retire => scale_down::Fate::Retire,
                },
                reason: verdict.reason,
            })
            .collect(),
        notes: from.notes,
        attributes: Vec::new(),
    }
}

/// A distribution as the host has it, and what the host adds.
pub fn distribution(from: &sync::Situation) -> (Distribution, Basis) {
    let shown = Distribution {
        now: Timestamp(from.now.into()),
        releases: from
            .releases
            .iter()
            .map(|release| Release {
                version: release.version.clone(),
                age: release.age,
                prerelease: release.prerelease,
                platforms: release.platforms.clone(),
                mirrored: release.mirrored.clone(),
                offered: release.offered,
            })
            .collect(),
        minimum_version: from.minimum_version.clone(),
    };
    let basis = Basis {
        settings: from.settings.clone(),
        ..Basis::default()
    };
    (shown, basis)
}

/// A plan for the distribution as the SDK has it.
pub fn sync_plan(from: SyncPlan) -> sync::Plan {
    let choice = |choice: Choice| sync::Choice {
        version: choice.version,
        reason: choice.reason,
    };
    sync::Plan {
        mirror: from.mirror.into_iter().map(choice).collect(),
        offer: from.offer.map(choice),
        delete: from.delete.into_iter().map(choice).collect(),
        notes: from.notes,
        attributes: Vec::new(),
    }
}
