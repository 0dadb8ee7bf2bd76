//! Machine code from outside: what is trusted, and what is not.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use stoker_core::plan::{Basis, PolicyLevel};
use stoker_policy::artifact::{
    Loaded, Native, NativeRecord, PublicKeys, Statement, Trusted, Uploaded,
};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::{Failure, SizeClass};

use crate::fixtures::{component, situation};

const DEPLOYMENT: &str = "ci";
const GENERATION: u64 = 4;

/// A key, and machine code that it has signed for.
struct Published {
    keys: PublicKeys,
    body: Vec<u8>,
    signature: Vec<u8>,
    native: Vec<u8>,
}

fn native(configuration: Configuration) -> Native {
    let limits = SizeClass::Small.limits();
    let engine = configuration.engine().unwrap();
    let bytes = component("launches-one");
    let admitted = Uploaded::new(&bytes, &limits)
        .unwrap()
        .admit(&engine)
        .unwrap();
    Native::of(&admitted, &configuration.id()).unwrap()
}

fn publish(native: &Native, change: impl FnOnce(&mut NativeRecord)) -> Published {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let mut record = native.record().clone();
    change(&mut record);
    let body = serde_json::to_vec(&record).unwrap();
    let statement = Statement::new(DEPLOYMENT, GENERATION, &body);
    let signature = pair.sign(&SystemRandom::new(), statement.bytes()).unwrap();
    Published {
        keys: PublicKeys::new([public.as_ref().to_vec()]),
        body,
        signature: signature.as_ref().to_vec(),
        native: native.bytes().to_vec(),
    }
}

impl Published {
    fn load(&self) -> Result<Loaded, Failure> {
        let trusted = Trusted::verify(
            &self.keys,
            DEPLOYMENT,
            GENERATION,
            &self.body,
            &self.signature,
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
    let published = publish(&native(Configuration::STANDARD), |_| {});
    let policy = published.load().unwrap();
    let limits = SizeClass::Small.limits();
    let decided = policy
        .scale_up(
            &situation(3),
            PolicyLevel::Default,
            &Basis::default(),
            &limits,
        )
        .unwrap();
    assert_eq!(decided.plan.launches[0].count, 1);

    let engine = Configuration::STANDARD.engine().unwrap();
    let bytes = component("launches-one");
    let admitted = Uploaded::new(&bytes, &limits)
        .unwrap()
        .admit(&engine)
        .unwrap();
    let here = Loaded::new(admitted, &limits).unwrap();
    let again = here
        .scale_up(
            &situation(3),
            PolicyLevel::Default,
            &Basis::default(),
            &limits,
        )
        .unwrap();
    assert_eq!(decided.plan, again.plan);
    assert_eq!(decided.cost, again.cost);
    assert_eq!(policy.digest(), here.digest());
}

#[test]
fn one_flipped_bit_anywhere_and_it_is_not_run() {
    let mut published = publish(&native(Configuration::STANDARD), |_| {});
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
fn what_no_trusted_key_signed_for_is_not_run() {
    let mut published = publish(&native(Configuration::STANDARD), |_| {});
    published.body.push(b' ');
    assert_eq!(published.refused().cause(), "unsigned");
    published.body.pop();
    published.keys = PublicKeys::default();
    assert_eq!(published.refused().cause(), "unsigned");
}

#[test]
fn what_another_engine_compiled_is_refused_by_name_and_could_not_be_loaded_either() {
    let other = Configuration::STANDARD.with_stack(1 << 18);
    let native = native(other);
    let refused = publish(&native, |_| {}).refused();
    assert_eq!(refused.cause(), "wrong-engine");
    let told = refused.to_string();
    assert!(told.contains(&other.id().to_string()), "{told}");
    assert!(told.contains(&EngineId::standard().to_string()), "{told}");
    // A record that lies about the engine: the engine's id is in the machine code as well.
    let lying = publish(&native, |record| {
        record.engine = EngineId::standard().clone();
    });
    assert_eq!(lying.refused().cause(), "not-a-component");
}
