//! A deciding process at its smallest: takes up a policy's machine code, decides once, and says what that
//! cost. Built without a compiler, as deciding Lambdas are to be. `make bench-policy` measures it.
//!
//!     first-decision FOLDER    with key.der, record.json, signature and policy.native in it

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

use stoker_core::plan::PolicyLevel;
use stoker_policy::artifact::{Loaded, PublicKeys, Trusted};
use stoker_policy::engine::{Configuration, EngineId};
use stoker_policy::{Decision, SizeClass, self_check};

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("give it the folder with the policy")?
        .into();
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
    writeln!(
        std::io::stdout(),
        "{} decided by {} launches, with {} fuel",
        policy.title(),
        decided.plan.launches.len(),
        decided.cost.fuel
    )?;
    Ok(())
}
