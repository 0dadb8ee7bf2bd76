//! `scripts/edge-secrets` and `scripts/deploy-edge`: with the real command line of AWS over a stand-in for it, and
//! stand-ins for Terraform and wrangler.

use std::fs;
use std::process::Output;

use aws_sdk_ssm::types::ParameterType;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tool::{programs, said, script, stand_in};
use crate::parts::aws::clients;
use crate::parts::moto::Moto;

const SECRET: &str = "the-webhooks-secret-0f3a";
const USER: &str = "stoker-ci-edge";

struct Desk {
    moto: Moto,
    tools: TempDir,
}

impl Desk {
    /// With a user that has no key yet, and the secret of the webhook written; none: its placeholder.
    async fn new(secret: Option<&str>) -> Self {
        let moto = Moto::start().await;
        let tools = TempDir::new().unwrap();
        let outputs = json!({
            "region": {"value": "us-east-1"},
            "edge_user_name": {"value": USER},
            "edge_vars": {"value": {
                "AWS_REGION": "eu-central-1", "SQS_QUEUE_URL": "https://sqs.example/1/intake", "DELAY_SECONDS": "0",
            }},
            "edge_secrets": {"value": {
                "GITHUB_WEBHOOK_SECRET": {"ssm_parameter": "/stoker/ci/github-app/webhook-secret"},
                "GITHUB_WEBHOOK_SECRET_PREVIOUS": {"ssm_parameter": "/stoker/ci/github-app/webhook-secret-previous"},
            }},
        });
        let file = tools.path().join("outputs.json");
        fs::write(&file, outputs.to_string()).unwrap();
        stand_in(
            tools.path(),
            "terraform",
            &format!("cat '{}'", file.display()),
        );
        let aws = format!("exec '{}/aws' \"$@\"", programs("boot"));
        stand_in(tools.path(), "aws", &aws);
        let this = Self { moto, tools };
        this.wrangler("exit 0");
        let ssm = clients(&this.moto.url).await.ssm;
        for (name, value) in [
            ("webhook-secret", secret),
            ("webhook-secret-previous", None),
        ] {
            ssm.put_parameter()
                .name(format!("/stoker/ci/github-app/{name}"))
                // As it comes from a file.
                .value(format!("{}\n", value.unwrap_or("-")))
                .r#type(ParameterType::SecureString)
                .send()
                .await
                .unwrap();
        }
        let output = this.aws(&["iam", "create-user", "--user-name", USER]);
        assert!(output.status.success(), "{}", said(&output));
        this
    }

    /// Wrangler writes down what it was told and given.
    fn wrangler(&self, end: &str) {
        let folder = self.tools.path().display();
        stand_in(
            self.tools.path(),
            "wrangler",
            &format!("echo \"$@\" >>'{folder}/arguments'\ncat >'{folder}/given'\n{end}"),
        );
    }

    fn aws(&self, arguments: &[&str]) -> Output {
        let program = self.tools.path().join("aws");
        let mut command = std::process::Command::new(program);
        self.environment(&mut command);
        command.args(arguments).output().unwrap()
    }

    fn environment(&self, command: &mut std::process::Command) {
        command
            .env("AWS_ENDPOINT_URL", &self.moto.url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("STOKER_WRANGLER", self.tools.path().join("wrangler"));
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = script(name, self.tools.path());
        self.environment(&mut command);
        command.args(arguments).output().unwrap()
    }

    /// What wrangler was given.
    fn given(&self) -> Value {
        serde_json::from_slice(&fs::read(self.tools.path().join("given")).unwrap()).unwrap()
    }

    fn arguments(&self) -> String {
        fs::read_to_string(self.tools.path().join("arguments")).unwrap_or_default()
    }

    /// The ids of the user's access keys.
    fn keys(&self) -> Vec<String> {
        let output = self.aws(&[
            "iam",
            "list-access-keys",
            "--output",
            "json",
            "--user-name",
            USER,
        ]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let keys = told["AccessKeyMetadata"].as_array().unwrap().iter();
        keys.map(|key| key["AccessKeyId"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_gets_its_secrets_in_one_piece_and_nobody_sees_them() {
    let desk = Desk::new(Some(SECRET)).await;
    let output = desk.run("edge-secrets", &["--grace", "0", "--name", "stoker-ci"]);
    assert!(output.status.success(), "{}", said(&output));
    let given = desk.given();
    assert_eq!(given["GITHUB_WEBHOOK_SECRET"], SECRET);
    assert_eq!(given["GITHUB_WEBHOOK_SECRET_PREVIOUS"], Value::Null);
    let key = given["AWS_ACCESS_KEY_ID"].as_str().unwrap().to_owned();
    let secret_key = given["AWS_SECRET_ACCESS_KEY"].as_str().unwrap().to_owned();
    assert_eq!(desk.keys(), [key.as_str()]);
    assert_eq!(desk.arguments().trim(), "secret bulk --name stoker-ci");
    for secret in [SECRET, &secret_key] {
        assert!(!said(&output).contains(secret));
        assert!(!desk.arguments().contains(secret));
    }

    // Once more: the Worker has another key, and the one before is gone.
    let output = desk.run("edge-secrets", &["--grace", "0"]);
    assert!(output.status.success(), "{}", said(&output));
    let another = desk.given()["AWS_ACCESS_KEY_ID"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(another, key);
    assert_eq!(desk.keys(), [another.as_str()]);

    // The webhook's alone.
    let output = desk.run("edge-secrets", &["--keep-key"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(desk.given(), json!({"GITHUB_WEBHOOK_SECRET": SECRET}));
    assert_eq!(desk.keys(), [another]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_worker_may_have_is_never_deleted_and_a_placeholder_is_no_secret() {
    let desk = Desk::new(Some(SECRET)).await;
    assert!(desk.run("edge-secrets", &["--grace", "0"]).status.success());
    desk.wrangler("exit 1");
    let output = desk.run("edge-secrets", &["--grace", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(desk.keys().len(), 2);
    assert!(
        said(&output).contains("none was deleted"),
        "{}",
        said(&output)
    );
    // IAM has room for no third.
    desk.wrangler("exit 0");
    let output = desk.run("edge-secrets", &["--grace", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("delete the one"),
        "{}",
        said(&output)
    );
    assert_eq!(desk.keys().len(), 2);

    let desk = Desk::new(None).await;
    let output = desk.run("edge-secrets", &["--grace", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("placeholder"), "{}", said(&output));
    assert_eq!((desk.arguments().as_str(), desk.keys().len()), ("", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_is_deployed_with_what_terraform_knows_of_the_queue() {
    let desk = Desk::new(Some(SECRET)).await;
    let output = desk.run("deploy-edge", &["--name", "stoker-ci"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        desk.arguments().trim(),
        "deploy --var AWS_REGION:eu-central-1 --var DELAY_SECONDS:0 \
         --var SQS_QUEUE_URL:https://sqs.example/1/intake --name stoker-ci"
    );
    fs::write(desk.tools.path().join("outputs.json"), "{}").unwrap();
    let output = desk.run("deploy-edge", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no output edge_vars"));
}
