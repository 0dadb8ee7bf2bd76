//! A deciding process at its smallest: verifies what is active, takes up the machine code that it names,
//! decides once, and says when (in nanoseconds since 1970) and what that cost. Built without a compiler,
//! as deciding Lambdas are to be. `make bench-policy` measures it.
//!
//!     first-decision FOLDER decide     with key.der, active.json and policy.native in it
//!     first-decision FOLDER nothing    only says when it was up

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use stoker_core::plan::{Basis, PolicyLevel};
use stoker_core::policy_folder::PolicyFolder;
use stoker_policy::activation::Activation;
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
    let (key, active, native) = (
        read("key.der")?,
        read("active.json")?,
        read("policy.native")?,
    );
    let limits = SizeClass::Small.limits();
    let activation = Activation::verify(&PublicKeys::new([key]), &"bench".parse()?, &active)?;
    let (entry, _) = activation
        .document()
        .entry(&PolicyFolder::Default, Decision::ScaleUp)
        .ok_or("nothing is active")?;
    let digest = entry.pair.policy.as_ref().ok_or("no policy is active")?;
    let trusted = Trusted::of(&activation, digest, EngineId::standard(), &native)?;
    let engine = Configuration::STANDARD.engine()?;
    let policy = Loaded::from_native(&engine, trusted, &limits)?;
    let situation = self_check::situation(50, 20);
    let basis = Basis {
        settings: "{}".to_owned(),
        ..Basis::default()
    };
    let decided = policy.scale_up(&situation, PolicyLevel::Default, &basis, &limits)?;
    Ok(format!(
        "{} decided by {} launches, with {} fuel",
        policy.title(),
        decided.plan.launches.len(),
        decided.cost.fuel
    ))
}
