//! The built-in rules as those who decide where no policy is, or where it failed; and the notes of a
//! decision, which the host's own come first of.

use std::sync::Arc;

use stoker_core::plan::{Basis, Proposal};

use crate::builtin;
use crate::contract::tame::tame;
use crate::decide::{Ask, Wanted};
use crate::limits::MOST_NOTES;
use crate::tuning::Tuning;

/// Adds what a policy wrote down, as far as it is kept.
pub(crate) fn add_notes(plan: &mut impl Wanted, notes: Vec<String>) {
    let all = plan.notes();
    all.extend(notes);
    all.truncate(MOST_NOTES);
}

/// Puts the host's own notes before those of the policy, which may have written down too many.
pub(crate) fn put_first(plan: &mut impl Wanted, notes: Vec<String>) {
    let others = std::mem::replace(plan.notes(), notes);
    add_notes(plan, others);
}

/// Decides by the built-in rules, with what repositories set for their own jobs. They can be many, so
/// it is on a thread of its own.
pub(crate) async fn built_in_tuned<A: Ask>(
    ask: &A,
    settings: Arc<str>,
    tuning: Tuning,
) -> Proposal<A::Plan> {
    if tuning.settings.is_empty() && tuning.notes.is_empty() {
        return built_in(ask, &settings, None);
    }
    let (tuned, of_scope) = (ask.clone(), Arc::clone(&settings));
    tokio::task::spawn_blocking(move || built_in(&tuned, &of_scope, Some(&tuning)))
        .await
        .unwrap_or_else(|_| built_in(ask, &settings, None))
}

/// Decides by the built-in rules. Settings that they don't understand (those of another policy) are
/// left aside: the operator's maxima still hold.
pub(crate) fn built_in<A: Ask>(
    ask: &A,
    settings: &str,
    tuning: Option<&Tuning>,
) -> Proposal<A::Plan> {
    let decide = |settings: &str, tuning: Option<&Tuning>| {
        let mut basis = builtin::basis(A::DECISION, settings, ask.now())?;
        let notes = tuning.map_or_else(Vec::new, |tuning| tuning.add_to(&mut basis, ask.now()));
        let mut plan = ask.of_built_in(&basis)?;
        put_first(&mut plan, notes);
        Ok::<_, String>((plan, basis))
    };
    let decided = decide(settings, tuning).or_else(|problem| match tuning {
        Some(_) => {
            let decided = decide(settings, None)?;
            let what = "the settings of all repositories";
            Ok(leaving_aside(decided, what, &problem))
        }
        None => Err(problem),
    });
    let (plan, basis) = decided.unwrap_or_else(|problem| {
        let decided = decide("{}", None).unwrap_or_default();
        leaving_aside(decided, "the settings", &problem)
    });
    Proposal {
        plan,
        by: builtin::decided_by(A::DECISION),
        basis,
        fallback: None,
    }
}

fn leaving_aside<P: Wanted>(
    (mut plan, basis): (P, Basis),
    what: &str,
    problem: &str,
) -> (P, Basis) {
    let note = format!("the built-in rules leave {what} aside: {problem}");
    put_first(&mut plan, vec![tame(note)]);
    (plan, basis)
}
