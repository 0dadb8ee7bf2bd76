//! Cron expressions that say during which minutes something is wanted.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::facts::ZoneTime;

/// The minutes in which something is wanted: `minute hour day-of-month month day-of-week`, each `*`, a
/// number, a range, a list of these, with a step (`*/15`), months and days also by name.
///
/// Unlike a crontab's, it does not name moments at which something begins but all the minutes during
/// which it lasts: `* 8-17 * * mon-fri` is every minute from 8:00 to 17:59 on working days. A policy has
/// no memory of a beginning; it can only look at the clock.
///
/// Where both days are restricted, either will do, as in every cron. 0 and 7 are Sunday.
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
    names: &'static [&'static str],
}

const MINUTE: Field = Field {
    name: "minute",
    first: 0,
    last: 59,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    first: 0,
    last: 23,
    names: &[],
};
const DAY: Field = Field {
    name: "day of the month",
    first: 1,
    last: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAY: Field = Field {
    name: "day of the week",
    first: 0,
    last: 7,
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
             and steps (`*/n`)",
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

    /// One element of a list: what it starts with, ends with, and the step.
    fn element(&self, text: &str) -> Option<(u8, u8, u8)> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (text, 1),
        };
        if range == "*" {
            return Some((self.first, self.last, step));
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            // `5/10` is from 5 on, as in every cron.
            None if step > 1 => (self.value(range)?, self.last),
            None => (self.value(range)?, self.value(range)?),
        };
        // `fri-mon` and `22-6` go over the end.
        Some((first, last, step))
    }

    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for element in text.split(',') {
            let (first, last, step) = self.element(element).ok_or_else(|| self.problem(text))?;
            let within = |value: &u8| {
                if first <= last {
                    (first..=last).contains(value)
                } else {
                    *value >= first || *value <= last
                }
            };
            let width = self.last - self.first + 1;
            for value in (self.first..=self.last).filter(within) {
                // Steps count from the range's beginning, over the end too.
                let along = (value + width - first) % width;
                if along.is_multiple_of(step) {
                    bits |= 1_u64 << value;
                }
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
        let mut weekdays = WEEKDAY.parse(weekday)?;
        if weekdays & (1 << 7) != 0 {
            weekdays |= 1;
        }
        Ok(Self {
            text: text.to_owned(),
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays,
            any_day: day == "*",
            any_weekday: weekday == "*",
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
        assert!(matches("5/20 * * * *", &at(1, 4, 1, 0, 25)));
        assert!(!matches("5/20 * * * *", &at(1, 4, 1, 0, 20)));
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
    }
}
