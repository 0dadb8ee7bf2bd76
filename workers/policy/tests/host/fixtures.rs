//! Uploads, admission over them, a host that reads what admission publishes, a situation, and the
//! components that `scripts/build-policies` made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use stoker_admission::judge::{Answer, Judge, JudgeError, Opened, Question, Trying};
use stoker_admission::testing::{MemorySigner, MemoryStore, MemoryUploads, SetClock};
use stoker_admission::trial::InProcess;
use stoker_admission::{
    Admission, AdmissionPorts, AdmissionSettings, Outcome, Problem, Report, Task, Verdict,
};
use stoker_core::class::{Classes, RunnerClass};
use stoker_core::ids::{ClassName, Deployment, JobKey, PolicyGeneration};
use stoker_core::limits::RunnerMode;
use stoker_core::plan::Proposal;
use stoker_core::ports::{PolicyStore, ScaleUpDecider};
use stoker_core::situation::{
    ClassFacts, Headroom, LabelSet, PendingJob, Recent, RepositoryFacts, ScopeName, Situation,
    Spend, Trigger,
};
use stoker_core::time::Timestamp;
use stoker_intake::{CheckRunId, RepositoryId, Visibility};
use stoker_policy::artifact::PublicKeys;
use stoker_policy::engine::Configuration;
use stoker_policy::{HostSettings, OnFailure, PolicyHost, PolicyMode, SizeClass, Trust};

/// The time of [`situation`].
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);

/// How many seconds a document is used before it is confirmed again.
pub(crate) const REVALIDATE: u32 = 15;

/// Nothing has decided yet.
pub(crate) const NEVER: PolicyGeneration = PolicyGeneration(0);

/// The publications of a [`Bench`], whose admission's clock stands at [`NOW`].
pub(crate) const FIRST: PolicyGeneration = PolicyGeneration(20_270_115_080_000);
pub(crate) const SECOND: PolicyGeneration = PolicyGeneration(FIRST.0 + 1);
pub(crate) const THIRD: PolicyGeneration = PolicyGeneration(FIRST.0 + 2);

/// What a [`Bench`] is set up with.
#[derive(Clone, Copy)]
pub(crate) struct SetUp {
    pub(crate) mode: PolicyMode,
    pub(crate) on_failure: OnFailure,
    /// Admission has no policy decide before it lets it in.
    pub(crate) lenient: bool,
    /// For which engine admission compiles.
    pub(crate) compiled_for: Configuration,
}

impl Default for SetUp {
    fn default() -> Self {
        Self {
            mode: PolicyMode::Policies,
            on_failure: OnFailure::BuiltIn,
            lenient: false,
            compiled_for: Configuration::STANDARD,
        }
    }
}

/// Uploads, admission over them, and a host that reads what admission publishes.
pub(crate) struct Bench {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) signer: Arc<MemorySigner>,
    pub(crate) host: PolicyHost,
    uploads: Arc<MemoryUploads>,
    admission: Admission,
    set_up: SetUp,
    /// Something was uploaded that admission has not looked at.
    pending: AtomicBool,
    /// Seconds since [`NOW`].
    elapsed: AtomicU64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::set_up(SetUp::default())
    }

    /// One where policies get as far as failing in a decision.
    pub(crate) fn lenient() -> Self {
        Self::set_up(SetUp {
            lenient: true,
            ..SetUp::default()
        })
    }

    pub(crate) fn set_up(set_up: SetUp) -> Self {
        let store = Arc::new(MemoryStore::default());
        let uploads = Arc::new(MemoryUploads::default());
        let signer = Arc::new(MemorySigner::default());
        let admission = admission(set_up, &store, &uploads, &signer);
        let trust = trust([signer.key()]);
        Self {
            host: host(Arc::<MemoryStore>::clone(&store), trust, set_up),
            store,
            signer,
            uploads,
            admission,
            set_up,
            pending: AtomicBool::new(false),
            elapsed: AtomicU64::new(0),
        }
    }

    /// The same deployment after an upgrade of admission, which compiles for another engine.
    pub(crate) fn compile_for(&mut self, compiled_for: Configuration) {
        self.set_up.compiled_for = compiled_for;
        self.admission = admission(self.set_up, &self.store, &self.uploads, &self.signer);
    }

    /// Uploads a file.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.uploads.upload(path, bytes);
        self.pending.store(true, Ordering::Relaxed);
    }

    /// Deletes an upload.
    pub(crate) fn remove(&self, path: &str) {
        assert!(self.uploads.delete(path), "{path} was never uploaded");
        self.pending.store(true, Ordering::Relaxed);
    }

    /// Has admission look at what is uploaded, and lets a minute pass after a publication, so that every
    /// process knows of it.
    pub(crate) async fn publish(&self) -> Report {
        self.pending.store(false, Ordering::Relaxed);
        let report = self.admission.run(&Task::Sweep, &[]).await.unwrap();
        if report.published {
            self.elapsed.fetch_add(60, Ordering::Relaxed);
        }
        report
    }

    /// What admission thinks of a folder.
    pub(crate) async fn verdict(&self, folder: &str) -> Verdict {
        let mut verdicts = self.publish().await.verdicts;
        verdicts.remove(&folder.parse().unwrap()).unwrap()
    }

    /// Why admission refuses a folder, where there is one reason.
    pub(crate) async fn refusal(&self, folder: &str) -> Problem {
        let verdict = self.verdict(folder).await;
        assert_eq!(verdict.outcome, Outcome::Refused, "{verdict:?}");
        let [problem] = &verdict.problems[..] else {
            panic!("{:?}", verdict.problems);
        };
        problem.clone()
    }

    /// A process that has just started.
    pub(crate) fn cold(&self) -> PolicyHost {
        self.reading(Arc::<MemoryStore>::clone(&self.store))
    }

    /// A process that has just started and reads another store.
    pub(crate) fn reading(&self, store: Arc<dyn PolicyStore>) -> PolicyHost {
        host(store, trust([self.signer.key()]), self.set_up)
    }

    /// Decides by what is uploaded, so many minutes later as there were publications.
    pub(crate) async fn decide(&self, situation: &Situation) -> Proposal {
        if self.pending.load(Ordering::Relaxed) {
            self.publish().await;
        }
        let later = self.elapsed.load(Ordering::Relaxed);
        let situation = Situation {
            now: Timestamp(situation.now.0 + later),
            ..situation.clone()
        };
        ScaleUpDecider::decide(&self.host, &situation, NEVER).await
    }

    /// Decides about three jobs so many seconds after [`NOW`], by what was published by then.
    pub(crate) async fn decide_at(&self, later: u64) -> Proposal {
        decide_at(&self.host, later, NEVER).await
    }
}

