//! Sizes (`2GiB`) as people write them. Lengths of time: [`outband_schemas::time::duration`].

/// The text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size; write e.g. \"512MiB\", \"2GiB\" or \"10GB\"")]
pub struct SizeError(String);

/// Reads a size in bytes: a whole number with `B`, `KiB`…`TiB` (powers of 1024) or `KB`…`TB` (powers of 1000).
pub fn size(text: &str) -> Result<u64, SizeError> {
    let bad = || SizeError(text.to_owned());
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
    fn a_number_without_a_unit_is_refused() {
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
        fn no_text_panics(text in ".*") {
            prop_assert!(size(&text).is_ok() || size(&text).is_err());
        }
    }
}
