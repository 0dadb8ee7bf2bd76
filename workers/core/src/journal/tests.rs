use super::*;
use crate::contract::fixtures::Fixtures;
use crate::control::Ticked;

fn name(part: u64) -> RecordName {
    RecordName::new(Timestamp(1_764_052_267), part)
}

#[test]
fn a_record_is_named_after_its_time_and_read_by_its_name() {
    let name = name(0xab);
    assert_eq!(name.as_str(), "2025/11/25/06/3107-00000000000000ab");
    assert_eq!(name.as_str().parse(), Ok(name));
    for wrong in [
        "",
        "2025/11/25/06",
        "../../../../3107-00000000000000ab",
        "2025/11/25/06/3107",
    ] {
        assert!(wrong.parse::<RecordName>().is_err(), "{wrong}");
    }
}

#[test]
fn a_story_keeps_its_beginning_and_its_end() {
    let mut story = Story::default();
    for part in 0..100 {
        assert!(story.add(Some(name(part))));
        assert!(!story.add(Some(name(part))));
    }
    assert!(!story.add(None));
    let kept: Vec<u64> = (0..8).chain(84..100).collect();
    let expected: Vec<RecordName> = kept.into_iter().map(name).collect();
    assert_eq!(story.records(), expected);
}

struct Nobody;

impl Reporter for Nobody {
    fn report(&self, _: Timestamp, _: &Happening) {}
}

#[test]
fn what_happens_at_a_turn_is_in_the_record_that_was_named_before_it() {
    let recorder = Recorder::new(Arc::new(Nobody));
    assert_eq!(recorder.record(), None);
    assert!(recorder.next(|| name(1)).is_empty());
    let trouble = |problem: &str| Happening::Trouble {
        scope: None,
        problem: problem.to_owned(),
    };
    recorder.report(Timestamp(1), &trouble("one"));
    assert!(
        recorder
            .next(|| name(2))
            .iter()
            .all(|w| w.name() == &name(1))
    );
    // Its name was asked for before the turn.
    recorder.report(Timestamp(2), &trouble("two"));
    let told = |writing: &Writing| {
        let lines = unpacked(&writing.packed().unwrap()).unwrap();
        let problem = |line: &Line| line.event["problem"].as_str().unwrap().to_owned();
        lines.iter().map(problem).collect::<Vec<_>>()
    };
    let written = recorder.next(|| name(3));
    assert_eq!(told(&written[0]), ["one", "two"]);
    assert_eq!(told(&written[1]), ["two"]);
    assert_eq!(recorder.record(), Some(name(3)));
    // While nothing happens no record is begun, though the clock ticks.
    recorder.report(Timestamp(9), &Happening::Ticked(Ticked::default()));
    assert_eq!(recorder.next(|| name(4)).len(), 1);
    assert!(recorder.next(|| name(5)).is_empty());
    assert_eq!(recorder.record(), Some(name(3)));
    assert!(recorder.end().is_empty());
}

#[test]
fn what_was_written_is_read_back() {
    let mut writing = Writing::new(name(1));
    assert!(writing.is_empty());
    let happening = Happening::Trouble {
        scope: None,
        problem: "größe\n".to_owned(),
    };
    writing.happened(Timestamp(7), &happening);
    let lines = unpacked(&writing.packed().unwrap()).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].at, Timestamp(7));
    assert_eq!(lines[0].event["problem"], "größe\n");
    assert!(unpacked(b"nothing").is_err());
}

#[test]
fn what_a_newer_stoker_wrote_is_not_misread() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed
        .write_all(b"{\"schema\": 2, \"at\": \"now\", \"event\": 1}\n")
        .unwrap();
    let told = unpacked(&packed.finish().unwrap()).unwrap_err();
    assert!(told.contains("newer Stoker"), "{told}");
}

#[test]
fn a_situation_that_repeats_is_written_once_and_read_with_each_decision() {
    let fixtures = Fixtures::new(Timestamp(1_800_000_000), 1);
    let situation = |seed: u32| -> Situation {
        serde_json::from_value(json!({
            "now": 1_800_000_000_u64, "seed": seed, "scope": {"owner": "acme", "repository": null},
            "mode": "ephemeral", "repositories": [], "label_sets": [], "classes": [], "pending": [],
            "pending_unseen": 0, "runners": [],
            "headroom": {"runners_maximum": 1, "runners_left": 1, "launches_left": 1,
                "registrations_left": 1, "registrations_reset": 0},
        }))
        .unwrap()
    };
    let decision = Decision {
        id: fixtures.decision(0, 0),
        scope: fixtures.scope(0),
        scope_name: "acme".to_owned(),
        by: crate::plan::DecidedBy {
            policy: "default".to_owned(),
            level: crate::plan::PolicyLevel::BuiltIn,
            digest: None,
            generation: None,
            fuel: None,
        },
        fallback: None,
        pending: 0,
        runners: 0,
        launches: Vec::new(),
        deferrals: Vec::new(),
        edits: Vec::new(),
        notes: Vec::new(),
    };
    let mut writing = Writing::new(name(1));
    for seed in [1, 1, 2] {
        let considered = Considered {
            situation: &situation(seed),
            basis: &Basis::default(),
            plan: &Plan::default(),
        };
        writing.decided(Timestamp(7), &decision, &considered);
    }
    let written = std::str::from_utf8(&writing.lines).unwrap();
    assert_eq!(written.matches("\"pending_unseen\"").count(), 2);
    let seeds: Vec<u64> = unpacked(&writing.packed().unwrap())
        .unwrap()
        .iter()
        .map(|line| line.situation.as_ref().unwrap()["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds, [1, 1, 2]);
}
