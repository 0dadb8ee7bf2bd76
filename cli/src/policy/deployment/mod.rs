//! The deployment whose policies an operator looks after: on AWS ([`aws`]), or in folders of this machine
//! ([`folder`]). Here is what both have: where people put policies, what is published of them
//! ([`published`]), whom to believe that ([`keys`]), and admission, which is asked and never gone around.

mod aws;
pub(crate) mod folder;
mod keys;
mod published;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use stoker_admission::{Report, Task};
use stoker_core::ports::{AdmissionStore, PolicyUploads};
use stoker_policy::Limits;
use stoker_policy::artifact::PublicKeys;

use crate::WrongArguments;
use crate::limits::LimitsArgs;
pub(super) use published::{Published, Signature};

/// The bucket, where it is not an argument.
const BUCKET: &str = "POLICIES_BUCKET";

/// Where the policies of a deployment are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which deployment (one of --policies and --bucket)")]
pub(super) struct PlaceArgs {
    /// The folder of policies of `stoker up`.
    #[arg(long, value_name = "DIR", conflicts_with = "bucket")]
    policies: Option<PathBuf>,
    /// The folder of its ledger, and of what is published.
    #[arg(long, value_name = "DIR", default_value = folder::DATA)]
    data: PathBuf,
    /// The policies bucket of a deployment on AWS; credentials, region and endpoint are found as the AWS
    /// CLI finds them (or `POLICIES_BUCKET` in the environment, unless there is --policies).
    // Not clap's own `env`: a variable that is set once and for all must not conflict with `--policies`.
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Where in the bucket, if not at its top.
    #[arg(
        long,
        env = "POLICIES_PREFIX",
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// The public key that admission signs with (PEM, DER, or base64 of that), so that what is shown of a
    /// deployment on AWS is verified; with several keys one must have signed.
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
}

/// Who judges what is uploaded.
#[derive(Debug, Clone, Args)]
pub(super) struct JudgeArgs {
    /// The admission Lambda.
    #[arg(
        long,
        env = "POLICY_ADMISSION_FUNCTION",
        value_name = "NAME",
        default_value = "stoker-policy-admission",
        help_heading = "Which deployment (one of --policies and --bucket)"
    )]
    function: String,
    #[command(flatten)]
    limits: LimitsArgs,
}

impl JudgeArgs {
    /// What policies may be and use.
    pub(super) fn limits(&self) -> Limits {
        self.limits.limits()
    }
}

/// A deployment, as an operator gets at it.
pub(super) struct Deployment {
    uploads: Arc<dyn PolicyUploads>,
    store: Arc<dyn AdmissionStore>,
    /// Whom to believe what is published, or why that can't be known.
    keys: Result<PublicKeys, String>,
    kind: Kind,
}

enum Kind {
    Folder(folder::Place),
    Aws(aws::Place),
}

impl PlaceArgs {
    /// Opens the deployment that is meant.
    pub(super) async fn open(&self) -> anyhow::Result<Deployment> {
        let given = keys::read(&self.public_keys)?;
        let bucket = self.bucket.clone().or_else(|| {
            let set = std::env::var(BUCKET).ok();
            set.filter(|_| self.policies.is_none())
        });
        match (&self.policies, bucket.filter(|name| !name.is_empty())) {
            (Some(policies), _) => Ok(folder::open(policies, &self.data, given)),
            (None, Some(bucket)) => Ok(aws::open(&bucket, &self.prefix, given).await),
            (None, None) => Err(WrongArguments(
                "which deployment? Name the folder of `stoker up` with --policies (and --data), or the \
                 bucket of a deployment on AWS with --bucket (or POLICIES_BUCKET)"
                    .to_owned(),
            )
            .into()),
        }
    }
}

impl Deployment {
    /// What people put there.
    pub(super) fn uploads(&self) -> &dyn PolicyUploads {
        self.uploads.as_ref()
    }

    /// Has admission do something, and waits for what it says.
    pub(super) async fn admit(&self, task: &Task, judge: &JudgeArgs) -> anyhow::Result<Report> {
        match &self.kind {
            Kind::Folder(place) => place.admit(task, judge.limits()).await,
            Kind::Aws(place) => place.admit(task, &judge.function).await,
        }
    }

    /// Where an upload lies, as people find it.
    pub(super) fn place_of(&self, path: &str) -> String {
        match &self.kind {
            Kind::Folder(place) => place.of(path),
            Kind::Aws(place) => place.of(path),
        }
    }
}
