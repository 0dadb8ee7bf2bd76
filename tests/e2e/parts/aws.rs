//! What a deployment has on AWS, made as Terraform would, and read back as an operator would.

use std::collections::BTreeMap;
use std::io::Read as _;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_ec2::types::{Filter, InstanceType, RequestLaunchTemplateData};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_ssm::types::ParameterType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use stoker_aws::{ClientSettings, Clients, DynamoLedger, Ec2Fleet};

use super::mapping::Queue;

pub(crate) const DEPLOYMENT: &str = "e2e";
pub(crate) const TABLE: &str = "stoker-ledger";
pub(crate) const BUCKET: &str = "stoker-policies";
pub(crate) const TEMPLATE: &str = "stoker-runner";
pub(crate) const APP_ID: &str = "/stoker/github-app/id";
pub(crate) const APP_KEY: &str = "/stoker/github-app/key";

/// An account with all that a deployment needs.
pub(crate) struct Aws {
    clients: Clients,
    pub(crate) intake: Queue,
    pub(crate) acts: Queue,
    pub(crate) dead_letters: Queue,
}

/// A key of KMS that signs what is active.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    pub(crate) id: String,
    /// DER, in base64.
    pub(crate) public: String,
}

/// An instance as an operator sees it.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) spot: bool,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Clients of the stand-in at that URL.
pub(crate) async fn clients(url: &str) -> Clients {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(url)
        .load()
        .await;
    Clients::new(&config, &ClientSettings::default())
}

impl Aws {
    pub(crate) async fn set_up(url: &str, app: &str, key: &str) -> Self {
        let clients = clients(url).await;
        stoker_aws::ledger::create_table(&clients.dynamodb, TABLE)
            .await
            .unwrap();
        clients
            .s3
            .create_bucket()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap();
        let versioned = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        clients
            .s3
            .put_bucket_versioning()
            .bucket(BUCKET)
            .versioning_configuration(versioned)
            .send()
            .await
            .unwrap();
        for (name, value) in [(APP_ID, app), (APP_KEY, key)] {
            clients
                .ssm
                .put_parameter()
                .name(name)
                .value(value)
                .r#type(ParameterType::SecureString)
                .send()
                .await
                .unwrap();
        }
        make_template(&clients).await;
        let intake = make_queue(&clients, "stoker-intake", false).await;
        let acts = make_queue(&clients, "stoker-act.fifo", true).await;
        let dead_letters = make_queue(&clients, "stoker-dead-letters", false).await;
        Self {
            clients,
            intake,
            acts,
            dead_letters,
        }
    }

    /// The ledger, as the Lambdas have it.
    pub(crate) fn ledger(&self) -> DynamoLedger {
        DynamoLedger::new(self.clients.dynamodb.clone(), TABLE)
    }

    /// The instances of a deployment, as the Lambdas launch them.
    pub(crate) fn fleet(&self, deployment: &str) -> Ec2Fleet {
        Ec2Fleet::new(self.clients.ec2.clone(), deployment.parse().unwrap())
    }

