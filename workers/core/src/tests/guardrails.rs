use proptest::prelude::*;

use super::{NOW, class, operation};
use crate::class::Capacity;
use crate::guardrails::{KeepRule, LAUNCHES_PER_DECISION, Rule, clamp, retire};
use crate::limits::{Guards, PublicRepositories};
use crate::plan::{Fate, Launch, Plan, ScaleDownPlan, Verdict};
use crate::ports::ScopeState;
use crate::situation::{Refused, Room, ScopeName, Situation, Trigger, situation};

/// A scope with room for 10 runners, and classes for 3 and 20 of them; the second has no spot price.
fn room() -> Situation {
    let mut second = class("second", &["linux"], 20);
    second.spot_price = None;
    let scope = ScopeName {
        owner: "acme".to_owned(),
        repository: None,
    };
    let operation = operation(vec![class("first", &["linux"], 3), second]);
    situation(
        &operation,
        scope,
        &ScopeState::default(),
        &Room::UNLIMITED,
        Trigger::Jobs,
        NOW,
    )
}

fn launch(class: usize, capacity: Capacity, count: u32) -> Launch {
    Launch {
        class,
        capacity,
        count,
        launched_for: None,
        jobs: Vec::new(),
        reason: "because".to_owned(),
    }
}

fn plan(launches: Vec<Launch>) -> Plan {
    Plan {
        launches,
        ..Plan::default()
    }
}

#[test]
fn a_million_runners_become_what_the_class_and_the_scope_allow_and_each_clamp_is_written_down() {
    let granted = clamp(
        &plan(vec![
            launch(0, Capacity::Spot, 1_000_000),
            launch(1, Capacity::OnDemand, 1_000_000),
        ]),
        &room(),
        &Guards::default(),
    );
    let counts: Vec<u32> = granted.launches().iter().map(|l| l.count).collect();
    assert_eq!(counts, [3, 7]);
    let edits: Vec<(Rule, u32, u32)> = granted
        .edits()
        .iter()
        .map(|edit| (edit.rule, edit.asked, edit.granted))
        .collect();
    assert_eq!(
        edits,
        [
            (Rule::ClassMaximum, 1_000_000, 3),
            (Rule::ClassMaximum, 1_000_000, 20),
            (Rule::ScopeMaximum, 20, 7),
        ]
    );
}

#[test]
fn a_class_that_github_does_not_register_waits_and_then_shows_with_one_runner_whether_it_does() {
    let granted = |paused_for| {
        let mut situation = room();
        situation.classes[1].refused = Some(Refused {
            problem: "no such runner group".to_owned(),
            paused_for,
        });
        let launches = [
            launch(1, Capacity::OnDemand, 2),
            launch(1, Capacity::OnDemand, 2),
            launch(0, Capacity::Spot, 2),
        ];
        let granted = clamp(&plan(launches.to_vec()), &situation, &Guards::default());
        let rules: Vec<Rule> = granted.edits().iter().map(|edit| edit.rule).collect();
        assert_eq!(rules, [Rule::RegistrationRefused]);
        let launches = granted.launches().iter();
        let counts: Vec<(usize, u32)> = launches.map(|l| (l.class, l.count)).collect();
        counts
    };
    assert_eq!(granted(1), [(0, 2)]);
    assert_eq!(granted(0), [(1, 1), (0, 2)]);
}

#[test]
fn a_capacity_without_a_price_is_not_launched() {
    let granted = clamp(
        &plan(vec![launch(1, Capacity::Spot, 1)]),
        &room(),
        &Guards::default(),
    );
    assert!(granted.launches().is_empty());
    assert_eq!(granted.edits()[0].rule, Rule::CapacityNotOffered);
}

#[test]
fn what_is_within_the_limits_passes_untouched() {
    let wanted = plan(vec![launch(0, Capacity::OnDemand, 2)]);
    let granted = clamp(&wanted, &room(), &Guards::default());
    assert_eq!(granted.launches(), wanted.launches);
    assert!(granted.edits().is_empty());
}

