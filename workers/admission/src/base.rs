//! What the next publication follows: the highest one that was ever signed, wherever it is found.

use stoker_core::ids::PolicyGeneration;
use stoker_core::ports::Fetched;
use stoker_policy::activation::{Activation, Document, paths};

use crate::admission::{Admission, AdmissionError};

/// What is active, and what the next publication follows.
pub(crate) struct Base {
    /// The tag of the pointer as it was read; none: there is none.
    pub(crate) tag: Option<String>,
    /// The document to follow, and its bytes as they were signed.
    pub(crate) document: Document,
    pub(crate) bytes: Option<Vec<u8>>,
    /// Whether the pointer is that document, signed by the key that signs now.
    pub(crate) stands: bool,
    /// What is wrong with the pointer.
    pub(crate) alarms: Vec<String>,
}

impl Admission {
    pub(crate) async fn base(&self) -> Result<Base, AdmissionError> {
        let mut alarms = Vec::new();
        let (tag, pointer) = match self.store.fetch(paths::ACTIVE, None).await? {
            Fetched::Found { bytes, tag } => (Some(tag), Some(bytes)),
            Fetched::Absent | Fetched::Unchanged => (None, None),
        };
        let active = pointer.as_deref().and_then(|bytes| {
            let verified =
                Activation::verify(&self.settings.keys, &self.settings.deployment, bytes);
            verified
                .inspect_err(|failure| alarms.push(failure.to_string()))
                .ok()
        });
        let found = active
            .as_ref()
            .map_or(PolicyGeneration(0), Activation::generation);
        let newest = self.newest_after(found, &mut alarms).await?;
        if let Some((activation, bytes)) = newest {
            alarms.push(format!(
                "`active.json` is of generation {found}, and generation {} was published: somebody put an \
                 older one back or took it away; what was published last is published again",
                activation.generation()
            ));
            return Ok(Base {
                tag,
                document: activation.document().clone(),
                bytes: Some(bytes),
                stands: false,
                alarms,
            });
        }
        let current = match &pointer {
            Some(bytes) if active.is_some() => {
                let ours = self.signing_key().await?;
                Activation::verify(&ours, &self.settings.deployment, bytes).is_ok()
            }
            _ => false,
        };
        Ok(Base {
            tag,
            document: active.map_or_else(Document::empty, |active| active.document().clone()),
            bytes: pointer.filter(|_| found > PolicyGeneration(0)),
            // That nothing decides is published too: who remembers a store that was lost takes it up.
            stands: current,
            alarms,
        })
    }

    /// The highest archived publication above that one.
    async fn newest_after(
        &self,
        found: PolicyGeneration,
        alarms: &mut Vec<String>,
    ) -> Result<Option<(Activation, Vec<u8>)>, AdmissionError> {
        let mut above = self.archived_after(found).await?;
        // One that somebody tampered with is passed by.
        while let Some(path) = above.pop() {
            match self.archived(&path).await {
                Ok(Some(archived)) => return Ok(Some(archived)),
                Ok(None) => {}
                Err(AdmissionError::Archive { problem, .. }) => {
                    alarms.push(format!("{path} is left aside: {problem}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The paths of archived publications above that one, in order.
    pub(crate) async fn archived_after(
        &self,
        generation: PolicyGeneration,
    ) -> Result<Vec<String>, AdmissionError> {
        let mut all = Vec::new();
        let mut after = paths::generation(generation);
        loop {
            let page = self.store.list(paths::GENERATIONS, Some(&after)).await?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            last.clone_into(&mut after);
            all.extend(
                page.into_iter()
                    .filter(|path| paths::generation_of(path).is_some()),
            );
        }
    }

    /// An archived publication, verified.
    pub(crate) async fn archived(
        &self,
        path: &str,
    ) -> Result<Option<(Activation, Vec<u8>)>, AdmissionError> {
        let Fetched::Found { bytes, .. } = self.store.fetch(path, None).await? else {
            return Ok(None);
        };
        let verified = Activation::verify(&self.settings.keys, &self.settings.deployment, &bytes);
        let activation = verified.map_err(|failure| AdmissionError::Archive {
            path: path.to_owned(),
            problem: failure.to_string(),
        })?;
        if Some(activation.generation()) != paths::generation_of(path) {
            return Err(AdmissionError::Archive {
                path: path.to_owned(),
                problem: format!("it is of generation {}", activation.generation()),
            });
        }
        Ok(Some((activation, bytes)))
    }
}
