//! What Terraform tells each Lambda, against what the Lambda's own program says: it starts with it, misses each setting
//! that it requires, and knows every one that it is told.
//!
//! Terraform is run by a checker that knows the provider's schema and makes up what AWS would give, which lies beside
//! the repository where the repository is checked. Where it is not, there is nothing to compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::tool::said;
use crate::parts::aws::clients;
use crate::parts::moto::Moto;
use crate::parts::process::Process;
use crate::parts::{aws, built, root};

/// How long a program may take to start, or to say why it does not.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

const LAMBDAS: [&str; 5] = [
    "scale-up",
    "scale-down",
    "policy-admission",
    "syncer",
    "webhook",
];

type Variables = BTreeMap<String, String>;

/// The environments of a deployment with everything, by Lambda. None: the checker is not there.
fn planned() -> Option<BTreeMap<String, Variables>> {
    let checker = checker()?;
    let folder = TempDir::new().unwrap();
    let dist = folder.path().join("dist");
    fs::create_dir_all(dist.join("policies")).unwrap();
    for name in LAMBDAS {
        fs::write(dist.join(format!("{name}.zip")), name).unwrap();
    }
    fs::write(dist.join("policies/default.wasm"), "").unwrap();
    let settings = folder.path().join("settings.tfvars.json");
    let text = serde_json::json!({
        "environment": "ci", "vpc_id": "vpc-0123456789abcdef0", "subnet_ids": ["subnet-0123456789abcdef0"],
        "ingress": ["cloudflare", "api-gateway"], "dist": dist,
        "runner_classes": {"small": {
            "labels": ["self-hosted", "linux", "x64"], "instance_types": ["c7i.large"],
            "maximum": 20, "spot_price": 0.045,
        }},
    });
    fs::write(&settings, text.to_string()).unwrap();
    let state = folder.path().join("state.json");
    let output = Command::new(checker)
        .arg("--state-json")
        .arg(root("terraform"))
        .arg(&state)
        .arg("-var-file")
        .arg(&settings)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let state: Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    let resources = state["values"]["root_module"]["resources"]
        .as_array()
        .unwrap();
    let functions = resources
        .iter()
        .filter(|one| one["type"] == "aws_lambda_function");
    let by_name = functions.map(|one| {
        let name = one["index"].as_str().unwrap().to_owned();
        let variables = one["values"]["environment"][0]["variables"].clone();
        (name, serde_json::from_value(variables).unwrap())
    });
    Some(by_name.collect())
}

#[allow(clippy::print_stderr, reason = "nobody is to take it for compared")]
fn checker() -> Option<PathBuf> {
    let checker = root("../shared/tools/terraform-check/terraform-check");
    if checker.exists() {
        return Some(checker);
    }
    eprintln!(
        "not compared: there is no {} to run Terraform with",
        checker.display()
    );
    None
}

/// Starts a Lambda's program. Ok: it asks for what to do. Err: what it says at its end.
async fn start(name: &'static str, variables: &Variables, endpoint: &str) -> Result<(), String> {
    let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut command = Command::new(built(&format!("lambdas/{name}")));
    command
        .env_clear()
        .envs(variables)
        .env(
            "AWS_LAMBDA_RUNTIME_API",
            api.local_addr().unwrap().to_string(),
        )
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", endpoint);
    let mut process = Process::start(name, &mut command);
    let asked = async {
        let (mut stream, _) = api.accept().await.unwrap();
        let mut head = [0; 64];
        let length = stream.read(&mut head).await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    };
    tokio::select! {
        asked = asked => {
            // The runtime's client tells of a failed start by another address.
            if asked.contains("/invocation/next") { Ok(()) } else { Err(format!("{asked}: {:?}", process.lines())) }
        }
        _ = process.ended(STARTS_WITHIN) => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Err(process.lines().join("\n"))
        }
    }
}

/// The rows of a section of the settings' page: what is required, by name.
fn documented(section: &str) -> BTreeMap<String, bool> {
    let page = fs::read_to_string(root("docs/settings.md")).unwrap();
    let start = page.find(&format!("\n## {section}\n")).unwrap() + 1;
    let end = page[start..]
        .find("\n## ")
        .map_or(page.len(), |end| start + end);
    let rows = page[start..end]
        .lines()
        .filter(|line| line.starts_with("| `"));
    let mut all = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let names: Vec<&str> = cells[0].split('`').filter(|part| is_name(part)).collect();
        // Several settings in a row have a default each, or one for all.
        let each: Vec<&str> = cells[1].split(", ").collect();
        for (number, name) in names.iter().enumerate() {
            let default = if each.len() == names.len() {
                each[number]
            } else {
                cells[1]
            };
            // What only some need is not missed by all.
            let required = default.starts_with("required") && !default.contains("unless");
            all.insert((*name).to_owned(), required);
        }
    }
    all
}

fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter == '_')
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lambda_starts_with_what_terraform_tells_it_and_misses_what_it_requires() {
    let Some(planned) = planned() else { return };
    assert!(planned.keys().map(String::as_str).eq(sorted(LAMBDAS)));
    let moto = Moto::start().await;
    let clients = clients(&moto.url).await;
    let app = aws::Aws::set_up(&moto.url, "1", "a key").await;
    let signing = app.signing_key().await;
    let s3 = clients.s3;
    for name in LAMBDAS {
        let mut variables = planned[name].clone();
        // What AWS would give, and what a stand-in can make up no form of.
        if let Some(keys) = variables.get_mut("POLICY_PUBLIC_KEYS") {
            signing.public.clone_into(keys);
        }
        for bucket in variables
            .iter()
            .filter(|(name, _)| name.ends_with("_BUCKET"))
        {
            // It may be there already: several Lambdas have the same.
            let _made = s3.create_bucket().bucket(bucket.1).send().await;
        }
        start(name, &variables, &moto.url)
            .await
            .unwrap_or_else(|said| {
                panic!("{name} does not start with what Terraform tells it: {said}")
            });
        // What scale-up requires, scale-down does, but for what its own section says.
        let section = if name == "scale-down" {
            "scale-up"
        } else {
            name
        };
        let required = documented(section)
            .into_iter()
            .filter_map(|(name, required)| required.then_some(name));
        let mut missed = 0;
        for setting in required {
            let only_scale_up = ["DEAD_LETTER_QUEUE_URL", "MAX_RECEIVES"];
            if name == "scale-down" && only_scale_up.contains(&setting.as_str()) {
                continue;
            }
            let mut fewer = variables.clone();
            assert!(
                fewer.remove(&setting).is_some(),
                "Terraform does not tell {name} its {setting}"
            );
            let told = start(name, &fewer, &moto.url)
                .await
                .expect_err(&format!("{name} starts without {setting}"));
            assert!(told.contains(&setting), "{name} without {setting}: {told}");
            missed += 1;
        }
        assert!(missed > 1, "{name}: {missed}");
    }
}

#[test]
fn each_lambda_knows_what_terraform_tells_it() {
    let Some(planned) = planned() else { return };
    for (name, variables) in planned {
        let program = fs::read(built(&format!("lambdas/{name}"))).unwrap();
        for setting in variables.keys() {
            assert!(
                program
                    .windows(setting.len())
                    .any(|part| part == setting.as_bytes()),
                "{name} is told {setting}, and knows no such setting"
            );
        }
    }
}

/// A prefix inside a bucket is for those who share one; Terraform's are Stoker's own.
const NOT_TERRAFORMS: [&str; 3] = ["POLICIES_PREFIX", "JOURNAL_PREFIX", "DISTRIBUTION_PREFIX"];

#[test]
fn each_setting_can_be_set_by_terraform() {
    let told = fs::read_to_string(root("terraform/environment.tf")).unwrap();
    for section in LAMBDAS.iter().filter(|name| **name != "scale-down") {
        for setting in documented(section).keys() {
            if !NOT_TERRAFORMS.contains(&setting.as_str()) {
                assert!(
                    told.contains(setting.as_str()),
                    "{section}'s {setting} can't be set by Terraform"
                );
            }
        }
    }
}

fn sorted(mut names: [&'static str; 5]) -> [&'static str; 5] {
    names.sort_unstable();
    names
}

#[test]
fn a_row_of_several_settings_and_what_only_some_need_are_read_right() {
    let scale_up = documented("scale-up");
    assert_eq!(scale_up.get("LEDGER_TABLE"), Some(&true));
    assert_eq!(scale_up.get("MAX_SPEND_PER_DAY"), Some(&false));
    assert_eq!(scale_up.get("POLICY_PUBLIC_KEYS"), Some(&false));
    let admission = documented("policy-admission");
    assert_eq!(admission.get("POLICIES_BUCKET"), Some(&true));
    assert_eq!(admission.get("POLICIES_PREFIX"), Some(&false));
}
