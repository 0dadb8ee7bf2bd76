//! Finding out what is not known: reading what was told and admitted, and having components compiled and
//! tried.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::FutureExt as _;
use serde::{Deserialize, Serialize};
use stoker_core::ids::ArtifactDigest;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{Fetched, PolicyStoreError, Upload};
use stoker_policy::Failure;
use stoker_policy::activation::{Document, NativeCode, PolicyRecord, paths};

use crate::admission::{Admission, AdmissionError, named};
use crate::assemble::{Assembled, Files, Recalled};
use crate::at_once;
use crate::judge::{JudgeError, Opened, Question, Trying};
use crate::knowledge::{Component, Knowledge};
use crate::problem::Problem;
use crate::verdict::{Context, Verdict};
use crate::view::File;

/// How many active policies are compiled for another engine in one round: an upgrade of a deployment with
/// hundreds takes several sweeps, and no round more time and memory than it has.
const RECOMPILED: usize = 8;

/// How many components are kept open between two questions.
const OPEN_AT_ONCE: usize = 4;

/// What was found out in one round.
pub(crate) struct Inspection<'a> {
    admission: &'a Admission,
    pub(crate) known: Knowledge,
    /// Components that were read in this round.
    components: HashMap<ArtifactDigest, Arc<Vec<u8>>>,
    /// Machine code that was made in this round.
    natives: HashMap<ArtifactDigest, (NativeCode, Vec<u8>)>,
    /// Children that may be asked more.
    policies: HashMap<ArtifactDigest, Box<dyn Trying>>,
    /// How many active policies were compiled for another engine.
    recompiled: usize,
    /// What had been told of folders, as far as that was looked at; none: nothing.
    pub(crate) verdicts: Verdicts,
    /// Uploads that were not read because what they hold is admitted already: from where it can be had
    /// again.
    sources: HashMap<ArtifactDigest, Upload>,
    pub(crate) alarms: Vec<String>,
}

/// Why an admitted object can't be had.
enum Lost {
    /// It is not there, or not what it was: somebody tampered with the bucket, or a rule expired it.
    Damaged(Failure),
    /// The store does not answer.
    Store(PolicyStoreError),
}

impl From<PolicyStoreError> for Lost {
    fn from(error: PolicyStoreError) -> Self {
        Self::Store(error)
    }
}

/// What was told of folders.
pub(crate) type Verdicts = BTreeMap<PolicyFolder, Option<Verdict>>;

/// That a component killed the process that tried it.
#[derive(Serialize, Deserialize)]
struct Killed {
    #[serde(flatten)]
    context: Context,
    how: String,
}

impl<'a> Inspection<'a> {
    pub(crate) fn new(admission: &'a Admission, base: &Document) -> Self {
        let mut known = Knowledge::default();
        known.of(base);
        Self {
            admission,
            known,
            components: HashMap::new(),
            natives: HashMap::new(),
            policies: HashMap::new(),
            recompiled: 0,
            verdicts: Verdicts::new(),
            sources: HashMap::new(),
            alarms: Vec::new(),
        }
    }

    /// Remembers where the bytes of that digest lie, unread.
    pub(crate) fn lies_in(&mut self, digest: &ArtifactDigest, upload: &Upload) {
        self.sources.insert(digest.clone(), upload.clone());
    }

    /// Whether an upload with these bytes was read in this round.
    pub(crate) fn was_read(&self, digest: &ArtifactDigest) -> bool {
        self.components.contains_key(digest)
    }

    /// Remembers what was read of an upload.
    pub(crate) fn uploaded(&mut self, file: File, digest: &ArtifactDigest, bytes: Vec<u8>) {
        match file {
            File::Policy => {
                self.components.insert(digest.clone(), Arc::new(bytes));
            }
            File::Settings => {
                self.known.text_is(bytes.into());
            }
        }
    }

    /// Recalls what was refused before, where an upload is not what is active.
    pub(crate) async fn recall(
        &mut self,
        base: &Document,
        files: &BTreeMap<PolicyFolder, Files>,
    ) -> Result<BTreeMap<PolicyFolder, Recalled>, PolicyStoreError> {
        // What goes on as it was needs no look at what was written of it, unless a broader policy decides
        // there: then it may be held back.
        let is_quiet = |folder: &PolicyFolder, found: &Files| {
            base.folders.get(folder).is_some_and(|record| {
                let level = folder.level();
                let mut entries = record.scope.values();
                record.own == found.own && entries.all(|entry| entry.pair.level == level)
            })
        };
        let told = files
            .iter()
            .filter(|(folder, found)| !is_quiet(folder, found));
        self.verdicts = self
            .admission
            .verdicts(told.map(|(folder, _)| folder))
            .await?;
        let context = self.admission.context();
        let refusals = self.verdicts.iter().filter_map(|(folder, verdict)| {
            let verdict = verdict.as_ref()?;
            let stands = verdict.outcome.is_refusal() && verdict.context == context;
            let inputs = verdict.inputs.clone().filter(|_| stands)?;
            let problems = verdict.problems.clone();
            Some((folder.clone(), Recalled { inputs, problems }))
        });
        Ok(refusals.collect())
    }

