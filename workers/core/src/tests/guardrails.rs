use proptest::prelude::*;

use super::{NOW, class, operation};
use crate::class::Capacity;
use crate::guardrails::{LAUNCHES_PER_DECISION, Rule, clamp};
use crate::plan::{Launch, Plan};
use crate::ports::ScopeState;
use crate::situation::{ScopeName, Situation, Trigger, situation};

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
fn a_capacity_without_a_price_is_not_launched() {
    let granted = clamp(&plan(vec![launch(1, Capacity::Spot, 1)]), &room());
    assert!(granted.launches().is_empty());
    assert_eq!(granted.edits()[0].rule, Rule::CapacityNotOffered);
}

#[test]
fn what_is_within_the_limits_passes_untouched() {
    let wanted = plan(vec![launch(0, Capacity::OnDemand, 2)]);
    let granted = clamp(&wanted, &room());
    assert_eq!(granted.launches(), wanted.launches);
    assert!(granted.edits().is_empty());
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
        let granted = clamp(&plan(launches), &room);
        let total: u32 = granted.launches().iter().map(|l| l.count).sum();
        prop_assert!(total <= room.headroom.runners_left);
        prop_assert!(granted.launches().len() <= LAUNCHES_PER_DECISION);
        for (place, class) in room.classes.iter().enumerate() {
            let of_class: u32 = granted.launches().iter()
                .filter(|l| l.class == place).map(|l| l.count).sum();
            prop_assert!(of_class <= class.left);
        }
    }
}
