//! When something happens, as systemd's timers take it.

use std::fmt;
use std::str::FromStr;

use crate::text_form::serde_as_text;

/// A calendar expression of systemd, such as `daily` or `Mon..Fri 04:00`.
///
/// Its shape is checked here; systemd on the host has the last word, for it alone
/// knows time zones and how many days a month has.
/// Source: systemd.time(7), "Calendar Events".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarExpression(String);

/// What systemd has names for.
const NAMED: [&str; 9] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "yearly",
    "annually",
];

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

impl CalendarExpression {
    /// Returns the expression as systemd takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CalendarExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no calendar expression.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a calendar expression of systemd")]
pub struct InvalidCalendar(String);

impl FromStr for CalendarExpression {
    type Err = InvalidCalendar;

    fn from_str(text: &str) -> Result<Self, InvalidCalendar> {
        let invalid = || InvalidCalendar(text.chars().take(40).collect());
        let words: Vec<&str> = text.split(' ').collect();
        let [first, rest @ ..] = &words[..] else {
            return Err(invalid());
        };
        let is_named = NAMED.contains(&first.to_lowercase().as_str());
        let mut rest = match is_named {
            true => rest,
            false if is_weekdays(first) => rest,
            false => &words[..],
        };
        let mut parts = 0;
        for is_part in [is_date, is_time] {
            if let [word, after @ ..] = rest
                && !is_named
                && is_part(word)
            {
                (rest, parts) = (after, parts + 1);
            }
        }
        let is_something = is_named || parts > 0 || is_weekdays(first);
        let is_zoned = matches!(rest, []) || matches!(rest, [zone] if is_zone(zone));
        match is_something && is_zoned {
            true => Ok(Self(text.to_owned())),
            false => Err(invalid()),
        }
    }
}

serde_as_text!(CalendarExpression);

/// Returns whether it is `Mon`, `Mon..Fri` or `Sat,Sunday`.
fn is_weekdays(word: &str) -> bool {
    let is_day = |day: &str| {
        let day = day.to_lowercase();
        day.len() >= 3 && WEEKDAYS.iter().any(|name| *name == day || name[..3] == day)
    };
    word.split(',').all(|part| match part.split_once("..") {
        Some((from, to)) => is_day(from) && is_day(to),
        None => is_day(part),
    })
}

/// Returns whether it is `2026-12-24`, `*-*-1,15` or `*-02~03`.
fn is_date(word: &str) -> bool {
    word.contains(['-', '~']) && is_numbers(word.split(['-', '~']), 2..=3)
}

/// Returns whether it is `04:00`, `*:0/15` or `12:30:00`.
fn is_time(word: &str) -> bool {
    word.contains(':') && is_numbers(word.split(':'), 2..=3)
}

/// Returns whether there are so many components, each numbers, ranges and repetitions.
fn is_numbers<'a>(
    components: impl Iterator<Item = &'a str>,
    count: std::ops::RangeInclusive<usize>,
) -> bool {
    let is_number = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (1..=4).contains(&whole.len())
            && is_digits(whole)
            && !fraction.is_empty()
            && is_digits(fraction)
    };
    let is_item = |item: &str| {
        let (value, step) = item.split_once('/').unwrap_or((item, "1"));
        let is_value = match value.split_once("..") {
            Some((from, to)) => is_number(from) && is_number(to),
            None => value == "*" || is_number(value),
        };
        is_value && is_number(step)
    };
    let mut found = 0;
    for component in components {
        found += 1;
        if !component.split(',').all(is_item) {
            return false;
        }
    }
    count.contains(&found)
}

/// Returns whether it is `UTC` or a name such as `Europe/Berlin`.
fn is_zone(word: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase()) && part.chars().all(allowed)
    };
    word.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_understands_is_taken() {
        for text in [
            "daily",
            "hourly",
            "weekly UTC",
            "Mon..Fri 04:00",
            "Sat,Sunday 04:00:30",
            "Sun",
            "*-*-* 02:30:00",
            "*-*-1,15 03:00 Europe/Berlin",
            "*:0/15",
            "2026-12-24 12:00",
            "*-02~03",
        ] {
            let read: CalendarExpression = text.parse().unwrap();
            assert_eq!(read.as_str(), text);
        }
    }

    #[test]
    fn what_it_does_not_understand_is_refused() {
        for text in [
            "",
            "nightly",
            "every day",
            "0 4 * * *",
            "@daily",
            "daily\nExecStart=/bin/sh",
            "daily  ",
            "04",
            "04:00 daily",
            "24h",
            "Moon 04:00",
            "*:x",
            "04:00 %h",
        ] {
            assert!(text.parse::<CalendarExpression>().is_err(), "{text:?}");
        }
    }
}
