//! What a deployment consists of on AWS, looked at and not touched: what an operator's commands ask, and
//! no Lambda does.
//!
//! Each question is one request, and says which IAM action it takes where that is denied. What the answers
//! mean is for who asked to judge.

use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    KeyType, PointInTimeRecoveryStatus, ScalarAttributeType, TimeToLiveStatus,
};
use aws_sdk_sqs::types::QueueAttributeName;
use thiserror::Error;

use crate::clients::Clients;
use crate::ledger;
use crate::problem;

/// Why something could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InspectError {
    /// It is not there.
    #[error("it is not there: {0}")]
    Missing(String),
    /// Whoever asks may not look at it.
    #[error("{problem}; allow {action} to whoever runs this")]
    NoAccess {
        /// The IAM action that would do.
        action: &'static str,
        /// The answer.
        problem: String,
    },
    /// There was no answer that says anything of it.
    #[error("{0}")]
    Unavailable(String),
}

/// A queue, as SQS tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFacts {
    /// Whether it keeps the order of its groups.
    pub is_fifo: bool,
    /// For how many seconds a message that was received is hidden.
    pub visibility_timeout: u64,
    /// How many messages wait.
    pub waiting: u64,
    /// Whether SQS encrypts them.
    pub is_encrypted: bool,
    /// After how many deliveries SQS moves a message away by itself; none: never.
    pub max_receives: Option<u64>,
}

/// A table, as `DynamoDB` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// Such as `ACTIVE`.
    pub status: String,
    /// Its keys with their kinds and types, such as `pk (HASH, S)`.
    pub keys: Vec<String>,
}

/// A launch template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateFacts {
    /// Its newest version.
    pub latest: i64,
}

/// Looks at one account and region.
#[derive(Debug, Clone)]
pub struct Inspector {
    clients: Clients,
}

impl Inspector {
    /// What those clients lead to.
    pub fn new(clients: Clients) -> Self {
        Self { clients }
    }

    /// A queue, by its URL.
    pub async fn queue(&self, url: &str) -> Result<QueueFacts, InspectError> {
        let answer = self
            .clients
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .map_err(|error| refused("sqs:GetQueueAttributes", &error))?;
        let text = |name: QueueAttributeName| {
            let all = answer.attributes();
            all.and_then(|all| all.get(&name)).map(String::as_str)
        };
        Ok(queue(&text))
    }

    /// A table, by its name.
    pub async fn table(&self, name: &str) -> Result<TableFacts, InspectError> {
        let answer = self
            .clients
            .dynamodb
            .describe_table()
            .table_name(name)
            .send()
            .await
            .map_err(|error| refused("dynamodb:DescribeTable", &error))?;
        let table = answer
            .table
            .ok_or_else(|| InspectError::Unavailable("DynamoDB says nothing of it".to_owned()))?;
        let keys = table.key_schema().iter().map(|key| {
            let name = key.attribute_name();
            let definitions = table.attribute_definitions();
            let defined = definitions.iter().find(|one| one.attribute_name() == name);
            let kind = defined.map_or("?", |one| one.attribute_type().as_str());
            shown_key(name, key.key_type(), kind)
        });
        Ok(TableFacts {
            keys: keys.collect(),
            status: table
                .table_status
                .map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
        })
    }

    /// The attribute by which a table forgets items; none: it forgets none.
    pub async fn expiry(&self, table: &str) -> Result<Option<String>, InspectError> {
        let answer = self
            .clients
            .dynamodb
            .describe_time_to_live()
            .table_name(table)
            .send()
            .await
            .map_err(|error| refused("dynamodb:DescribeTimeToLive", &error))?;
        let expiry = answer.time_to_live_description.filter(|expiry| {
            matches!(
                expiry.time_to_live_status(),
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            )
        });
        Ok(expiry.and_then(|expiry| expiry.attribute_name))
    }

    /// Whether a table can be put back as it was at any time of the last days.
    pub async fn has_point_in_time_recovery(&self, table: &str) -> Result<bool, InspectError> {
        let answer = self
            .clients
            .dynamodb
            .describe_continuous_backups()
            .table_name(table)
            .send()
            .await
            .map_err(|error| refused("dynamodb:DescribeContinuousBackups", &error))?;
        let recovery = answer
            .continuous_backups_description
            .and_then(|backups| backups.point_in_time_recovery_description)
            .and_then(|recovery| recovery.point_in_time_recovery_status);
        Ok(recovery == Some(PointInTimeRecoveryStatus::Enabled))
    }

