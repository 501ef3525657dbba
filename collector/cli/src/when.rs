//! Points in time, as people write them and as they read them.

use crate::error::Error;
use crate::words::Lang;
use outband_schemas::Timestamp;
use serde::{Serialize, Serializer};

/// A time of the wire: milliseconds since the Unix epoch, 0 where it is not known. Serialises as RFC 3339, always to the millisecond (such texts sort as the times do), or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) i64);

impl Time {
    pub(crate) fn optional(ms: Option<i64>) -> Self {
        Self(ms.unwrap_or(0))
    }

    fn known(self) -> Option<Timestamp> {
        (self.0 != 0).then(|| Timestamp::from_millis(self.0))
    }

    /// RFC 3339; empty where it is not known.
    pub(crate) fn text(self) -> String {
        self.known().map(|t| t.to_string()).unwrap_or_default()
    }

    /// To the second, for people.
    pub(crate) fn short(self) -> String {
        self.known().map_or_else(|| "–".to_owned(), |t| Timestamp::from_secs(t.as_secs()).to_string())
    }

    /// `12 s ago`.
    pub(crate) fn age(self, now_ms: i64, lang: Lang) -> String {
        if self.0 == 0 {
            return "–".to_owned();
        }
        let span = span(now_ms - self.0, lang);
        match lang {
            Lang::En => format!("{span} ago"),
            Lang::ZhCn => format!("{span}前"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.known() {
            Some(t) => serializer.collect_str(&format_args!("{t:.3}")),
            None => serializer.serialize_none(),
        }
    }
}

/// A length of time in its two largest units: `3 h 12 min`. Negative ones count as nothing.
pub(crate) fn span(ms: i64, lang: Lang) -> String {
    let units = match lang {
        Lang::En => [" d", " h", " min", " s"],
        Lang::ZhCn => [" 天", " 小时", " 分钟", " 秒"],
    };
    let secs = ms.max(0) / 1000;
    let parts = [secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60];
    let first = parts.iter().position(|n| *n > 0).unwrap_or(3);
    let mut text = format!("{}{}", parts[first], units[first]);
    // Seconds beside minutes are noise beyond ten minutes.
    if first < 3 && parts[first + 1] > 0 && (first < 2 || parts[first] < 10) {
        text.push_str(&format!(" {}{}", parts[first + 1], units[first + 1]));
    }
    text
}

/// Reads a length of time: `30m`, `6h`, `7d`, `2w`; in milliseconds.
pub(crate) fn length(text: &str) -> Result<i64, Error> {
    let bad = || Error::Usage(format!("{text:?} is no length of time; write 30m, 6h, 7d, 2w"));
    // A length is what lies between now and so long ago.
    let ends_in_unit =
        text.trim().ends_with(['s', 'm', 'h', 'd', 'w']) && text.trim().starts_with(|c: char| c.is_ascii_digit());
    if !ends_in_unit {
        return Err(bad());
    }
    parse(text, 0).map(|ago| -ago).map_err(|_| bad())
}

/// Reads `2026-01-31T08:00:00Z`, `2026-01-31` (UTC), `now`, or `30m`, `6h`, `2d` before `now_ms`; `ago` and a leading minus are allowed.
pub(crate) fn parse(text: &str, now_ms: i64) -> Result<i64, Error> {
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now_ms);
    }
    let before = trimmed.trim_start_matches('-').trim_end_matches("ago").trim();
    if let Some(unit) = before.chars().last()
        && let Ok(count) = before[..before.len() - unit.len_utf8()].trim().parse::<i64>()
        && count >= 0
    {
        let millis = match unit {
            's' => Some(1000),
            'm' => Some(60_000),
            'h' => Some(3_600_000),
            'd' => Some(86_400_000),
            'w' => Some(7 * 86_400_000),
            _ => None,
        };
        if let Some(ago) = millis.and_then(|m: i64| m.checked_mul(count)) {
            return Ok(now_ms.saturating_sub(ago));
        }
    }
    let whole = if trimmed.len() == 10 { format!("{trimmed}T00:00:00Z") } else { trimmed.to_owned() };
    whole.parse::<Timestamp>().map(Timestamp::as_millis).map_err(|_| {
        Error::Usage(format!(
            "{text:?} is no time; write 2026-01-31T08:00:00Z, 2026-01-31, or 30m, 6h, 2d for so long ago"
        ))
    })
}

/// `90m`, `4h`, `2d` in seconds.
pub(crate) fn seconds(text: &str) -> Result<i64, Error> {
    let ago = parse(text, 0).ok().filter(|ms| *ms < 0);
    ago.map(|ms| -ms / 1000).ok_or_else(|| Error::Usage(format!("{text:?} is no length of time; write 90m, 4h or 2d")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_of_time_is_read_as_people_write_it() {
        assert_eq!(seconds("90m").unwrap(), 5400);
        assert_eq!(seconds("2d").unwrap(), 172_800);
        for text in ["", "2026-01-31", "now", "0h", "4 hours"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_shows_its_two_largest_units() {
        for (ms, text) in [
            (-5, "0 s"),
            (12_900, "12 s"),
            (60_000, "1 min"),
            (192_000, "3 min 12 s"),
            (700_000, "11 min"),
            (11_520_000, "3 h 12 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms, Lang::En), text);
        }
        assert_eq!(span(11_520_000, Lang::ZhCn), "3 小时 12 分钟");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = 1_000_000_000_000;
        for (text, ms) in [
            ("6h", now - 21_600_000),
            ("-30m", now - 1_800_000),
            ("2d ago", now - 172_800_000),
            ("now", now),
            ("2026-01-31", 1_769_817_600_000),
            ("2026-01-31T08:00:00+08:00", 1_769_817_600_000),
        ] {
            assert_eq!(parse(text, now).unwrap(), ms, "{text}");
        }
        for text in ["", "yesterday", "6x", "h", "99999999999999999d", "小时"] {
            assert_eq!(parse(text, now).unwrap_err().exit_code(), 2, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_fail_otherwise_than_with_a_usage_error(text in "\\PC{0,20}") {
            if let Err(e) = parse(&text, 0) {
                prop_assert_eq!(e.exit_code(), 2);
            }
        }
    }
}
