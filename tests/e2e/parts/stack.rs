//! A whole deployment: GitHub, the edge, AWS, the Lambdas.

use std::time::Duration;

use serde_json::{Value, json};
use stoker_core::ids::ArtifactDigest;
use stoker_tests::github::{AppKey, GitHub};

use crate::openapi;

use super::aws::{self, Aws, SigningKey};
use super::built;
use super::lambda::{Environment, Lambda};
use super::mapping::Batch;
use super::moto::Moto;
use super::proxy::Proxy;
use super::worker::Worker;

const APP: &str = "12345";

/// The organisation of GitHub's `workflow_job` example, and the installation that it names.
pub(crate) const ORGANIZATION: &str = "Octocoders";
const ORGANIZATION_INSTALLATION: u64 = 3_456_996;

/// The user of GitHub's `check_run` example, which names no installation.
const USER: &str = "Codertocat";
const USER_INSTALLATION: u64 = 3_456_997;

/// After this long a decision is by what is active now: the second of `POLICY_REVALIDATE_SECONDS`, the one
/// within which the old one may still decide, and the rest of the one that has begun.
pub(crate) const CONFIRMED: Duration = Duration::from_millis(3_100);

/// More batches than this are a message that goes round and round.
const MOST_BATCHES: usize = 60;

/// A deployment.
pub(crate) struct Stack {
    pub(crate) github: GitHub,
    pub(crate) aws: Aws,
    /// The way of `scale-up` to AWS.
    pub(crate) wire: Proxy,
    pub(crate) worker: Worker,
    /// `scale-up`.
    pub(crate) lambda: Lambda,
    /// `policy-admission`, and its way to AWS.
    pub(crate) admission: Lambda,
    pub(crate) effects: Proxy,
    pub(crate) key: SigningKey,
    // Last, so that it outlives those that talk to it.
    _moto: Moto,
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A test that has failed already says why itself.
        if !std::thread::panicking() {
            openapi::hold(&self.github);
        }
    }
}

impl Stack {
    /// A deployment with that kind of runner, whose policy is the one that ships.
    pub(crate) async fn start(mode: &str) -> Self {
        let key = AppKey::generate().unwrap();
        let github = GitHub::start(APP, &key).await.unwrap();
        let state = github.state();
        state.install(ORGANIZATION_INSTALLATION, ORGANIZATION, true);
        state.install(USER_INSTALLATION, USER, false);
        let moto = Moto::start().await;
        let wire = Proxy::start(&moto.url).await;
        let aws = Aws::set_up(&moto.url, APP, &key.pem().unwrap()).await;
        let signing = aws.signing_key().await;
        let effects = Proxy::start(&moto.url).await;
        let admission = Lambda::start("policy-admission", admitting(&effects.url, &signing)).await;
        aws.put("policies/default/policy.wasm", shipped_policy())
            .await;
        let report = admission.asked(&json!({ "task": "sweep" })).await;
        assert_eq!(report["published"], true, "{report}");
        let worker = Worker::start(&moto.url, &aws.intake.url).await;
        let mut environment = environment(&wire.url, &github.url(), &aws, mode);
        environment.push(("POLICY_PUBLIC_KEYS", signing.public.clone()));
        let lambda = Lambda::start("scale-up", environment).await;
        Self {
            github,
            aws,
            wire,
            worker,
            lambda,
            admission,
            effects,
            key: signing,
            _moto: moto,
        }
    }

    /// Uploads a policy, and tells admission of it as S3 does.
    pub(crate) async fn publish(&self, folder: &str, component: Vec<u8>) -> Value {
        self.upload(folder, "policy.wasm", component).await
    }

    /// Uploads a file into a folder, and tells admission of it as S3 does: what became of it.
    pub(crate) async fn upload(&self, folder: &str, file: &str, body: Vec<u8>) -> Value {
        let key = format!("policies/{folder}/{file}");
        let version = self.aws.put(&key, body).await;
        let event = json!({"Records": [{
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "userIdentity": { "principalId": "AWS:AIDAEXAMPLE" },
            "s3": { "object": { "key": key.replace('/', "%2F"), "versionId": version } },
        }]});
        let report = self.admission.asked(&event).await;
        // The deciding Lambda confirms what is active every second here.
        tokio::time::sleep(CONFIRMED).await;
        report
    }

