//! The effects of a round, in the order in which they are safe: what the next document names, the
//! document before it, the pointer; and then what is told of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::FutureExt as _;
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{Fetched, PolicyStoreError, Replaced};
use stoker_policy::activation::document::SCHEMA;
use stoker_policy::activation::{
    Activation, Document, FolderRecord, PolicyRecord, SettingsRef, Unsigned, paths,
};

use crate::admission::{Admission, AdmissionError, named};
use crate::assemble::{Assembled, Files, Standing};
use crate::at_once;
use crate::base::Base;
use crate::inspect::{Inspection, Verdicts};
use crate::knowledge::Component;
use crate::problem::Problem;
use crate::task::{Source, Task};
use crate::verdict::Verdict;

/// For how many engines machine code is kept: the one that the deciding processes run, and the one that
/// they are upgraded to.
const ENGINES: usize = 2;

impl Admission {
    /// Publishes what was assembled, unless that is what is active; whether it did. None: another one
    /// published meanwhile.
    pub(crate) async fn publish(
        &self,
        task: &Task,
        base: &Base,
        generation: PolicyGeneration,
        assembled: &Assembled,
        inspection: &mut Inspection<'_>,
    ) -> Result<Option<bool>, AdmissionError> {
        let policies = self.policies(base, assembled, inspection);
        let same = policies == base.document.policies && assembled.folders == base.document.folders;
        if same && base.stands {
            self.archive(base).await?;
            return Ok(Some(false));
        }
        let document = Document {
            schema: SCHEMA,
            generation,
            published: self.clock.now(),
            why: why(task, base, assembled, same),
            policies,
            folders: assembled.folders.clone(),
        };
        self.copy(base, &document, inspection).await?;
        self.archive(base).await?;
        let unsigned = Unsigned::new(&self.settings.deployment, &document)?;
        let signature = self.signer.sign(unsigned.statement().bytes()).await?;
        let bytes = unsigned.signed(&signature)?;
        // What is not believed here is believed by no reader: it must not take the place of what is.
        Activation::verify(&self.settings.keys, &self.settings.deployment, &bytes)
            .map_err(AdmissionError::NotTrusted)?;
        let tag = base.tag.as_deref();
        match self.store.replace(paths::ACTIVE, tag, &bytes).await? {
            Replaced::Conflict => Ok(None),
            Replaced::Written { .. } => {
                // It is done, whatever becomes of this: the next publication keeps it first.
                let path = paths::generation(generation);
                if let Err(error) = self.store.create(&path, &bytes).await {
                    inspection
                        .alarms
                        .push(format!("{error}; it is kept by the next publication"));
                }
                Ok(Some(true))
            }
        }
    }

    /// What the document says of its policies.
    fn policies(
        &self,
        base: &Base,
        assembled: &Assembled,
        inspection: &Inspection<'_>,
    ) -> BTreeMap<ArtifactDigest, PolicyRecord> {
        let engine = self.settings.configuration.id();
        let mut policies = BTreeMap::new();
        for digest in named(assembled) {
            let known = match inspection.known.known(digest) {
                Some(Component::Policy(record)) => Some(record),
                // One that can't be compiled any more stays what it is for those that have it.
                _ => base.document.policies.get(digest),
            };
            let Some(record) = known else { continue };
            let mut record = record.clone();
            if let Some((code, _)) = inspection.native(digest) {
                record.natives.retain(|native| native.engine != engine);
                record.natives.insert(0, code.clone());
                record.natives.truncate(ENGINES);
            }
            policies.insert(digest.clone(), record);
        }
        policies
    }

    /// Copies all that is new to where it never changes.
    async fn copy(
        &self,
        base: &Base,
        document: &Document,
        inspection: &Inspection<'_>,
    ) -> Result<(), PolicyStoreError> {
        let before = &base.document.folders;
        let changed = document
            .folders
            .iter()
            .filter(|(folder, record)| before.get(*folder) != Some(record))
            .map(|(_, record)| record);
        let mut objects: Vec<(String, &ArtifactDigest, &[u8])> = Vec::new();
        for digest in texts(changed) {
            if let Some(text) = inspection.known.known_text(digest) {
                objects.push((paths::settings(digest), digest, text));
            }
        }
        for digest in document.policies.keys() {
            if let Some(component) = inspection.read_component(digest) {
                objects.push((paths::component(digest), digest, component));
            }
            if let Some((code, native)) = inspection.native(digest) {
                let path = paths::native(&code.engine, &code.digest);
                objects.push((path, &code.digest, native));
            }
        }
        let mut writes = Vec::new();
        for (path, digest, bytes) in &objects {
            writes.push(self.keep_object(path, digest, bytes).boxed());
        }
        for written in at_once(writes).await {
            written?;
        }
        Ok(())
    }

    /// Has an object there that is known by its digest: also where another lies in its place.
    async fn keep_object(
        &self,
        path: &str,
        digest: &ArtifactDigest,
        bytes: &[u8],
    ) -> Result<(), PolicyStoreError> {
        if self.store.create(path, bytes).await? {
            return Ok(());
        }
        match self.store.fetch(path, None).await? {
            Fetched::Found { bytes, .. } if ArtifactDigest::of(&bytes) == *digest => Ok(()),
            _ => self.store.put(path, bytes).await,
        }
    }

