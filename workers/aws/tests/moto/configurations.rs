//! What instances read.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{Parameter, ParameterType, ResourceTypeForTagging};
use secrecy::{ExposeSecret as _, SecretString};
use stoker_aws::SsmConfigurations;
use stoker_core::boot::{InstanceConfiguration, Registration};
use stoker_core::ids::{Deployment, InstanceId};
use stoker_core::ports::Configurations as _;

use crate::{Aws, unique};

fn deployment() -> Deployment {
    unique("conf").parse().unwrap()
}

fn instance() -> InstanceId {
    "i-0123456789abcdef0".parse().unwrap()
}

fn configuration(token: &str) -> InstanceConfiguration {
    InstanceConfiguration {
        name: "stoker-test-i-0123456789abcdef0".to_owned(),
        url: "https://github.com/acme".to_owned(),
        labels: vec!["linux".to_owned()],
        runner_group: None,
        ephemeral: false,
        registration: Registration::Persistent(SecretString::from(token.to_owned())),
    }
}

async fn stored(aws: &Aws, name: &str, decrypted: bool) -> Option<Parameter> {
    let answer = aws
        .clients
        .ssm
        .get_parameter()
        .name(name)
        .with_decryption(decrypted)
        .send()
        .await;
    match answer {
        Ok(answer) => answer.parameter,
        Err(error) => {
            assert!(error.into_service_error().is_parameter_not_found());
            None
        }
    }
}

async fn tags(aws: &Aws, name: &str) -> BTreeMap<String, String> {
    let answer = aws
        .clients
        .ssm
        .list_tags_for_resource()
        .resource_type(ResourceTypeForTagging::Parameter)
        .resource_id(name)
        .send()
        .await
        .unwrap();
    answer
        .tag_list()
        .iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
        .collect()
}

#[tokio::test]
async fn a_configuration_is_a_secure_parameter_at_the_instances_own_path_and_tagged_with_its_id() {
    let aws = Aws::new().await;
    let deployment = deployment();
    let configurations = SsmConfigurations::new(aws.clients.ssm.clone(), deployment.clone());
    configurations
        .put(&instance(), &configuration("AAAB-secret"))
        .await
        .unwrap();

    let name = format!("/stoker/{deployment}/runners/i-0123456789abcdef0");
    let parameter = stored(&aws, &name, true).await.unwrap();
    assert_eq!(parameter.r#type(), Some(&ParameterType::SecureString));
    assert_eq!(
        parameter.value(),
        Some(configuration("AAAB-secret").to_parameter().expose_secret())
    );
    let raw = stored(&aws, &name, false).await.unwrap();
    assert_ne!(raw.value(), parameter.value());
    assert_eq!(
        tags(&aws, &name).await,
        BTreeMap::from([
            ("InstanceId".to_owned(), "i-0123456789abcdef0".to_owned()),
            ("stoker:deployment".to_owned(), deployment.to_string()),
        ])
    );
}

#[tokio::test]
async fn a_second_configuration_replaces_the_first_and_keeps_its_tags() {
    let aws = Aws::new().await;
    let configurations = SsmConfigurations::new(aws.clients.ssm.clone(), deployment());
    for token in ["first", "second"] {
        configurations
            .put(&instance(), &configuration(token))
            .await
            .unwrap();
    }
    let name = configurations.parameter_name(&instance());
    let parameter = stored(&aws, &name, true).await.unwrap();
    assert!(parameter.value().unwrap().contains("second"));
    assert_eq!(tags(&aws, &name).await.len(), 2);
}

#[tokio::test]
async fn many_are_deleted_at_once_whether_they_are_there_or_not() {
    let aws = Aws::new().await;
    let configurations = SsmConfigurations::new(aws.clients.ssm.clone(), deployment());
    let all: Vec<InstanceId> = (0..23)
        .map(|n| format!("i-{n:017x}").parse().unwrap())
        .collect();
    for there in all.iter().step_by(3) {
        configurations
            .put(there, &configuration("token"))
            .await
            .unwrap();
    }
    configurations.delete_all(&all).await.unwrap();
    for instance in &all {
        let name = configurations.parameter_name(instance);
        assert!(stored(&aws, &name, true).await.is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_deleted_configuration_is_gone_and_deleting_it_again_is_no_error() {
    let aws = Aws::new().await;
    let configurations =
        SsmConfigurations::new(aws.clients.ssm.clone(), deployment()).prefix("/acme/ci/");
    configurations
        .put(&instance(), &configuration("token"))
        .await
        .unwrap();
    let name = configurations.parameter_name(&instance());
    assert!(name.starts_with("/acme/ci/conf-"), "{name}");
    for _ in 0..2 {
        configurations.delete(&instance()).await.unwrap();
        assert!(stored(&aws, &name, true).await.is_none());
    }
}
