//! The adapters over a stand-in for AWS (moto), each claim as a user would see it.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod acts;
mod clients;
mod configurations;
mod distribution;
mod faults;
mod fleet;
mod intake;
mod journal;
mod ledger;
mod ledger_items;
mod ledger_on_bad_days;
mod messages;
mod policies;
mod secrets;
mod server;
mod signer;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use stoker_aws::{ClientSettings, Clients};

use crate::server::Moto;

/// Clients of the stand-in, which lives as long as one of these does.
struct Aws {
    clients: Clients,
    endpoint: String,
    _moto: Arc<Moto>,
}

impl Aws {
    async fn new() -> Self {
        let moto = Moto::shared();
        Self {
            clients: clients_of(moto.endpoint()).await,
            endpoint: moto.endpoint().to_owned(),
            _moto: moto,
        }
    }
}

/// Clients of whatever answers there.
async fn clients_of(endpoint: &str) -> Clients {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(endpoint)
        .load()
        .await;
    Clients::new(&config, &ClientSettings::default())
}

/// A name that no other test of this process uses: all of them share one stand-in.
fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
