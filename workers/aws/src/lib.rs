//! The AWS adapters: what the ports of `stoker-core` are on AWS.
//!
//! What it is: thin. Each adapter turns one port into requests to one service, and that service's
//! answers into the port's types and errors.
//!
//! What it is not: it decides nothing, reads no environment (but for the SDK's own settings, see
//! [`clients`]), caches nothing and remembers no failure. Throttling, 5xx and broken connections are
//! tried again by the SDK's standard retry; what comes out of here as an error has had that.
//!
//! Modules in reading order: [`clients`], [`ledger`] (DynamoDB), [`fleet`] (EC2), [`configurations`]
//! (SSM), [`policies`], [`journal`] and [`distribution`] (S3), [`signer`] (KMS), [`acts`], [`intake`] and [`messages`] (SQS),
//! [`secrets`] (SSM); with the feature `operator`, `function` (Stoker's own Lambdas, as an operator's
//! commands ask them) and `inspect` (what a deployment consists of, looked at).

pub mod acts;
mod bucket;
pub mod clients;
pub mod configurations;
pub mod distribution;
pub mod fleet;
#[cfg(feature = "operator")]
pub mod function;
#[cfg(feature = "operator")]
pub mod inspect;
pub mod intake;
pub mod journal;
pub mod ledger;
pub mod messages;
pub mod policies;
mod problem;
pub mod secrets;
pub mod signer;

pub use acts::SqsActs;
pub use clients::{ClientSettings, Clients};
pub use configurations::SsmConfigurations;
pub use distribution::S3Distribution;
pub use fleet::Ec2Fleet;
#[cfg(feature = "operator")]
pub use function::{LambdaConfiguration, LambdaError, LambdaFunction};
#[cfg(feature = "operator")]
pub use inspect::{InspectError, Inspector};
pub use intake::{Delivered, NotTaken, SqsIntake};
pub use journal::S3Journal;
pub use ledger::DynamoLedger;
pub use messages::SqsMessages;
pub use policies::{S3Policies, S3Uploads};
pub use secrets::{ParameterError, Parameters};
pub use signer::KmsSigner;