    /// A launch template, by its id (`lt-…`) or its name, as classes name it.
    pub async fn launch_template(&self, named: &str) -> Result<TemplateFacts, InspectError> {
        let call = self.clients.ec2.describe_launch_templates();
        let call = if named.starts_with("lt-") {
            call.launch_template_ids(named)
        } else {
            call.launch_template_names(named)
        };
        let answer = call
            .send()
            .await
            .map_err(|error| refused("ec2:DescribeLaunchTemplates", &error))?;
        let template = answer
            .launch_templates()
            .first()
            .ok_or_else(|| InspectError::Missing("EC2 lists none".to_owned()))?;
        Ok(TemplateFacts {
            latest: template.latest_version_number().unwrap_or(1),
        })
    }
}

/// The keys that the ledger's table has to have, as [`TableFacts::keys`] has them.
pub fn ledger_keys() -> Vec<String> {
    let string = ScalarAttributeType::S;
    ledger::KEYS
        .map(|(name, kind)| shown_key(name, &kind, string.as_str()))
        .to_vec()
}

fn shown_key(name: &str, kind: &KeyType, attribute: &str) -> String {
    format!("{name} ({}, {attribute})", kind.as_str())
}

fn queue<'a>(text: &impl Fn(QueueAttributeName) -> Option<&'a str>) -> QueueFacts {
    let number = |name| text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let is_true = |name| text(name) == Some("true");
    let key = text(QueueAttributeName::KmsMasterKeyId);
    QueueFacts {
        is_fifo: is_true(QueueAttributeName::FifoQueue),
        visibility_timeout: number(QueueAttributeName::VisibilityTimeout),
        waiting: number(QueueAttributeName::ApproximateNumberOfMessages),
        is_encrypted: is_true(QueueAttributeName::SqsManagedSseEnabled)
            || key.is_some_and(|key| !key.is_empty()),
        max_receives: text(QueueAttributeName::RedrivePolicy).and_then(max_receives),
    }
}

/// Out of a redrive policy; AWS takes the number as a text too.
fn max_receives(policy: &str) -> Option<u64> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let number = &policy["maxReceiveCount"];
    number
        .as_u64()
        .or_else(|| number.as_str().and_then(|text| text.parse().ok()))
}

/// What an answer that is none means.
pub(crate) fn refused<E, R>(action: &'static str, error: &SdkError<E, R>) -> InspectError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: Debug,
{
    meaning(action, problem::code(error), problem::words(error))
}

fn meaning(action: &'static str, code: Option<&str>, problem: String) -> InspectError {
    match code {
        Some(code) if is_denial(code) => InspectError::NoAccess { action, problem },
        Some(code) if is_absence(code) => InspectError::Missing(problem),
        _ => InspectError::Unavailable(problem),
    }
}

/// Each service has its own word for it.
fn is_denial(code: &str) -> bool {
    code.contains("AccessDenied") || code.contains("UnauthorizedOperation")
}

fn is_absence(code: &str) -> bool {
    code.contains("NotFound")
        || code.contains("NonExistentQueue")
        || code.contains("QueueDoesNotExist")
        || code.contains("Malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_and_absent_are_told_apart_in_each_service_s_words() {
        let told = |code| meaning("x:Y", Some(code), "words".to_owned());
        for code in [
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
        ] {
            let denied = told(code);
            assert!(denied.to_string().contains("allow x:Y"), "{denied}");
        }
        for code in [
            "ResourceNotFoundException",
            "TableNotFoundException",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "InvalidLaunchTemplateName.NotFoundException",
            "InvalidLaunchTemplateId.NotFound",
            "InvalidLaunchTemplateId.Malformed",
        ] {
            assert!(matches!(told(code), InspectError::Missing(_)), "{code}");
        }
        let slow = told("ThrottlingException");
        assert!(matches!(slow, InspectError::Unavailable(_)));
    }

    #[test]
    fn a_queue_s_attributes_are_read() {
        let facts = queue(&|name| match name {
            QueueAttributeName::FifoQueue => Some("true"),
            QueueAttributeName::VisibilityTimeout => Some("360"),
            QueueAttributeName::ApproximateNumberOfMessages => Some("7"),
            QueueAttributeName::KmsMasterKeyId => Some("alias/stoker"),
            QueueAttributeName::RedrivePolicy => {
                Some(r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"20"}"#)
            }
            _ => None,
        });
        let expected = QueueFacts {
            is_fifo: true,
            visibility_timeout: 360,
            waiting: 7,
            is_encrypted: true,
            max_receives: Some(20),
        };
        assert_eq!(facts, expected);
        let bare = queue(&|_| None);
        assert!(!bare.is_encrypted && bare.max_receives.is_none());
    }

    #[test]
    fn the_ledger_s_keys_are_those_that_its_table_is_made_with() {
        assert_eq!(ledger_keys(), ["pk (HASH, S)", "sk (RANGE, S)"]);
    }
}
