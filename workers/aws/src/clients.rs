//! The SDK's clients, made in one place, so that all of them wait and retry alike.
//!
//! Region, credentials and endpoints come from where the SDK finds them: the Lambda's own environment
//! on AWS, `AWS_ENDPOINT_URL` (or `AWS_ENDPOINT_URL_<SERVICE>`) for a stand-in or a VPC endpoint.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// A connection inside a region takes milliseconds; one that takes longer than this goes nowhere.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);

/// Every service but EC2 answers in well under a second; ten leave room for its bad days, and for two
/// more attempts within a Lambda's minute.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(10);

/// An instant `CreateFleet` answers only after it has tried every pool that it was offered.
const EC2_ATTEMPT: Duration = Duration::from_secs(25);

/// `PutParameter` is throttled at a few a second for a whole account, and a configuration that can't be
/// written costs an instance: it is worth waiting for. With doubling pauses this is about a minute.
const SSM_ATTEMPTS: u32 = 8;

/// DynamoDB refuses what a partition is too busy for, and is over it within a second or two: many short
/// pauses, of six seconds together at most, carry a write over what three attempts would not.
const DYNAMODB_ATTEMPTS: u32 = 8;

/// The first of these pauses, at most; each further one is twice as long.
const DYNAMODB_PAUSE: Duration = Duration::from_millis(50);

/// However many attempts, a call of the ledger leaves a Lambda time to say that it failed.
const DYNAMODB_CALL: Duration = Duration::from_secs(30);

/// What of the clients is not the SDK's own setting.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// Whether a bucket's name goes into the path instead of the host name. None: if there is an
    /// endpoint of our own, since stand-ins have no host name for each bucket.
    pub s3_path_style: Option<bool>,
}

/// One client for each service.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The ledger.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The fleet.
    pub ec2: aws_sdk_ec2::Client,
    /// What signs for policies.
    pub kms: aws_sdk_kms::Client,
    /// Policies.
    pub s3: aws_sdk_s3::Client,
    /// Requests to act.
    pub sqs: aws_sdk_sqs::Client,
    /// What instances read, and secrets.
    pub ssm: aws_sdk_ssm::Client,
}

impl Clients {
    /// Clients for the environment that this process runs in.
    pub async fn load(settings: &ClientSettings) -> Self {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .load()
            .await;
        Self::new(&config, settings)
    }

    /// Clients for a configuration of the SDK. Its time-outs and retries are replaced by ours.
    pub fn new(config: &SdkConfig, settings: &ClientSettings) -> Self {
        let config = config
            .clone()
            .into_builder()
            .timeout_config(patience(ATTEMPT))
            .retry_config(RetryConfig::standard())
            .build();
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config)
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(DYNAMODB_ATTEMPTS)
                    .with_initial_backoff(DYNAMODB_PAUSE),
            )
            .timeout_config(
                patience(ATTEMPT)
                    .into_builder()
                    .operation_timeout(DYNAMODB_CALL)
                    .build(),
            )
            .build();
        let ec2 = aws_sdk_ec2::config::Builder::from(&config)
            .timeout_config(patience(EC2_ATTEMPT))
            .build();
        let ssm = aws_sdk_ssm::config::Builder::from(&config)
            .retry_config(RetryConfig::standard().with_max_attempts(SSM_ATTEMPTS))
            .build();
        let path_style = settings
            .s3_path_style
            .unwrap_or_else(|| has_own_endpoint(&config));
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(path_style)
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            kms: aws_sdk_kms::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&config),
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
        }
    }
}

/// Whether S3 is asked at another place than AWS's own.
fn has_own_endpoint(config: &SdkConfig) -> bool {
    config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}

/// How long an attempt is waited for.
pub(crate) fn patience(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .build()
}
