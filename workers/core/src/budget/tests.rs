use proptest::prelude::*;

use super::*;

const RATES: Rates = Rates {
    points_a_minute: Some(870),
    registrations_an_hour: Some(10_000),
};

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_800_000_000 + seconds)
}

fn granted(budget: &mut Budget, wanted: u32, rates: &Rates, now: u64) -> (u32, u64) {
    let reserved = budget.reserve(wanted, rates, at(now));
    (reserved.count, reserved.from.0 - at(0).0)
}

#[test]
fn a_minute_has_so_many_registrations_and_the_next_has_as_many_again() {
    let mut budget = Budget::default();
    assert_eq!(granted(&mut budget, 1_000, &RATES, 0), (174, 0));
    assert_eq!(granted(&mut budget, 1, &RATES, 55), (0, 55));
    assert_eq!(budget.frees(&RATES, at(20)), 36);
    // They are reserved shortly before they may be made.
    assert_eq!(granted(&mut budget, 1_000, &RATES, 57), (174, 60));
}

#[test]
fn what_was_not_asked_for_is_free_again_and_what_was_counts_from_when_it_was() {
    let mut budget = Budget::default();
    let reserved = budget.reserve(1_000, &RATES, at(0));
    budget.settle(reserved, 100, &RATES, at(6));
    assert_eq!(granted(&mut budget, 1_000, &RATES, 7), (74, 7));
    // The hundred of until the end of second 6.
    assert_eq!(granted(&mut budget, 1_000, &RATES, 62), (0, 62));
    assert_eq!(granted(&mut budget, 1_000, &RATES, 63), (174, 67));
}

#[test]
fn github_s_word_closes_it_and_is_never_shortened() {
    let mut budget = Budget::default();
    budget.close(at(30));
    budget.close(at(10));
    assert_eq!(budget.registrations_left(&RATES, at(25)), 0);
    assert_eq!(budget.frees(&RATES, at(10)), 16);
    assert_eq!(granted(&mut budget, 1_000, &RATES, 26), (174, 30));
}

#[test]
fn removals_take_a_part_of_a_minute_at_a_time_and_all_of_it_if_nobody_else_wants_any() {
    let mut budget = Budget::default();
    let mut removed = 0;
    for second in 0..60 {
        removed += budget.reserve_removals(1_000, &RATES, at(second));
    }
    assert_eq!(removed, 174);
    // What is left of the minute is for registrations.
    let mut budget = Budget::default();
    assert_eq!(budget.reserve_removals(1_000, &RATES, at(0)), 29);
    assert_eq!(budget.removals_free(&RATES, at(3)), 7);
    assert_eq!(granted(&mut budget, 1_000, &RATES, 3), (145, 3));
    // They wanted more, so they are first.
    assert!(budget.is_short(at(62)) && !budget.is_short(at(63)));
    assert_eq!(budget.reserve_removals(1_000, &RATES, at(60)), 0);
    assert_eq!(budget.removals_free(&RATES, at(60)), 3);
    assert_eq!(budget.reserve_removals(1_000, &RATES, at(63)), 29);
}

#[test]
fn removals_obey_github_s_word_and_count_what_was_read() {
    let mut budget = Budget::default();
    budget.close(at(30));
    assert_eq!(budget.reserve_removals(1, &RATES, at(29)), 0);
    assert_eq!(budget.reserve_removals(1, &Rates::UNLIMITED, at(29)), 0);
    assert_eq!(budget.removals_free(&Rates::UNLIMITED, at(29)), 1);
    assert_eq!(budget.points_left(&RATES, at(29)), Some(0));
    assert_eq!(budget.reserve_removals(7, &Rates::UNLIMITED, at(30)), 7);
    budget.note_reads(868, &RATES, at(30));
    assert_eq!(budget.reserve_removals(1, &RATES, at(31)), 0);
    assert_eq!(budget.points_left(&RATES, at(31)), Some(2));
    assert_eq!(budget.removals_free(&RATES, at(31)), 59);
}