    /// Wants machine code for the engine at hand of every policy that is to be named.
    pub(crate) fn want_machine_code(&mut self, assembled: &Assembled) {
        let engine = self.admission.settings.configuration.id();
        for digest in named(assembled) {
            let Some(Component::Policy(record)) = self.known.known(digest) else {
                continue;
            };
            // What is uploaded again mends what was damaged, whatever it was.
            let is_new = self.was_read(digest);
            let lacks = is_new || record.native(&engine).is_none();
            // One that can't be compiled any more is told of below, once.
            if lacks && !self.natives.contains_key(digest) && !self.policies.contains_key(digest) {
                if !is_new {
                    if self.recompiled == RECOMPILED {
                        continue;
                    }
                    self.recompiled += 1;
                }
                let components = &mut self.known.wanted.components;
                components.entry(digest.clone()).or_default();
            }
        }
    }

    /// Finds out what is wanted.
    pub(crate) async fn find_out(&mut self) -> Result<(), AdmissionError> {
        let wanted = std::mem::take(&mut self.known.wanted);
        let mut texts = Vec::new();
        for digest in &wanted.texts {
            texts.push(self.object(paths::settings(digest), digest).boxed());
        }
        let texts: Vec<_> = at_once(texts).await;
        for (digest, text) in wanted.texts.into_iter().zip(texts) {
            match text {
                Ok(bytes) => {
                    self.known.text_is(bytes.into());
                }
                Err(Lost::Store(error)) => return Err(error.into()),
                Err(Lost::Damaged(failure)) => {
                    self.alarms.push(failure.to_string());
                    let problem = Problem::of(File::Settings.name(), &failure);
                    self.known.text_is_damaged(digest, problem);
                }
            }
        }
        for (digest, questions) in wanted.components {
            self.find_component(&digest, questions.into_iter().collect())
                .await?;
        }
        Ok(())
    }

    async fn find_component(
        &mut self,
        digest: &ArtifactDigest,
        questions: Vec<Question>,
    ) -> Result<(), AdmissionError> {
        if let Err(error) = self.try_component(digest, questions).await? {
            match error {
                JudgeError::Killed(how) => {
                    let killed = Killed {
                        context: self.admission.context(),
                        how: how.clone(),
                    };
                    let body = serde_json::to_vec(&killed)?;
                    let path = paths::killer(digest);
                    self.admission.store.put(&path, &body).await?;
                    self.refuse(digest, &Failure::Killer(how));
                }
                error @ JudgeError::Unable(_) => return Err(AdmissionError::Judge(error)),
            }
        }
        Ok(())
    }

    /// Refuses a component; one that is active stays known by what it is, and lacks its machine code.
    fn refuse(&mut self, digest: &ArtifactDigest, failure: &Failure) {
        self.refused(digest, Problem::of(File::Policy.name(), failure));
    }

    fn refused(&mut self, digest: &ArtifactDigest, problem: Problem) {
        if let Some(Component::Policy(_)) = self.known.known(digest) {
            self.alarms.push(format!(
                "the active policy {} can't be compiled for the engine {} any more: {}",
                digest.short(),
                self.admission.settings.configuration.id(),
                problem.message
            ));
        }
        self.known.is(digest.clone(), Component::Refused(problem));
    }

