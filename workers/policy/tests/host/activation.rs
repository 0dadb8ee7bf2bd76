//! What is believed of the store: the newest document that a trusted key has signed for this deployment,
//! and of what it names only what has the digest that it names.

use stoker_admission::testing::MemorySigner;
use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::{Fallback, Instead, PolicyLevel, Proposal};
use stoker_policy::activation::document::SCHEMA;
use stoker_policy::activation::{Activation, Document, Unsigned, paths};
use stoker_policy::artifact::{PublicKeys, Statement};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::{Decision, Failure, PolicyMode};

use crate::fixtures::{
    Bench, FIRST, NEVER, SECOND, SetUp, component, decide_at, deployment, host, launched,
    situation, trust,
};

/// Long enough that whoever decides has the document confirmed first.
const LATER: u64 = 1_000;

/// What a document says of the default policy.
struct Named {
    document: Document,
    policy: ArtifactDigest,
}

impl Named {
    fn in_store(bench: &Bench) -> Self {
        let active = bench.store.object(paths::ACTIVE).unwrap();
        let keys = PublicKeys::new([bench.signer.key()]);
        let document = Activation::verify(&keys, &deployment(), &active).unwrap();
        let document = document.document().clone();
        let (entry, _) = document
            .entry(&"default".parse().unwrap(), Decision::ScaleUp)
            .unwrap();
        Self {
            policy: entry.pair.policy.clone().unwrap(),
            document,
        }
    }

    fn native(&self) -> String {
        let record = &self.document.policies[&self.policy];
        let code = record.native(EngineId::standard()).unwrap();
        paths::native(&code.engine, &code.digest)
    }

    fn settings(&self) -> String {
        let folder = &self.document.folders[&"default".parse().unwrap()];
        paths::settings(&folder.scope[&Decision::ScaleUp].pair.settings.digest)
    }
}

/// A bench whose first publication is `launches-one`.
async fn published() -> Bench {
    let bench = Bench::new();
    bench.put("default/policy.wasm", component("launches-one"));
    bench.publish().await;
    bench
}

