//! The contract with policies, one module per version. Types in WIT match exactly, so any change of a
//! type is a new version beside this one.

pub(crate) mod tame;

pub(crate) mod v0_1;

/// Builds the contract's situation from core's. A macro, because the same shapes exist twice: as the
/// host's side of the component boundary, and as the types that the built-in rules were written with.
/// Where it is used, `facts` names the module that has them.
macro_rules! situation_into {
    () => {
        /// The situation as the contract has it, for a policy of that level with those settings.
        pub(crate) fn situation(
            from: &stoker_core::situation::Situation,
            level: stoker_core::plan::PolicyLevel,
            settings: String,
        ) -> facts::Situation {
            facts::Situation {
                now: u32::try_from(from.now.0).unwrap_or(u32::MAX),
                zones: Vec::new(),
                seed: from.seed,
                scope: facts::Scope {
                    owner: from.scope.owner.clone(),
                    repository: from.scope.repository.clone(),
                },
                level: match level {
                    stoker_core::plan::PolicyLevel::BuiltIn => facts::PolicyLevel::BuiltIn,
                    stoker_core::plan::PolicyLevel::Default => facts::PolicyLevel::Default,
                    stoker_core::plan::PolicyLevel::Organization => {
                        facts::PolicyLevel::Organisation
                    }
                    stoker_core::plan::PolicyLevel::Repository => facts::PolicyLevel::Repository,
                },
                trigger: facts::Trigger::Jobs,
                settings,
                repositories: from.repositories.iter().map(repository).collect(),
                label_sets: from.label_sets.iter().map(label_set).collect(),
                classes: from.classes.iter().map(class).collect(),
                pending: from.pending.iter().map(job).collect(),
                pending_unseen: from.pending_unseen,
                runners: from.runners.iter().map(runner).collect(),
                headroom: facts::Headroom {
                    runners_maximum: from.headroom.runners_maximum,
                    runners_left: from.headroom.runners_left,
                    launches_left: from.headroom.launches_left,
                    registrations_left: from.headroom.registrations_left,
                    registrations_reset: from.headroom.registrations_reset,
                    spend_left: from.headroom.spend_left,
                },
                spend: facts::Spend {
                    this_hour: from.spend.this_hour,
                    today: from.spend.today,
                    this_month: from.spend.this_month,
                },
                attributes: Vec::new(),
            }
        }

        fn position(place: usize) -> u32 {
            u32::try_from(place).unwrap_or(u32::MAX)
        }

        fn capacity(from: stoker_core::class::Capacity) -> facts::Capacity {
            match from {
                stoker_core::class::Capacity::Spot => facts::Capacity::Spot,
                stoker_core::class::Capacity::OnDemand => facts::Capacity::OnDemand,
            }
        }

        fn repository(from: &stoker_core::situation::RepositoryFacts) -> facts::Repository {
            facts::Repository {
                name: from.name.clone(),
                visibility: match from.visibility {
                    stoker_intake::Visibility::Public => facts::Visibility::Public,
                    stoker_intake::Visibility::Private => facts::Visibility::Private,
                    stoker_intake::Visibility::Internal => facts::Visibility::Internal,
                },
                maximum: from.maximum,
                left: from.left,
                waiting_jobs: from.waiting_jobs,
                running_jobs: from.running_jobs,
                spent_today: from.spent_today,
                settings: None,
                attributes: Vec::new(),
            }
        }

        fn label_set(from: &stoker_core::situation::LabelSet) -> facts::LabelSet {
            facts::LabelSet {
                labels: from.labels.clone(),
                fits: from.fits.iter().map(|&place| position(place)).collect(),
            }
        }

        fn class(from: &stoker_core::situation::ClassFacts) -> facts::RunnerClass {
            let recent = || facts::Recent {
                launched: 0,
                interrupted: 0,
                refused: 0,
                boot_median: None,
                boot_slowest: None,
            };
            facts::RunnerClass {
                name: from.class.name.0.clone(),
                labels: from.class.labels.clone(),
                instance_types: from.class.instance_types.clone(),
                maximum: from.class.maximum,
                left: from.left,
                spot_price: from.class.spot_price,
                on_demand_price: from.class.on_demand_price,
                spot: recent(),
                on_demand: recent(),
                attributes: Vec::new(),
            }
        }

        fn job(from: &stoker_core::situation::PendingJob) -> facts::Job {
            facts::Job {
                repository: position(from.repository),
                labels: position(from.labels),
                workflow: from.workflow.clone(),
                name: from.name.clone(),
                branch: from.branch.clone(),
                attempt: from.attempt,
                waited: from.waited,
                deferrals: from.deferrals,
                last_deferral: from.last_deferral.clone(),
                interrupted: false,
                attributes: Vec::new(),
            }
        }

        fn runner(from: &stoker_core::situation::RunnerFacts) -> facts::Runner {
            facts::Runner {
                name: from.name.clone(),
                runner_class: position(from.class),
                capacity: capacity(from.capacity),
                phase: match from.phase {
                    stoker_core::situation::PhaseFacts::Launching => facts::RunnerPhase::Launching,
                    stoker_core::situation::PhaseFacts::Booting => facts::RunnerPhase::Booting,
                    stoker_core::situation::PhaseFacts::Idle => facts::RunnerPhase::Idle,
                    stoker_core::situation::PhaseFacts::Busy => facts::RunnerPhase::Busy,
                    stoker_core::situation::PhaseFacts::Retiring => facts::RunnerPhase::Retiring,
                    stoker_core::situation::PhaseFacts::Unknown => facts::RunnerPhase::Unknown,
                },
                launched_for: from.launched_for.map(position),
                serves: from.serves.map(position),
                age: from.age,
                in_phase: from.in_phase,
                price: from.price,
                attributes: Vec::new(),
            }
        }
    };
}