#[test]
fn redeliveries_get_a_tenth_and_wait_for_who_goes_before() {
    let mut budget = Budget::default();
    assert_eq!(budget.reserve_redeliveries(100, &RATES, at(0)), 17);
    assert_eq!(budget.reserve_redeliveries(100, &RATES, at(49)), 0);
    assert_eq!(granted(&mut budget, 1_000, &RATES, 50).0, 157);
    // Registrations wanted more.
    assert_eq!(budget.reserve_redeliveries(100, &RATES, at(60)), 0);
    assert_eq!(budget.reserve_redeliveries(100, &RATES, at(111)), 17);
    budget.close(at(200));
    assert_eq!(
        budget.reserve_redeliveries(1, &Rates::UNLIMITED, at(199)),
        0
    );
}

#[test]
fn an_hour_has_an_end_too() {
    let rates = Rates {
        registrations_an_hour: Some(200),
        ..RATES
    };
    let mut budget = Budget::default();
    assert_eq!(granted(&mut budget, 174, &rates, 0).0, 174);
    assert_eq!(granted(&mut budget, 174, &rates, 60).0, 26);
    assert_eq!(granted(&mut budget, 1, &rates, 120).0, 0);
    assert!(budget.frees(&rates, at(120)) > 3_000);
    assert_eq!(granted(&mut budget, 174, &rates, 3_660).0, 174);
}

#[test]
fn a_scope_gets_what_the_others_leave() {
    let (one, other) = ("org-1".parse().unwrap(), "org-2".parse().unwrap());
    let (first, second) = (ScopeVersion(1), ScopeVersion(2));
    let mut census = Census::default();
    assert_eq!(census.reserve(one, first, 3, 4, 10, at(0)), 4);
    assert_eq!(census.left(other, 1, 10, at(1)), 2);
    // Another act on the same scope has no room beside it, nor does it take any away.
    assert_eq!(census.reserve(one, first, 3, 2, 10, at(1)), 2);
    assert_eq!(census.left(other, 1, 10, at(1)), 2);
    // What was launched is there, and what is of before it says nothing.
    census.note(one, second, 7, at(2));
    census.note(one, first, 0, at(3));
    assert_eq!(census.reserve(one, first, 0, 5, 10, at(3)), 0);
    assert_eq!(census.left(other, 1, 10, at(3)), 2);
    census.note(one, second, 0, at(4));
    assert_eq!(census.left(other, 1, 10, at(4)), 9);
}

#[test]
fn what_an_act_that_died_had_reserved_is_free_again_when_no_lambda_lives_so_long() {
    let (one, other) = ("org-1".parse().unwrap(), "org-2".parse().unwrap());
    let mut census = Census::default();
    census.reserve(one, ScopeVersion(1), 0, 10, 10, at(0));
    assert_eq!(census.left(other, 0, 10, at(899)), 0);
    assert_eq!(census.left(other, 0, 10, at(900)), 10);
}

proptest! {
    /// Each act asks for what it reserved some time later, and dies before that now and then.
    #[test]
    fn no_minute_and_no_hour_ever_has_more(
        asks in prop::collection::vec(
            (0_u64..40, 0_u32..300, 0_u64..3, prop::option::of(0_u32..300), any::<bool>()),
            1..200,
        ),
    ) {
        let mut budget = Budget::default();
        let mut now = 0;
        let mut made = Vec::new();
        for (later, wanted, takes, asked, at_once) in asks {
            now += later;
            let reserved = budget.reserve(wanted, &RATES, at(now));
            prop_assert!(reserved.from >= at(now) && reserved.from <= ahead(at(now)));
            let asked = asked.map_or(reserved.count, |asked| asked.min(reserved.count));
            let last = Timestamp(reserved.from.0 + takes);
            budget.settle(reserved, asked, &RATES, last);
            // As GitHub counts them: all at once, or late in the last second.
            made.push((if at_once { reserved.from.0 } else { last.0 + 1 }, asked));
            now = now.max(last.0 - at(0).0);
        }
        for (start, _) in &made {
            let within = |length: u64| made.iter()
                .filter(|(at, _)| (*start..start + length).contains(at))
                .map(|(_, count)| count).sum::<u32>();
            prop_assert!(within(MINUTE) * POINTS_A_WRITE <= 870);
            // An hour's grain is a minute, so what is counted may be forgotten a minute early.
            prop_assert!(within(HOUR - MINUTE) <= 10_000);
        }
    }
}
