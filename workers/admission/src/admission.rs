//! One round of admission: read what is active and what is uploaded, find out what is not known of it,
//! assemble what is to be active, publish that, and say what became of what.
//!
//! Every effect may be repeated, and none is believed before it is read back: whoever dies anywhere
//! leaves a consistent pointer, and the next round does what was left. Of several at once one moves the
//! pointer; the others begin anew with what it published.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoker_core::ids::{ArtifactDigest, Deployment, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{
    AdmissionStore, Clock, PolicySigner, PolicyStoreError, PolicyUploads, SignerError,
};
use stoker_policy::activation::{Activation, Own, Piece};
use stoker_policy::artifact::PublicKeys;
use stoker_policy::engine::Configuration;
use stoker_policy::{Failure, Limits};
use thiserror::Error;

use crate::assemble::{Assembled, Republished, Standing, assemble};
use crate::base::Base;
use crate::inspect::Inspection;
use crate::judge::{Judge, JudgeError};
use crate::task::{Hint, Report, Source, Task};
use crate::verdict::{Context, Verdict};
use crate::view::View;

/// How often a round begins anew because another one published meanwhile. Each means that somebody else
/// got through.
const ROUNDS: usize = 10;

/// Why nothing was judged.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// The store or the uploads can't be read or written.
    #[error("{0}; nothing is lost: the next sweep does it again")]
    Store(#[from] PolicyStoreError),
    /// What was signed is not believed.
    #[error(
        "what POLICY_SIGNING_KEY_ID signs is not believed by POLICY_PUBLIC_KEYS ({0}): add the public half of \
         that key to POLICY_PUBLIC_KEYS, first of the deciding Lambdas and then here; what is active stays so"
    )]
    NotTrusted(Failure),
    /// Nothing can be signed.
    #[error("{0}; what is active stays so, and the next sweep tries again")]
    Signer(#[from] SignerError),
    /// Nothing can be compiled or tried.
    #[error("{0}; what is active stays so, and the next sweep tries again")]
    Judge(JudgeError),
    /// An archived publication can't be used.
    #[error("{path} can't be gone back to: {problem}")]
    Archive {
        /// Which.
        path: String,
        /// Why.
        problem: String,
    },
    /// There is nothing to publish again.
    #[error("{0}")]
    NothingToRepublish(String),
    /// Others publish all the time.
    #[error(
        "others published {ROUNDS} times while this looked at what is uploaded; the next sweep tries again"
    )]
    Overtaken,
    /// A fault of this build.
    #[error("what is to be published has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

/// How admission judges.
#[derive(Debug, Clone)]
pub struct AdmissionSettings {
    /// Whose policies they are.
    pub deployment: Deployment,
    /// Who may have signed what is active: the key that signs now, and the one before it.
    pub keys: PublicKeys,
    /// What policies may be and use.
    pub limits: Limits,
    /// For which engine to compile.
    pub configuration: Configuration,
}

/// Judges what is uploaded and activates what passes.
pub struct Admission {
    pub(crate) store: Arc<dyn AdmissionStore>,
    pub(crate) uploads: Arc<dyn PolicyUploads>,
    pub(crate) signer: Arc<dyn PolicySigner>,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: AdmissionSettings,
}