/// Builds core's plan from the contract's, checked against the situation that it answers: every
/// position exists, and strings are tamed.
macro_rules! plan_from {
    ($scale_up:path, $capacity:path) => {
        /// The plan as core has it.
        ///
        /// # Errors
        /// Names the position that does not exist.
        pub(crate) fn plan(
            from: $scale_up,
            situation: &stoker_core::situation::Situation,
        ) -> Result<stoker_core::plan::Plan, String> {
            use $capacity as Capacity;
            use $crate::contract::tame::{position, positions, tame};

            let jobs = situation.pending.len();
            Ok(stoker_core::plan::Plan {
                launches: from
                    .launches
                    .into_iter()
                    .map(|launch| {
                        Ok(stoker_core::plan::Launch {
                            class: position(launch.runner_class, situation.classes.len(), "class")?,
                            capacity: match launch.capacity {
                                Capacity::Spot => stoker_core::class::Capacity::Spot,
                                Capacity::OnDemand => stoker_core::class::Capacity::OnDemand,
                            },
                            count: launch.count,
                            launched_for: launch
                                .launched_for
                                .map(|place| {
                                    position(place, situation.repositories.len(), "repository")
                                })
                                .transpose()?,
                            jobs: positions(launch.jobs, jobs, "pending job")?,
                            reason: tame(launch.reason),
                        })
                    })
                    .collect::<Result<_, String>>()?,
                deferrals: from
                    .deferrals
                    .into_iter()
                    .map(|deferral| {
                        Ok(stoker_core::plan::Deferral {
                            jobs: positions(deferral.jobs, jobs, "pending job")?,
                            retry_after: deferral.retry_after,
                            reason: tame(deferral.reason),
                        })
                    })
                    .collect::<Result<_, String>>()?,
                notes: from
                    .notes
                    .into_iter()
                    .take($crate::limits::MOST_NOTES)
                    .map(tame)
                    .collect(),
            })
        }
    };
}

pub(crate) use plan_from;
pub(crate) use situation_into;
