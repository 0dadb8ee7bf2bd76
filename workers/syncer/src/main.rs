//! The syncer Lambda: on a schedule, or when it is invoked by hand, GitHub's releases of the runner are looked at, the
//! versions that a policy wants are mirrored to S3, and the one that it chooses is what instances get. What that
//! means is `stoker-core`'s `distribution`; what it has in common with the other Lambdas that decide is
//! `stoker-deciders`.

mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use stoker_aws::{ClientSettings, Clients, S3Distribution};
use stoker_core::distribution::{SyncPorts, Syncer};
use stoker_core::ports::{Clock, Releases, SyncDecider};
use stoker_core::time::Timestamp;
use stoker_deciders::adapters;
use stoker_deciders::record::Records;
use stoker_deciders::timed::Timed;
use stoker_github::RunnerReleases;
use stoker_lambda::SystemClock;

use crate::settings::Settings;

/// What is left of the Lambda's time when a copy that is under way is given up, and nothing is begun any more: time
/// to give it up, to move the pointer to what is whole, and to write the journal.
const MARGIN: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    stoker_lambda::run("syncer", Box::pin(run())).await
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let (syncer, records) = wired(settings).await?;
    let (syncer, records) = (&syncer, &records);
    // The schedule's event says nothing that matters.
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let request = event.context.request_id.clone();
        let until = until(event.context.deadline());
        records.during(request, sync(syncer, until)).await
    }))
    .await
    .map_err(anyhow::Error::from_boxed)
}

/// The syncer over GitHub and S3.
async fn wired(settings: Settings) -> anyhow::Result<(Syncer, Records)> {
    let clients = Clients::load(&ClientSettings::default()).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let records = adapters::records(&clients, &settings.deployment, &settings.journal);
    let host = adapters::policy_host(&clients, settings.policies, clock.now()).await?;
    let decider: Arc<dyn SyncDecider> = Arc::new(Timed::new(Arc::new(host), &records));
    let releases = RunnerReleases::new(settings.releases, Arc::clone(&clock))
        .context("GitHub can't be asked")?;
    let store = S3Distribution::new(clients.s3.clone(), settings.distribution.bucket)
        .prefix(&settings.distribution.prefix);
    let ports = SyncPorts {
        releases: Arc::new(releases) as Arc<dyn Releases>,
        store: Arc::new(store),
        decider,
        clock,
        timer: Arc::new(SystemClock),
        reporter: records.reporter(),
    };
    Ok((Syncer::new(settings.rules, ports), records))
}

async fn sync(syncer: &Syncer, until: Timestamp) -> Result<Value, lambda_runtime::Error> {
    let came = syncer.sync(until).await?;
    Ok(serde_json::to_value(came)?)
}

/// No copy goes on after that. Where it is over at once, the rest is done all the same.
fn until(deadline: SystemTime) -> Timestamp {
    let left = deadline.duration_since(SystemTime::now());
    let left = left.unwrap_or_default().saturating_sub(MARGIN);
    Timestamp(SystemClock.now().0 + left.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_end_before_the_lambda_does() {
        let until_then = until(SystemTime::now() + Duration::from_mins(5));
        let left = until_then.0 - SystemClock.now().0;
        assert!((280..=285).contains(&left), "{left}");
        assert!(until(SystemTime::now()) <= SystemClock.now());
    }
}
