//! Times, for people and for machines.

use stoker_core::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn moment(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(at.0).ok()?).ok()
}

/// A day for people.
pub(crate) fn day(at: Timestamp) -> String {
    moment(at).map_or_else(
        || at.0.to_string(),
        |at| {
            let (month, day) = (u8::from(at.month()), at.day());
            format!("{:04}-{month:02}-{day:02}", at.year())
        },
    )
}

/// A time of that day for people.
pub(crate) fn clock(at: Timestamp) -> String {
    moment(at).map_or_else(
        || at.0.to_string(),
        |at| format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()),
    )
}

/// A time for people.
pub(crate) fn time(at: Timestamp) -> String {
    match moment(at) {
        Some(_) => format!("{} {} UTC", day(at), clock(at)),
        None => at.0.to_string(),
    }
}

/// A time for machines.
pub(crate) fn rfc3339(at: Timestamp) -> Option<String> {
    moment(at)?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_people_and_by_machines() {
        let at = Timestamp(1_800_000_000);
        assert_eq!(time(at), "2027-01-15 08:00:00 UTC");
        assert_eq!(rfc3339(at).as_deref(), Some("2027-01-15T08:00:00Z"));
        assert_eq!(rfc3339(Timestamp(u64::MAX)), None);
        assert_eq!(time(Timestamp(u64::MAX)), u64::MAX.to_string());
    }
}