/// Ten jobs of a private repository and of a public one in turn wait, and there is room for 10 runners.
fn two_repositories(maximum: Option<u32>, public: PublicRepositories) -> Situation {
    use stoker_intake::{RepositoryId, Visibility};

    use crate::job::Job;

    let jobs = (0..10_u64).map(|n| Job {
        key: crate::ids::JobKey {
            repository: RepositoryId::new(n % 2 + 1),
            ..super::fixtures().job_key(n)
        },
        repository: format!("repository-{}", n % 2),
        visibility: if n % 2 == 0 {
            Visibility::Private
        } else {
            Visibility::Public
        },
        queued_at: crate::time::Timestamp(NOW.0 - 60 + n),
        ..super::fixtures().job(1, n)
    });
    let state = ScopeState {
        jobs: jobs.collect(),
        ..ScopeState::default()
    };
    let mut operation = operation(vec![class("first", &["self-hosted", "linux"], 20)]);
    operation.guards.repository_maximum = maximum;
    operation.guards.public_repositories = public;
    let scope = ScopeName {
        owner: "acme".to_owned(),
        repository: None,
    };
    situation(
        &operation,
        scope,
        &state,
        &Room::UNLIMITED,
        Trigger::Jobs,
        NOW,
    )
}

fn for_all_jobs(situation: &Situation) -> Plan {
    let mut wanted = launch(0, Capacity::Spot, 10);
    wanted.jobs = (0..situation.pending.len()).collect();
    plan(vec![wanted])
}

const OPEN: Guards = Guards {
    public_repositories: PublicRepositories::Admitted,
    repository_maximum: None,
    launches_per_decision: 180,
    registrations_per_decision: 180,
    spend: crate::limits::SpendLimits {
        hour: None,
        day: None,
        month: None,
    },
    spot_failures: None,
};

#[test]
fn jobs_of_public_repositories_get_no_runner_unless_the_operator_wants_it() {
    let situation = two_repositories(None, PublicRepositories::Refused);
    let wanted = for_all_jobs(&situation);
    let granted = clamp(&wanted, &situation, &Guards::default());
    assert_eq!(granted.launches()[0].count, 5);
    assert_eq!(granted.launches()[0].jobs, [0, 2, 4, 6, 8]);
    assert_eq!(granted.edits()[0].rule, Rule::PrivateOnly);
    let cut: Vec<usize> = granted.cut().iter().map(|(job, _)| *job).collect();
    assert_eq!(cut, [1, 3, 5, 7, 9]);
    assert_eq!(clamp(&wanted, &situation, &OPEN).launches()[0].count, 10);

    let mut named = wanted;
    named.launches[0].launched_for = Some(1);
    let granted = clamp(&named, &situation, &Guards::default());
    assert!(granted.launches().is_empty());
}

#[test]
fn a_repository_s_maximum_holds_whether_a_launch_names_it_or_not() {
    let situation = two_repositories(Some(2), PublicRepositories::Admitted);
    let unnamed = for_all_jobs(&situation);
    let granted = clamp(&unnamed, &situation, &OPEN);
    assert_eq!(granted.launches()[0].count, 4);
    assert_eq!(granted.launches()[0].jobs, [0, 1, 2, 3]);
    assert_eq!(granted.cut().len(), 6);
    assert!(
        granted
            .cut()
            .iter()
            .all(|(_, rule)| *rule == Rule::RepositoryMaximum)
    );

    let mut named = unnamed;
    named.launches[0].launched_for = Some(0);
    named.launches.push(named.launches[0].clone());
    let granted = clamp(&named, &situation, &OPEN);
    let counts: Vec<u32> = granted.launches().iter().map(|l| l.count).collect();
    assert_eq!(counts, [2]);
}

#[test]
fn no_rule_is_got_round_by_naming_nobody() {
    // Nobody's runners where both repositories may have two: four between them.
    let situation = two_repositories(Some(2), PublicRepositories::Admitted);
    let nobodys = plan(vec![
        launch(0, Capacity::Spot, 3),
        launch(0, Capacity::Spot, 10),
    ]);
    let granted = clamp(&nobodys, &situation, &OPEN);
    let counts: Vec<u32> = granted.launches().iter().map(|l| l.count).collect();
    assert_eq!(counts, [3, 1]);
    let last = granted.edits().last().unwrap();
    assert_eq!(last.rule, Rule::RepositoryMaximum);

    // One job is named, and many runners are wanted.
    let mut one = plan(vec![launch(0, Capacity::Spot, 10)]);
    one.launches[0].jobs = vec![0];
    let granted = clamp(&one, &situation, &OPEN);
    assert_eq!(granted.launches()[0].count, 4, "its own and what is left");

    // More jobs are named than runners wanted, and none of their repositories has a place.
    let mut full = situation.clone();
    for repository in &mut full.repositories {
        repository.left = 0;
    }
    let mut many = plan(vec![launch(0, Capacity::Spot, 2)]);
    many.launches[0].jobs = vec![0, 1, 2, 3];
    assert!(clamp(&many, &full, &OPEN).launches().is_empty());

    // A public repository that is a scope of its own gets none at all.
    let mut scope = two_repositories(None, PublicRepositories::Refused);
    scope.scope.repository = Some("repository-1".to_owned());
    scope.repositories.remove(0);
    scope.pending.clear();
    let granted = clamp(&nobodys, &scope, &Guards::default());
    assert!(granted.launches().is_empty());
    assert_eq!(granted.edits()[0].rule, Rule::PrivateOnly);
    // Nor does a repository at its maximum that is a scope of its own.
    scope.repositories[0].maximum = Some(2);
    scope.repositories[0].left = 1;
    let granted = clamp(&nobodys, &scope, &OPEN);
    let counts: Vec<u32> = granted.launches().iter().map(|l| l.count).collect();
    assert_eq!(counts, [1]);
}

