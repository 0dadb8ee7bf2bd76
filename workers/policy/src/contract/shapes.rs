//! The shapes of version 0.1 to and from core's. Macros, because the same shapes exist twice: as the
//! host's side of the component boundary, and as the types that the built-in rules were written with.

/// Builds the contract's situation from core's. A macro, because the same shapes exist twice: as the
/// host's side of the component boundary, and as the types that the built-in rules were written with.
/// Where it is used, `facts` names the module that has them.
macro_rules! situation_into {
    () => {
        /// The situation as the contract has it, for a policy of that level on that basis.
        pub(crate) fn situation(
            from: &stoker_core::situation::Situation,
            level: stoker_core::plan::PolicyLevel,
            basis: &stoker_core::plan::Basis,
        ) -> facts::Situation {
            facts::Situation {
                now: u32::try_from(from.now.0).unwrap_or(u32::MAX),
                zones: basis.zones.iter().map(zone).collect(),
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
                trigger: match from.trigger {
                    stoker_core::situation::Trigger::Jobs => facts::Trigger::Jobs,
                    stoker_core::situation::Trigger::Tick => facts::Trigger::Tick,
                    stoker_core::situation::Trigger::Fleet => facts::Trigger::Fleet,
                    stoker_core::situation::Trigger::Policy => facts::Trigger::Policy,
                },
                settings: basis.settings.clone(),
                repositories: from
                    .repositories
                    .iter()
                    .enumerate()
                    .map(|(place, from)| {
                        repository(from, basis.repository_settings.get(&place).cloned())
                    })
                    .collect(),
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
                attributes: vec![text_attribute(
                    "runner-mode",
                    match from.mode {
                        mode if mode.serves_one_job() => "ephemeral",
                        _ => "persistent",
                    },
                )],
            }
        }

        fn attribute((key, value): (&String, &stoker_core::class::Scalar)) -> facts::Attribute {
            facts::Attribute {
                key: key.clone(),
                value: match value {
                    stoker_core::class::Scalar::Text(text) => facts::Scalar::Text(text.clone()),
                    stoker_core::class::Scalar::Number(number) => facts::Scalar::Number(*number),
                    stoker_core::class::Scalar::Truth(truth) => facts::Scalar::Truth(*truth),
                },
            }
        }

        fn text_attribute(key: &str, value: &str) -> facts::Attribute {
            facts::Attribute {
                key: key.to_owned(),
                value: facts::Scalar::Text(value.to_owned()),
            }
        }

        fn zone(from: &stoker_core::plan::ZoneTime) -> facts::ZoneTime {
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

        fn position(place: usize) -> u32 {
            u32::try_from(place).unwrap_or(u32::MAX)
        }

        fn capacity(from: stoker_core::class::Capacity) -> facts::Capacity {
            match from {
                stoker_core::class::Capacity::Spot => facts::Capacity::Spot,
                stoker_core::class::Capacity::OnDemand => facts::Capacity::OnDemand,
            }
        }

        fn repository(
            from: &stoker_core::situation::RepositoryFacts,
            settings: Option<String>,
        ) -> facts::Repository {
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
                settings,
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
            let recent = |from: stoker_core::situation::Recent| facts::Recent {
                launched: from.launched,
                interrupted: from.interrupted,
                refused: from.refused,
                boot_median: from.boot_median,
                boot_slowest: from.boot_slowest,
            };
            facts::RunnerClass {
                name: from.class.name.0.clone(),
                labels: from.class.labels.clone(),
                instance_types: from.class.instance_types.clone(),
                maximum: from.class.maximum,
                left: from.left,
                spot_price: from.class.spot_price,
                on_demand_price: from.class.on_demand_price,
                spot: recent(from.spot),
                on_demand: recent(from.on_demand),
                attributes: from.class.attributes.iter().map(attribute).collect(),
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
                interrupted: from.interrupted,
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
            use $crate::contract::tame::{Unclaimed, launches_fit, notes, position, tame};

            launches_fit(from.launches.len())?;
            let mut jobs = Unclaimed::new(situation.pending.len(), "pending job");
            let mut plan = stoker_core::plan::Plan {
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
                            jobs: jobs.claim(launch.jobs)?,
                            reason: tame(launch.reason),
                        })
                    })
                    .collect::<Result<_, String>>()?,
                deferrals: from
                    .deferrals
                    .into_iter()
                    .map(|deferral| {
                        Ok(stoker_core::plan::Deferral {
                            jobs: jobs.claim(deferral.jobs)?,
                            retry_after: deferral.retry_after,
                            reason: tame(deferral.reason),
                        })
                    })
                    .collect::<Result<_, String>>()?,
                notes: notes(from.notes),
            };
            plan.deferrals.retain(|deferral| !deferral.jobs.is_empty());
            jobs.note_repeated(&mut plan.notes);
            Ok(plan)
        }
    };
}

