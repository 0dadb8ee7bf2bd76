//! The journal: what happened, and every decision with all that it was taken from, so that it can be
//! explained and taken again.
//!
//! A record is one object: lines of JSON, compressed (gzip, so that `zcat` reads it), of one invocation or
//! a moment of a control plane in one process. A job's item in the ledger names the records that tell of
//! it ([`Story`]), so that its story is a handful of objects however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::distribution::{Distribution, SyncPlan};
use crate::happening::{Decision, Happening, RetirementDecision, SyncDecision};
use crate::ids::{ArtifactDigest, InvalidName};
use crate::plan::{Basis, Plan, ScaleDownPlan};
use crate::ports::{JournalError, JournalStore, Reporter};
use crate::situation::Situation;
use crate::time::Timestamp;

/// The form of a line. A newer one may have more fields; one with a greater number means something else.
const SCHEMA: u32 = 1;

/// The largest record that is read, unpacked, in bytes: an invocation's decisions have some megabytes.
const LARGEST: u64 = 256 << 20;

/// The name of a record: `2026/11/25/06/3107-<digits>`, the UTC time at which it began and what tells it
/// apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordName(String);

impl RecordName {
    /// The record that begins at that time; `part` tells it from all others of that second.
    pub fn new(at: Timestamp, part: u64) -> Self {
        let seconds = i64::try_from(at.0).unwrap_or(0);
        let at = time::OffsetDateTime::from_unix_timestamp(seconds)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        Self(format!(
            "{:04}/{:02}/{:02}/{:02}/{:02}{:02}-{part:016x}",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        ))
    }

    /// As a path, without an ending.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let parts: Vec<&str> = value.split('/').collect();
        let digits = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let fits = match parts.as_slice() {
            [year, month, day, hour, rest] => {
                digits(year, 4)
                    && [month, day, hour].iter().all(|part| digits(part, 2))
                    && rest
                        .split_once('-')
                        .is_some_and(|(time, part)| digits(time, 4) && digits(part, 16))
            }
            _ => false,
        };
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName {
                value: value.to_owned(),
                expected: "a record's name: `2026/11/25/06/3107-` and 16 hexadecimal digits",
            })
        }
    }
}

impl TryFrom<String> for RecordName {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}