    /// GitHub knows the payload's job, and it waits.
    pub(crate) fn waits(&self, payload: &Value, job: &Value) {
        let repository = &payload["repository"];
        let owner = repository["owner"]["login"].as_str().unwrap();
        let name = repository["name"].as_str().unwrap();
        self.github.state().job(
            &format!("{owner}/{name}"),
            job["id"].as_u64().unwrap(),
            "queued",
            &["ubuntu-latest"],
        );
    }

    /// Delivers a `workflow_job` for a job that waits.
    pub(crate) async fn queue(&self, delivery: &str, payload: &Value) {
        self.waits(payload, &payload["workflow_job"]);
        let status = self.worker.deliver("workflow_job", delivery, payload).await;
        assert_eq!(status, 202);
    }

    /// One batch of each queue.
    pub(crate) async fn pump(&self) -> [Batch; 2] {
        let intake = self.aws.intake.pump(&self.lambda).await;
        let acts = self.aws.acts.pump(&self.lambda).await;
        [intake, acts]
    }

    /// Pumps until both queues are empty.
    pub(crate) async fn settle(&self) {
        for _ in 0..MOST_BATCHES {
            let batches = self.pump().await;
            if batches.iter().all(|batch| batch.received == 0) {
                return;
            }
        }
        panic!(
            "the queues do not become empty; the log: {:#?}",
            self.lambda.log()
        );
    }
}

/// What shipped as the default policy.
pub(crate) fn shipped_policy() -> Vec<u8> {
    std::fs::read(built("policies/default/policy.wasm")).unwrap()
}

/// A policy that was made for tests.
pub(crate) fn test_policy(name: &str) -> Vec<u8> {
    std::fs::read(built(&format!("test-policies/{name}/policy.wasm"))).unwrap()
}

/// What a policy is known by.
pub(crate) fn digest(component: &[u8]) -> String {
    ArtifactDigest::of(component).to_string()
}

impl Stack {
    /// `scale-down` of the same deployment, where GitHub sets no limit.
    pub(crate) async fn scale_down(&self) -> Lambda {
        let mut environment =
            environment(&self.wire.url, &self.github.url(), &self.aws, "persistent");
        environment.push(("POLICY_PUBLIC_KEYS", self.key.public.clone()));
        environment.push(("GITHUB_POINTS_A_MINUTE", "0".to_owned()));
        // What GitHub does not know may still boot, for all that the tests take.
        environment.push(("BOOT_TIME_SECONDS", "3600".to_owned()));
        Lambda::start("scale-down", environment).await
    }
}

fn environment(wire: &str, github: &str, aws: &Aws, mode: &str) -> Environment {
    let classes = json!([{
        "name": "ubuntu",
        "labels": ["self-hosted", "ubuntu-latest"],
        "launch_template": super::aws::TEMPLATE,
        "maximum": 100,
        "spot_price": 0.03,
        "on_demand_price": 0.1,
    }]);
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", wire),
        ("DEPLOYMENT", super::aws::DEPLOYMENT),
        ("RUNNER_MODE", mode),
        ("RUNNER_CLASSES", &classes.to_string()),
        ("MAX_RUNNERS", "100"),
        // GitHub's example is of a public repository.
        ("ALLOW_PUBLIC_REPOSITORIES", "true"),
        ("LEDGER_TABLE", super::aws::TABLE),
        ("INTAKE_QUEUE_URL", &aws.intake.url),
        ("ACT_QUEUE_URL", &aws.acts.url),
        ("DEAD_LETTER_QUEUE_URL", &aws.dead_letters.url),
        ("JOURNAL_BUCKET", super::aws::BUCKET),
        ("POLICIES_BUCKET", super::aws::BUCKET),
        ("POLICY_REVALIDATE_SECONDS", "1"),
        ("GITHUB_API_URL", github),
        ("GITHUB_WEB_URL", "https://github.example"),
        ("GITHUB_APP_ID_PARAMETER", super::aws::APP_ID),
        ("GITHUB_APP_PRIVATE_KEY_PARAMETER", super::aws::APP_KEY),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

pub(crate) fn admitting(aws: &str, key: &SigningKey) -> Environment {
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", aws),
        ("DEPLOYMENT", aws::DEPLOYMENT),
        ("POLICIES_BUCKET", aws::BUCKET),
        ("POLICY_SIGNING_KEY_ID", &key.id),
        ("POLICY_PUBLIC_KEYS", &key.public),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}