    /// Puts an object where `aws s3 cp` would; the version that it has.
    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) -> String {
        let answer = self
            .clients
            .s3
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from(body.into()))
            .send()
            .await
            .unwrap();
        answer.version_id.unwrap()
    }

    /// Deletes one, as `aws s3 rm` would.
    pub(crate) async fn delete(&self, key: &str) {
        let delete = self.clients.s3.delete_object().bucket(BUCKET).key(key);
        delete.send().await.unwrap();
    }

    /// What is in an object.
    pub(crate) async fn object(&self, key: &str) -> Option<Vec<u8>> {
        let get = self.clients.s3.get_object().bucket(BUCKET).key(key);
        let object = get.send().await.ok()?;
        Some(object.body.collect().await.unwrap().to_vec())
    }

    /// The keys that begin so.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let list = self
            .clients
            .s3
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(prefix);
        let listed = list.send().await.unwrap();
        let keys = listed.contents().iter().filter_map(|object| object.key());
        keys.map(ToOwned::to_owned).collect()
    }

    /// What is in each object whose key begins so, unpacked.
    pub(crate) async fn everything_below(&self, prefix: &str) -> Vec<String> {
        use std::io::Read as _;
        let mut all = Vec::new();
        for key in self.keys(prefix).await {
            let bytes = self.object(&key).await.unwrap();
            let mut text = String::new();
            flate2::read::GzDecoder::new(bytes.as_slice())
                .read_to_string(&mut text)
                .unwrap();
            all.push(text);
        }
        all
    }

    /// A new key that signs.
    pub(crate) async fn signing_key(&self) -> SigningKey {
        let made = self
            .clients
            .kms
            .create_key()
            .key_spec(KeySpec::EccNistP256)
            .key_usage(KeyUsageType::SignVerify)
            .send()
            .await
            .unwrap();
        let id = made.key_metadata.unwrap().key_id;
        let public = self.clients.kms.get_public_key().key_id(&id).send().await;
        let der = public.unwrap().public_key.unwrap();
        Self::key(id, der.as_ref())
    }

    fn key(id: String, der: &[u8]) -> SigningKey {
        SigningKey {
            id,
            public: STANDARD.encode(der),
        }
    }

    /// The deployment's instances, terminated ones included, by the time of their launch.
    pub(crate) async fn instances(&self) -> Vec<Instance> {
        let ours = Filter::builder()
            .name("tag:stoker:deployment")
            .values(DEPLOYMENT)
            .build();
        let answer = self
            .clients
            .ec2
            .describe_instances()
            .filters(ours)
            .send()
            .await
            .unwrap();
        answer
            .reservations()
            .iter()
            .flat_map(aws_sdk_ec2::types::Reservation::instances)
            .map(|instance| Instance {
                id: instance.instance_id().unwrap().to_owned(),
                state: instance.state().unwrap().name().unwrap().to_string(),
                spot: instance.instance_lifecycle().is_some(),
                tags: instance
                    .tags()
                    .iter()
                    .map(|tag| {
                        (
                            tag.key().unwrap().to_owned(),
                            tag.value().unwrap().to_owned(),
                        )
                    })
                    .collect(),
            })
            .collect()
    }

    /// Those of them that run.
    pub(crate) async fn running(&self) -> Vec<Instance> {
        let mut all = self.instances().await;
        all.retain(|instance| ["pending", "running"].contains(&instance.state.as_str()));
        all
    }

    /// Deletes everything that is in the ledger.
    pub(crate) async fn lose_the_ledger(&self) {
        let mut items = self
            .clients
            .dynamodb
            .scan()
            .table_name(TABLE)
            .projection_expression("pk, sk")
            .into_paginator()
            .items()
            .send();
        let mut lost = 0;
        while let Some(item) = items.next().await {
            let delete = self.clients.dynamodb.delete_item().table_name(TABLE);
            delete.set_key(Some(item.unwrap())).send().await.unwrap();
            lost += 1;
        }
        assert!(lost > 0, "there was nothing to lose");
    }

    /// What a parameter of the operator's holds.
    pub(crate) async fn parameter(&self, name: &str) -> String {
        let get = self.clients.ssm.get_parameter().name(name);
        let answer = get.with_decryption(true).send().await.unwrap();
        answer.parameter.unwrap().value.unwrap()
    }

    /// Writes one, or writes it over.
    pub(crate) async fn write_parameter(&self, name: &str, value: &str) {
        let put = self.clients.ssm.put_parameter().name(name).value(value);
        let put = put.r#type(ParameterType::SecureString).overwrite(true);
        put.send().await.unwrap();
    }

    /// Deletes one.
    pub(crate) async fn delete_parameter(&self, name: &str) {
        let delete = self.clients.ssm.delete_parameter().name(name);
        delete.send().await.unwrap();
    }

    /// Deletes the runners' launch template.
    pub(crate) async fn delete_template(&self) {
        let delete = self.clients.ec2.delete_launch_template();
        delete.launch_template_name(TEMPLATE).send().await.unwrap();
    }

    /// What an instance reads when it boots.
    pub(crate) async fn configuration(&self, instance: &str) -> Option<Value> {
        let answer = self
            .clients
            .ssm
            .get_parameter()
            .name(format!("/stoker/{DEPLOYMENT}/runners/{instance}"))
            .with_decryption(true)
            .send()
            .await
            .ok()?;
        let parameter = answer.parameter.unwrap();
        assert_eq!(parameter.r#type(), Some(&ParameterType::SecureString));
        Some(serde_json::from_str(parameter.value().unwrap()).unwrap())
    }
}

/// GitHub's string, out of a configuration, as an instance's boot script gets it.
pub(crate) fn unpacked(configuration: &Value) -> String {
    let field = configuration["jit_config"].as_str().unwrap();
    assert_eq!(configuration["encoding"], "gzip+base64");
    let packed = STANDARD.decode(field).unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut plain)
        .unwrap();
    STANDARD.encode(plain)
}

pub(crate) async fn make_queue(clients: &Clients, name: &str, fifo: bool) -> Queue {
    let mut request = clients
        .sqs
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, "120");
    if fifo {
        request = request.attributes(QueueAttributeName::FifoQueue, "true");
    }
    let made = request.send().await.unwrap();
    Queue::new(clients.sqs.clone(), made.queue_url.unwrap())
}

async fn make_template(clients: &Clients) {
    let images = clients.ec2.describe_images().send().await.unwrap();
    clients
        .ec2
        .create_launch_template()
        .launch_template_name(TEMPLATE)
        .launch_template_data(
            RequestLaunchTemplateData::builder()
                .image_id(images.images()[0].image_id().unwrap())
                .instance_type(InstanceType::T3Micro)
                .build(),
        )
        .send()
        .await
        .unwrap();
}