impl From<RecordName> for String {
    fn from(name: RecordName) -> Self {
        name.0
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The records that tell of a job: of its first ones and of its last ones as many as [`Story::MOST`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Story(Vec<RecordName>);

impl Story {
    /// How many a job's item has room for.
    pub const MOST: usize = 24;

    /// How many of them are its first.
    const FIRST: usize = 8;

    /// Adds a record, where it is not the last one already. Whether it was added.
    pub fn add(&mut self, record: Option<RecordName>) -> bool {
        let Some(record) = record.filter(|record| !self.0.contains(record)) else {
            return false;
        };
        if self.0.len() == Self::MOST {
            self.0.remove(Self::FIRST);
        }
        self.0.push(record);
        true
    }

    /// The records, oldest first.
    pub fn records(&self) -> &[RecordName] {
        &self.0
    }

    /// Whether nothing tells of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All that a decision was taken from.
#[derive(Debug, Clone, Copy)]
pub struct Considered<'a, P = Plan, S = Situation> {
    /// The situation.
    pub situation: &'a S,
    /// What the host added to it.
    pub basis: &'a Basis,
    /// What the policy wanted.
    pub plan: &'a P,
}

/// A record that is being written.
#[derive(Debug, Clone)]
pub struct Writing {
    name: RecordName,
    lines: Vec<u8>,
    /// The situations that it has.
    situations: BTreeSet<ArtifactDigest>,
}

/// A line as it is written; [`Line`] is how it is read.
#[derive(Serialize)]
struct Entry<'a, P> {
    schema: u32,
    at: Timestamp,
    event: &'a Happening,
    #[serde(skip_serializing_if = "Option::is_none")]
    situation: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    situation_digest: Option<ArtifactDigest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'a Basis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a P>,
}

impl Writing {
    /// An empty record.
    pub fn new(name: RecordName) -> Self {
        Self {
            name,
            lines: Vec::new(),
            situations: BTreeSet::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &RecordName {
        &self.name
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds what happened.
    pub fn happened(&mut self, at: Timestamp, happening: &Happening) {
        self.line(&Entry::<Plan> {
            schema: SCHEMA,
            at,
            event: happening,
            situation: None,
            situation_digest: None,
            basis: None,
            plan: None,
        });
    }

    /// Adds a decision, with all that it was taken from.
    pub fn decided(&mut self, at: Timestamp, decision: &Decision, considered: &Considered<'_>) {
        let decided = Happening::Decided(Box::new(decision.clone()));
        self.decision(at, &decided, considered);
    }

    /// Adds a decision which runners go, with all that it was taken from.
    pub fn decided_retirement(
        &mut self,
        at: Timestamp,
        decision: &RetirementDecision,
        considered: &Considered<'_, ScaleDownPlan>,
    ) {
        let decided = Happening::DecidedRetirement(Box::new(decision.clone()));
        self.decision(at, &decided, considered);
    }

    /// Adds a decision which version of the runner instances get, with all that it was taken from.
    pub fn decided_sync(
        &mut self,
        at: Timestamp,
        decision: &SyncDecision,
        considered: &Considered<'_, SyncPlan, Distribution>,
    ) {
        let decided = Happening::DecidedSync(Box::new(decision.clone()));
        self.decision(at, &decided, considered);
    }

    fn decision<P: Serialize, S: Serialize>(
        &mut self,
        at: Timestamp,
        decided: &Happening,
        considered: &Considered<'_, P, S>,
    ) {
        let mut entry = Entry {
            schema: SCHEMA,
            at,
            event: decided,
            situation: None,
            situation_digest: None,
            basis: Some(considered.basis),
            plan: Some(considered.plan),
        };
        match serde_json::value::to_raw_value(considered.situation) {
            Ok(situation) => {
                let digest = ArtifactDigest::of(situation.get().as_bytes());
                // The record has it already, where the scope was decided again and nothing had changed.
                let is_new = self.situations.insert(digest.clone());
                entry.situation_digest = Some(digest);
                entry.situation = is_new.then_some(situation);
                self.line(&entry);
            }
            Err(error) => self.left_out(at, "a situation", &error),
        }
    }

    fn line<P: Serialize>(&mut self, entry: &Entry<'_, P>) {
        match serde_json::to_vec(entry) {
            Ok(line) => {
                self.lines.extend(line);
                self.lines.push(b'\n');
            }
            Err(error) => self.left_out(entry.at, "a line", &error),
        }
    }

    /// What can't be written is told in its place.
    fn left_out(&mut self, at: Timestamp, what: &str, error: &serde_json::Error) {
        let event = Happening::Trouble {
            scope: None,
            problem: format!("{what} of the journal could not be written: {error}"),
        };
        let line = json!({ "schema": SCHEMA, "at": at, "event": event });
        self.lines.extend(line.to_string().into_bytes());
        self.lines.push(b'\n');
    }

    /// Writes the record into a journal.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn write_to(&self, journal: &dyn JournalStore) -> Result<(), JournalError> {
        journal.write(&self.name, self.packed()?).await
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// If it can't be compressed.
    pub fn packed(&self) -> Result<Vec<u8>, JournalError> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let written = packed.write_all(&self.lines);
        written
            .and_then(|()| packed.finish())
            .map_err(|error| JournalError {
                name: self.name.clone(),
                what: "written",
                problem: format!("it can't be compressed: {error}"),
            })
    }
}

/// Passes on what happens, and writes it into a record while one is open.
pub struct Recorder {
    told: Arc<dyn Reporter>,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    open: Option<Writing>,
    /// The one before: whoever asked for its name may still have a line for it.
    closing: Option<Writing>,
}

impl Recorder {
    /// One that passes on to `told`.
    pub fn new(told: Arc<dyn Reporter>) -> Self {
        Self {
            told,
            records: Mutex::default(),
        }
    }

    /// Opens the first record, or the next one where the open one has something. What is to be written: the
    /// one that was open, and the one before it, which got its last lines.
    pub fn next(&self, name: impl FnOnce() -> RecordName) -> Vec<Writing> {
        let mut records = self.records();
        let last = records.closing.take();
        if records.open.as_ref().is_none_or(|open| !open.is_empty()) {
            let open = Writing::new(name());
            records.closing = records.open.replace(open);
        }
        let closed = records.closing.clone();
        last.into_iter().chain(closed).collect()
    }

    /// Closes all records. What is to be written.
    pub fn end(&self) -> Vec<Writing> {
        let Records { open, closing } = std::mem::take(&mut *self.records());
        let all = closing.into_iter().chain(open);
        all.filter(|writing| !writing.is_empty()).collect()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        // Lines are added whole.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: impl Fn(&mut Writing)) {
        let Records { open, closing } = &mut *self.records();
        open.iter_mut().chain(closing).for_each(line);
    }
}

impl Reporter for Recorder {
    fn report(&self, at: Timestamp, happening: &Happening) {
        self.told.report(at, happening);
        // Nothing happened but that a minute went by: that is no record.
        if !matches!(happening, Happening::Ticked(_)) {
            self.write(|writing| writing.happened(at, happening));
        }
    }

    fn decided(&self, at: Timestamp, decision: &Decision, considered: &Considered<'_>) {
        self.told.decided(at, decision, considered);
        self.write(|writing| writing.decided(at, decision, considered));
    }

    fn decided_retirement(
        &self,
        at: Timestamp,
        decision: &RetirementDecision,
        considered: &Considered<'_, ScaleDownPlan>,
    ) {
        self.told.decided_retirement(at, decision, considered);
        self.write(|writing| writing.decided_retirement(at, decision, considered));
    }

    fn decided_sync(
        &self,
        at: Timestamp,
        decision: &SyncDecision,
        considered: &Considered<'_, SyncPlan, Distribution>,
    ) {
        self.told.decided_sync(at, decision, considered);
        self.write(|writing| writing.decided_sync(at, decision, considered));
    }

    fn record(&self) -> Option<RecordName> {
        let records = self.records();
        records.open.as_ref().map(|writing| writing.name().clone())
    }
}

/// A line of a record, as it is read: what a newer Stoker has added to it is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What: a [`Happening`].
    pub event: Value,
    /// The situation of a decision.
    #[serde(default)]
    pub situation: Option<Value>,
    /// The digest of the situation as it was written: a record has each situation once.
    #[serde(default)]
    pub situation_digest: Option<ArtifactDigest>,
    /// What the host added to it.
    #[serde(default)]
    pub basis: Option<Value>,
    /// What the policy wanted.
    #[serde(default)]
    pub plan: Option<Value>,
}

/// The lines of a record as it was stored.
///
/// # Errors
/// What is wrong with it.
pub fn unpacked(bytes: &[u8]) -> Result<Vec<Line>, String> {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| format!("it can't be unpacked: {error}"))?;
    let mut lines = text.lines().map(line).collect::<Result<Vec<_>, _>>()?;
    let mut known: BTreeMap<ArtifactDigest, Value> = BTreeMap::new();
    for line in &mut lines {
        match (line.situation_digest.clone(), &line.situation) {
            (Some(digest), Some(situation)) => {
                known.insert(digest, situation.clone());
            }
            (Some(digest), None) => line.situation = known.get(&digest).cloned(),
            (None, _) => {}
        }
    }
    Ok(lines)
}

fn line(text: &str) -> Result<Line, String> {
    #[derive(Deserialize)]
    struct Form {
        schema: u32,
    }
    let broken = |error: serde_json::Error| format!("a line of it: {error}");
    let Form { schema } = serde_json::from_str(text).map_err(broken)?;
    if schema > SCHEMA {
        return Err(format!(
            "a newer Stoker wrote it (form {schema}; this one reads up to {SCHEMA}): use that one"
        ));
    }
    serde_json::from_str(text).map_err(broken)
}

#[cfg(test)]
mod tests;
