//! What may be spent, what was, and when there is more again.

use stoker_policy_sdk::facts::{Runner, Situation};

use crate::Settings;

/// A stretch of time with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch {
    Hour,
    Day,
    Month,
}

/// A limit that is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    stretch: Stretch,
    /// US dollars.
    most: f64,
    spent: f64,
    /// What is as good as spent: a launch is counted at the price of one hour, so of each runner the rest of
    /// its first one.
    committed: f64,
    /// Seconds until the stretch ends.
    ends_in: u32,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Normal => "anything that fits",
            Self::CheaperClass => "cheaper classes only",
            Self::SpotOnly => "spot capacity only",
            Self::Wait => "nothing is launched",
        })
    }
}

/// How tight the money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Anything that fits.
    Normal,
    /// Only classes that are somebody's cheapest.
    CheaperClass,
    /// Only spot capacity.
    SpotOnly,
    /// Nothing.
    Wait,
}

impl Limit {
    /// What is left of it.
    pub fn left(&self) -> f64 {
        self.left_below(1.0)
    }

    /// What is left below that fraction of it.
    pub fn left_below(&self, fraction: f64) -> f64 {
        (self.most * fraction - self.spent - self.committed).max(0.0)
    }

    fn stage(&self, settings: &Settings) -> Stage {
        let reached = |fraction: f64| self.spent >= self.most * fraction;
        if reached(1.0) {
            Stage::Wait
        } else if reached(settings.spot_only_at) {
            Stage::SpotOnly
        } else if reached(settings.cheaper_class_at) {
            Stage::CheaperClass
        } else {
            Stage::Normal
        }
    }

    /// Such as `$4.80 of $5.00 a day are spent or spoken for`.
    pub fn told(&self) -> String {
        let stretch = match self.stretch {
            Stretch::Hour => "an hour",
            Stretch::Day => "a day",
            Stretch::Month => "a month",
        };
        let how = if self.committed > 0.0 {
            "spent or spoken for by runners in their first hour"
        } else {
            "spent"
        };
        let spent = self.spent + self.committed;
        format!("${spent:.2} of ${:.2} {stretch} are {how}", self.most)
    }

    /// Seconds until there may be more again: when the stretch ends, or before it when a runner ends that
    /// something is spoken for. `launching`: this decision launches some.
    pub fn retry_after(&self, launching: bool) -> u32 {
        if launching || self.committed > 0.0 {
            self.ends_in.min(RUNNERS_END)
        } else {
            self.ends_in
        }
    }
}

/// After so many seconds it is worth a look whether runners have ended: most jobs take minutes.
const RUNNERS_END: u32 = 300;

/// What the runners that there are may yet cost in their first hour, in US dollars.
fn committed(situation: &Situation) -> f64 {
    let rest = |runner: &Runner| runner.price * (1.0 - f64::from(runner.age) / 3_600.0).max(0.0);
    situation.runners.iter().map(rest).sum()
}

/// The limits that are set, the tightest first.
pub fn limits(situation: &Situation, settings: &Settings) -> Vec<Limit> {
    let spend = &situation.spend;
    let committed = committed(situation);
    let set = [
        (Stretch::Hour, settings.per_hour, spend.this_hour),
        (Stretch::Day, settings.per_day, spend.today),
        (Stretch::Month, settings.per_month, spend.this_month),
    ];
    let mut limits: Vec<Limit> = set
        .into_iter()
        .filter_map(|(stretch, limit, spent)| {
            Some(Limit {
                stretch,
                most: limit?,
                spent,
                committed,
                ends_in: ends_in(stretch, situation.now),
            })
        })
        .collect();
    limits.sort_by(|a, b| a.left().total_cmp(&b.left()));
    limits
}

/// How tight the money is by the tightest of the limits, and which that is.
pub fn stage<'a>(limits: &'a [Limit], settings: &Settings) -> (Stage, Option<&'a Limit>) {
    limits
        .iter()
        .map(|limit| (limit.stage(settings), Some(limit)))
        .fold((Stage::Normal, None), |tightest, other| {
            if other.0 > tightest.0 {
                other
            } else {
                tightest
            }
        })
}

const HOUR: u32 = 3_600;
const DAY: u32 = 24 * HOUR;

fn ends_in(stretch: Stretch, now: u32) -> u32 {
    match stretch {
        Stretch::Hour => HOUR - now % HOUR,
        Stretch::Day => DAY - now % DAY,
        Stretch::Month => {
            let today = now / DAY;
            let month = month(today);
            // No month has more than 31 days.
            let rest = (1..=31).find(|days| self::month(today + days) != month);
            rest.unwrap_or(31) * DAY - now % DAY
        }
    }
}

/// The month (1 to 12) of a day since 1970-01-01, by the proleptic Gregorian calendar: years are taken
/// to begin in March, so that the leap day is the last of them.
fn month(day: u32) -> u32 {
    // 0000-03-01 is 719,468 days before 1970-01-01; 400 years have 146,097 days.
    let of_era = (day + 719_468) % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_when_the_calendar_says() {
        // 2027-01-15T08:00:00Z.
        let now = 1_800_000_000;
        assert_eq!(ends_in(Stretch::Hour, now), HOUR);
        assert_eq!(ends_in(Stretch::Hour, now + 1), HOUR - 1);
        assert_eq!(ends_in(Stretch::Day, now), 16 * HOUR);
        assert_eq!(ends_in(Stretch::Month, now), 16 * DAY + 16 * HOUR);
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (day, expected) in [
            (0, 1),
            (30, 1),
            (31, 2),
            // 2024-02-29 and the day after it.
            (19_782, 2),
            (19_783, 3),
            // 2026-12-31 and the day after it.
            (20_818, 12),
            (20_819, 1),
        ] {
            assert_eq!(month(day), expected, "{day}");
        }
    }
}
