//! Histories: several admissions at once, uploads and deletions between their requests, requests that fail
//! before or after they were served, processes that die at any of them, an old pointer that is put back,
//! keys and engines that change. After every step of everybody:
//!
//! - what is active is signed, and its generation is above all that were before (unless somebody put an
//!   old pointer back while the admission was under way that then published over it: readers refuse that,
//!   and the next sweep mends it);
//! - every policy that it names for a scope was judged, and accepted the very settings beside it;
//! - a folder's policy and settings have been in the folder together;
//! - every object that it names is there, and is what its digest says.
//!
//! And when the faults have an end: one sweep makes every good upload active, a second changes nothing,
//! and every reader follows.
//!
//! `STOKER_SEEDS=1000 cargo test -p stoker-admission simulation` draws more; a seed that fails is in the
//! message.

use std::collections::BTreeMap;
use std::task::Poll;

use serde_json::{Map, Value};
use stoker_admission::{Hint, Source, Task};
use stoker_core::ids::{ArtifactDigest, PolicyGeneration};
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::time::Timestamp;
use stoker_policy::Decision;
use stoker_policy::activation::{Activation, Document, FolderRecord, Piece, paths};
use stoker_policy::engine::Configuration;

use crate::stand_in::{self, Component};
use crate::world::{Draw, Run, World, step};

const FOLDERS: [&str; 5] = [
    "default",
    "orgs/acme",
    "orgs/other",
    "repos/acme/app",
    "repos/acme/web",
];

/// Some go together, and some do not.
const POLICIES: [&str; 7] = [
    "policy one takes scale-up,scale-down accepts a,b",
    "policy two takes scale-up,scale-down,sync accepts a",
    "policy three takes scale-down accepts a,b,c",
    "policy four takes scale-up accepts b,c",
    "policy none takes nothing accepts a",
    "refused x",
    "killer y",
];

const SETTINGS: [&str; 7] = [
    "{}",
    r#"{"scale-up":{"a":1}}"#,
    r#"{"scale-up":{"b":2},"scale-down":{"a":1}}"#,
    r#"{"scale-up":{"a":null,"c":3}}"#,
    r#"{"scale-down":{"c":3}}"#,
    r#"{"nonsense":{}}"#,
    "{",
];

fn seeds() -> u64 {
    let wanted = std::env::var("STOKER_SEEDS").ok();
    wanted.map_or(300, |seeds| {
        seeds.parse().expect("STOKER_SEEDS is a number")
    })
}

#[test]
fn whatever_happens_what_is_active_was_judged_and_what_is_good_becomes_active() {
    for seed in 0..seeds() {
        let history = std::panic::catch_unwind(|| History::new(seed).run());
        assert!(history.is_ok(), "the seed is {seed}");
    }
}