/// Builds core's verdicts from the contract's, checked like a plan.
macro_rules! verdicts_from {
    ($plan:path, $fate:path) => {
        /// The verdicts as core has them.
        ///
        /// # Errors
        /// Names the position that does not exist.
        pub(crate) fn verdicts(
            from: $plan,
            situation: &stoker_core::situation::Situation,
        ) -> Result<stoker_core::plan::ScaleDownPlan, String> {
            use $crate::contract::tame::{notes, positions, tame};
            use $fate as Fate;

            let runners = situation.runners.len();
            Ok(stoker_core::plan::ScaleDownPlan {
                verdicts: from
                    .verdicts
                    .into_iter()
                    .map(|verdict| {
                        Ok(stoker_core::plan::Verdict {
                            runners: positions(verdict.runners, runners, "runner")?,
                            fate: match verdict.fate {
                                Fate::Keep => stoker_core::plan::Fate::Keep,
                                Fate::Retire => stoker_core::plan::Fate::Retire,
                            },
                            reason: tame(verdict.reason),
                        })
                    })
                    .collect::<Result<_, String>>()?,
                notes: notes(from.notes),
            })
        }
    };
}

/// Builds the contract's view of the distribution from core's, and core's plan for it from the
/// contract's. Where it is used, `sync` names the module that has the contract's types.
macro_rules! sync_shapes {
    () => {
        /// The distribution as the contract has it.
        pub(crate) fn distribution(
            from: &stoker_core::distribution::Distribution,
            basis: &stoker_core::plan::Basis,
        ) -> sync::Situation {
            sync::Situation {
                now: u32::try_from(from.now.0).unwrap_or(u32::MAX),
                settings: basis.settings.clone(),
                releases: from
                    .releases
                    .iter()
                    .map(|release| sync::Release {
                        version: release.version.clone(),
                        age: release.age,
                        prerelease: release.prerelease,
                        platforms: release.platforms.clone(),
                        mirrored: release.mirrored.clone(),
                        offered: release.offered,
                        attributes: Vec::new(),
                    })
                    .collect(),
                minimum_version: from.minimum_version.clone(),
                attributes: Vec::new(),
            }
        }

        /// The plan as core has it.
        ///
        /// # Errors
        /// Names the version that is not among the releases.
        pub(crate) fn sync_plan(
            from: sync::Plan,
            distribution: &stoker_core::distribution::Distribution,
        ) -> Result<stoker_core::distribution::SyncPlan, String> {
            use $crate::contract::tame::{each_once, notes, release, tame};

            let choice = |from: sync::Choice| {
                Ok::<_, String>(stoker_core::distribution::Choice {
                    version: release(from.version, distribution)?,
                    reason: tame(from.reason),
                })
            };
            Ok(stoker_core::distribution::SyncPlan {
                mirror: each_once(
                    from.mirror
                        .into_iter()
                        .map(choice)
                        .collect::<Result<_, _>>()?,
                ),
                offer: from.offer.map(choice).transpose()?,
                delete: each_once(
                    from.delete
                        .into_iter()
                        .map(choice)
                        .collect::<Result<_, _>>()?,
                ),
                notes: notes(from.notes),
            })
        }
    };
}

pub(crate) use plan_from;
pub(crate) use situation_into;
pub(crate) use sync_shapes;
pub(crate) use verdicts_from;
