//! What a text can mean as a time.

use outband_schemas::Timestamp;

/// The moments that a text can mean, in milliseconds: with its zone, and as UTC where it has none.
pub(super) fn times_in(text: &str) -> Vec<i64> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        // Some pad with a space.
        let part = text.get(from..to)?.trim_start_matches(' ');
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let Some((year, month, day)) = digits(0, 4).zip(digits(5, 7)).zip(digits(8, 10)).map(|((y, m), d)| (y, m, d))
    else {
        return Vec::new();
    };
    let Some((hour, minute)) = digits(11, 13).zip(digits(14, 16)) else { return Vec::new() };
    // Some leave the seconds out.
    let (second, after) = match digits(17, 19) {
        Some(second) => (second, 19),
        None => (0, 16),
    };
    let mut rest = text.get(after..).unwrap_or_default();
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.len() - fraction.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let shown = format!("{:0<3}", fraction.get(..length.min(3)).unwrap_or_default());
        millis = shown.parse().unwrap_or(0);
        rest = fraction.get(length..).unwrap_or_default();
    }
    // Days since 1970 by the proleptic Gregorian calendar.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let utc = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis;
    let zone = rest.trim();
    let hours = zone.get(1..3).and_then(|h| h.parse::<i64>().ok());
    let minutes = zone.get(zone.len().saturating_sub(2)..).and_then(|m| m.parse::<i64>().ok()).unwrap_or(0);
    match (zone.chars().next(), hours) {
        (Some('+'), Some(h)) => vec![utc - (h * 60 + minutes) * 60_000],
        (Some('-'), Some(h)) => vec![utc + (h * 60 + minutes) * 60_000],
        _ => vec![utc],
    }
}

/// A duration of ISO 8601, e.g. `P1DT2H3M4.5S`, in seconds.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let rest = text.strip_prefix('P')?;
    let (mut sum, mut number, mut clock) = (0.0, String::new(), false);
    for c in rest.chars() {
        match c {
            '0'..='9' | '.' => number.push(c),
            'T' => clock = true,
            unit => {
                let factor = match (unit, clock) {
                    ('D', false) => 86_400.0,
                    ('H', true) => 3600.0,
                    ('M', true) => 60.0,
                    ('S', true) => 1.0,
                    _ => return None,
                };
                sum += number.parse::<f64>().ok()? * factor;
                number.clear();
            }
        }
    }
    Some(sum)
}

/// Whether a time that is told is a time that a text means: for tests of the oracle itself.
pub(crate) fn means(text: &str, time: Timestamp) -> bool {
    times_in(text).contains(&time.as_millis())
}
