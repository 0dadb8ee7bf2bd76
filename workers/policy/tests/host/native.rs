//! Machine code from outside: what is trusted, and what is not.

use std::collections::BTreeMap;

use stoker_admission::testing::MemorySigner;
use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::{Basis, PolicyLevel};
use stoker_policy::activation::{Activation, Document, NativeCode, PolicyRecord, Unsigned};
use stoker_policy::artifact::{Admitted, Loaded, Native, PublicKeys, Trusted, Uploaded};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::{Failure, SizeClass};

use crate::fixtures::{FIRST, component, deployment, situation};

/// Machine code, and a signed document that names it.
struct Published {
    signer: MemorySigner,
    policy: ArtifactDigest,
    document: Document,
    native: Vec<u8>,
}

fn admitted(configuration: Configuration) -> Admitted {
    let bytes = component("launches-one");
    let uploaded = Uploaded::new(&bytes, &SizeClass::Small.limits()).unwrap();
    uploaded.admit(&configuration.engine().unwrap()).unwrap()
}

fn publish(configuration: Configuration, change: impl FnOnce(&mut NativeCode)) -> Published {
    let admitted = admitted(configuration);
    let native = Native::of(&admitted, &configuration.id()).unwrap();
    let loaded = Loaded::new(admitted, &SizeClass::Small.limits()).unwrap();
    let policy = loaded.digest().clone();
    let mut code = native.code().clone();
    change(&mut code);
    let record = PolicyRecord {
        name: "launches-one".to_owned(),
        version: "1.0.0".to_owned(),
        bytes: 1,
        exports: loaded.spoken().clone(),
        natives: vec![code],
    };
    Published {
        signer: MemorySigner::default(),
        document: Document {
            generation: FIRST,
            policies: BTreeMap::from([(policy.clone(), record)]),
            ..Document::empty()
        },
        policy,
        native: native.into_bytes(),
    }
}

impl Published {
    fn load(&self) -> Result<Loaded, Failure> {
        let unsigned = Unsigned::new(&deployment(), &self.document).unwrap();
        let signature = self.signer.signed(unsigned.statement().bytes());
        let active = unsigned.signed(&signature).unwrap();
        let keys = PublicKeys::new([self.signer.key()]);
        let activation = Activation::verify(&keys, &deployment(), &active)?;
        let trusted = Trusted::of(
            &activation,
            &self.policy,
            EngineId::standard(),
            &self.native,
        )?;
        let engine = Configuration::STANDARD.engine().unwrap();
        Loaded::from_native(&engine, trusted, &SizeClass::Small.limits())
    }

    fn refused(&self) -> Failure {
        self.load().err().expect("a refusal")
    }
}

#[test]
fn what_was_compiled_signed_and_taken_up_decides_as_what_was_compiled_here() {
    let there = publish(Configuration::STANDARD, |_| {}).load().unwrap();
    let limits = SizeClass::Small.limits();
    let here = Loaded::new(admitted(Configuration::STANDARD), &limits).unwrap();
    let decided = |policy: &Loaded| {
        let (situation, basis) = (situation(3), Basis::default());
        policy
            .scale_up(&situation, PolicyLevel::Default, &basis, &limits)
            .unwrap()
    };
    let (decided, again) = (decided(&there), decided(&here));
    assert_eq!(decided.plan.launches[0].count, 1);
    assert_eq!(decided.plan, again.plan);
    assert_eq!(decided.cost, again.cost);
    assert_eq!(there.digest(), here.digest());
}

#[test]
fn one_flipped_bit_anywhere_and_it_is_not_run() {
    let mut published = publish(Configuration::STANDARD, |_| {});
    let length = published.native.len();
    for place in [0, length / 3, length / 2, length - 1] {
        published.native[place] ^= 1;
        let refused = published.refused();
        assert_eq!(refused.cause(), "tampered", "{refused}");
        published.native[place] ^= 1;
    }
    published.native.truncate(length / 2);
    assert_eq!(published.refused().cause(), "tampered");
}

#[test]
fn what_the_document_does_not_name_is_not_run() {
    let mut published = publish(Configuration::STANDARD, |_| {});
    published.document.policies.clear();
    assert_eq!(published.refused().cause(), "unsigned");
}

#[test]
fn what_another_engine_compiled_is_refused_by_name_and_could_not_be_loaded_either() {
    let other = Configuration::STANDARD.with_stack(1 << 18);
    let refused = publish(other, |_| {}).refused();
    assert_eq!(refused.cause(), "wrong-engine");
    let told = refused.to_string();
    assert!(told.contains(&other.id().to_string()), "{told}");
    assert!(told.contains(&EngineId::standard().to_string()), "{told}");
    // A document that lies about the engine: the engine's id is in the machine code as well.
    let lying = publish(other, |code| code.engine = EngineId::standard().clone());
    assert_eq!(lying.refused().cause(), "not-a-component");
}

#[test]
fn of_code_for_two_engines_each_takes_its_own() {
    let other = Configuration::STANDARD.with_stack(1 << 18);
    let mut published = publish(Configuration::STANDARD, |_| {});
    let theirs = publish(other, |_| {});
    let natives = |published: &Published| {
        let record = &published.document.policies[&published.policy];
        record.natives.clone()
    };
    let both = [natives(&theirs), natives(&published)].concat();
    let record = published.document.policies.get_mut(&published.policy);
    record.unwrap().natives = both;
    assert!(published.load().is_ok());
    published.native = theirs.native;
    assert_eq!(published.refused().cause(), "tampered");
}
