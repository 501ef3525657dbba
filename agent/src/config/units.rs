//! Durations (`30s`, `1h30m`) and sizes (`2GiB`) as people write them.

use std::time::Duration;

/// The text is no duration or no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No duration.
    #[error("{0:?} is no duration; write e.g. \"250ms\", \"30s\", \"10m\", \"6h\", \"1d\" or \"1h30m\"")]
    Duration(String),
    /// No size.
    #[error("{0:?} is no size; write e.g. \"512MiB\", \"2GiB\" or \"10GB\"")]
    Size(String),
}

/// Reads whole numbers with the units `ms`, `s`, `m`, `h` and `d`, one after the other.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let bad = || UnitError::Duration(text.to_owned());
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest).ok_or_else(bad)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let millis: u64 = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        total = number.checked_mul(millis).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = next;
    }
    Ok(Duration::from_millis(total))
}

/// Reads a size in bytes: a whole number with `B`, `KiB`…`TiB` (powers of 1024) or `KB`…`TB` (powers of 1000).
pub fn size(text: &str) -> Result<u64, UnitError> {
    let bad = || UnitError::Size(text.to_owned());
    let (number, unit) = leading_number(text.trim()).ok_or_else(bad)?;
    let bytes: u64 = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    number.checked_mul(bytes).ok_or_else(bad)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    digits.parse().ok().map(|n| (n, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration(" 6h "), Ok(Duration::from_secs(21_600)));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["30", "", "s", "1.5s", "-1s", "1x", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["30", "", "GiB", "1.5GiB", "18446744073709551615TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_tell_powers_of_1024_from_powers_of_1000() {
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("2GB"), Ok(2_000_000_000));
    }

    proptest! {
        #[test]
        fn every_whole_number_of_milliseconds_reads_back(millis in 0u64..1_000_000_000_000) {
            prop_assert_eq!(duration(&format!("{millis}ms")), Ok(Duration::from_millis(millis)));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            prop_assert!(duration(&text).is_ok() || duration(&text).is_err());
            prop_assert!(size(&text).is_ok() || size(&text).is_err());
        }
    }
}
