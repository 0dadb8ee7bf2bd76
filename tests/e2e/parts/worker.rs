//! The edge: workerd, with the Worker that `scripts/build-worker` has built.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use stoker_intake::sign;

use super::process::Process;
use super::root;

/// workerd takes a second.
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// What GitHub signs with.
const SECRET: &str = "a webhook secret of this test";

/// The running Worker.
pub(crate) struct Worker {
    _node: Process,
    url: String,
    http: reqwest::Client,
}

impl Worker {
    /// Starts it, in front of that queue.
    pub(crate) async fn start(aws: &str, queue_url: &str) -> Self {
        for (needed, by) in [
            ("build/index.js", "scripts/build-worker"),
            ("node_modules/miniflare", "scripts/setup-edge --npm"),
        ] {
            let file = root(needed);
            assert!(
                file.exists(),
                "there is no {}: `make test` makes it by {by}",
                file.display()
            );
        }
        let bindings = json!({
            "AWS_REGION": "us-east-1",
            "SQS_QUEUE_URL": queue_url,
            "SQS_ENDPOINT": aws,
            "REPOSITORY_ALLOW_LIST": "*",
            // The payloads in GitHub's examples come from public repositories and from another App.
            "ALLOW_PUBLIC_REPOSITORIES": "true",
            "CHECK_RUN_APPS": "*",
            "DELAY_SECONDS": "0",
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        });
        let mut command = Command::new("node");
        command
            .arg(root("tests/e2e/parts/worker.mjs"))
            .arg(root("").canonicalize().unwrap())
            .arg(bindings.to_string());
        let mut node = Process::start("the Worker", &mut command);
        let url = node
            .said(STARTS_WITHIN, |line| {
                line.strip_prefix("ready ").map(str::to_owned)
            })
            .await;
        Self {
            _node: node,
            url,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Delivers a payload as GitHub does. The status of the answer.
    pub(crate) async fn deliver(&self, event: &str, delivery: &str, payload: &Value) -> u16 {
        let body = payload.to_string();
        let signature = sign(&SECRET.into(), body.as_bytes());
        self.post(event, delivery, body, &signature).await
    }

    /// Delivers a payload that somebody else has signed.
    pub(crate) async fn deliver_forged(&self, event: &str, payload: &Value) -> u16 {
        let body = payload.to_string();
        let signature = sign(&"another secret".into(), body.as_bytes());
        self.post(event, "forged", body, &signature).await
    }

    async fn post(&self, event: &str, delivery: &str, body: String, signature: &str) -> u16 {
        let answer = self
            .http
            .post(format!("{}/webhook", self.url.trim_end_matches('/')))
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/test")
            .header("x-github-event", event)
            .header("x-github-delivery", delivery)
            .header("x-hub-signature-256", signature)
            .body(body)
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    }
}
