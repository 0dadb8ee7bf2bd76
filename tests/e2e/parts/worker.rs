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
pub(crate) const SECRET: &str = "a webhook secret of this test";

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
        let headers = delivered(event, delivery, &signature);
        self.post("webhook", &headers, body).await.0
    }

    /// Delivers a payload that somebody else has signed.
    pub(crate) async fn deliver_forged(&self, event: &str, payload: &Value) -> u16 {
        let body = payload.to_string();
        let signature = sign(&"another secret".into(), body.as_bytes());
        let headers = delivered(event, "forged", &signature);
        self.post("webhook", &headers, body).await.0
    }

    /// Posts a body with those headers. The status, the content type and the body of the answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> (u16, String, String) {
        let mut request = self
            .http
            .post(format!("{}/{path}", self.url.trim_end_matches('/')));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (status, kind, answer.text().await.unwrap())
    }
}

/// The headers of GitHub's delivery.
pub(crate) fn delivered(
    event: &str,
    delivery: &str,
    signature: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "GitHub-Hookshot/test".to_owned()),
        ("x-github-event", event.to_owned()),
        ("x-github-delivery", delivery.to_owned()),
        ("x-hub-signature-256", signature.to_owned()),
    ]
}