struct History {
    draw: Draw,
    world: World,
    /// With the second in which each was begun.
    runs: Vec<(Run, u64)>,
    second: u64,
    /// The second in which a pointer was put back last.
    tampered: Option<u64>,
    /// The highest generation that was active, and the bytes of everything that ever was.
    highest: PolicyGeneration,
    published: Vec<Vec<u8>>,
    last: Option<Vec<u8>>,
    /// Whether who takes the step at hand had begun when a pointer was put back.
    misled: bool,
    /// What was accepted of each folder, in any publication.
    accepted: BTreeMap<PolicyFolder, Vec<FolderRecord>>,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            draw: Draw::new(seed),
            world: World::new(seed ^ 0x5eed),
            runs: Vec::new(),
            second: 0,
            tampered: None,
            highest: PolicyGeneration(0),
            misled: false,
            published: Vec::new(),
            last: None,
            accepted: BTreeMap::new(),
        }
    }

    fn run(mut self) {
        let faults = *self.draw.pick(&[0, 40, 12]);
        *self.world.ports.faults.one_in.lock().unwrap() = faults;
        for second in 0..500 {
            self.second = second;
            self.world.clock.set(Timestamp(1_700_000_000 + second));
            self.something_happens();
            self.check();
        }
        *self.world.ports.faults.one_in.lock().unwrap() = 0;
        // Those that are under way go to their end, in any order.
        while !self.runs.is_empty() {
            self.one_goes_on();
            self.check();
        }
        self.misled = false;
        self.world.sweep();
        self.check();
        self.readers_follow();
        self.every_good_upload_is_active();
        *self.world.ports.faults.writes.lock().unwrap() = 0;
        let again = self.world.sweep();
        assert!(!again.published && again.news.is_empty() && again.alarms.is_empty());
        assert_eq!(*self.world.ports.faults.writes.lock().unwrap(), 0);
        assert_eq!(again.generation, self.highest);
    }

    fn something_happens(&mut self) {
        match self.draw.below(20) {
            0..3 => self.upload(),
            3 => {
                let (folder, file) = (self.folder(), self.file());
                self.world.delete(folder, file);
            }
            4..6 if self.runs.len() < 3 => {
                let task = self.task();
                let hints = self.hints();
                self.runs.push((self.world.begin(task, hints), self.second));
            }
            6 if !self.runs.is_empty() && self.draw.one_in(3) => {
                // It dies where it is.
                let place = self.draw.below(self.runs.len());
                drop(self.runs.swap_remove(place));
            }
            7 if self.draw.one_in(8) && !self.published.is_empty() => {
                let old = self.draw.pick(&self.published).clone();
                let gone = self.draw.one_in(4);
                let store = &self.world.ports.store;
                store.tamper(paths::ACTIVE, if gone { None } else { Some(old.clone()) });
                self.last = store.object(paths::ACTIVE);
                self.tampered = Some(self.second);
            }
            8 if self.draw.one_in(8) => self.world.signing = 1 - self.world.signing,
            9 if self.draw.one_in(10) => {
                self.world.configuration = Configuration::STANDARD.with_stack(1 << 18);
            }
            _ if !self.runs.is_empty() => {
                self.one_goes_on();
            }
            _ => {}
        }
    }

    fn one_goes_on(&mut self) {
        let place = self.draw.below(self.runs.len());
        let (run, begun) = &mut self.runs[place];
        self.misled = self.tampered.is_some_and(|at| at >= *begun);
        if let Poll::Ready(_report) = step(run) {
            drop(self.runs.swap_remove(place));
        }
    }

    /// A reader takes nothing below what it has seen, and it may have seen all.
    fn readers_follow(&self) {
        let bytes = self.world.ports.store.object(paths::ACTIVE).unwrap();
        let deployment = "sim".parse().unwrap();
        let active = Activation::verify(&self.world.trusted(), &deployment, &bytes).unwrap();
        assert_eq!(active.generation(), self.highest);
    }

    fn folder(&mut self) -> &'static str {
        self.draw.pick::<&'static str>(&FOLDERS)
    }

    fn file(&mut self) -> &'static str {
        self.draw
            .pick::<&'static str>(&["policy.wasm", "settings.json"])
    }

    fn upload(&mut self) {
        let (folder, file) = (self.folder(), self.file());
        let bytes = if file == "policy.wasm" {
            *self.draw.pick(&POLICIES)
        } else {
            *self.draw.pick(&SETTINGS)
        };
        self.world.upload(folder, file, bytes.as_bytes());
    }

    fn task(&mut self) -> Task {
        if !self.draw.one_in(5) {
            return Task::Sweep;
        }
        let source = match self.draw.below(3) {
            0 => Source::Before,
            1 => Source::Generation(self.generation()),
            _ => Source::Folder(self.folder().parse().unwrap()),
        };
        Task::Republish {
            folder: self.folder().parse().unwrap(),
            source,
            from: None,
            by: "somebody".to_owned(),
        }
    }

    /// S3's events: late ones, several of one upload, of versions that are there no more, in any order.
    fn hints(&mut self) -> Vec<Hint> {
        let versions: Vec<String> = self.world.bytes.keys().cloned().collect();
        (0..self.draw.below(4))
            .filter(|_| !versions.is_empty())
            .map(|_| Hint {
                path: format!("{}/policy.wasm", self.draw.pick(&FOLDERS)),
                version: self.draw.pick(&versions).clone(),
                by: "somebody".to_owned(),
            })
            .collect()
    }

    fn generation(&mut self) -> PolicyGeneration {
        if self.published.is_empty() {
            return self.highest;
        }
        let bytes = self.draw.pick(&self.published);
        let deployment = "sim".parse().unwrap();
        let trusted = self.world.trusted();
        Activation::verify(&trusted, &deployment, bytes)
            .unwrap()
            .generation()
    }

    /// Looks at what is active, if it is another than before.
    fn check(&mut self) {
        let Some(bytes) = self.world.ports.store.object(paths::ACTIVE) else {
            return;
        };
        if self.last.as_ref() == Some(&bytes) {
            return;
        }
        let deployment = "sim".parse().unwrap();
        let active = Activation::verify(&self.world.trusted(), &deployment, &bytes).unwrap();
        let (generation, highest) = (active.generation(), self.highest);
        assert!(
            generation > highest || self.misled,
            "{generation} after {highest}"
        );
        self.highest = highest.max(generation);
        for (folder, record) in &active.document().folders {
            self.was_accepted(active.document(), folder, record);
            let before = self.accepted.entry(folder.clone()).or_default();
            before.push(record.clone());
        }
        self.objects_are_there(active.document());
        self.published.push(bytes.clone());
        self.last = Some(bytes);
    }

    fn was_accepted(&self, document: &Document, folder: &PolicyFolder, record: &FolderRecord) {
        for (decision, entry) in &record.scope {
            for pair in std::iter::once(&entry.pair).chain(entry.previous.as_ref()) {
                let Some(policy) = &pair.policy else {
                    continue;
                };
                let settings = std::iter::once(&pair.settings).chain(pair.inherited.as_ref());
                for settings in settings {
                    self.judged(policy, *decision, &settings.digest);
                }
                assert!(document.policies.contains_key(policy));
            }
        }
        for (decision, settings) in &record.tunes {
            let owner = folder.broader().unwrap();
            let deciding = document.entry(&owner, *decision);
            if let Some(policy) = deciding.and_then(|(entry, _)| entry.pair.policy.as_ref()) {
                self.judged(policy, *decision, &settings.digest);
            }
        }
        if let (Some(policy), Some(settings)) = (&record.own.policy, &record.own.settings) {
            let pair = [Some(policy.version.clone()), Some(settings.version.clone())];
            let been = self.world.been.get(&folder.to_string());
            let together = been.is_some_and(|been| been.contains(&pair));
            // What was promoted from elsewhere is judged with the settings that are active here.
            let promoted = record.passed_over.is_some()
                || self
                    .accepted
                    .get(folder)
                    .is_some_and(|before| before.iter().any(|before| before.own == record.own));
            assert!(together || promoted, "{folder} has {pair:?}");
        }
    }

    fn judged(&self, policy: &ArtifactDigest, decision: Decision, settings: &ArtifactDigest) {
        let store = &self.world.ports.store;
        let component = store.object(&paths::component(policy)).unwrap();
        let Component::Policy { takes, .. } = stand_in::component(&component) else {
            panic!("{policy} is no policy and decides");
        };
        assert!(takes.contains(&decision));
        let text = store.object(&paths::settings(settings)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(stand_in::accepts(&component, &text), Ok(()), "{text}");
    }

    fn objects_are_there(&self, document: &Document) {
        let store = &self.world.ports.store;
        for (digest, record) in &document.policies {
            assert!(!record.natives.is_empty());
            for code in &record.natives {
                let native = store.object(&paths::native(&code.engine, &code.digest));
                assert_eq!(ArtifactDigest::of(&native.unwrap()), code.digest);
            }
            let component = store.object(&paths::component(digest)).unwrap();
            assert_eq!(ArtifactDigest::of(&component), *digest);
        }
        for digest in document.named() {
            assert!(document.policies.contains_key(digest));
        }
        for record in document.folders.values() {
            if let Some(piece) = &record.own.settings {
                let own = store.object(&paths::settings(&piece.digest)).unwrap();
                assert_eq!(ArtifactDigest::of(&own), piece.digest);
            }
        }
    }

    /// An upload is good if it goes with what is accepted on the broader levels: said here once more, in
    /// the simplest words.
    fn every_good_upload_is_active(&self) {
        let Some(bytes) = self.world.ports.store.object(paths::ACTIVE) else {
            return;
        };
        let deployment = "sim".parse().unwrap();
        let active = Activation::verify(&self.world.trusted(), &deployment, &bytes).unwrap();
        let document = active.document();
        let engine = self.world.configuration.id();
        for record in document.policies.values() {
            assert!(record.native(&engine).is_some(), "{record:?}");
        }
        for (folder, [policy, settings]) in &self.world.now {
            let folder: PolicyFolder = folder.parse().unwrap();
            let record = document.folders.get(&folder);
            let passed = record.and_then(|record| record.passed_over.as_ref());
            if policy.is_none() && settings.is_none() && passed.is_none() {
                assert_eq!(record, None);
                continue;
            }
            // What an operator went back from is not looked at, file by file.
            let is_passed = [
                passed.is_some_and(|passed| passed.policy == *policy),
                passed.is_some_and(|passed| passed.settings == *settings),
            ];
            let bytes = |version: &String| self.world.bytes[version].clone();
            let stored = |path: String| self.world.ports.store.object(&path).unwrap();
            let own = record.map(|record| record.own.clone()).unwrap_or_default();
            let meant = (
                if is_passed[0] {
                    let piece = own.policy.as_ref();
                    piece.map(|piece| stored(paths::component(&piece.digest)))
                } else {
                    policy.as_ref().map(bytes)
                },
                if is_passed[1] {
                    let piece = own.settings.as_ref();
                    piece.map(|piece| stored(paths::settings(&piece.digest)))
                } else {
                    settings.as_ref().map(bytes)
                },
            );
            if self.goes(document, &folder, meant) {
                let version = |piece: Option<&Piece>| piece.map(|piece| piece.version.clone());
                if !is_passed[0] {
                    assert_eq!(version(own.policy.as_ref()), *policy, "{folder}");
                }
                if !is_passed[1] {
                    assert_eq!(version(own.settings.as_ref()), *settings, "{folder}");
                }
            }
        }
    }

    fn goes(&self, document: &Document, folder: &PolicyFolder, own: Held) -> bool {
        let store = &self.world.ports.store;
        let stored = |path: String| store.object(&path).unwrap();
        let broader = folder.chain().skip(1).map(|place| {
            let own = document.folders.get(&place).map(|record| &record.own);
            let digest = |piece: &Option<Piece>| piece.as_ref().map(|piece| piece.digest.clone());
            (
                own.and_then(|own| digest(&own.policy))
                    .map(|digest| stored(paths::component(&digest))),
                own.and_then(|own| digest(&own.settings))
                    .map(|digest| stored(paths::settings(&digest))),
            )
        });
        let chain: Vec<Held> = std::iter::once(own).chain(broader).collect();
        if let Some(policy) = &chain[0].0
            && !matches!(stand_in::component(policy), Component::Policy { .. })
        {
            return false;
        }
        [Decision::ScaleUp, Decision::ScaleDown, Decision::Sync]
            .into_iter()
            .filter(|decision| {
                *decision != Decision::Sync || *folder == PolicyFolder::Default
            })
            .all(|decision| {
                let deciding = chain.iter().position(|(policy, _)| {
                    policy.as_ref().is_some_and(|policy| {
                        matches!(stand_in::component(policy), Component::Policy { takes, .. } if takes.contains(&decision))
                    })
                });
                let Some(deciding) = deciding else {
                    // The built-in rules know other settings than these.
                    return merged(&chain, decision).is_some_and(|merged| merged.is_empty());
                };
                let policy = chain[deciding].0.clone().unwrap();
                merged(&chain[..=deciding], decision).is_some_and(|merged| {
                    stand_in::accepts(&policy, &Value::Object(merged).to_string()).is_ok()
                })
            })
    }
}

/// A folder's policy and settings.
type Held = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The settings of a decision, merged; none if one of the files can't be used.
fn merged(chain: &[Held], decision: Decision) -> Option<Map<String, Value>> {
    let mut all = Map::new();
    for (_, settings) in chain.iter().rev() {
        let Some(settings) = settings else { continue };
        let file: Value = serde_json::from_slice(settings).ok()?;
        if file.get("nonsense").is_some() {
            return None;
        }
        for (key, value) in file[decision.as_str()].as_object().into_iter().flatten() {
            if value.is_null() {
                all.remove(key);
            } else {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    Some(all)
}
