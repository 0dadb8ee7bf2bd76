//! What a rebuild of the ledger came to, in words.

use stoker_core::control::Rebuilt;

use super::words::counted;

/// In a line.
pub(crate) fn summary(came: &Rebuilt) -> String {
    let (runners, jobs) = (came.runners(), came.jobs());
    let given = if runners + jobs == 0 {
        "the ledger lacked nothing that could be found".to_owned()
    } else {
        let runners = counted(runners, "runner");
        format!(
            "the ledger was given {runners} and {}",
            counted(jobs, "job")
        )
    };
    let repositories = match came.repositories {
        1 => "1 repository".to_owned(),
        count => format!("{count} repositories"),
    };
    format!("{given}; GitHub was asked about {repositories}")
}

/// A line for each scope.
pub(crate) fn scopes(came: &Rebuilt) -> impl Iterator<Item = String> {
    came.scopes.iter().map(|(scope, came)| {
        format!(
            "{} ({scope}): {} that it did not know, {} that it did; {} that wait or run",
            came.name,
            counted(came.runners, "runner"),
            came.known,
            counted(came.jobs, "job")
        )
    })
}

/// What could not be found out, or was left out on purpose.
pub(crate) fn gaps(came: &Rebuilt) -> Vec<String> {
    let mut gaps = Vec::new();
    for scope in &came.left {
        gaps.push(format!("{scope} has instances and was not rebuilt"));
    }
    if came.not_asked > 0 {
        gaps.push(format!(
            "GitHub was not asked about {} repositories, which were pushed to longest ago: their jobs are known \
             with their next webhook",
            came.not_asked
        ));
    }
    if came.not_admitted > 0 {
        gaps.push(match came.not_admitted {
            1 => "1 job that waits is not taken up: its repository is not admitted".to_owned(),
            count => format!(
                "{count} jobs that wait are not taken up: their repositories are not admitted"
            ),
        });
    }
    gaps.extend(came.problems.iter().cloned());
    if came.more_problems > 0 {
        gaps.push(format!(
            "and {} more",
            counted(came.more_problems, "problem")
        ));
    }
    gaps
}