/// The same after a second one, `launches-nothing`, with settings.
async fn published_twice() -> Bench {
    let bench = published().await;
    bench.put("default/policy.wasm", component("launches-nothing"));
    bench.put("default/settings.json", r#"{"scale-up":{"a":1}}"#);
    bench.publish().await;
    bench
}

fn flip(bench: &Bench, path: &str, place: usize) {
    let mut bytes = bench.store.object(path).unwrap();
    bytes[place] ^= 1;
    bench.store.tamper(path, Some(bytes));
}

fn sign(signer: &MemorySigner, document: &Document) -> Vec<u8> {
    let unsigned = Unsigned::new(&deployment(), document).unwrap();
    let signature = signer.signed(unsigned.statement().bytes());
    unsigned.signed(&signature).unwrap()
}

/// That there was an alarm of that cause, and who decided then.
#[track_caller]
fn alarmed(proposal: &Proposal, cause: &str) -> Fallback {
    let fallback = proposal.fallback.clone().expect("a fallback");
    assert_eq!(fallback.cause, cause, "{}", fallback.message);
    assert!(fallback.alarm, "{}", fallback.message);
    fallback
}

#[track_caller]
fn the_built_in_rules_decided(proposal: &Proposal, cause: &str) {
    let fallback = alarmed(proposal, cause);
    assert_eq!(fallback.instead, Instead::BuiltIn);
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(launched(proposal), 3);
}

#[tokio::test]
async fn an_older_document_that_is_put_back_decides_nothing() {
    let bench = published().await;
    let older = bench.store.object(paths::ACTIVE);
    bench.put("default/policy.wasm", component("launches-nothing"));
    bench.publish().await;
    assert_eq!(bench.decide_at(0).await.fallback, None);
    bench.store.tamper(paths::ACTIVE, older);

    let warm = bench.decide_at(LATER).await;
    assert_eq!(alarmed(&warm, "old-generation").instead, Instead::Previous);
    assert_eq!(warm.by.policy, "launches-nothing 1.0.0");
    assert_eq!(warm.by.generation, Some(SECOND));

    let cold = decide_at(&bench.cold(), LATER, SECOND).await;
    the_built_in_rules_decided(&cold, "old-generation");
    assert_eq!(cold.by.generation, None);
    let told = cold.fallback.unwrap().message;
    let both = format!("generation {FIRST}, and generation {SECOND}");
    assert!(told.contains(&both), "{told}");

    // A scope that has not seen the newer one can't know.
    let unknowing = decide_at(&bench.cold(), LATER, FIRST).await;
    assert_eq!(unknowing.fallback, None);
    assert_eq!(unknowing.by.policy, "launches-one 1.0.0");
    assert_eq!(unknowing.by.generation, Some(FIRST));
}

#[tokio::test]
async fn a_document_that_is_taken_away_is_an_alarm_where_there_was_one() {
    let bench = published().await;
    assert_eq!(bench.decide_at(0).await.fallback, None);
    bench.store.tamper(paths::ACTIVE, None);

    let warm = bench.decide_at(LATER).await;
    assert_eq!(alarmed(&warm, "old-generation").instead, Instead::Previous);
    assert_eq!(warm.by.policy, "launches-one 1.0.0");

    let seen = decide_at(&bench.cold(), LATER, FIRST).await;
    the_built_in_rules_decided(&seen, "old-generation");
}

#[tokio::test]
async fn where_nothing_was_ever_published_the_built_in_rules_decide_and_that_is_no_fallback() {
    let proposal = Bench::new().decide_at(0).await;
    assert_eq!(proposal.fallback, None);
    assert_eq!(proposal.by.level, PolicyLevel::BuiltIn);
    assert_eq!(proposal.by.generation, None);
    assert_eq!(launched(&proposal), 3);
}

#[tokio::test]
async fn a_decision_names_the_publication_that_it_was_taken_by_whoever_took_it() {
    let bench = Bench::new();
    bench.put("orgs/other/policy.wasm", component("launches-one"));
    bench.publish().await;
    let built_in = bench.decide(&situation(1)).await;
    assert_eq!(built_in.by.level, PolicyLevel::BuiltIn);
    assert_eq!(built_in.by.generation, Some(FIRST));
    bench.put("orgs/acme/policy.wasm", component("launches-nothing"));
    let proposal = bench.decide(&situation(1)).await;
    assert_eq!(proposal.by.level, PolicyLevel::Organization);
    assert_eq!(proposal.by.generation, Some(SECOND));
}

#[tokio::test]
async fn a_document_with_one_flipped_bit_anywhere_is_refused() {
    let bench = published().await;
    let active = bench.store.object(paths::ACTIVE).unwrap();
    let keys = PublicKeys::new([bench.signer.key()]);
    for place in 0..active.len() {
        for bit in [0, 5] {
            let mut flipped = active.clone();
            flipped[place] ^= 1 << bit;
            let refused = Activation::verify(&keys, &deployment(), &flipped);
            assert!(matches!(refused, Err(Failure::Unsigned(_))), "{place}");
        }
        let cut = Activation::verify(&keys, &deployment(), &active[..place]);
        assert!(matches!(cut, Err(Failure::Unsigned(_))), "{place}");
    }
}

#[tokio::test]
async fn a_document_that_was_tampered_with_is_an_alarm_and_decides_nothing() {
    let bench = published().await;
    assert_eq!(bench.decide_at(0).await.fallback, None);
    let whole = bench.store.object(paths::ACTIVE).unwrap();
    flip(&bench, paths::ACTIVE, whole.len() / 2);
    let warm = bench.decide_at(LATER).await;
    assert_eq!(alarmed(&warm, "unsigned").instead, Instead::Previous);
    assert_eq!(warm.by.policy, "launches-one 1.0.0");
    let cold = bench.cold();
    the_built_in_rules_decided(&decide_at(&cold, LATER, NEVER).await, "unsigned");
    // Nothing of that is remembered.
    bench.store.tamper(paths::ACTIVE, Some(whole));
    assert_eq!(decide_at(&cold, LATER, NEVER).await.fallback, None);
    assert_eq!(bench.decide_at(2 * LATER).await.fallback, None);
}

#[tokio::test]
async fn machine_code_that_was_tampered_with_is_not_run_and_the_one_before_decides() {
    let bench = published().await;
    let before = Named::in_store(&bench).native();
    bench.put("default/policy.wasm", component("launches-nothing"));
    bench.publish().await;
    flip(&bench, &Named::in_store(&bench).native(), 1_000);
    let proposal = decide_at(&bench.cold(), 0, NEVER).await;
    assert_eq!(alarmed(&proposal, "tampered").instead, Instead::Previous);
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    assert_eq!(proposal.by.generation, Some(SECOND));
    flip(&bench, &before, 1_000);
    the_built_in_rules_decided(&decide_at(&bench.cold(), 0, NEVER).await, "tampered");
}

#[tokio::test]
async fn settings_that_were_tampered_with_are_not_used_and_the_pair_before_decides() {
    let bench = published_twice().await;
    let before = bench.store.object(&paths::generation(FIRST));
    flip(&bench, &Named::in_store(&bench).settings(), 0);
    let proposal = decide_at(&bench.cold(), 0, NEVER).await;
    assert_eq!(alarmed(&proposal, "tampered").instead, Instead::Previous);
    assert_eq!(proposal.by.policy, "launches-one 1.0.0");
    assert_eq!(proposal.basis.settings, "{}");
    bench.store.tamper(paths::ACTIVE, before);
    flip(&bench, &Named::in_store(&bench).settings(), 0);
    the_built_in_rules_decided(&decide_at(&bench.cold(), 0, NEVER).await, "tampered");
}

#[tokio::test]
async fn what_is_missing_is_an_alarm_as_long_as_it_is_missing_and_not_a_moment_longer() {
    let bench = published_twice().await;
    let named = Named::in_store(&bench);
    for path in [named.native(), named.settings()] {
        let cold = bench.cold();
        let object = bench.store.object(&path);
        bench.store.tamper(&path, None);
        // More often than a failure of a policy's own is borne.
        for _ in 0..5 {
            let proposal = decide_at(&cold, 0, NEVER).await;
            let fallback = alarmed(&proposal, "missing");
            assert!(fallback.message.contains(&path), "{}", fallback.message);
            assert_eq!(fallback.instead, Instead::Previous);
            assert_eq!(proposal.by.policy, "launches-one 1.0.0");
        }
        bench.store.tamper(&path, object);
        let proposal = decide_at(&cold, 0, NEVER).await;
        assert_eq!(proposal.fallback, None);
        assert_eq!(proposal.by.policy, "launches-nothing 1.0.0");
    }
}

#[tokio::test]
async fn a_key_is_replaced_while_both_are_trusted_and_a_stranger_s_is_refused() {
    let bench = published().await;
    let (old, new, stranger) = (
        bench.signer.key(),
        MemorySigner::default(),
        MemorySigner::default(),
    );
    let document = Named::in_store(&bench).document;
    let reading = |keys: Vec<Vec<u8>>| host(bench.store.clone(), trust(keys), SetUp::default());
    let both = vec![old.clone(), new.key()];
    let decided = decide_at(&reading(both.clone()), 0, NEVER).await;
    assert_eq!(decided.fallback, None);

    bench
        .store
        .tamper(paths::ACTIVE, Some(sign(&new, &document)));
    let decided = decide_at(&reading(both.clone()), 0, NEVER).await;
    assert_eq!(decided.fallback, None);
    assert_eq!(decided.by.policy, "launches-one 1.0.0");
    let behind = decide_at(&reading(vec![old]), 0, NEVER).await;
    the_built_in_rules_decided(&behind, "unsigned");
    let told = behind.fallback.unwrap().message;
    assert!(told.contains("POLICY_PUBLIC_KEYS"), "{told}");

    bench
        .store
        .tamper(paths::ACTIVE, Some(sign(&stranger, &document)));
    the_built_in_rules_decided(&decide_at(&reading(both), 0, NEVER).await, "unsigned");
}

#[tokio::test]
async fn the_document_of_another_deployment_is_refused_though_the_key_is_the_same() {
    let bench = published().await;
    let mut other = trust([bench.signer.key()]);
    other.deployment = "other".parse().unwrap();
    let host = host(bench.store.clone(), other, SetUp::default());
    let proposal = decide_at(&host, 0, NEVER).await;
    the_built_in_rules_decided(&proposal, "unsigned");
    let told = proposal.fallback.unwrap().message;
    assert!(
        told.contains("of the deployment `ci` and this is `other`"),
        "{told}"
    );
}

#[tokio::test]
async fn a_signed_document_of_a_newer_stoker_is_not_half_understood() {
    let bench = published().await;
    let document = Document {
        schema: SCHEMA + 1,
        ..Named::in_store(&bench).document
    };
    let active = sign(&bench.signer, &document);
    bench.store.tamper(paths::ACTIVE, Some(active));
    let proposal = decide_at(&bench.cold(), 0, NEVER).await;
    the_built_in_rules_decided(&proposal, "unsigned");
    let told = proposal.fallback.unwrap().message;
    assert!(told.contains("finish the upgrade"), "{told}");
}

#[tokio::test]
async fn a_document_is_of_the_generation_that_it_was_signed_for() {
    let bench = published().await;
    let body = serde_json::to_string(&Named::in_store(&bench).document).unwrap();
    let statement = Statement::new(&deployment(), SECOND, body.as_bytes());
    let signature = bench.signer.signed(statement.bytes());
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signature);
    let active = format!(
        r#"{{"deployment":"ci","generation":{SECOND},"signature":"{encoded}","body":{body}}}"#
    );
    let keys = PublicKeys::new([bench.signer.key()]);
    let refused = Activation::verify(&keys, &deployment(), active.as_bytes());
    let told = refused.unwrap_err().to_string();
    assert!(told.contains(&format!("says that it is {FIRST}")), "{told}");
}

