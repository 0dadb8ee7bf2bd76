//! What the commands show of a publication. The names of the fields are those of `--json`, and stay.

use std::collections::BTreeMap;

use serde::Serialize;
use stoker_admission::{Problem, Verdict};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::plan::PolicyLevel;
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::Decision;
use stoker_policy::activation::{Document, Entry, Own, Pair, Piece, SettingsRef};

use super::deployment::{Published, Signature};
use super::told;

/// Which publication something is shown of.
#[derive(Debug, Serialize)]
pub(super) struct PublicationView {
    deployment: Option<String>,
    generation: PolicyGeneration,
    published: Option<String>,
    why: String,
    #[serde(flatten)]
    signature: Signature,
}

impl PublicationView {
    pub(super) fn of(published: &Published) -> Self {
        let Document {
            generation,
            published: at,
            why,
            ..
        } = &published.document;
        Self {
            deployment: published.deployment.clone(),
            generation: *generation,
            published: told::rfc3339(*at).filter(|_| generation.0 > 0),
            why: why.clone(),
            signature: published.signature.clone(),
        }
    }

    /// In a line.
    pub(super) fn words(published: &Published) -> String {
        let Document {
            generation,
            published: at,
            ..
        } = &published.document;
        let Some(deployment) = &published.deployment else {
            return "nothing has been published: the built-in rules decide".to_owned();
        };
        let signature = match &published.signature {
            Signature::Verified => "signature verified".to_owned(),
            Signature::NotVerified(why) => format!("signature not verified: {why}"),
        };
        format!(
            "generation {generation} of deployment {deployment}, published {} ({signature})",
            told::time(*at)
        )
    }
}

/// A policy with its settings.
#[derive(Debug, Serialize)]
pub(super) struct PairView {
    /// None: the built-in rules.
    policy: Option<PolicyView>,
    level: PolicyLevel,
    /// The folder that the policy is in.
    from: Option<PolicyFolder>,
    pub(super) settings_sha256: ArtifactDigest,
}

/// A policy.
#[derive(Debug, Serialize)]
pub(super) struct PolicyView {
    name: String,
    version: String,
    sha256: ArtifactDigest,
}

impl PolicyView {
    pub(super) fn of(document: &Document, digest: &ArtifactDigest) -> Self {
        let record = document.policies.get(digest);
        let said = |field: fn(&stoker_policy::activation::PolicyRecord) -> &String| {
            record.map_or_else(|| "?".to_owned(), |record| field(record).clone())
        };
        Self {
            name: said(|record| &record.name),
            version: said(|record| &record.version),
            sha256: digest.clone(),
        }
    }

    pub(super) fn words(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.sha256.short())
    }
}

impl PairView {
    fn of(document: &Document, folder: &PolicyFolder, pair: &Pair, settings: &SettingsRef) -> Self {
        let policy = pair.policy.as_ref();
        Self {
            policy: policy.map(|digest| PolicyView::of(document, digest)),
            level: pair.level,
            from: folder.chain().find(|place| place.level() == pair.level),
            settings_sha256: settings.digest.clone(),
        }
    }

    pub(super) fn words(&self) -> String {
        match (&self.policy, &self.from) {
            (None, _) => "the built-in rules".to_owned(),
            (Some(policy), None) => policy.words(),
            (Some(policy), Some(from)) => format!("{} from {from}", policy.words()),
        }
    }
}

/// What decides, since when, and what would stand in.
#[derive(Debug, Serialize)]
pub(super) struct EntryView {
    #[serde(flatten)]
    pub(super) pair: PairView,
    pub(super) since: PolicyGeneration,
    pub(super) previous: Option<PairView>,
}

impl EntryView {
    /// What is said in that folder: for its own scope, or for a narrower one that inherits it.
    pub(super) fn of(document: &Document, folder: &PolicyFolder, entry: &Entry, own: bool) -> Self {
        let view = |pair: &Pair| PairView::of(document, folder, pair, pair.for_scope(own));
        Self {
            pair: view(&entry.pair),
            since: entry.since,
            previous: entry.previous.as_ref().map(view),
        }
    }

    /// For each decision, what is said in that folder for its own scope.
    pub(super) fn all(document: &Document, folder: &PolicyFolder) -> BTreeMap<Decision, Self> {
        let record = document.folders.get(folder);
        let entries = record.into_iter().flat_map(|record| &record.scope);
        entries
            .map(|(decision, entry)| (*decision, Self::of(document, folder, entry, true)))
            .collect()
    }

    pub(super) fn words(&self) -> String {
        format!("{}, since generation {}", self.pair.words(), self.since)
    }
}

/// Accepted files of a folder.
#[derive(Debug, Serialize)]
pub(super) struct FilesView {
    policy: Option<FileView>,
    settings: Option<FileView>,
}

/// One of them.
#[derive(Debug, Serialize)]
struct FileView {
    sha256: ArtifactDigest,
    version: String,
    uploaded: Option<String>,
    by: Option<String>,
}

impl FilesView {
    pub(super) fn of(own: Option<&Own>) -> Self {
        let file = |piece: &Piece| FileView {
            sha256: piece.digest.clone(),
            version: piece.version.clone(),
            uploaded: told::rfc3339(piece.at),
            by: piece.by.clone(),
        };
        Self {
            policy: own.and_then(|own| own.policy.as_ref()).map(file),
            settings: own.and_then(|own| own.settings.as_ref()).map(file),
        }
    }
}

/// The accepted files of a folder, each in a line.
pub(super) fn files(own: &Own) -> Vec<String> {
    let files = [
        ("policy.wasm", &own.policy),
        ("settings.json", &own.settings),
    ];
    files
        .into_iter()
        .filter_map(|(name, piece)| {
            let piece = piece.as_ref()?;
            let by = piece.by.as_deref();
            Some(format!(
                "{name} {}, uploaded {}{}",
                piece.digest.short(),
                told::time(piece.at),
                by.map_or_else(String::new, |by| format!(" by {by}"))
            ))
        })
        .collect()
}

/// What admission thinks of a folder.
#[derive(Debug, Serialize)]
pub(super) struct VerdictView {
    /// A word: `active`, `refused`, `held-back`, `passed-over` or `withdrawn`.
    outcome: stoker_admission::Outcome,
    judged: Option<String>,
    problems: Vec<Problem>,
    last_refusal: Option<RefusalView>,
}

/// A refusal that is past.
#[derive(Debug, Serialize)]
struct RefusalView {
    judged: Option<String>,
    problems: Vec<Problem>,
}

impl VerdictView {
    pub(super) fn of(verdict: &Verdict) -> Self {
        let last = verdict.last_refusal.as_ref();
        Self {
            outcome: verdict.outcome,
            judged: told::rfc3339(verdict.at),
            problems: verdict.problems.clone(),
            last_refusal: last.map(|refusal| RefusalView {
                judged: told::rfc3339(refusal.at),
                problems: refusal.problems.clone(),
            }),
        }
    }
}
