//! A policy store in memory, a situation, and the components that `scripts/build-policies` made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stoker_core::class::{Classes, RunnerClass};
use stoker_core::ids::{ArtifactDigest, ClassName, JobKey};
use stoker_core::limits::RunnerMode;
use stoker_core::plan::Proposal;
use stoker_core::ports::{
    Fetched, PolicyStore, PolicyStoreError, RepositoryFolder, ScaleUpDecider,
};
use stoker_core::situation::{
    ClassFacts, Headroom, LabelSet, PendingJob, Recent, RepositoryFacts, ScopeName, Situation,
    Spend, Trigger,
};
use stoker_core::time::Timestamp;
use stoker_intake::{CheckRunId, RepositoryId, Visibility};
use stoker_policy::{HostSettings, OnFailure, PolicyHost, PolicyMode, SizeClass};

/// A store that tests write to, and can make unreachable.
#[derive(Default)]
pub(crate) struct Store {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    down: Mutex<bool>,
}

impl Store {
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.objects
            .lock()
            .unwrap()
            .insert(path.to_owned(), bytes.into());
    }

    pub(crate) fn remove(&self, path: &str) {
        self.objects.lock().unwrap().remove(path);
    }

    pub(crate) fn set_down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }
}

#[async_trait]
impl PolicyStore for Store {
    async fn fetch(&self, path: &str, known: Option<&str>) -> Result<Fetched, PolicyStoreError> {
        if *self.down.lock().unwrap() {
            return Err(PolicyStoreError {
                path: path.to_owned(),
                problem: "it is down".to_owned(),
            });
        }
        Ok(match self.objects.lock().unwrap().get(path) {
            None => Fetched::Absent,
            Some(bytes) => {
                let tag = ArtifactDigest::of(bytes).to_string();
                if known == Some(tag.as_str()) {
                    Fetched::Unchanged
                } else {
                    Fetched::Found {
                        bytes: bytes.clone(),
                        tag,
                    }
                }
            }
        })
    }

    async fn repositories(&self, owner: &str) -> Result<Vec<RepositoryFolder>, PolicyStoreError> {
        if *self.down.lock().unwrap() {
            return Err(PolicyStoreError {
                path: format!("repos/{owner}"),
                problem: "it is down".to_owned(),
            });
        }
        let objects = self.objects.lock().unwrap();
        let prefix = format!("repos/{owner}/");
        let names: BTreeSet<&str> = objects
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix)?.split('/').next())
            .collect();
        Ok(names
            .into_iter()
            .map(|name| RepositoryFolder {
                name: name.to_owned(),
                policy: objects.contains_key(&format!("{prefix}{name}/policy.wasm")),
                settings: objects.contains_key(&format!("{prefix}{name}/settings.json")),
            })
            .collect())
    }
}

/// A host and the store that it reads.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) host: PolicyHost,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(PolicyMode::Policies)
    }

    pub(crate) fn with(mode: PolicyMode) -> Self {
        Self::failing(mode, OnFailure::BuiltIn)
    }

    pub(crate) fn failing(mode: PolicyMode, on_failure: OnFailure) -> Self {
        let store = Arc::new(Store::default());
        let settings = HostSettings {
            mode,
            limits: SizeClass::Small.limits(),
            on_failure,
        };
        let host = PolicyHost::new(Arc::<Store>::clone(&store), settings).unwrap();
        Self { store, host }
    }

    pub(crate) async fn decide(&self, situation: &Situation) -> Proposal {
        ScaleUpDecider::decide(&self.host, situation).await
    }
}

/// A component that `scripts/build-policies` made: `default`, or a test policy by its name.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let folder = if name == "default" {
        "policies"
    } else {
        "test-policies"
    };
    let path = target.join(folder).join(name).join("policy.wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. `make policies` (part of `make test`) builds it",
            path.display()
        )
    })
}

/// `jobs` jobs of one private repository of `acme` wait for one class of which 10 more may be launched.
pub(crate) fn situation(jobs: usize) -> Situation {
    let class = RunnerClass {
        name: ClassName("linux".to_owned()),
        labels: vec!["self-hosted".to_owned(), "linux".to_owned()],
        launch_template: "runners".to_owned(),
        launch_template_version: "$Default".to_owned(),
        instance_types: Vec::new(),
        subnets: Vec::new(),
        maximum: 10,
        spot_price: Some(0.03),
        on_demand_price: Some(0.1),
        attributes: BTreeMap::new(),
    };
    let classes = Classes::new(vec![class.clone()]).unwrap();
    let labels = vec!["linux".to_owned(), "self-hosted".to_owned()];
    let pending = (0..jobs)
        .map(|number| PendingJob {
            key: JobKey {
                repository: RepositoryId::new(7),
                check_run: CheckRunId::new(u64::try_from(number).unwrap()),
            },
            repository: 0,
            labels: 0,
            workflow: "ci".to_owned(),
            name: "test".to_owned(),
            branch: "main".to_owned(),
            attempt: 1,
            waited: 3,
            deferrals: 0,
            last_deferral: None,
            interrupted: false,
        })
        .collect();
    Situation {
        now: Timestamp(1_800_000_000),
        seed: 1,
        scope: ScopeName {
            owner: "acme".to_owned(),
            repository: None,
        },
        trigger: Trigger::Jobs,
        mode: RunnerMode::Ephemeral,
        repositories: vec![RepositoryFacts {
            id: RepositoryId::new(7),
            name: "app".to_owned(),
            visibility: Visibility::Private,
            waiting_jobs: u32::try_from(jobs).unwrap(),
            running_jobs: 0,
            maximum: None,
            left: 10,
            spent_today: 0.0,
        }],
        label_sets: vec![LabelSet {
            fits: classes.fitting(&labels),
            labels,
        }],
        classes: vec![ClassFacts {
            class,
            left: 10,
            spot: Recent::default(),
            on_demand: Recent::default(),
        }],
        pending,
        pending_unseen: 0,
        runners: Vec::new(),
        headroom: Headroom {
            runners_maximum: 10,
            runners_left: 10,
            launches_left: 10,
            registrations_left: 10,
            registrations_reset: 0,
            spend_left: None,
        },
        spend: Spend::default(),
    }
}

/// How many runners a proposal launches.
pub(crate) fn launched(proposal: &Proposal) -> u32 {
    proposal.plan.launches.iter().map(|l| l.count).sum()
}
