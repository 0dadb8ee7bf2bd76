//! The effects of a round, in the order in which they are safe: what the next document names, the
//! document before it, the pointer; and then what is told of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{PolicyStoreError, Replaced};
use stoker_policy::activation::document::SCHEMA;
use stoker_policy::activation::{
    Document, FolderRecord, PolicyRecord, SettingsRef, Unsigned, paths,
};

use crate::admission::{Admission, AdmissionError, named};
use crate::assemble::{Assembled, Files, Standing};
use crate::base::Base;
use crate::inspect::Inspection;
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
        inspection: &Inspection<'_>,
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
        let tag = base.tag.as_deref();
        match self.store.replace(paths::ACTIVE, tag, &bytes).await? {
            Replaced::Conflict => Ok(None),
            Replaced::Written { .. } => {
                self.store
                    .create(&paths::generation(generation), &bytes)
                    .await?;
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
        let known = texts(&base.document.folders);
        for digest in texts(&document.folders).difference(&known) {
            if let Some(text) = inspection.known.known_text(digest) {
                self.store.create(&paths::settings(digest), text).await?;
            }
        }
        for digest in document.policies.keys() {
            // Also where it is active already: it may be there in another's name only.
            if let Some(component) = inspection.read_component(digest) {
                let path = paths::component(digest);
                self.store.create(&path, component).await?;
            }
            if let Some((code, native)) = inspection.native(digest) {
                let path = paths::native(&code.engine, &code.digest);
                self.store.create(&path, native).await?;
            }
        }
        Ok(())
    }

    /// Keeps the document that is active, so that it can be gone back to when another one is.
    async fn archive(&self, base: &Base) -> Result<(), PolicyStoreError> {
        if let Some(bytes) = &base.bytes {
            let path = paths::generation(base.document.generation);
            self.store.create(&path, bytes).await?;
        }
        Ok(())
    }

    /// Writes down what is thought of each folder, where that is another than before.
    pub(crate) async fn tell(
        &self,
        files: &BTreeMap<PolicyFolder, Files>,
        assembled: &Assembled,
        generation: PolicyGeneration,
    ) -> Result<(BTreeMap<PolicyFolder, Verdict>, Vec<PolicyFolder>), AdmissionError> {
        let mut verdicts = BTreeMap::new();
        let mut news = Vec::new();
        let now = self.clock.now();
        let mut standings = assembled.standing.clone();
        for folder in self.told().await? {
            standings.entry(folder).or_insert(Standing::Withdrawn);
        }
        for (folder, standing) in &standings {
            let found = files.get(folder);
            let versions = found
                .map(|found| found.versions.clone())
                .unwrap_or_default();
            let inputs = assembled.inputs.get(folder);
            let verdict = Verdict::of(
                folder,
                (now, generation),
                versions,
                standing,
                inputs,
                self.context(),
            );
            // What goes on as it was needs no look at what was written of it.
            let record = assembled.folders.get(folder);
            let changed = record.is_none_or(|record| record.changed == generation);
            let recalled = *standing != Standing::Active || changed;
            let before = if recalled {
                self.verdict(folder).await?
            } else {
                None
            };
            let says_the_same = before
                .as_ref()
                .is_some_and(|before| before.says_the_same(&verdict));
            if recalled && !says_the_same {
                let verdict = verdict.clone().after(before);
                let body = serde_json::to_vec_pretty(&verdict)?;
                self.store.put(&paths::verdict(folder), &body).await?;
                news.push(folder.clone());
                verdicts.insert(folder.clone(), verdict);
            } else {
                verdicts.insert(folder.clone(), before.unwrap_or(verdict));
            }
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
            stoker_core::ports::Fetched::Found { bytes, .. } => Some(bytes),
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
fn texts(folders: &BTreeMap<PolicyFolder, FolderRecord>) -> BTreeSet<&ArtifactDigest> {
    let mut all = BTreeSet::new();
    for record in folders.values() {
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
    if let Task::Republish { folder, source, by } = task {
        return match source {
            Source::Before => format!("{by} took {folder} back to what was before"),
            Source::Generation(generation) => {
                format!("{by} took {folder} back to generation {generation}")
            }
            Source::Folder(other) => format!("{by} promoted the policy of {other} to {folder}"),
        };
    }
    if same {
        return "signed again".to_owned();
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