/// What admission works with.
pub struct AdmissionPorts {
    /// What is published.
    pub store: Arc<dyn AdmissionStore>,
    /// What people put there.
    pub uploads: Arc<dyn PolicyUploads>,
    /// Who signs.
    pub signer: Arc<dyn PolicySigner>,
    /// Who compiles and tries.
    pub judge: Arc<dyn Judge>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Admission {
    /// Admission over those ports.
    pub fn new(ports: AdmissionPorts, settings: AdmissionSettings) -> Self {
        Self {
            store: ports.store,
            uploads: ports.uploads,
            signer: ports.signer,
            judge: ports.judge,
            clock: ports.clock,
            settings,
        }
    }

    /// Does a task. The hints say who uploaded what; what is uploaded is read in any case.
    ///
    /// # Errors
    /// If something could not be read, written, tried or signed. What was active stays so.
    pub async fn run(&self, task: &Task, hints: &[Hint]) -> Result<Report, AdmissionError> {
        // What an operator goes back to is what was before when they wanted it, not when it is done.
        let mut wanted = None;
        for _ in 0..ROUNDS {
            if let Some(report) = self.round(task, hints, &mut wanted).await? {
                return Ok(report);
            }
        }
        Err(AdmissionError::Overtaken)
    }

    /// One round; none: something was uploaded or published meanwhile.
    async fn round(
        &self,
        task: &Task,
        hints: &[Hint],
        wanted: &mut Option<Own>,
    ) -> Result<Option<Report>, AdmissionError> {
        let base = self.base().await?;
        let view = View::of(self.uploads.list().await?);
        let mut inspection = Inspection::new(self, &base.document);
        let files = self
            .files(&base.document, &view, hints, &mut inspection)
            .await;
        let Some(files) = files else {
            return Ok(None);
        };
        let republished = self
            .republished(task, &base, wanted, &mut inspection)
            .await?;
        let recalled = inspection.recall(&base.document, &files).await?;
        let (generation, assembled) = loop {
            // As late as can be: what was published meanwhile is below it, whatever the pointer says.
            let generation = base.document.generation.next(self.clock.now());
            let assembled = assemble(
                &base.document,
                generation,
                &files,
                &recalled,
                republished.as_ref(),
                &mut inspection.known,
            );
            inspection.want_machine_code(&assembled);
            if inspection.known.wanted.is_empty() {
                break (generation, assembled);
            }
            inspection.find_out().await?;
        };
        let Some(published) = self
            .publish(task, &base, generation, &assembled, &mut inspection)
            .await?
        else {
            return Ok(None);
        };
        let active = if published {
            generation
        } else {
            base.document.generation
        };
        let before = std::mem::take(&mut inspection.verdicts);
        let told = async {
            let told = self.tell(&files, &assembled, active, before).await?;
            self.tell_misplaced(&view.misplaced).await?;
            Ok::<_, AdmissionError>(told)
        };
        let (mut verdicts, news) = match told.await {
            Ok(told) => told,
            // It is done all the same; the next sweep tells.
            Err(error) if published => {
                inspection.alarms.push(format!(
                    "generation {active} is active, and what became of each folder could not be written \
                     down: {error}"
                ));
                (BTreeMap::new(), Vec::new())
            }
            Err(error) => return Err(error),
        };
        if let Task::Republish { folder, .. } = task
            && !assembled.not_republished.is_empty()
        {
            // What is there stands as it did: only who asked is told.
            let problems = assembled.not_republished.clone();
            let files = files.get(folder).map(|found| found.versions.clone());
            let refused = Verdict::of(
                folder,
                (self.clock.now(), active),
                files.unwrap_or_default(),
                &Standing::Refused(problems),
                None,
                self.context(),
            );
            verdicts.insert(folder.clone(), refused);
        }
        Ok(Some(Report {
            left_out: 0,
            generation: active,
            published,
            verdicts,
            news,
            misplaced: view.misplaced,
            alarms: [base.alarms, inspection.alarms].concat(),
        }))
    }

    /// What an operator wants a folder to be; `wanted`: as an earlier round found it.
    async fn republished(
        &self,
        task: &Task,
        base: &Base,
        wanted: &mut Option<Own>,
        inspection: &mut Inspection<'_>,
    ) -> Result<Option<Republished>, AdmissionError> {
        match task {
            Task::Sweep => Ok(None),
            Task::Republish {
                folder,
                source,
                from,
                ..
            } => {
                let now = base.document.folders.get(folder);
                let changed = now.map(|record| record.changed).unwrap_or_default();
                if let Some(from) = from.filter(|from| *from != changed) {
                    return Err(AdmissionError::NothingToRepublish(format!(
                        "{folder} is so since generation {changed}, and you wanted to leave what it was since \
                         {from}: somebody published there meanwhile (or this was done already); look with \
                         `stoker policy show` and ask again"
                    )));
                }
                let own = self.source(base, folder, source, inspection).await?;
                Ok(Some(Republished {
                    folder: folder.clone(),
                    own: wanted.get_or_insert(own).clone(),
                }))
            }
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            engine: self.settings.configuration.id(),
            limits: self.settings.limits,
        }
    }

    /// The key that signs now, as readers have it.
    pub(crate) async fn signing_key(&self) -> Result<PublicKeys, SignerError> {
        Ok(PublicKeys::new([self.signer.public_key().await?]))
    }

    /// What a folder is to be again.
    async fn source(
        &self,
        base: &Base,
        folder: &PolicyFolder,
        source: &Source,
        inspection: &mut Inspection<'_>,
    ) -> Result<Own, AdmissionError> {
        let own_in = |activation: &Activation| {
            let record = activation.document().folders.get(folder);
            record.map(|record| record.own.clone()).unwrap_or_default()
        };
        let now = base.document.folders.get(folder);
        let now = now.map(|record| record.own.clone()).unwrap_or_default();
        match source {
            Source::Folder(other) => {
                let record = base.document.folders.get(other);
                let policy = record.and_then(|record| record.own.policy.clone());
                let policy = policy.ok_or_else(|| {
                    AdmissionError::NothingToRepublish(format!(
                        "no policy is active in {other}: there is nothing to promote to {folder}"
                    ))
                })?;
                Ok(Own {
                    policy: Some(policy),
                    settings: now.settings,
                })
            }
            Source::Generation(generation) => {
                let path = stoker_policy::activation::paths::generation(*generation);
                let (activation, _) = self.archived(&path).await?.ok_or_else(|| {
                    AdmissionError::NothingToRepublish(format!(
                        "there is no generation {generation} to go back to; `stoker policy history` lists them"
                    ))
                })?;
                inspection.known.of(activation.document());
                Ok(own_in(&activation))
            }
            Source::Before => {
                let digests = |own: &Own| {
                    let digest = |piece: &Option<Piece>| piece.as_ref().map(|p| p.digest.clone());
                    (digest(&own.policy), digest(&own.settings))
                };
                let mut archived = self.archived_after(PolicyGeneration(0)).await?;
                // Since this one it is what it is now.
                let since = base
                    .document
                    .folders
                    .get(folder)
                    .map(|record| record.changed);
                while let Some(path) = archived.pop() {
                    let generation = stoker_policy::activation::paths::generation_of(&path);
                    if since.is_some_and(|since| generation >= Some(since)) {
                        continue;
                    }
                    let activation = match self.archived(&path).await {
                        Ok(Some((activation, _))) => activation,
                        Ok(None) => continue,
                        // A key that is trusted no more signed it: what is further back may be newer.
                        Err(AdmissionError::Archive { path, problem }) => {
                            let alarm = format!("{path} is not gone back to: {problem}");
                            inspection.alarms.push(alarm);
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                    let own = own_in(&activation);
                    if digests(&own) != digests(&now) {
                        inspection.known.of(activation.document());
                        return Ok(own);
                    }
                }
                Err(AdmissionError::NothingToRepublish(format!(
                    "{folder} has never been anything else: there is nothing to go back to"
                )))
            }
        }
    }
}

/// Which policies a document that is to be published must name.
pub(crate) fn named(assembled: &Assembled) -> impl Iterator<Item = &ArtifactDigest> {
    assembled.folders.values().flat_map(|record| {
        let own = record.own.policy.iter().map(|piece| &piece.digest);
        let pairs = record
            .scope
            .values()
            .flat_map(|entry| std::iter::once(&entry.pair).chain(entry.previous.as_ref()));
        own.chain(pairs.filter_map(|pair| pair.policy.as_ref()))
    })
}
