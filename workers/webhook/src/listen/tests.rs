use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use stoker_aws::{NotTaken, ParameterError};
use stoker_intake::sign;

use super::*;
use crate::configuration::{Names, SecretStore};

/// Secrets that change, and how often they were read.
#[derive(Default)]
struct Store {
    secrets: Mutex<HashMap<String, String>>,
    read: Mutex<usize>,
    hangs: Mutex<bool>,
}

#[async_trait]
impl SecretStore for Store {
    async fn secret(&self, name: &str) -> Result<SecretString, ParameterError> {
        *self.read.lock().unwrap() += 1;
        let hangs = *self.hangs.lock().unwrap();
        if hangs {
            std::future::pending::<()>().await;
        }
        let secrets = self.secrets.lock().unwrap();
        let secret = secrets.get(name).cloned();
        let secret = secret.map(SecretString::from);
        secret.ok_or_else(|| ParameterError::Missing(name.to_owned()))
    }
}

/// A queue that takes what comes, or does not.
#[derive(Default)]
struct Queue {
    sent: Mutex<Vec<(String, u16)>>,
    is_down: bool,
}

#[async_trait]
impl IntakeQueue for Queue {
    async fn send(&self, message: &str, delay_seconds: u16, _: Instant) -> Delivered {
        let attempts = 1;
        if self.is_down {
            let failed = NotTaken {
                code: "AccessDenied".to_owned(),
                status: Some(403),
                problem: "no".to_owned(),
            };
            return Delivered {
                attempts,
                failed: Some(failed),
                ..Delivered::default()
            };
        }
        let message = (message.to_owned(), delay_seconds);
        self.sent.lock().unwrap().push(message);
        Delivered {
            sent: true,
            attempts,
            failed: None,
        }
    }
}

fn listener(store: &Arc<Store>, queue: &Arc<Queue>) -> Listener {
    let environment = |name: &str| match name {
        "INTAKE_QUEUE_URL" => Some("https://sqs/1/intake".to_owned()),
        "GITHUB_WEBHOOK_SECRET_PARAMETER" => Some("/secret".to_owned()),
        "GITHUB_WEBHOOK_SECRET_PREVIOUS_PARAMETER" => Some("/previous".to_owned()),
        "DELAY_SECONDS" => Some("30".to_owned()),
        _ => None,
    };
    let names = Names::read(environment).unwrap();
    let store: Arc<dyn SecretStore> = Arc::<Store>::clone(store);
    let queue: Arc<dyn IntakeQueue> = Arc::<Queue>::clone(queue);
    Listener::new(
        Configuration::new(names, store, Box::new(environment)),
        queue,
    )
}

fn store(secrets: &[(&str, &str)]) -> Arc<Store> {
    let store = Store::default();
    for (name, value) in secrets {
        set(&store, name, value);
    }
    Arc::new(store)
}

fn set(store: &Store, name: &str, value: &str) {
    let mut secrets = store.secrets.lock().unwrap();
    secrets.insert(name.to_owned(), value.to_owned());
}

const JOB: &str = r#"{"action":"queued",
    "workflow_job":{"id":7,"name":"build","status":"queued"},
    "repository":{"id":1,"name":"app","full_name":"acme/app","private":true,
        "owner":{"id":2,"login":"acme","type":"Organization"}}}"#;

fn request(method: &str, path: &str, secret: &str) -> Request {
    staged("$default", method, path, secret)
}

/// As an HTTP API hands it on.
fn staged(stage: &str, method: &str, path: &str, secret: &str) -> Request {
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {
            "x-github-event": "workflow_job", "x-github-delivery": "d-1",
            "x-hub-signature-256": sign(&secret.into(), JOB.as_bytes()),
        },
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "a.example", "domainPrefix": "a",
            "requestId": "r", "routeKey": "$default", "stage": stage,
            "time": "28/Nov/2026:00:00:00 +0000", "timeEpoch": 1,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "t"},
        },
        "body": JOB, "isBase64Encoded": false,
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

