//! Numbers with their units, for people.

/// A number with at most three decimals and its unit, as engineers write it. `unit` is UCUM.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    let shown = match unit {
        "By" => return bytes(value),
        "Cel" => " °C",
        "rpm" => " RPM",
        "1" | "" => "",
        "[cft_i]/min" => " CFM",
        other => return format!("{} {other}", plain(value)),
    };
    format!("{}{shown}", plain(value))
}

/// A size in the largest decimal unit, as drives are sold.
pub(crate) fn bytes(value: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 999.95 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let text = format!("{scaled:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), units[unit])
}

/// Without trailing zeros.
pub(crate) fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_usual_units_and_no_trailing_zeros() {
        for (value, unit, text) in [
            (41.0, "Cel", "41 °C"),
            (12.1234, "V", "12.123 V"),
            (5400.0, "rpm", "5400 RPM"),
            (17.0, "1", "17"),
            (100.0, "%", "100 %"),
            (3_840_755_982_336.0, "By", "3.8 TB"),
            (-0.5, "W", "-0.5 W"),
            (1e15, "1", "1000000000000000"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
        assert_eq!((bytes(0.0), bytes(999_960.0), bytes(512.0)), ("0 B".into(), "1 MB".into(), "512 B".into()));
    }
}
