//! Points in time. A [`Timestamp`] is taken once, at a shell, through a [`Clock`]; pure code gets it as an argument.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z (leap seconds ignored, as in POSIX). Text form: RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time such as 2026-01-31T08:00:00Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the epoch; saturates far outside any calendar.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time plus `by`, saturating.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time minus `by`, saturating.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero where it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC, with as many digits of the second as it needs; with `{:.3}` always three, so that texts sort as the times do.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => fmt::Display::fmt(&t, f),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
            .map_err(|_| TimestampError { text: text.to_owned() })
    }
}

/// The text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no length of time; write e.g. \"250ms\", \"30s\", \"10m\", \"6h\", \"30d\" or \"1h30m\"")]
pub struct DurationError(String);

/// Units of a length of time, in milliseconds; `ms` stands first so that it is not taken for minutes.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

/// Reads a length of time as configs have it: whole numbers with the units `ms`, `s`, `m`, `h` and `d`, one after the other.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    let bad = || DurationError(text.to_owned());
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let (unit, millis) = UNITS.into_iter().find(|(u, _)| tail.starts_with(u)).ok_or_else(bad)?;
        total = number.checked_mul(millis).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = &tail[unit.len()..];
    }
    Ok(Duration::from_millis(total))
}

/// Where a shell gets the time from. Tests bring their own.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_time_read_as_people_write_them() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration(" 30d "), Ok(Duration::from_secs(30 * 86_400)));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["", "10", "h", "1 h", "-1s", "1.5s", "1y", "99999999999999999999d", "1h30", "１s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_length_of_time_panic(text in "([0-9]{1,25}(ms|s|m|h|d|.))*") {
            prop_assert!(duration(&text).is_ok() || duration(&text).is_err());
        }
    }

    #[test]
    fn a_timestamp_prints_and_reads_rfc_3339() {
        let t: Timestamp = "2026-01-31T08:00:00.250+08:00".parse().unwrap();
        assert_eq!([t.to_string(), format!("{t:.3}")], ["2026-01-31T00:00:00.25Z", "2026-01-31T00:00:00.250Z"]);
        assert!("0000-00-00T00:00:00Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_time_before_another_is_zero_after_it() {
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(2)), Duration::ZERO);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::from_secs(1)).as_millis(), i64::MAX);
    }
}
