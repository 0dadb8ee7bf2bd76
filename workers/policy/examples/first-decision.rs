//! A deciding process at its smallest: takes up a policy's machine code, decides once, and says when (in
//! nanoseconds since 1970) and what that cost. Built without a compiler, as deciding Lambdas are to be.
//! `make bench-policy` measures it.
//!
//!     first-decision FOLDER decide     with key.der, record.json, signature and policy.native in it
//!     first-decision FOLDER nothing    only says when it was up

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use stoker_core::plan::PolicyLevel;
use stoker_policy::artifact::{Loaded, PublicKeys, Trusted};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::{Decision, SizeClass, self_check};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder: PathBuf = arguments
        .next()
        .ok_or("give it the folder with the policy")?
        .into();
    let done = if arguments.next().is_some_and(|what| what == "nothing") {
        "nothing was decided".to_owned()
    } else {
        decide(&folder)?
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    writeln!(std::io::stdout(), "{now} {done}")?;
    Ok(())
}

fn decide(folder: &Path) -> Result<String, Box<dyn Error>> {
    let read = |name: &str| std::fs::read(folder.join(name));
    let (key, body, signature) = (read("key.der")?, read("record.json")?, read("signature")?);
    let native = read("policy.native")?;
    let limits = SizeClass::Small.limits();
    let trusted = Trusted::verify(
        &PublicKeys::new([key]),
        "bench",
        1,
        &body,
        &signature,
        EngineId::standard(),
        &native,
    )?;
    let engine = Configuration::STANDARD.engine()?;
    let policy = Loaded::from_native(&engine, trusted, &limits)?;
    let situation = self_check::situation(50, 20);
    let basis = policy.basis(Decision::ScaleUp, "{}", situation.now, &limits)?;
    let decided = policy.scale_up(&situation, PolicyLevel::Default, &basis, &limits)?;
    Ok(format!(
        "{} decided by {} launches, with {} fuel",
        policy.title(),
        decided.plan.launches.len(),
        decided.cost.fuel
    ))
}