#[tokio::test]
async fn machine_code_for_another_engine_alone_is_an_alarm_until_there_is_some_for_this_one() {
    let other = Configuration::STANDARD.with_stack(1 << 18);
    let mut bench = Bench::set_up(SetUp {
        compiled_for: other,
        ..SetUp::default()
    });
    bench.put("default/policy.wasm", component("launches-one"));
    bench.publish().await;
    let proposal = decide_at(&bench.cold(), 0, NEVER).await;
    the_built_in_rules_decided(&proposal, "wrong-engine");
    let told = proposal.fallback.unwrap().message;
    assert!(told.contains(&other.id().to_string()), "{told}");

    // Admission is rolled out first: then there is code for both.
    bench.compile_for(Configuration::STANDARD);
    bench.publish().await;
    let proposal = decide_at(&bench.cold(), 0, NEVER).await;
    assert_eq!(proposal.fallback, None);
    let named = Named::in_store(&bench);
    assert_eq!(named.document.policies[&named.policy].natives.len(), 2);
}

#[tokio::test]
async fn the_glass_to_break_reads_nothing_at_all() {
    let bench = Bench::set_up(SetUp {
        mode: PolicyMode::BuiltIn,
        ..SetUp::default()
    });
    bench.put("default/policy.wasm", component("launches-nothing"));
    bench.publish().await;
    bench.store.fetched();
    for down in [false, true] {
        bench.store.set_down(down);
        let proposal = decide_at(&bench.host, 0, FIRST).await;
        assert_eq!(proposal.fallback, None);
        assert_eq!(proposal.by.generation, None);
        assert_eq!(launched(&proposal), 3);
    }
    assert_eq!(bench.store.fetched(), [""; 0]);
}