#[test]
fn public_jobs_that_were_named_beyond_the_runners_wanted_cost_nobody_a_runner() {
    let situation = two_repositories(None, PublicRepositories::Refused);
    let mut wanted = plan(vec![launch(0, Capacity::Spot, 2)]);
    wanted.launches[0].jobs = vec![1, 3, 0, 2];
    let granted = clamp(&wanted, &situation, &Guards::default());
    assert_eq!(granted.launches()[0].jobs, [0, 2]);
    assert_eq!(granted.launches()[0].count, 2);
}

#[test]
fn a_policy_is_shown_no_room_for_a_repository_that_gets_none() {
    let situation = two_repositories(None, PublicRepositories::Refused);
    let left: Vec<u32> = situation.repositories.iter().map(|r| r.left).collect();
    assert_eq!(left, [10, 0]);
}

#[test]
fn budgets_clamp_and_say_so() {
    let with = |change: fn(&mut Situation)| {
        let mut situation = two_repositories(None, PublicRepositories::Admitted);
        change(&mut situation);
        let granted = clamp(&for_all_jobs(&situation), &situation, &OPEN);
        let count = granted.launches().iter().map(|l| l.count).sum::<u32>();
        (granted.edits()[0].rule, count, granted.cut().len())
    };
    let launches = with(|s| s.headroom.launches_left = 4);
    assert_eq!(launches, (Rule::LaunchBudget, 4, 6));
    let registrations = with(|s| s.headroom.registrations_left = 3);
    assert_eq!(registrations, (Rule::RegistrationBudget, 3, 7));
    // An hour costs 0.03 dollars.
    let spend = with(|s| s.headroom.spend_left = Some(0.2));
    assert_eq!(spend, (Rule::SpendLimit, 6, 4));
    let nothing = with(|s| s.headroom.spend_left = Some(0.0));
    assert_eq!(nothing, (Rule::SpendLimit, 0, 10));
}

#[test]
fn an_edit_is_a_sentence() {
    let mut situation = two_repositories(None, PublicRepositories::Admitted);
    situation.headroom.runners_left = 2;
    let granted = clamp(&for_all_jobs(&situation), &situation, &OPEN);
    assert_eq!(
        granted.edits()[0].to_string(),
        "2 of 10 first (spot) granted: the scope's maximum of runners is reached"
    );
}

/// A runner of every phase, the first 100 seconds old.
fn fleet(phases: &[crate::situation::PhaseFacts]) -> Situation {
    let mut situation = room();
    situation.runners = phases
        .iter()
        .zip(1_u32..)
        .map(|(&phase, n)| crate::situation::RunnerFacts {
            name: format!("runner-{n}"),
            class: 0,
            capacity: Capacity::Spot,
            phase,
            launched_for: None,
            serves: None,
            age: 100 * n,
            in_phase: 10,
            price: 0.03,
        })
        .collect();
    situation
}

fn verdict(fate: Fate, runners: &[usize]) -> Verdict {
    Verdict {
        runners: runners.to_vec(),
        fate,
        reason: "surplus".to_owned(),
    }
}

