//! What stands behind `stoker-core`'s ports: AWS, GitHub, the policy host.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use async_trait::async_trait;
use stoker_aws::{
    ClientSettings, Clients, DynamoLedger, Ec2Fleet, Parameters, S3Journal, S3Policies, SqsActs,
    SqsMessages, SsmConfigurations,
};
use stoker_batch::Paced;
use stoker_core::control::{Control, Ports};
use stoker_core::ids::Deployment;
use stoker_core::ports::{Clock, Reporter};
use stoker_core::time::Timestamp;
use stoker_github::{App, AppCredentials, Credentials, CredentialsError};
use stoker_lambda::SystemClock;
use stoker_policy::PolicyHost;

use crate::record::Records;
use crate::report::Lines;
use crate::settings::Settings;
use crate::settings::places::{Place, Policies};
use crate::timed::Timed;

/// A control plane over AWS and GitHub.
pub struct Deciding {
    /// It.
    pub control: Control,
    /// What each invocation leaves in the journal.
    pub records: Records,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
    /// The machine's.
    pub clock: Arc<dyn Clock>,
    clients: Clients,
    queues: [String; 2],
}

impl Deciding {
    /// Wires it up. Only what policies are active is asked for already.
    ///
    /// # Errors
    /// If the WebAssembly engine can't be set up, or no connection could ever be made.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let clients = Clients::load(&ClientSettings::default()).await;
        let deployment = settings.operation.deployment.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let records = records(&clients, &deployment, &settings.journal);
        let decider = policy_host(&clients, settings.policies, clock.now()).await?;
        let credentials = AppParameters {
            parameters: Parameters::new(clients.ssm.clone()),
            id: settings.app_id_parameter,
            key: settings.app_key_parameter,
        };
        let github = App::new(settings.github, Arc::new(credentials), Arc::clone(&clock))
            .context("GitHub can't be asked")?;
        let mut configurations = SsmConfigurations::new(clients.ssm.clone(), deployment.clone())
            .prefix(&settings.parameter_prefix);
        if let Some(key) = settings.kms_key {
            configurations = configurations.kms_key(key);
        }
        let queues = [
            settings.intake_queue_url.clone(),
            settings.act_queue_url.clone(),
        ];
        let reporter = records.reporter();
        let control = Control::new(
            settings.operation,
            Ports {
                ledger: Arc::new(DynamoLedger::new(
                    clients.dynamodb.clone(),
                    settings.ledger_table,
                )),
                fleet: Arc::new(Ec2Fleet::new(clients.ec2.clone(), deployment)),
                github: Arc::new(github),
                configurations: Arc::new(Paced::new(configurations, settings.parameter_writes)),
                acts: Arc::new(SqsActs::new(
                    clients.sqs.clone(),
                    settings.act_queue_url,
                    settings.intake_queue_url,
                )),
                decider: Arc::new(Timed::new(Arc::new(decider), &records)),
                clock: Arc::clone(&clock),
                timer: Arc::new(SystemClock),
                reporter: Arc::clone(&reporter),
            },
        )
        .acting_as(RandomState::new().hash_one(SystemTime::now()))
        .admitting(settings.allow_list);
        Ok(Self {
            control,
            records,
            reporter,
            clock,
            clients,
            queues,
        })
    }

    /// The queues that its messages come from, and the one for those that can't be handled.
    pub fn messages(&self, dead_letter_queue_url: String) -> SqsMessages {
        SqsMessages::new(
            self.clients.sqs.clone(),
            self.queues.clone(),
            dead_letter_queue_url,
        )
    }
}

/// What a deployment's invocations leave in that journal.
pub fn records(clients: &Clients, deployment: &Deployment, journal: &Place) -> Records {
    let store = S3Journal::new(clients.s3.clone(), journal.bucket.clone()).prefix(&journal.prefix);
    Records::new(Lines::new(deployment), Arc::new(store))
}

/// Who decides by these settings. What is active is asked for already, so that the first decision need not wait for
/// it while the Lambda starts anyway.
///
/// # Errors
/// If the WebAssembly engine can't be set up.
pub async fn policy_host(
    clients: &Clients,
    policies: Policies,
    now: Timestamp,
) -> anyhow::Result<PolicyHost> {
    let store =
        S3Policies::new(clients.s3.clone(), policies.place.bucket).prefix(&policies.place.prefix);
    let host = PolicyHost::new(Arc::new(store), policies.trust, policies.host)
        .context("the WebAssembly engine can't be set up")?;
    host.warm_up(now).await;
    Ok(host)
}

/// The GitHub App's credentials in SSM.
struct AppParameters {
    parameters: Parameters,
    id: String,
    key: String,
}

#[async_trait]
impl Credentials for AppParameters {
    async fn read(&self) -> Result<AppCredentials, CredentialsError> {
        let (app, private_key) = futures::future::try_join(
            self.parameters.plain(&self.id),
            self.parameters.secret(&self.key),
        )
        .await
        .map_err(|error| CredentialsError(error.to_string()))?;
        Ok(AppCredentials { app, private_key })
    }
}
