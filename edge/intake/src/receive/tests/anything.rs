//! Whatever comes, nothing panics, and what is a job's event survives the queue.

use proptest::prelude::*;

use super::*;

/// Any JSON, with the names of real fields in it often enough to get past the first check.
fn any_payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "queued",
            "completed",
            "created",
            "in_progress",
            "waiting"
        ])
        .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "action",
        "check_run",
        "workflow_job",
        "repository",
        "owner",
        "id",
        "name",
        "full_name",
        "login",
        "type",
        "private",
        "visibility",
        "status",
        "app",
        "slug",
        "labels",
        "check_run_url",
        "details_url",
        "installation",
        "organization",
        "other",
    ]);
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(String::from), inner, 0..10)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is signed is answered or passed on, and what is passed on can be read again.
    #[test]
    fn no_signed_payload_panics(
        event in prop::sample::select(vec!["check_run", "workflow_job", "ping", "push"]),
        payload in any_payload(),
        patched in any::<bool>(),
    ) {
        let mut payload = payload;
        if let (true, Value::Object(given)) = (patched, &payload) {
            let mut whole = match event {
                "check_run" => check_run("created", "queued"),
                _ => workflow_job("queued"),
            };
            whole.as_object_mut().unwrap().extend(given.clone());
            payload = whole;
        }
        if let Received::Enqueue(enqueue) = Delivery::of(event, &payload).receive(&settings(&[])).received {
            prop_assert_eq!(&JobEvent::from_message(enqueue.message()).unwrap(), enqueue.event());
        }
    }

    #[test]
    fn no_bytes_panic(
        method in prop_oneof![Just("POST".to_owned()), ".*"],
        value in ".*",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        signed in any::<bool>(),
    ) {
        let header = |name: &str| match name {
            "x-hub-signature-256" if signed => Some(sign(&SECRET.into(), &bytes)),
            _ => Some(value.clone()),
        };
        let reception = receive(&method, header, &bytes, &settings(&[]));
        if !signed || method != "POST" {
            prop_assert!(matches!(reception.received, Received::Answer(_)));
        }
    }

    /// Labels, names and times of any content survive the queue.
    #[test]
    fn a_job_event_survives_the_queue(
        name in ".*",
        labels in prop::option::of(prop::collection::vec(".{0,20}", 0..5)),
        attempt in any::<u32>(),
        seconds in 0..250_000_000_000_i64,
    ) {
        let mut event = crate::sample::workflow_job_queued();
        event.name = name;
        event.labels = labels;
        event.run_attempt = Some(attempt);
        event.completed_at = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
        let message = event.to_message().unwrap();
        prop_assert_eq!(JobEvent::from_message(&message).unwrap(), event);
    }
}