#[test]
fn only_an_idle_runner_that_is_old_enough_and_not_kept_goes() {
    use crate::situation::PhaseFacts as P;

    let situation = fleet(&[
        P::Idle,
        P::Busy,
        P::Unknown,
        P::Booting,
        P::Retiring,
        P::Idle,
        P::Idle,
    ]);
    let plan = ScaleDownPlan {
        verdicts: vec![
            verdict(Fate::Retire, &[0, 1, 2, 3, 4, 5, 6]),
            verdict(Fate::Keep, &[5]),
        ],
        notes: Vec::new(),
    };
    let retirements = retire(&plan, &situation, 150, u32::MAX);
    assert_eq!(retirements.runners(), [(6, "surplus".to_owned())]);
    let kept: Vec<KeepRule> = retirements.kept().iter().map(|kept| kept.rule).collect();
    assert_eq!(
        kept,
        [
            KeepRule::TooYoung,
            KeepRule::Busy,
            KeepRule::Unknown,
            KeepRule::OnItsWay,
            KeepRule::Retiring,
            KeepRule::TwoFates,
        ]
    );
}

proptest! {
    /// No plan, however mad, gets more than the scope and its classes have left, or more launches than
    /// a decision may save.
    #[test]
    fn no_plan_gets_more_than_there_is(
        wanted in prop::collection::vec((0_usize..2, any::<bool>(), any::<u32>()), 0..80)
    ) {
        let launches = wanted.into_iter().map(|(class, spot, count)| {
            launch(class, if spot { Capacity::Spot } else { Capacity::OnDemand }, count)
        }).collect();
        let room = room();
        let granted = clamp(&plan(launches), &room, &Guards::default());
        let total: u32 = granted.launches().iter().map(|l| l.count).sum();
        prop_assert!(total <= room.headroom.runners_left);
        prop_assert!(granted.launches().len() <= LAUNCHES_PER_DECISION);
        for (place, class) in room.classes.iter().enumerate() {
            let of_class: u32 = granted.launches().iter()
                .filter(|l| l.class == place).map(|l| l.count).sum();
            prop_assert!(of_class <= class.left);
        }
    }

    /// What is granted was asked for, and the edits account for every runner that was not.
    #[test]
    fn edits_account_for_what_is_missing(
        wanted in prop::collection::vec((0_usize..2, 0_u32..9, prop::option::of(0_usize..2)), 0..8),
        maximum in prop::option::of(0_u32..6),
        spend in prop::option::of(0.0_f64..0.4),
        registrations in 0_u32..12,
    ) {
        let mut situation = two_repositories(maximum, PublicRepositories::Admitted);
        situation.headroom.spend_left = spend;
        situation.headroom.registrations_left = registrations;
        let launches = wanted.into_iter().enumerate().map(|(place, (_, count, repository))| {
            let mut launch = launch(0, Capacity::Spot, count);
            launch.launched_for = repository;
            launch.jobs = vec![place];
            launch
        }).collect();
        let wanted = plan(launches);
        let granted = clamp(&wanted, &situation, &Guards::default());
        let total = |launches: &[Launch]| launches.iter().map(|l| l.count).sum::<u32>();
        let missing: u32 = granted.edits().iter().map(|edit| edit.asked - edit.granted).sum();
        prop_assert_eq!(total(granted.launches()) + missing, total(&wanted.launches));
        prop_assert!(total(granted.launches()) <= registrations);
        if let Some(spend) = spend {
            prop_assert!(f64::from(total(granted.launches())) * 0.03 <= spend + 1e-9);
        }
        for (job, _) in granted.cut() {
            prop_assert!(granted.launches().iter().all(|launch| !launch.jobs.contains(job)));
        }
    }

    /// Whatever a policy says, no runner goes that is not idle.
    #[test]
    fn only_idle_runners_ever_go(
        phases in prop::collection::vec(prop::sample::select(vec![
            crate::situation::PhaseFacts::Idle,
            crate::situation::PhaseFacts::Busy,
            crate::situation::PhaseFacts::Unknown,
            crate::situation::PhaseFacts::Booting,
            crate::situation::PhaseFacts::Launching,
            crate::situation::PhaseFacts::Retiring,
        ]), 1..12),
        named in prop::collection::vec((any::<bool>(), 0_usize..12), 0..20),
        minimum in 0_u32..900,
    ) {
        let situation = fleet(&phases);
        let verdicts = named.into_iter()
            .filter(|(_, runner)| *runner < phases.len())
            .map(|(keep, runner)| verdict(if keep { Fate::Keep } else { Fate::Retire }, &[runner]))
            .collect();
        let plan = ScaleDownPlan { verdicts, notes: Vec::new() };
        for (runner, _) in retire(&plan, &situation, minimum, u32::MAX).runners() {
            prop_assert_eq!(situation.runners[*runner].phase, crate::situation::PhaseFacts::Idle);
            prop_assert!(situation.runners[*runner].age >= minimum);
        }
    }
}
