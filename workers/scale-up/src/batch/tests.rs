use std::sync::Mutex;

use stoker_core::ports::LedgerError;

use super::*;

/// A control plane that notes what it is asked, and fails as it is told.
#[derive(Default)]
struct Noting {
    done: Mutex<Vec<String>>,
    try_again: Vec<&'static str>,
    fails: Vec<&'static str>,
    panics: Vec<&'static str>,
    takes: Duration,
}

impl Noting {
    async fn note(&self, what: String) -> Result<Acted, ControlError> {
        tokio::time::sleep(self.takes).await;
        let is = |list: &[&str]| list.contains(&what.as_str());
        assert!(!is(&self.panics), "told to");
        let fails = is(&self.fails);
        let again = is(&self.try_again);
        self.done.lock().unwrap().push(what);
        if fails {
            return Err(LedgerError::Conflict("job".to_owned()).into());
        }
        Ok(if again { Acted::TryAgain } else { Acted::Done })
    }
}

#[async_trait]
impl Steer for Noting {
    async fn fold(&self, event: &JobEvent) -> Result<(), ControlError> {
        self.note(event.name.clone()).await.map(|_| ())
    }

    async fn act(&self, scope: ScopeKey, _: Trigger) -> Result<Acted, ControlError> {
        self.note(scope.to_string()).await
    }
}

fn event(name: &str) -> String {
    serde_json::json!({
        "kind": "job-event", "version": 1, "delivery": "d", "event": "workflow_job",
        "action": "queued", "owner": {"id": 1, "login": "acme", "type": "Organization"},
        "repository": {"id": 2, "name": "site", "full_name": "acme/site", "visibility": "private"},
        "check_run_id": 3, "name": name,
    })
    .to_string()
}

fn act(scope: &str) -> String {
    format!(r#"{{"kind":"act","scope":"{scope}","folded":"x"}}"#)
}

/// Bodies and groups, by id.
async fn handled(
    steer: Noting,
    messages: &[(&str, String, Option<&str>)],
) -> (Vec<String>, Vec<String>) {
    let records = messages
        .iter()
        .map(|(id, body, group)| Record {
            id: (*id).to_owned(),
            body: body.clone(),
            attributes: crate::event::Attributes {
                group: group.map(str::to_owned),
            },
        })
        .collect();
    let handler = Handler::new(steer, Lines::new(&"ci".parse().unwrap()));
    let until = Instant::now() + Duration::from_secs(10);
    let response = handler.handle(SqsEvent { records }, until).await;
    let mut failed: Vec<String> = response.failures.into_iter().map(|f| f.id).collect();
    failed.sort();
    let done = handler.steer.done.lock().unwrap().clone();
    (failed, done)
}

#[tokio::test]
async fn a_broken_message_is_dropped_and_those_beside_it_are_handled() {
    let messages = [
        ("m1", event("one"), None),
        ("m2", "not json".to_owned(), None),
        ("m3", event("three"), None),
    ];
    let (failed, done) = handled(Noting::default(), &messages).await;
    assert!(failed.is_empty());
    assert_eq!(done, ["one", "three"]);
}

#[tokio::test]
async fn a_message_of_a_newer_stoker_stays_in_its_queue() {
    let newer = event("x").replace("\"version\":1", "\"version\":9");
    let messages = [("m1", newer, None), ("m2", event("two"), None)];
    let (failed, done) = handled(Noting::default(), &messages).await;
    assert_eq!(failed, ["m1"]);
    assert_eq!(done, ["two"]);
}

#[tokio::test]
async fn a_message_that_fails_fails_alone() {
    let steer = Noting {
        fails: vec!["two"],
        ..Noting::default()
    };
    let messages = [
        ("m1", event("one"), None),
        ("m2", event("two"), None),
        ("m3", event("three"), None),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m2"]);
    assert_eq!(done.len(), 3);
}

#[tokio::test]
async fn a_panic_fails_its_message_and_no_other() {
    let steer = Noting {
        panics: vec!["two"],
        ..Noting::default()
    };
    let messages = [("m1", event("two"), None), ("m2", event("one"), None)];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1"]);
    assert_eq!(done, ["one"]);
}

#[tokio::test]
async fn requests_for_one_scope_need_one_act() {
    let messages = [
        ("m1", act("org-1"), Some("org-1")),
        ("m2", act("org-2"), Some("org-2")),
        ("m3", act("org-1"), Some("org-1")),
        ("m4", act("org-1"), Some("org-1")),
    ];
    let (failed, mut done) = handled(Noting::default(), &messages).await;
    assert!(failed.is_empty());
    done.sort();
    assert_eq!(done, ["org-1", "org-2"]);
}

#[tokio::test]
async fn behind_a_failed_message_its_group_waits_and_the_others_do_not() {
    let steer = Noting {
        try_again: vec!["org-1"],
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("a")),
        ("m2", act("org-2"), Some("b")),
        ("m3", act("org-3"), Some("a")),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1", "m3"]);
    assert!(!done.contains(&"org-3".to_owned()), "{done:?}");
}

#[tokio::test]
async fn what_could_not_be_done_now_is_delivered_again() {
    let steer = Noting {
        try_again: vec!["org-1"],
        ..Noting::default()
    };
    let messages = [("m1", act("org-1"), None), ("m2", act("org-1"), None)];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(failed, ["m1", "m2"]);
    assert_eq!(done, ["org-1"]);
}

#[tokio::test(start_paused = true)]
async fn work_ends_before_the_lambda_does_and_the_rest_is_delivered_again() {
    let steer = Noting {
        takes: Duration::from_secs(6),
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("a")),
        ("m2", act("org-2"), Some("a")),
        ("m3", act("org-3"), Some("a")),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert_eq!(done, ["org-1"]);
    assert_eq!(failed, ["m2", "m3"]);
}

#[tokio::test(start_paused = true)]
async fn scopes_are_acted_on_at_the_same_time() {
    let steer = Noting {
        takes: Duration::from_secs(6),
        ..Noting::default()
    };
    let messages = [
        ("m1", act("org-1"), Some("org-1")),
        ("m2", act("org-2"), Some("org-2")),
        ("m3", event("one"), None),
    ];
    let (failed, done) = handled(steer, &messages).await;
    assert!(failed.is_empty());
    assert_eq!(done.len(), 3);
}
