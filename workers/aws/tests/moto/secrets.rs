//! The operator's parameters.

use aws_sdk_ssm::types::ParameterType;
use secrecy::ExposeSecret as _;
use stoker_aws::{ParameterError, Parameters};

use crate::{Aws, unique};

async fn parameter(aws: &Aws, kind: ParameterType, value: &str) -> String {
    let name = format!("/{}", unique("secret"));
    aws.clients
        .ssm
        .put_parameter()
        .name(&name)
        .value(value)
        .r#type(kind)
        .send()
        .await
        .unwrap();
    name
}

#[tokio::test]
async fn a_secure_parameter_is_read_decrypted_and_without_its_last_line_break() {
    let aws = Aws::new().await;
    let name = parameter(&aws, ParameterType::SecureString, "-----BEGIN\nkey\n").await;
    let parameters = Parameters::new(aws.clients.ssm.clone());
    let secret = parameters.secret(&name).await.unwrap();
    assert_eq!(secret.expose_secret(), "-----BEGIN\nkey");
    assert!(!format!("{secret:?}").contains("key"));
}

#[tokio::test]
async fn a_plain_parameter_is_read() {
    let aws = Aws::new().await;
    let name = parameter(&aws, ParameterType::String, "12345").await;
    let parameters = Parameters::new(aws.clients.ssm.clone());
    assert_eq!(parameters.plain(&name).await.unwrap(), "12345");
}

#[tokio::test]
async fn what_is_missing_and_what_was_never_filled_in_are_told_apart_by_name() {
    let aws = Aws::new().await;
    let parameters = Parameters::new(aws.clients.ssm.clone());
    let missing = parameters.secret("/none/here").await.unwrap_err();
    assert_eq!(missing, ParameterError::Missing("/none/here".to_owned()));
    assert!(missing.to_string().contains("`/none/here`"));
    for placeholder in ["placeholder", "-", "Change-Me"] {
        let name = parameter(&aws, ParameterType::SecureString, placeholder).await;
        assert_eq!(
            parameters.secret(&name).await.unwrap_err(),
            ParameterError::Placeholder(name)
        );
    }
}
