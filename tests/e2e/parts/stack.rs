//! A whole deployment: GitHub, the edge, AWS, the Lambda.

use serde_json::{Value, json};
use stoker_core::ids::ArtifactDigest;
use stoker_tests::github::{AppKey, GitHub};

use super::aws::{self, Aws};
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

/// More batches than this are a message that goes round and round.
const MOST_BATCHES: usize = 60;

/// A deployment.
pub(crate) struct Stack {
    pub(crate) github: GitHub,
    pub(crate) aws: Aws,
    /// The way to EC2.
    pub(crate) ec2: Proxy,
    pub(crate) worker: Worker,
    pub(crate) lambda: Lambda,
    // Last, so that it outlives those that talk to it.
    _moto: Moto,
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
        let ec2 = Proxy::start(&moto.url).await;
        let aws = Aws::set_up(&moto.url, APP, &key.pem().unwrap()).await;
        aws.publish("default", shipped_policy()).await;
        let worker = Worker::start(&moto.url, &aws.intake.url).await;
        let environment = environment(&moto.url, &ec2.url, &github.url(), &aws.acts.url, mode);
        let lambda = Lambda::start(environment).await;
        Self {
            github,
            aws,
            ec2,
            worker,
            lambda,
            _moto: moto,
        }
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

fn environment(aws: &str, ec2: &str, github: &str, acts: &str, mode: &str) -> Environment {
    let classes = json!([{
        "name": "ubuntu",
        "labels": ["self-hosted", "ubuntu-latest"],
        "launch_template": aws::TEMPLATE,
        "maximum": 10,
        "spot_price": 0.03,
        "on_demand_price": 0.1,
    }]);
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", aws),
        ("AWS_ENDPOINT_URL_EC2", ec2),
        ("DEPLOYMENT", aws::DEPLOYMENT),
        ("RUNNER_MODE", mode),
        ("RUNNER_CLASSES", &classes.to_string()),
        ("MAX_RUNNERS", "10"),
        // GitHub's example is of a public repository.
        ("ALLOW_PUBLIC_REPOSITORIES", "true"),
        ("LEDGER_TABLE", aws::TABLE),
        ("ACT_QUEUE_URL", acts),
        ("POLICIES_BUCKET", aws::BUCKET),
        ("GITHUB_API_URL", github),
        ("GITHUB_WEB_URL", "https://github.example"),
        ("GITHUB_APP_ID_PARAMETER", aws::APP_ID),
        ("GITHUB_APP_PRIVATE_KEY_PARAMETER", aws::APP_KEY),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}
