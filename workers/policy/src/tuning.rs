//! What repositories set for their own jobs, as far as whoever decides accepts it. A mistake of one is
//! its own: it costs nobody else the decision.

use stoker_core::plan::Basis;
use stoker_core::time::Timestamp;

use crate::contract::{Decision, Needs};
use crate::failure::Failure;
use crate::folders::SettingsFile;
use crate::settings::{self, Merged};
use crate::zones;

/// The settings of repositories, and those of the scope that they tune.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) scope: Merged,
    /// By the repository's place.
    pub(crate) files: Vec<(usize, SettingsFile)>,
}

/// What one repository's file makes of its scope's settings.
struct Tuned<'a> {
    place: usize,
    path: &'a str,
    text: String,
    notes: Vec<String>,
}

impl Own {
    /// Adds to a basis what `judge` accepts of the merged settings, and the time in the zones that it
    /// needs for them; says what is left aside. Of what `judge` has no answer yet, it is asked in the
    /// next decision.
    pub(crate) fn add_to(
        &self,
        basis: &mut Basis,
        decision: Decision,
        now: Timestamp,
        judge: impl FnOnce(&[&str]) -> Vec<Option<Result<Needs, Failure>>>,
    ) -> Vec<String> {
        let (tuned, mut notes) = self.merged(decision);
        let texts: Vec<&str> = tuned.iter().map(|tuned| tuned.text.as_str()).collect();
        let answers = judge(&texts);
        let mut unanswered = Vec::new();
        for (tuned, answer) in tuned.into_iter().zip(answers) {
            let Some(answer) = answer else {
                unanswered.push(tuned.path);
                continue;
            };
            let added = answer
                .map_err(|failure| failure.to_string())
                .and_then(|needs| zones::add(&mut basis.zones, now, &needs));
            match added {
                Ok(()) => {
                    basis.repository_settings.insert(tuned.place, tuned.text);
                    notes.extend(tuned.notes);
                }
                Err(problem) => notes.push(left_aside(tuned.path, &problem)),
            }
        }
        if let Some(first) = unanswered.first() {
            let which = match unanswered.len() - 1 {
                0 => (*first).to_owned(),
                more => format!("{first} and {more} more"),
            };
            notes.push(left_aside(
                &which,
                "the policy spent enough in this decision on settings that are new, and is asked about \
                 the rest in the next",
            ));
        }
        notes
    }

    fn merged(&self, decision: Decision) -> (Vec<Tuned<'_>>, Vec<String>) {
        let (mut tuned, mut notes) = (Vec::new(), Vec::new());
        for (place, file) in &self.files {
            match settings::of_repository(&self.scope, file, decision) {
                Ok(Some(merged)) => tuned.push(Tuned {
                    place: *place,
                    path: &file.path,
                    text: merged.text(),
                    notes: merged.notes,
                }),
                Ok(None) => {}
                Err(failure) => notes.push(left_aside(&file.path, &failure.to_string())),
            }
        }
        (tuned, notes)
    }
}

fn left_aside(what: &str, why: &str) -> String {
    format!("{what} is left aside: {why}")
}
