//! The deployment of `stoker up`: a folder that people put policies into, and beside the ledger a folder
//! of what is published of it, with the key that signs for that. Admission runs in this very process;
//! `stoker up` may run its own at the same time, since the store's conditional writes let one of two
//! publish and have the other look again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use stoker_admission::trial::InProcess;
use stoker_admission::{Admission, AdmissionPorts, AdmissionSettings, Report, Task};
use stoker_core::ids::Deployment;
use stoker_core::ports::{AdmissionStore, PolicyUploads};
use stoker_local::{FolderPolicies, FolderUploads, LocalSigner, SystemClock};
use stoker_policy::Limits;
use stoker_policy::artifact::PublicKeys;
use stoker_policy::engine::Configuration;

use super::Kind;

/// The data folder of `stoker up` where nothing else is said.
pub(crate) const DATA: &str = "stoker-data";

/// What a deployment in folders is called.
pub(crate) const NAME: &str = "local";

/// Where in the data folder what is published lies.
const PUBLISHED: &str = "policies";

/// The file in the data folder with the key that signs.
const SIGNING_KEY: &str = "policy-signing-key";

/// What such a deployment consists of.
pub(crate) struct Folders {
    uploads: Arc<FolderUploads>,
    store: Arc<FolderPolicies>,
    signer: Arc<LocalSigner>,
}

impl Folders {
    /// Opens it; the signing key is made if there is none.
    pub(crate) fn open(policies: &Path, data: &Path) -> anyhow::Result<Self> {
        let signer = LocalSigner::open(&data.join(SIGNING_KEY))
            .context("nothing can be signed, so nothing can be published")?;
        Ok(Self {
            uploads: Arc::new(FolderUploads::new(policies)),
            store: Arc::new(FolderPolicies::new(data.join(PUBLISHED))),
            signer: Arc::new(signer),
        })
    }

    /// What people put there.
    pub(crate) fn uploads(&self) -> Arc<dyn PolicyUploads> {
        Arc::<FolderUploads>::clone(&self.uploads)
    }

    /// What is published.
    pub(crate) fn store(&self) -> Arc<dyn AdmissionStore> {
        Arc::<FolderPolicies>::clone(&self.store)
    }

    /// Whom to believe what is published.
    pub(crate) fn keys(&self) -> PublicKeys {
        PublicKeys::new([self.signer.public().to_vec()])
    }

    /// Who judges what people put there.
    pub(crate) fn admission(&self, deployment: &Deployment, limits: Limits) -> Admission {
        let configuration = Configuration::STANDARD;
        let ports = AdmissionPorts {
            store: self.store(),
            uploads: self.uploads(),
            signer: Arc::<LocalSigner>::clone(&self.signer),
            judge: Arc::new(InProcess::new(configuration, limits)),
            clock: Arc::new(SystemClock),
        };
        let settings = AdmissionSettings {
            deployment: deployment.clone(),
            keys: self.keys(),
            limits,
            configuration,
        };
        Admission::new(ports, settings)
    }
}

/// Where it is.
pub(super) struct Place {
    policies: PathBuf,
    data: PathBuf,
}

/// Opens it for an operator. Looking at it makes nothing: the signing key is made when admission is asked.
pub(super) fn open(policies: &Path, data: &Path, given: Option<PublicKeys>) -> super::Deployment {
    let its_own = || {
        let key = data.join(SIGNING_KEY);
        if !key.exists() {
            return Err(format!("{} is not there", key.display()));
        }
        let folders = Folders::open(policies, data);
        folders
            .map(|folders| folders.keys())
            .map_err(|error| format!("{error:#}"))
    };
    super::Deployment {
        uploads: Arc::new(FolderUploads::new(policies)),
        store: Arc::new(FolderPolicies::new(data.join(PUBLISHED))),
        keys: given.map_or_else(its_own, Ok),
        kind: Kind::Folder(Place {
            policies: policies.to_owned(),
            data: data.to_owned(),
        }),
    }
}

impl Place {
    pub(super) async fn admit(&self, task: &Task, limits: Limits) -> anyhow::Result<Report> {
        let folders = Folders::open(&self.policies, &self.data)?;
        let admission = folders.admission(&NAME.parse()?, limits);
        Ok(admission.run(task, &[]).await?)
    }

    pub(super) fn of(&self, path: &str) -> String {
        self.policies.join(path).display().to_string()
    }
}