    /// Keeps the document that is active, so that it can be gone back to when another one is.
    async fn archive(&self, base: &Base) -> Result<(), PolicyStoreError> {
        if let Some(bytes) = &base.bytes {
            let path = paths::generation(base.document.generation);
            self.store.create(&path, bytes).await?;
        }
        Ok(())
    }

    /// Writes down what is thought of each folder, where that is another than before. `before` has what was
    /// looked at already.
    pub(crate) async fn tell(
        &self,
        files: &BTreeMap<PolicyFolder, Files>,
        assembled: &Assembled,
        generation: PolicyGeneration,
        mut before: Verdicts,
    ) -> Result<(BTreeMap<PolicyFolder, Verdict>, Vec<PolicyFolder>), AdmissionError> {
        let mut standings = assembled.standing.clone();
        for folder in self.told().await? {
            standings.entry(folder).or_insert(Standing::Withdrawn);
        }
        // What goes on as it was needs no look at what was written of it.
        let is_quiet = |folder: &PolicyFolder, standing: &Standing| {
            let record = assembled.folders.get(folder);
            *standing == Standing::Active
                && record.is_some_and(|record| record.changed != generation)
        };
        let unseen = standings.iter().filter_map(|(folder, standing)| {
            let is_unseen = !before.contains_key(folder) && !is_quiet(folder, standing);
            is_unseen.then_some(folder)
        });
        let seen = self.verdicts(unseen).await?;
        before.extend(seen);
        let now = self.clock.now();
        let mut verdicts = BTreeMap::new();
        let mut news = Vec::new();
        let mut bodies = Vec::new();
        for (folder, standing) in &standings {
            let found = files.get(folder);
            let verdict = Verdict::of(
                folder,
                (now, generation),
                found
                    .map(|found| found.versions.clone())
                    .unwrap_or_default(),
                standing,
                assembled.inputs.get(folder),
                self.context(),
            );
            let told = before.remove(folder);
            let verdict = match told {
                Some(Some(told)) if told.says_the_same(&verdict) => told,
                None => verdict,
                Some(told) => {
                    let verdict = verdict.after(told);
                    let body = serde_json::to_vec_pretty(&verdict)?;
                    bodies.push((paths::verdict(folder), body));
                    news.push(folder.clone());
                    verdict
                }
            };
            verdicts.insert(folder.clone(), verdict);
        }
        let mut writes = Vec::new();
        for (path, body) in &bodies {
            writes.push(self.store.put(path, body).boxed());
        }
        for written in at_once(writes).await {
            written?;
        }
        Ok((verdicts, news))
    }

    /// The folders that something was told of.
    async fn told(&self) -> Result<Vec<PolicyFolder>, PolicyStoreError> {
        let mut folders = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(paths::VERDICTS, after.as_deref()).await?;
            let Some(last) = page.last() else {
                return Ok(folders);
            };
            after = Some(last.clone());
            folders.extend(page.iter().filter_map(|path| paths::verdict_of(path)));
        }
    }

    /// Writes down which files decide nothing where they are.
    pub(crate) async fn tell_misplaced(&self, problems: &[Problem]) -> Result<(), AdmissionError> {
        let body = serde_json::to_vec_pretty(problems)?;
        let written = match self.store.fetch(paths::MISPLACED, None).await? {
            Fetched::Found { bytes, .. } => Some(bytes),
            _ => None,
        };
        let as_before =
            written.as_ref() == Some(&body) || (written.is_none() && problems.is_empty());
        if !as_before {
            self.store.put(paths::MISPLACED, &body).await?;
        }
        Ok(())
    }
}

/// The settings that records name.
fn texts<'r>(records: impl Iterator<Item = &'r FolderRecord>) -> BTreeSet<&'r ArtifactDigest> {
    let mut all = BTreeSet::new();
    for record in records {
        all.extend(record.own.settings.iter().map(|piece| &piece.digest));
        for entry in record.scope.values() {
            for pair in std::iter::once(&entry.pair).chain(entry.previous.as_ref()) {
                let both = std::iter::once(&pair.settings).chain(pair.inherited.as_ref());
                all.extend(both.map(|settings: &SettingsRef| &settings.digest));
            }
        }
        all.extend(record.tunes.values().map(|settings| &settings.digest));
    }
    all
}

fn why(task: &Task, base: &Base, assembled: &Assembled, same: bool) -> String {
    if let Task::Republish {
        folder, source, by, ..
    } = task
    {
        let by = stoker_policy::tame(by.clone());
        return match source {
            Source::Before => format!("{by} took {folder} back to what was before"),
            Source::Generation(generation) => {
                format!("{by} took {folder} back to generation {generation}")
            }
            Source::Folder(other) => format!("{by} promoted the policy of {other} to {folder}"),
        };
    }
    if same {
        let is_first = base.document.generation == PolicyGeneration(0);
        let why = if is_first {
            "nothing was published before"
        } else {
            "signed again"
        };
        return why.to_owned();
    }
    let changed = |folder: &&PolicyFolder| {
        assembled.folders.get(*folder) != base.document.folders.get(*folder)
    };
    let both: BTreeSet<&PolicyFolder> = assembled
        .folders
        .keys()
        .chain(base.document.folders.keys())
        .collect();
    let folders: Vec<String> = both
        .into_iter()
        .filter(changed)
        .map(ToString::to_string)
        .collect();
    match folders.as_slice() {
        [] => "compiled for another engine".to_owned(),
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!(
                "uploads in {first}, {second}, {third} and {} more",
                rest.len()
            )
        }
        all => format!("uploads in {}", all.join(", ")),
    }
}
