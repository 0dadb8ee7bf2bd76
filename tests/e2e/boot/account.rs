//! What an instance finds on AWS: itself, the distribution, and what scale-up wrote for it.

use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};
use stoker_aws::{Clients, SsmConfigurations};
use stoker_core::boot::{InstanceConfiguration, Registration};
use stoker_core::ports::Configurations as _;

use crate::parts::aws::clients;
use crate::parts::moto::Moto;

pub(crate) const DEPLOYMENT: &str = "e2e";
pub(crate) const BUCKET: &str = "stoker-distribution";
pub(crate) const PREFIX: &str = "runners";
pub(crate) const RELEASE: &str = "2.330.0";

/// GitHub's runner, as far as the boot goes.
const RUNNER: &str = include_str!("stand-ins/runner");
const DEPENDENCIES: &str = "#!/bin/sh\ntouch \"$RECORDS/dependencies\"\n";

/// An account, in which instances are launched.
pub(crate) struct Account {
    moto: Moto,
    clients: Clients,
}

impl Account {
    /// With the runner's distribution as the syncer puts it.
    pub(crate) async fn with_distribution() -> Self {
        let account = Self::empty().await;
        let archive = archive();
        account.offer(&archive, &sha256(&archive)).await;
        account
    }

    /// With an empty bucket for it.
    pub(crate) async fn empty() -> Self {
        let moto = Moto::start().await;
        let clients = clients(&moto.url).await;
        let create = clients.s3.create_bucket().bucket(BUCKET);
        create.send().await.unwrap();
        Self { moto, clients }
    }

    pub(crate) fn url(&self) -> &str {
        &self.moto.url
    }

    /// Offers an archive under that SHA-256.
    pub(crate) async fn offer(&self, archive: &[u8], sha256: &str) {
        let key = format!("releases/{RELEASE}/{}", asset(RELEASE));
        self.put(&key, archive.to_vec()).await;
        let platform = json!({"key": key, "sha256": sha256, "bytes": archive.len()});
        let offered =
            json!({"version": 1, "release": RELEASE, "platforms": {platform_name(): platform}});
        self.put("offered.json", offered.to_string().into_bytes())
            .await;
    }

    async fn put(&self, key: &str, body: Vec<u8>) {
        let put = self.clients.s3.put_object().bucket(BUCKET);
        put.key(format!("{PREFIX}/{key}"))
            .body(ByteStream::from(body))
            .send()
            .await
            .unwrap();
    }

    /// A new instance's id.
    pub(crate) async fn launch(&self) -> String {
        let images = self.clients.ec2.describe_images().send().await.unwrap();
        let run = self.clients.ec2.run_instances();
        let run = run.image_id(images.images()[0].image_id().unwrap());
        let ran = run.min_count(1).max_count(1).send().await.unwrap();
        ran.instances()[0].instance_id().unwrap().to_owned()
    }

    pub(crate) async fn state(&self, instance: &str) -> String {
        let describe = self.clients.ec2.describe_instances();
        let answer = describe.instance_ids(instance).send().await.unwrap();
        let instance = &answer.reservations()[0].instances()[0];
        instance.state().unwrap().name().unwrap().to_string()
    }

    fn configurations(&self) -> SsmConfigurations {
        SsmConfigurations::new(self.clients.ssm.clone(), DEPLOYMENT.parse().unwrap())
    }

    /// Writes what scale-up writes.
    pub(crate) async fn configure(&self, instance: &str, registration: Registration) {
        self.configure_with(instance, registration, false, None)
            .await;
    }

    pub(crate) async fn configure_with(
        &self,
        instance: &str,
        registration: Registration,
        ephemeral: bool,
        runner_group: Option<&str>,
    ) {
        let configuration = InstanceConfiguration {
            name: format!("stoker-e2e-{instance}"),
            url: "https://github.com/acme".to_owned(),
            labels: vec!["self-hosted".to_owned(), "small box".to_owned()],
            runner_group: runner_group.map(ToOwned::to_owned),
            ephemeral,
            registration,
        };
        let instance = instance.parse().unwrap();
        self.configurations()
            .put(&instance, &configuration)
            .await
            .unwrap();
    }

    /// Writes something else in its place.
    pub(crate) async fn write(&self, instance: &str, value: &str) {
        let name = self
            .configurations()
            .parameter_name(&instance.parse().unwrap());
        let put = self.clients.ssm.put_parameter().name(name).value(value);
        let put = put.r#type(aws_sdk_ssm::types::ParameterType::SecureString);
        put.send().await.unwrap();
    }

    /// What is written there.
    pub(crate) async fn configuration(&self, instance: &str) -> Option<Value> {
        let name = self
            .configurations()
            .parameter_name(&instance.parse().unwrap());
        let get = self.clients.ssm.get_parameter().name(name);
        let answer = get.with_decryption(true).send().await.ok()?;
        serde_json::from_str(answer.parameter?.value()?).ok()
    }

    pub(crate) async fn is_configured(&self, instance: &str) -> bool {
        self.configuration(instance).await.is_some()
    }
}

/// A distribution of the runner.
pub(crate) fn archive() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path());
    let mut tar = Command::new("tar");
    tar.args(["-cz", "--owner=0", "--group=0", "--mode=755", "-C"]);
    let output = tar.arg(folder.path()).arg(".").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// What is in it, in a folder.
pub(crate) fn lay_out(folder: &Path) {
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    for program in ["run.sh", "config.sh"] {
        super::machine::write_program(&folder.join(program), RUNNER);
    }
    super::machine::write_program(&folder.join("bin/installdependencies.sh"), DEPENDENCIES);
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

/// The platform's name at GitHub.
pub(crate) fn platform_name() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    }
}

/// The archive's name at GitHub.
pub(crate) fn asset(release: &str) -> String {
    format!("actions-runner-{}-{release}.tar.gz", platform_name())
}
