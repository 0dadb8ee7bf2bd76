//! The whole control plane in this process: the webhook endpoint, and behind it the embedded adapters
//! with the policy host.

mod http;
mod policies;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use stoker_admission::Report;
use stoker_core::ids::Deployment;
use stoker_core::ports::{Decider, Reporter};
use stoker_intake::{Answer, Reception, Settings};
use stoker_local::{Embedded, EmbeddedSettings, FolderPolicies};
use stoker_policy::artifact::PublicKeys;
use stoker_policy::{HostSettings, Limits, OnFailure, PolicyHost, PolicyMode, Trust};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Who is told of webhooks as well as of what happens after them.
pub trait Observer: Reporter {
    /// A request was answered so.
    fn webhook(&self, reception: &Reception, answer: &Answer);

    /// What is in the folder of policies was judged, or why it could not be.
    fn admission(&self, came_to: Result<&Report, String>);
}

/// What a control plane is started with.
#[derive(Debug, Clone)]
pub struct PlaneSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may send what.
    pub intake: Settings,
    /// Everything behind the endpoint.
    pub embedded: EmbeddedSettings,
    /// The folder of policies; none: the built-in rules decide.
    pub policies: Option<PathBuf>,
    /// What happens when a policy fails.
    pub on_failure: OnFailure,
    /// What policies may be and use.
    pub limits: Limits,
}

/// A control plane that runs until it is [stopped](Self::stop).
pub struct Plane {
    embedded: Arc<Embedded>,
    address: SocketAddr,
    closing: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _policies: Option<policies::Policies>,
}

impl Plane {
    /// Starts one.
    pub async fn start(
        settings: PlaneSettings,
        observer: Arc<dyn Observer>,
    ) -> anyhow::Result<Self> {
        // First, so that a port that is taken leaves no trace in the data folder.
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("can't listen on {}", settings.listen))?;
        let address = listener.local_addr()?;
        let reporter: Arc<dyn Reporter> = Arc::<dyn Observer>::clone(&observer);
        let policies = match settings.policies {
            None => None,
            Some(folder) => Some(
                policies::start(
                    folder,
                    settings.embedded.data.as_deref(),
                    &settings.embedded.operation.deployment,
                    settings.limits,
                    Arc::clone(&observer),
                )
                .await?,
            ),
        };
        let host = HostSettings {
            mode: PolicyMode::Policies,
            limits: settings.limits,
            on_failure: settings.on_failure,
        };
        let decider = decider(
            policies.as_ref(),
            host,
            &settings.embedded.operation.deployment,
        )?;
        let embedded = Arc::new(Embedded::start(settings.embedded, decider, reporter).await?);
        let door = http::Door {
            settings: Arc::new(settings.intake),
            embedded: Arc::clone(&embedded),
            observer,
        };
        let (closing, closed) = oneshot::channel();
        let server = tokio::spawn(async move {
            let router = http::router(door);
            axum::serve(
                listener,
                router.into_make_service_with_connect_info::<SocketAddr>(),
            )
            .with_graceful_shutdown(async {
                // Dropped without a word is a wish to close as well.
                let _ = closed.await;
            })
            .await
        });
        Ok(Self {
            embedded,
            address,
            closing,
            server,
            _policies: policies,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where webhooks go.
    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// What is behind the endpoint.
    pub fn embedded(&self) -> &Arc<Embedded> {
        &self.embedded
    }

    /// Answers what is being received, finishes what is being done, and stops. What waits is in the
    /// ledger.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.closing.send(());
        self.server.await??;
        self.embedded.stop().await;
        Ok(())
    }
}

/// Who decides: the policies, or the built-in rules where there is no folder of any.
fn decider(
    policies: Option<&policies::Policies>,
    settings: HostSettings,
    deployment: &Deployment,
) -> anyhow::Result<Arc<dyn Decider>> {
    let host = match policies {
        Some(policies) => PolicyHost::new(
            Arc::clone(&policies.store),
            policies.trust.clone(),
            settings,
        ),
        None => PolicyHost::new(
            Arc::new(FolderPolicies::new("")),
            Trust {
                deployment: deployment.clone(),
                keys: PublicKeys::default(),
                revalidate: 1,
            },
            HostSettings {
                mode: PolicyMode::BuiltIn,
                ..settings
            },
        ),
    };
    Ok(Arc::new(host.context("the policy host")?))
}