    async fn try_component(
        &mut self,
        digest: &ArtifactDigest,
        questions: Vec<Question>,
    ) -> Result<Result<(), JudgeError>, AdmissionError> {
        if !self.policies.contains_key(digest) {
            if let Some(how) = self.killed(digest).await? {
                self.refuse(digest, &Failure::Killer(how));
                return Ok(Ok(()));
            }
            let component = match self.component(digest).await {
                Ok(component) => component,
                Err(Lost::Store(error)) => return Err(error.into()),
                Err(Lost::Damaged(failure)) => {
                    self.refuse(digest, &failure);
                    return Ok(Ok(()));
                }
            };
            let size = component.len() as u64;
            match self.admission.judge.open(component).await {
                Err(error) => return Ok(Err(error)),
                Ok(Opened::Refused(problem)) => {
                    self.refused(digest, problem);
                    return Ok(Ok(()));
                }
                Ok(Opened::Open {
                    about,
                    code,
                    native,
                    policy,
                }) => {
                    if self.known.known(digest).is_none() {
                        let record = PolicyRecord {
                            name: about.name,
                            version: about.version,
                            bytes: size,
                            exports: about.exports,
                            natives: Vec::new(),
                        };
                        self.known.is(digest.clone(), Component::Policy(record));
                    }
                    self.natives.insert(digest.clone(), (code, native));
                    // Each has a process with all its memory: who is asked again is opened again.
                    if self.policies.len() == OPEN_AT_ONCE {
                        self.policies.clear();
                    }
                    self.policies.insert(digest.clone(), policy);
                }
            }
        }
        let Some(policy) = self.policies.get_mut(digest) else {
            return Ok(Ok(()));
        };
        if questions.is_empty() {
            return Ok(Ok(()));
        }
        match policy.ask(questions.clone()).await {
            Ok(answers) if answers.len() == questions.len() => {
                for (question, answer) in questions.iter().zip(answers) {
                    self.known.answered(digest, question, answer);
                }
                Ok(Ok(()))
            }
            answered => {
                self.policies.remove(digest);
                // Who took the process over is refused, and holds up nobody else.
                let not_all = JudgeError::Killed("it did not answer every question".to_owned());
                Ok(Err(answered.err().unwrap_or(not_all)))
            }
        }
    }

    async fn killed(&self, digest: &ArtifactDigest) -> Result<Option<String>, PolicyStoreError> {
        let path = paths::killer(digest);
        let Fetched::Found { bytes, .. } = self.admission.store.fetch(&path, None).await? else {
            return Ok(None);
        };
        let killed: Option<Killed> = serde_json::from_slice(&bytes).ok();
        let context = self.admission.context();
        Ok(killed
            .filter(|killed| killed.context == context)
            .map(|killed| killed.how))
    }

    /// A component: as it was uploaded, or as it was admitted before.
    async fn component(&mut self, digest: &ArtifactDigest) -> Result<Arc<Vec<u8>>, Lost> {
        if let Some(component) = self.components.get(digest) {
            return Ok(Arc::clone(component));
        }
        let bytes = self.object(paths::component(digest), digest).await?;
        Ok(Arc::new(bytes))
    }

    /// An admitted object, whose digest is what it is known by; from the upload that it was copied from, if
    /// that is still there and the copy is not what it was: then it is copied again.
    async fn object(&self, path: String, digest: &ArtifactDigest) -> Result<Vec<u8>, Lost> {
        let failure = match self.admission.store.fetch(&path, None).await? {
            Fetched::Found { bytes, .. } => {
                let found = ArtifactDigest::of(&bytes);
                if found == *digest {
                    return Ok(bytes);
                }
                let recorded = digest.clone();
                Failure::Tampered { found, recorded }
            }
            Fetched::Absent | Fetched::Unchanged => Failure::Missing(path.clone()),
        };
        if let Some(upload) = self.sources.get(digest)
            && let Some(read) = self.admission.uploads.read(upload).await?
            && ArtifactDigest::of(&read.bytes) == *digest
        {
            self.admission.store.put(&path, &read.bytes).await?;
            return Ok(read.bytes);
        }
        Err(Lost::Damaged(failure))
    }

    /// A component that was read in this round.
    pub(crate) fn read_component(&self, digest: &ArtifactDigest) -> Option<&Arc<Vec<u8>>> {
        self.components.get(digest)
    }

    /// Machine code that was made in this round.
    pub(crate) fn native(&self, digest: &ArtifactDigest) -> Option<&(NativeCode, Vec<u8>)> {
        self.natives.get(digest)
    }
}

impl Admission {
    /// What was last thought of folders.
    pub(crate) async fn verdicts<'f>(
        &self,
        folders: impl Iterator<Item = &'f PolicyFolder>,
    ) -> Result<Verdicts, PolicyStoreError> {
        let folders: Vec<&PolicyFolder> = folders.collect();
        let mut reads = Vec::new();
        for folder in &folders {
            reads.push(self.verdict(folder).boxed());
        }
        let read = at_once(reads).await.into_iter();
        folders
            .into_iter()
            .zip(read)
            .map(|(folder, verdict)| Ok((folder.clone(), verdict?)))
            .collect()
    }

    /// What was last thought of a folder. One that can't be read is none: it is written anew.
    async fn verdict(&self, folder: &PolicyFolder) -> Result<Option<Verdict>, PolicyStoreError> {
        match self.store.fetch(&paths::verdict(folder), None).await? {
            Fetched::Found { bytes, .. } => Ok(serde_json::from_slice(&bytes).ok()),
            Fetched::Absent | Fetched::Unchanged => Ok(None),
        }
    }
}
