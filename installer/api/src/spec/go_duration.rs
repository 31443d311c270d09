//! Durations as Go writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::text_form::serde_as_text;

/// A duration that is not negative, read and written as Go's `time.Duration`:
/// `8760h0m0s`, `1.5h`, `300ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(Duration);

impl GoDuration {
    /// Returns the duration of so many hours.
    pub const fn from_hours(hours: u64) -> Self {
        Self(Duration::from_secs(hours * 3600))
    }

    /// Returns the duration of so many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns the whole seconds in it.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if seconds == 0 {
            return match nanos {
                0 => f.write_str("0s"),
                1..1_000 => write!(f, "{nanos}ns"),
                1_000..1_000_000 => write!(f, "{}µs", decimal(0, nanos, 3)),
                _ => write!(f, "{}ms", decimal(0, nanos, 6)),
            };
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(seconds % 60, nanos, 9))
    }
}

/// Returns `whole` and the fraction that is `nanos` of `10^digits`, without trailing zeros.
fn decimal(whole: u64, nanos: u32, digits: u32) -> String {
    let unit = 10_u32.pow(digits);
    let whole = whole + u64::from(nanos / unit);
    let fraction = format!("{:0width$}", nanos % unit, width = digits as usize);
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// The text is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration such as `8760h`, `1h30m` or `45s`")]
pub struct InvalidDuration(String);

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    /// Parses as Go's `time.ParseDuration`, negative durations refused.
    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let invalid = || InvalidDuration(text.chars().take(40).collect());
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut nanos: u128 = 0;
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
            let (number, after) = rest.split_at(end.ok_or_else(invalid)?);
            let end = after.find(|c: char| c.is_ascii_digit() || c == '.');
            let (unit, after) = after.split_at(end.unwrap_or(after.len()));
            let unit = nanoseconds_of(unit).ok_or_else(invalid)?;
            nanos = times(number, unit)
                .and_then(|more| nanos.checked_add(more))
                .ok_or_else(invalid)?;
            rest = after;
        }
        // Go counts nanoseconds in 63 bits.
        let nanos = i64::try_from(nanos).map_err(|_| invalid())?;
        Ok(Self(Duration::from_nanos(nanos.unsigned_abs())))
    }
}

fn nanoseconds_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Returns a decimal number of units; none for what is no number or too large.
fn times(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = match whole {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    // Nothing below a nanosecond counts: twelve digits of an hour reach it.
    let digits = &fraction[..fraction.len().min(15)];
    let part: u128 = match digits {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let part = part * unit / 10_u128.pow(u32::try_from(digits.len()).ok()?);
    whole.checked_mul(unit)?.checked_add(part)
}

serde_as_text!(GoDuration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, written) in [
            ("8760h", "8760h0m0s"),
            ("8760h0m0s", "8760h0m0s"),
            ("4m", "4m0s"),
            ("1.5h", "1h30m0s"),
            ("1h.5m", "1h0m30s"),
            ("90s", "1m30s"),
            ("1.25s", "1.25s"),
            ("1500ms", "1.5s"),
            ("300ms", "300ms"),
            ("1.5ms", "1.5ms"),
            ("12us", "12µs"),
            ("7ns", "7ns"),
            ("0", "0s"),
            ("0s", "0s"),
            ("+1s", "1s"),
            ("2540400h", "2540400h0m0s"),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(duration.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(duration));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "1",
            "h",
            ".h",
            "1.2.3s",
            "-1h",
            "1d",
            "1h ",
            "1 h",
            "9999999999h",
            "1hm",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }
}
