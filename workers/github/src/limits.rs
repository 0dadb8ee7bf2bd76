//! When GitHub wants to be left alone.
//!
//! Going on during a limit may get an App banned, so what GitHub says about it is kept: for the App
//! itself and each installation, and for each kind of request, since GitHub counts registrations apart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use stoker_core::time::Timestamp;
use stoker_intake::InstallationId;

/// Whom and what a limit is for: the installation that asks (none: the App itself), and the permission
/// that the request takes.
pub(crate) type Kind = (Option<InstallationId>, Option<&'static str>);

/// What to wait where GitHub names no time: its documentation says at least a minute.
const UNNAMED: u64 = 60;

/// No limit is believed for longer, in seconds: the primary one is by the hour.
const LONGEST: u64 = 3_600;

/// The time that a header names.
fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Until when an answer wants nobody to ask again; none: it does not.
pub(crate) fn until(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let refusing = status == StatusCode::FORBIDDEN || status == StatusCode::TOO_MANY_REQUESTS;
    let retry_after = number(headers, "retry-after").map(|seconds| now.0 + seconds);
    let exhausted = number(headers, "x-ratelimit-remaining") == Some(0);
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || retry_after.is_some()
        || exhausted
        || message.to_ascii_lowercase().contains("rate limit");
    let reset = exhausted
        .then(|| number(headers, "x-ratelimit-reset"))
        .flatten();
    // A maintenance answer (503) may name a time too.
    let busy = status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some();
    ((refusing && limited) || busy).then(|| {
        let until = retry_after.or(reset).unwrap_or(now.0 + UNNAMED);
        Timestamp(until.clamp(now.0 + 1, now.0 + LONGEST))
    })
}

/// Until when the next request would be one too many, by the headers of one that was answered.
pub(crate) fn spent(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    if number(headers, "x-ratelimit-remaining") != Some(0) {
        return None;
    }
    let reset = number(headers, "x-ratelimit-reset")?;
    (reset > now.0).then(|| Timestamp(reset.min(now.0 + LONGEST)))
}

/// What GitHub has said.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Mutex<HashMap<Kind, Timestamp>>,
}

impl Gate {
    /// Until when GitHub is not to be asked; none: it may be.
    pub(crate) fn closed(&self, kind: Kind, now: Timestamp) -> Option<Timestamp> {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *closed.get(&kind)?;
        if until > now {
            Some(until)
        } else {
            closed.remove(&kind);
            None
        }
    }

    pub(crate) fn close(&self, kind: Kind, until: Timestamp) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = closed.entry(kind).or_insert(until);
        *known = until.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn told(status: u16, pairs: &[(&'static str, &'static str)], message: &str) -> Option<u64> {
        let status = StatusCode::from_u16(status).unwrap();
        until(status, &headers(pairs), message, NOW).map(|at| at.0)
    }

    #[test]
    fn a_limit_is_told_from_a_missing_permission() {
        assert_eq!(
            told(403, &[], "Resource not accessible by integration"),
            None
        );
        assert_eq!(told(403, &[("x-ratelimit-remaining", "12")], "no"), None);
        assert_eq!(
            told(403, &[], "You have exceeded a secondary rate limit"),
            Some(1_060)
        );
    }

    #[test]
    fn the_time_that_github_names_is_obeyed() {
        assert_eq!(told(429, &[("retry-after", "7")], ""), Some(1_007));
        let primary = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1500"),
        ];
        assert_eq!(told(403, &primary, ""), Some(1_500));
        assert_eq!(told(429, &[], ""), Some(1_060));
        assert_eq!(told(503, &[("retry-after", "30")], ""), Some(1_030));
        assert_eq!(told(503, &[], ""), None);
    }

    #[test]
    fn no_answer_closes_the_gate_for_more_than_an_hour() {
        assert_eq!(told(429, &[("retry-after", "999999")], ""), Some(4_600));
        assert_eq!(told(429, &[("retry-after", "soon")], ""), Some(1_060));
    }

    #[test]
    fn the_gate_opens_by_itself_and_is_one_for_each_kind() {
        let gate = Gate::default();
        let one: Kind = (Some(InstallationId::new(1)), Some("administration: write"));
        gate.close(one, Timestamp(1_010));
        gate.close(one, Timestamp(1_005));
        assert_eq!(gate.closed(one, NOW), Some(Timestamp(1_010)));
        assert_eq!(gate.closed((one.0, Some("actions: read")), NOW), None);
        assert_eq!(gate.closed((None, one.1), NOW), None);
        assert_eq!(gate.closed(one, Timestamp(1_010)), None);
    }
}
