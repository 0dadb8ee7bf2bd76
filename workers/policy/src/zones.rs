//! The time in the zones that a policy asks for. The zone data is in this binary, so that the same
//! release says the same wherever it runs; what it says is recorded with the decision.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use stoker_core::plan::ZoneTime;

use crate::contract::Needs;
use crate::contract::tame::tame;
use crate::failure::Failure;

/// How far ahead a change of the offset is told.
const FORESIGHT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The time in all the zones, in their order.
///
/// # Errors
/// [`Failure::UnknownZone`] names the one that does not exist.
pub(crate) fn times(
    now: stoker_core::time::Timestamp,
    needs: &Needs,
) -> Result<Vec<ZoneTime>, Failure> {
    needs
        .time_zones
        .iter()
        .map(|zone| time(now, zone))
        .collect()
}

fn time(now: stoker_core::time::Timestamp, zone: &str) -> Result<ZoneTime, Failure> {
    let unknown = || Failure::UnknownZone(tame(zone.to_owned()));
    let zone_data = TimeZone::get(zone).map_err(|_| unknown())?;
    let instant = i64::try_from(now.0)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(unknown)?;
    let local = Zoned::new(instant, zone_data.clone());
    let minutes = |seconds: i32| i16::try_from(seconds / 60).unwrap_or(0);
    // Written as signed by the library, and never negative for the years that there are.
    let positive = |value: i8| value.unsigned_abs();
    let next_change = zone_data
        .following(instant)
        .find(|transition| transition.offset() != local.offset())
        .and_then(|transition| {
            let ahead = instant.duration_until(transition.timestamp());
            let seconds = u32::try_from(ahead.as_secs()).ok()?;
            (ahead <= FORESIGHT).then(|| (seconds, minutes(transition.offset().seconds())))
        });
    Ok(ZoneTime {
        zone: zone.to_owned(),
        year: local.year().unsigned_abs(),
        month: positive(local.month()),
        day: positive(local.day()),
        weekday: positive(local.weekday().to_monday_one_offset()),
        hour: positive(local.hour()),
        minute: positive(local.minute()),
        utc_offset: minutes(local.offset().seconds()),
        next_change,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_zone(seconds: u64, zone: &str) -> Result<ZoneTime, Failure> {
        time(stoker_core::time::Timestamp(seconds), zone)
    }

    #[test]
    fn the_local_time_is_told_with_its_offset() {
        // 2027-01-15T08:00:00Z, a Friday.
        let berlin = in_zone(1_800_000_000, "Europe/Berlin").unwrap();
        assert_eq!(
            (berlin.year, berlin.month, berlin.day, berlin.weekday),
            (2027, 1, 15, 5)
        );
        assert_eq!((berlin.hour, berlin.minute, berlin.utc_offset), (9, 0, 60));
        assert_eq!(berlin.next_change, None);
        let kolkata = in_zone(1_800_000_000, "Asia/Kolkata").unwrap();
        assert_eq!((kolkata.hour, kolkata.minute), (13, 30));
    }

    #[test]
    fn a_change_of_the_clocks_is_told_a_week_ahead() {
        // 2027-03-28T01:00:00Z is when the clocks in Berlin go forward.
        let change = 1_806_195_600;
        let before = in_zone(change - 3_600, "Europe/Berlin").unwrap();
        assert_eq!((before.hour, before.utc_offset), (1, 60));
        assert_eq!(before.next_change, Some((3_600, 120)));
        let after = in_zone(change, "Europe/Berlin").unwrap();
        assert_eq!(
            (after.hour, after.utc_offset, after.next_change),
            (3, 120, None)
        );
        let week = 7 * 24 * 3_600;
        assert!(
            in_zone(change - week, "Europe/Berlin")
                .unwrap()
                .next_change
                .is_some()
        );
        assert!(
            in_zone(change - week - 60, "Europe/Berlin")
                .unwrap()
                .next_change
                .is_none()
        );
    }

    #[test]
    fn a_zone_that_does_not_exist_is_named() {
        for zone in ["Europe/Atlantis", "", "../etc/passwd", "\u{1b}[2J"] {
            let told = in_zone(1_800_000_000, zone).unwrap_err();
            assert!(matches!(told, Failure::UnknownZone(_)), "{told}");
            assert!(!told.to_string().contains('\u{1b}'));
        }
    }
}