/// Has a host decide about three jobs so many seconds after [`NOW`], for a scope that has seen that
/// generation.
pub(crate) async fn decide_at(host: &PolicyHost, later: u64, seen: PolicyGeneration) -> Proposal {
    let situation = Situation {
        now: Timestamp(NOW.0 + later),
        ..situation(3)
    };
    ScaleUpDecider::decide(host, &situation, seen).await
}

pub(crate) fn deployment() -> Deployment {
    "ci".parse().unwrap()
}

/// That deployment's documents are believed if one of those keys has signed them.
pub(crate) fn trust(keys: impl IntoIterator<Item = Vec<u8>>) -> Trust {
    Trust {
        deployment: deployment(),
        keys: PublicKeys::new(keys),
        revalidate: REVALIDATE,
    }
}

/// A process that reads that store.
pub(crate) fn host(store: Arc<dyn PolicyStore>, trust: Trust, set_up: SetUp) -> PolicyHost {
    let settings = HostSettings {
        mode: set_up.mode,
        limits: SizeClass::Small.limits(),
        on_failure: set_up.on_failure,
    };
    PolicyHost::new(store, trust, settings).unwrap()
}

fn admission(
    set_up: SetUp,
    store: &Arc<MemoryStore>,
    uploads: &Arc<MemoryUploads>,
    signer: &Arc<MemorySigner>,
) -> Admission {
    let limits = SizeClass::Small.limits();
    let real = InProcess::new(set_up.compiled_for, limits);
    let clock = SetClock::default();
    clock.set(NOW);
    let judge: Arc<dyn Judge> = if set_up.lenient {
        Arc::new(Lenient(real))
    } else {
        Arc::new(real)
    };
    let ports = AdmissionPorts {
        store: Arc::<MemoryStore>::clone(store),
        uploads: Arc::<MemoryUploads>::clone(uploads),
        signer: Arc::<MemorySigner>::clone(signer),
        judge,
        clock: Arc::new(clock),
    };
    let settings = AdmissionSettings {
        deployment: deployment(),
        keys: PublicKeys::new([signer.key()]),
        limits,
        configuration: set_up.compiled_for,
    };
    Admission::new(ports, settings)
}

/// Takes components up as admission does and has none decide: there are situations that its trials do
/// not have.
struct Lenient(InProcess);

#[async_trait]
impl Judge for Lenient {
    async fn open(&self, component: Arc<Vec<u8>>) -> Result<Opened, JudgeError> {
        Ok(match self.0.open(component).await? {
            Opened::Refused(problem) => Opened::Refused(problem),
            Opened::Open {
                about,
                code,
                native,
                policy,
            } => Opened::Open {
                about,
                code,
                native,
                policy: Box::new(Untried(policy)),
            },
        })
    }
}

struct Untried(Box<dyn Trying>);

#[async_trait]
impl Trying for Untried {
    async fn ask(&mut self, mut questions: Vec<Question>) -> Result<Vec<Answer>, JudgeError> {
        for question in &mut questions {
            question.trial = false;
        }
        self.0.ask(questions).await
    }
}

/// A component that `scripts/build-policies` made: one that ships, or a test policy by its name.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let folder = if matches!(name, "default" | "pinned-sync") {
        "shipped"
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
        now: NOW,
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
            refused: None,
            class,
            left: 10,
            spot: Recent::default(),
            on_demand: Recent::default(),
        }],
        pending,
        pending_unseen: 0,
        runners: Vec::new(),
        headroom: Headroom {
            deployment_left: u32::MAX,
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
