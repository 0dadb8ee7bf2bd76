//! Cron expressions that say during which minutes something is wanted.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::facts::ZoneTime;

/// The minutes in which something is wanted: `minute hour day-of-month month day-of-week`. Each is `*`, a
/// number, a range, or a list of these, months and days also by name. A range may go over the end
/// (`22-6`, `fri-mon`). A step goes with `*` or a range, and counts from where that begins: `*/15`,
/// `8-18/2`.
///
/// Unlike a crontab's, it does not name moments at which something begins but all the minutes during
/// which it lasts: `* 8-17 * * mon-fri` is every minute from 8:00 to 17:59 on working days. A policy has
/// no memory of a beginning; it can only look at the clock.
///
/// Where both days are restricted, either will do, as in every cron; a day that begins with `*`, such as
/// `*/2`, does not count as restricted, and then both must match. 0 and 7 are Sunday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    /// How many values there are until they begin anew: in a week there is one Sunday, though it has two
    /// numbers.
    cycle: u8,
    names: &'static [&'static str],
}

const MINUTE: Field = Field {
    name: "minute",
    first: 0,
    last: 59,
    cycle: 60,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    first: 0,
    last: 23,
    cycle: 24,
    names: &[],
};
const DAY: Field = Field {
    name: "day of the month",
    first: 1,
    last: 31,
    cycle: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    cycle: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAY: Field = Field {
    name: "day of the week",
    first: 0,
    last: 7,
    cycle: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Field {
    fn problem(&self, text: &str) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(", or `{first}` to `{last}`"),
            _ => String::new(),
        };
        format!(
            "the {} `{text}` is not understood: use `*`, {} to {}{names}, ranges (`a-b`), lists (`a,b`) \
             and steps (`*/n`, `a-b/n`)",
            self.name, self.first, self.last
        )
    }

    fn value(&self, text: &str) -> Option<u8> {
        let named = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
            .and_then(|place| u8::try_from(place).ok())
            .map(|place| place + self.first);
        named
            .or_else(|| text.parse().ok())
            .filter(|value| (self.first..=self.last).contains(value))
    }

    /// One element of a field's list: what it starts with, ends with, and the step.
    fn element(&self, text: &str, whole: &str) -> Result<(u8, u8, u8), String> {
        let problem = || self.problem(whole);
        let value = |text| self.value(text).ok_or_else(problem);
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (value(first)?, value(last)?),
            None if range == "*" => (self.first, self.last),
            None => {
                let only = value(range)?;
                // Crons differ on whether `5/10` is 5 alone or from 5 on.
                if let Some(step) = step {
                    return Err(format!(
                        "the {} `{text}` has a step after a single number: a step goes with `*` or a \
                         range, such as `{range}-{}/{step}`",
                        self.name, self.last
                    ));
                }
                (only, only)
            }
        };
        let step = match step {
            None => 1,
            Some(step) => step
                .parse()
                .ok()
                .filter(|step| *step > 0)
                .ok_or_else(problem)?,
        };
        Ok((first, last, step))
    }

    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for element in text.split(',') {
            let (first, last, step) = self.element(element, text)?;
            // `fri-mon` and `22-6` go over the end.
            let end = if first <= last {
                last
            } else {
                last + self.cycle
            };
            for value in (first..=end).step_by(step.into()) {
                bits |= 1_u64 << (self.first + (value - self.first) % self.cycle);
            }
        }
        Ok(bits)
    }
}

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// Says which field is not understood, and what would do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "`{text}` has {} fields and needs five: minute, hour, day of the month, month, day of the \
                 week",
                fields.len()
            ));
        };
        Ok(Self {
            text: text.to_owned(),
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: WEEKDAY.parse(weekday)?,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        })
    }

    /// Whether it is wanted in that minute.
    pub fn matches(&self, at: &ZoneTime) -> bool {
        let has = |bits: u64, value: u8| bits & 1_u64.checked_shl(value.into()).unwrap_or(0) != 0;
        let day = has(self.days, at.day);
        // The contract's Sunday is 7, cron's is 0.
        let weekday = has(self.weekdays, at.weekday % 7);
        let of_days = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        has(self.minutes, at.minute)
            && has(self.hours, at.hour)
            && has(self.months, at.month)
            && of_days
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Schedule {
    fn schema_name() -> Cow<'static, str> {
        "Schedule".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The minutes in which it is wanted, as minute, hour, day of the month, month \
                            and day of the week: `* 8-17 * * mon-fri` is from 8:00 to 17:59 on working \
                            days."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(weekday: u8, day: u8, month: u8, hour: u8, minute: u8) -> ZoneTime {
        ZoneTime {
            zone: "Europe/Berlin".to_owned(),
            year: 2027,
            month,
            day,
            weekday,
            hour,
            minute,
            utc_offset: 60,
            next_change: None,
        }
    }

    fn matches(text: &str, at: &ZoneTime) -> bool {
        Schedule::parse(text).unwrap().matches(at)
    }

    #[test]
    fn working_hours_are_every_minute_of_them() {
        let working = "* 8-17 * * mon-fri";
        assert!(matches(working, &at(1, 4, 1, 8, 0)));
        assert!(matches(working, &at(5, 8, 1, 17, 59)));
        assert!(!matches(working, &at(5, 8, 1, 18, 0)));
        assert!(!matches(working, &at(6, 9, 1, 12, 0)));
        assert!(!matches(working, &at(7, 10, 1, 12, 0)));
    }

    #[test]
    fn ranges_go_over_the_end_and_sunday_is_0_and_7() {
        assert!(matches("* 22-6 * * *", &at(1, 4, 1, 23, 0)));
        assert!(matches("* 22-6 * * *", &at(1, 4, 1, 6, 59)));
        assert!(!matches("* 22-6 * * *", &at(1, 4, 1, 7, 0)));
        for sunday in ["0", "7", "sun", "SUN", "fri-mon", "5-7"] {
            assert!(
                matches(&format!("* * * * {sunday}"), &at(7, 10, 1, 3, 0)),
                "{sunday}"
            );
        }
    }

    #[test]
    fn where_both_days_are_restricted_either_will_do() {
        let either = "* * 1 * mon";
        assert!(matches(either, &at(5, 1, 1, 0, 0)));
        assert!(matches(either, &at(1, 4, 1, 0, 0)));
        assert!(!matches(either, &at(2, 5, 1, 0, 0)));
        assert!(!matches("* * 1 * *", &at(1, 4, 1, 0, 0)));
    }

    #[test]
    fn steps_count_from_where_the_range_begins() {
        assert!(matches("*/15 * * * *", &at(1, 4, 1, 0, 45)));
        assert!(!matches("*/15 * * * *", &at(1, 4, 1, 0, 46)));
        assert!(matches("5-59/20 * * * *", &at(1, 4, 1, 0, 25)));
        assert!(!matches("5-59/20 * * * *", &at(1, 4, 1, 0, 20)));
    }

    #[test]
    fn a_day_field_that_begins_with_a_star_does_not_restrict() {
        // Odd days that are Mondays, not odd days or Mondays.
        for both in ["* * */2 * mon", "* * */2,30 * mon"] {
            assert!(matches(both, &at(1, 11, 1, 0, 0)), "{both}");
            assert!(!matches(both, &at(1, 4, 1, 0, 0)), "{both}");
            assert!(!matches(both, &at(2, 5, 1, 0, 0)), "{both}");
        }
        assert!(matches("* * 4 * */2", &at(4, 4, 1, 0, 0)));
        assert!(!matches("* * 4 * */2", &at(3, 4, 1, 0, 0)));
        assert!(!matches("* * 4 * */2", &at(4, 5, 1, 0, 0)));
    }

    #[test]
    fn a_week_that_is_stepped_through_has_seven_days() {
        for (text, wanted) in [
            ("6-2/2", &[1, 6][..]),
            ("sat-tue/2", &[1, 6]),
            ("fri-thu/3", &[1, 4, 5]),
            ("7-3/2", &[2, 7]),
            ("0-7/7", &[7]),
            ("*/2", &[2, 4, 6, 7]),
            ("6-7", &[6, 7]),
        ] {
            let expression = format!("* * * * {text}");
            let found: Vec<u8> = (1..=7)
                .filter(|&day| matches(&expression, &at(day, day, 1, 0, 0)))
                .collect();
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named_with_what_would_do() {
        for (text, told) in [
            ("* * * *", "has 4 fields and needs five"),
            (
                "60 * * * *",
                "the minute `60` is not understood: use `*`, 0 to 59",
            ),
            ("* 8-25 * * *", "the hour `8-25`"),
            ("* * 0 * *", "the day of the month `0`"),
            ("* * * foo *", "or `jan` to `dec`"),
            ("* * * * mo", "or `sun` to `sat`"),
            ("*/0 * * * *", "the minute `*/0`"),
            (
                "5/1 * * * *",
                "the minute `5/1` has a step after a single number: a step goes with `*` or a range, \
                 such as `5-59/1`",
            ),
            ("* * * * mon/2", "such as `mon-7/2`"),
            ("* 25/2 * * *", "the hour `25/2` is not understood"),
            ("1, * * * *", "the minute `1,`"),
        ] {
            let problem = Schedule::parse(text).unwrap_err();
            assert!(problem.contains(told), "{problem}");
        }
    }

    proptest! {
        /// Any text is read or refused, never more.
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", fields in "[0-9*,/a-z -]{0,30}") {
            let _ = Schedule::parse(&text);
            let _ = Schedule::parse(&fields);
        }

        /// A range of hours is wanted in exactly these hours.
        #[test]
        fn a_range_is_what_it_says(first in 0_u8..24, last in 0_u8..24, hour in 0_u8..24) {
            let within = if first <= last { first <= hour && hour <= last } else { hour >= first || hour <= last };
            let text = format!("* {first}-{last} * * *");
            prop_assert_eq!(matches(&text, &at(3, 6, 1, hour, 7)), within);
        }

        /// Stepping through a range of weekdays is counting days, over the week's end too.
        #[test]
        fn weekdays_are_counted_round_the_week(first in 0_u8..7, width in 0_u8..7, step in 1_u8..9, on in 0_u8..7) {
            let text = format!("* * * * {first}-{}/{step}", (first + width) % 7);
            let along = (on + 7 - first) % 7;
            let day = if on == 0 { 7 } else { on };
            prop_assert_eq!(matches(&text, &at(day, 6, 1, 0, 0)), along <= width && along % step == 0);
        }
    }
}