async fn status(listener: &Listener, secret: &str) -> u16 {
    let request = request("POST", "/webhook", secret);
    listener.listen(request).await.unwrap().status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_holds_without_a_deployment() {
    let store = store(&[("/secret", "one"), ("/previous", "zero")]);
    let queue = Arc::<Queue>::default();
    let listener = listener(&store, &queue);
    assert_eq!(status(&listener, "one").await, 202);
    assert_eq!(status(&listener, "zero").await, 202);
    set(&store, "/previous", "one");
    set(&store, "/secret", "two");
    // Whoever sends bad signatures has nothing read each time.
    for _ in 0..10 {
        assert_eq!(status(&listener, "wrong").await, 401);
    }
    assert_eq!(*store.read.lock().unwrap(), 2);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(status(&listener, "two").await, 202);
    assert_eq!(status(&listener, "one").await, 202);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(status(&listener, "zero").await, 401);
    assert_eq!(queue.sent.lock().unwrap().len(), 4);
    assert_eq!(queue.sent.lock().unwrap()[0].1, 30);
}

#[tokio::test(start_paused = true)]
async fn while_ssm_is_silent_the_secret_of_before_holds_and_hardly_anybody_waits() {
    let store = store(&[("/secret", "one")]);
    let queue = Arc::<Queue>::default();
    let listener = listener(&store, &queue);
    // A previous one that is over is none.
    assert_eq!(status(&listener, "one").await, 202);
    *store.hangs.lock().unwrap() = true;
    tokio::time::advance(Duration::from_mins(10)).await;
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(status(&listener, "one").await, 202);
        assert_eq!(status(&listener, "wrong").await, 401);
    }
    assert_eq!(begun.elapsed().as_secs(), 2);
    // A process that never had one can't tell.
    let never = self::listener(&store, &queue);
    assert_eq!(status(&never, "one").await, 500);
    let health = never.listen(request("GET", "/healthz", "x")).await.unwrap();
    assert_eq!(health.status(), 500);
    // Nothing that failed is kept.
    *store.hangs.lock().unwrap() = false;
    assert_eq!(status(&never, "one").await, 202);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_taken_away_is_good_no_more() {
    let store = store(&[("/secret", "one"), ("/previous", "zero")]);
    let listener = listener(&store, &Arc::default());
    assert_eq!(status(&listener, "one").await, 202);
    store.secrets.lock().unwrap().clear();
    tokio::time::advance(Duration::from_mins(10)).await;
    assert_eq!(status(&listener, "one").await, 500);
}

#[tokio::test]
async fn the_stage_of_an_api_is_no_part_of_the_path() {
    let store = store(&[("/secret", "one")]);
    let listener = listener(&store, &Arc::default());
    for (path, expected) in [
        ("/prod/webhook", 202),
        ("/webhook", 202),
        ("/other/webhook", 404),
        ("/production/webhook", 404),
    ] {
        let request = staged("prod", "POST", path, "one");
        let answer = listener.listen(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_does_not_take_is_shown_as_failed() {
    let store = store(&[("/secret", "one"), ("/previous", "zero")]);
    let queue = Arc::new(Queue {
        is_down: true,
        ..Queue::default()
    });
    assert_eq!(status(&listener(&store, &queue), "one").await, 503);
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_as_the_worker_does() {
    let store = store(&[("/secret", "one"), ("/previous", "zero")]);
    let listener = listener(&store, &Arc::default());
    for (method, path, status, body) in [
        ("GET", "/healthz", 200, r#"{"status":"ok"}"#),
        ("HEAD", "/healthz", 200, ""),
        (
            "POST",
            "/healthz",
            405,
            r#"{"status":"refused","reason":"method_not_allowed"}"#,
        ),
        ("POST", "/", 404, r#"{"status":"not_found"}"#),
    ] {
        let answer = listener.listen(request(method, path, "one")).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.body().as_ref(), body.as_bytes(), "{method} {path}");
    }
    let answer = listener
        .listen(request("GET", "/webhook", "one"))
        .await
        .unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "POST");
}
