//! The time in the zones that a policy asks for. The zone data is in this binary, so that the same
//! release says the same wherever it runs; what it says is recorded with the decision.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use stoker_core::plan::ZoneTime;

use crate::contract::Needs;
use crate::contract::tame::tame;
use crate::failure::Failure;
use crate::limits::MOST_ZONES;

/// How far ahead a change of the offset is told.
const FORESIGHT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The time in all the zones, each once, in their order.
///
/// # Errors
/// [`Failure::UnknownZone`] names the one that does not exist.
pub(crate) fn times(
    now: stoker_core::time::Timestamp,
    needs: &Needs,
) -> Result<Vec<ZoneTime>, Failure> {
    let mut times = Vec::new();
    for zone in &needs.time_zones {
        if !is_told(&times, zone) {
            times.push(time(now, zone)?);
        }
    }
    Ok(times)
}

/// That there are such zones.
///
/// # Errors
/// [`Failure::UnknownZone`] names the one that does not exist.
pub fn exist(needs: &Needs) -> Result<(), Failure> {
    times(stoker_core::time::Timestamp(0), needs).map(drop)
}

/// Adds the time in the zones that are not told yet, all of them or none.
///
/// # Errors
/// Which of them does not exist, or that they are too many with those that are told.
pub(crate) fn add(
    told: &mut Vec<ZoneTime>,
    now: stoker_core::time::Timestamp,
    needs: &Needs,
) -> Result<(), String> {
    let mut new = times(now, needs).map_err(|failure| failure.to_string())?;
    new.retain(|time| !is_told(told, &time.zone));
    let all = told.len() + new.len();
    if all > MOST_ZONES {
        return Err(format!(
            "with the zones that it asks for, the time would be told in {all}, and {MOST_ZONES} are the \
             most of one decision"
        ));
    }
    told.append(&mut new);
    Ok(())
}

fn is_told(told: &[ZoneTime], zone: &str) -> bool {
    told.iter().any(|time| time.zone == zone)
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

    #[test]
    fn a_zone_is_told_once_and_those_that_do_not_fit_are_left_out_together() {
        let now = stoker_core::time::Timestamp(1_800_000_000);
        let needs = |zones: &[&str]| Needs {
            time_zones: zones.iter().map(|&zone| zone.to_owned()).collect(),
        };
        let names = |told: &[ZoneTime]| -> Vec<String> {
            told.iter().map(|time| time.zone.clone()).collect()
        };
        let mut told = times(now, &needs(&["UTC", "Europe/Rome", "UTC"])).unwrap();
        add(&mut told, now, &needs(&["Asia/Tokyo", "UTC", "Asia/Tokyo"])).unwrap();
        assert_eq!(names(&told), ["UTC", "Europe/Rome", "Asia/Tokyo"]);
        let unknown = add(&mut told, now, &needs(&["Asia/Seoul", "Europe/Atlantis"]));
        assert!(unknown.unwrap_err().contains("Europe/Atlantis"));
        let many: Vec<String> = (1..=11)
            .flat_map(|hours| [format!("Etc/GMT+{hours}"), format!("Etc/GMT-{hours}")])
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let problem = add(&mut told, now, &needs(&many)).unwrap_err();
        assert!(problem.contains("in 25, and 24"), "{problem}");
        assert_eq!(told.len(), 3);
        add(&mut told, now, &needs(&many[1..])).unwrap();
        assert_eq!(told.len(), MOST_ZONES);
    }
}
