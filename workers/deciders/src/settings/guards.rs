//! The operator's limits besides the maxima of scopes and classes.

use stoker_core::budget::Rates;
use stoker_core::limits::{
    Guards, PublicRepositories, REGISTRATIONS_A_MINUTE, SPOT_FALLBACK, SpendLimits,
};

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
    let failures = "after how many failures in a row spot is left alone for a while; 0: never";
    let spot_failures = reader.number("SPOT_FAILURES", 0..=1_000, Some(3), failures);
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
        spot_failures: match spot_failures? {
            0 => None,
            failures => Some(failures),
        },
    })
}

/// How often GitHub may be asked.
pub(super) fn rates<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Rates> {
    let default = Rates::default();
    let points = "the points a minute that registrations may cost; 0: no limit (as on some GHES)";
    let points = reader.number(
        "GITHUB_POINTS_A_MINUTE",
        0..=1_000_000,
        default.points_a_minute,
        points,
    );
    let hour = "the registrations an hour; 0: no limit";
    let hour = reader.number(
        "GITHUB_REGISTRATIONS_AN_HOUR",
        0..=1_000_000,
        default.registrations_an_hour,
        hour,
    );
    let limit = |number: u32| (number > 0).then_some(number);
    Some(Rates {
        points_a_minute: limit(points?),
        registrations_an_hour: limit(hour?),
    })
}

/// EC2's codes for which on-demand instances follow where there were no spot ones.
pub(super) fn spot_fallback<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Vec<String> {
    match reader.optional("SPOT_FALLBACK_CODES") {
        None => SPOT_FALLBACK.map(str::to_owned).to_vec(),
        Some(codes) if codes == "none" => Vec::new(),
        Some(codes) => codes
            .split([',', ' '])
            .filter(|code| !code.is_empty())
            .map(str::to_owned)
            .collect(),
    }
}

/// A maximum that may be left out. The outer option is none where what is given is wrong.
#[allow(clippy::option_option)]
pub(super) fn maximum<F: Fn(&str) -> Option<String>>(
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
