//! The journal: what happened, and every decision with all that it was taken from, so that it can be
//! explained and taken again.
//!
//! A record is one object: lines of JSON, compressed (gzip, so that `zcat` reads it), of one invocation or
//! a moment of a control plane in one process. A job's item in the ledger names the records that tell of
//! it ([`Story`]), so that its story is a handful of objects however many there are.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::happening::{Decision, Happening};
use crate::ids::{ArtifactDigest, InvalidName};
use crate::plan::{Basis, Plan};
use crate::ports::Reporter;
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
pub struct Considered<'a> {
    /// The situation.
    pub situation: &'a Situation,
    /// What the host added to it.
    pub basis: &'a Basis,
    /// What the policy wanted.
    pub plan: &'a Plan,
}

/// A record that is being written.
#[derive(Debug, Clone)]
pub struct Writing {
    name: RecordName,
    lines: Vec<u8>,
}

impl Writing {
    /// An empty record.
    pub fn new(name: RecordName) -> Self {
        Self {
            name,
            lines: Vec::new(),
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
        self.line(&json!({ "schema": SCHEMA, "at": at, "event": happening }));
    }

    /// Adds a decision, with all that it was taken from.
    pub fn decided(&mut self, at: Timestamp, decision: &Decision, considered: &Considered<'_>) {
        let situation = serde_json::to_vec(considered.situation).unwrap_or_default();
        self.line(&json!({
            "schema": SCHEMA,
            "at": at,
            "event": Happening::Decided(Box::new(decision.clone())),
            "situation": considered.situation,
            "situation_digest": ArtifactDigest::of(&situation),
            "basis": considered.basis,
            "plan": considered.plan,
        }));
    }

    fn line(&mut self, line: &Value) {
        self.lines.extend(line.to_string().into_bytes());
        self.lines.push(b'\n');
    }

    /// The record as it is stored.
    pub fn packed(&self) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        // Writing into memory does not fail.
        let _written = packed.write_all(&self.lines);
        packed.finish().unwrap_or_default()
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
        self.write(|writing| writing.happened(at, happening));
    }

    fn decided(&self, at: Timestamp, decision: &Decision, considered: &Considered<'_>) {
        self.told.decided(at, decision, considered);
        self.write(|writing| writing.decided(at, decision, considered));
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
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("a line of it: {error}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(part: u64) -> RecordName {
        RecordName::new(Timestamp(1_764_052_267), part)
    }

    #[test]
    fn a_record_is_named_after_its_time_and_read_by_its_name() {
        let name = name(0xab);
        assert_eq!(name.as_str(), "2025/11/25/06/3107-00000000000000ab");
        assert_eq!(name.as_str().parse(), Ok(name));
        for wrong in [
            "",
            "2025/11/25/06",
            "../../../../3107-00000000000000ab",
            "2025/11/25/06/3107",
        ] {
            assert!(wrong.parse::<RecordName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_story_keeps_its_beginning_and_its_end() {
        let mut story = Story::default();
        for part in 0..100 {
            assert!(story.add(Some(name(part))));
            assert!(!story.add(Some(name(part))));
        }
        assert!(!story.add(None));
        let kept: Vec<u64> = (0..8).chain(84..100).collect();
        let expected: Vec<RecordName> = kept.into_iter().map(name).collect();
        assert_eq!(story.records(), expected);
    }

    struct Nobody;

    impl Reporter for Nobody {
        fn report(&self, _: Timestamp, _: &Happening) {}
    }

    #[test]
    fn what_happens_at_a_turn_is_in_the_record_that_was_named_before_it() {
        let recorder = Recorder::new(Arc::new(Nobody));
        assert_eq!(recorder.record(), None);
        assert!(recorder.next(|| name(1)).is_empty());
        let trouble = |problem: &str| Happening::Trouble {
            scope: None,
            problem: problem.to_owned(),
        };
        recorder.report(Timestamp(1), &trouble("one"));
        assert!(
            recorder
                .next(|| name(2))
                .iter()
                .all(|w| w.name() == &name(1))
        );
        // Its name was asked for before the turn.
        recorder.report(Timestamp(2), &trouble("two"));
        let told = |writing: &Writing| {
            let lines = unpacked(&writing.packed()).unwrap();
            let problem = |line: &Line| line.event["problem"].as_str().unwrap().to_owned();
            lines.iter().map(problem).collect::<Vec<_>>()
        };
        let written = recorder.next(|| name(3));
        assert_eq!(told(&written[0]), ["one", "two"]);
        assert_eq!(told(&written[1]), ["two"]);
        assert_eq!(recorder.record(), Some(name(3)));
        // While nothing happens no record is begun.
        assert_eq!(recorder.next(|| name(4)).len(), 1);
        assert!(recorder.next(|| name(5)).is_empty());
        assert_eq!(recorder.record(), Some(name(3)));
        assert!(recorder.end().is_empty());
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut writing = Writing::new(name(1));
        assert!(writing.is_empty());
        let happening = Happening::Trouble {
            scope: None,
            problem: "größe\n".to_owned(),
        };
        writing.happened(Timestamp(7), &happening);
        let lines = unpacked(&writing.packed()).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].at, Timestamp(7));
        assert_eq!(lines[0].event["problem"], "größe\n");
        assert!(unpacked(b"nothing").is_err());
    }
}
