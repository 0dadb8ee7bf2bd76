//! The operator's limits besides the maxima of scopes and classes.

use stoker_core::limits::{Guards, PublicRepositories, REGISTRATIONS_A_MINUTE, SpendLimits};

use super::MOST_RUNNERS;
use stoker_lambda::reader::Reader;

/// More dollars than this a month is a mistake in the setting.
const MOST_DOLLARS: f64 = 1e9;

/// Reads them.
pub(super) fn guards<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Guards> {
    let public_repositories = reader.word(
        "ALLOW_PUBLIC_REPOSITORIES",
        &[
            ("false", PublicRepositories::Refused),
            ("true", PublicRepositories::Admitted),
        ],
    );
    let most = "the most runners that one repository may have";
    let repository_maximum = maximum(reader, "MAX_RUNNERS_PER_REPOSITORY", most);
    let launches = "the most runners that one decision may launch";
    let launches_per_decision = reader.number(
        "MAX_LAUNCHES_PER_DECISION",
        1..=MOST_RUNNERS,
        Some(REGISTRATIONS_A_MINUTE),
        launches,
    );
    let registrations = "the most runners that one decision may register with GitHub";
    let registrations_per_decision = reader.number(
        "MAX_REGISTRATIONS_PER_DECISION",
        1..=MOST_RUNNERS,
        Some(REGISTRATIONS_A_MINUTE),
        registrations,
    );
    let hour = dollars(reader, "MAX_SPEND_PER_HOUR");
    let day = dollars(reader, "MAX_SPEND_PER_DAY");
    let month = dollars(reader, "MAX_SPEND_PER_MONTH");
    Some(Guards {
        public_repositories: public_repositories?,
        repository_maximum: repository_maximum?,
        launches_per_decision: launches_per_decision?,
        registrations_per_decision: registrations_per_decision?,
        spend: SpendLimits {
            hour: hour?,
            day: day?,
            month: month?,
        },
    })
}

/// A maximum that may be left out. The outer option is none where what is given is wrong.
#[allow(clippy::option_option)]
fn maximum<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
    name: &'static str,
    what: &str,
) -> Option<Option<u32>> {
    if reader.optional(name).is_none() {
        return Some(None);
    }
    reader.number(name, 0..=MOST_RUNNERS, None, what).map(Some)
}

/// US dollars that may be left out; see [`maximum`].
#[allow(clippy::option_option)]
fn dollars<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
    name: &'static str,
) -> Option<Option<f64>> {
    if reader.optional(name).is_none() {
        return Some(None);
    }
    let what = "US dollars that a scope may spend";
    reader
        .number(name, 0.0..=MOST_DOLLARS, None, what)
        .map(Some)
}
