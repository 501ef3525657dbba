//! Numbers and truths as BMCs write them.

use serde_json::Value;

/// A number, and whether it had to be cut out of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The number, finite.
    pub value: f64,
    /// Whether it stood in a text.
    pub coerced: bool,
}

/// A field's number: `46`, `"46"`, `"46 degrees C"`, `"12,5"`, `"0x1F"`; `None` where it is null, `"N/A"` or not finite.
pub fn number(value: &Value, field: &str) -> Option<Number> {
    as_number(value.get(field)?)
}

/// Like [`number`], of a value itself.
pub fn as_number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(n) => n.as_f64().filter(|f| f.is_finite()).map(|value| Number { value, coerced: false }),
        Value::String(s) => in_text(s).map(|value| Number { value, coerced: true }),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A quantity at the start of a text, with or without a unit after it.
fn in_text(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (if text.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, text),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let short = (1..=12).contains(&hex.len());
        // 48 bits are exact in an `f64`.
        #[expect(clippy::cast_precision_loss, reason = "at most 48 bits")]
        return u64::from_str_radix(hex, 16).ok().filter(|_| short).map(|n| sign * n as f64);
    }
    let length = numeral(digits)?;
    let (numeral, after) = digits.split_at(length);
    // "2024-08-08", "1I:3:4", "10.0.0.1" or "1/2" begin with digits, but are no quantities; nor is "3rd" or "5C-A1".
    if after.starts_with(['-', ':', '/', '.', ',', '_', '#']) || !is_unit(after) {
        return None;
    }
    numeral.replace(',', ".").parse::<f64>().ok().map(|n| sign * n).filter(|n| n.is_finite())
}

/// How long the numeral is that a text begins with: digits, a fraction after a point or a comma, an exponent.
fn numeral(text: &str) -> Option<usize> {
    let digits_at = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let at = |index: usize| text.as_bytes().get(index).copied();
    let whole = digits_at(0);
    let mut end = whole;
    if let Some(point @ (b'.' | b',')) = at(whole) {
        let fraction = digits_at(whole + 1);
        // "1,234" may be a thousand and more, or one and a bit: nobody knows.
        if point == b',' && fraction == 3 {
            return None;
        }
        end += if fraction == 0 { 0 } else { 1 + fraction };
    }
    if matches!(at(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(at(end + 1), Some(b'+' | b'-')));
        let exponent = digits_at(end + 1 + sign);
        end += if exponent == 0 { 0 } else { 1 + sign + exponent };
    }
    (whole > 0).then_some(end)
}

/// Whether what follows a numeral may be a unit: nothing, `%`, ` degrees C`, `RPM`, `°C`; no other number.
fn is_unit(text: &str) -> bool {
    let unit = text.trim();
    unit.chars().count() <= 20 && !unit.chars().any(|c| c.is_ascii_digit() || c == ':')
}

/// A field's truth: `true`, `"true"`, `"Yes"`, `1`; `None` where it is neither true nor false.
pub fn truth(value: &Value, field: &str) -> Option<bool> {
    as_truth(value.get(field)?)
}

/// Like [`truth`], of a value itself.
pub fn as_truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) => n.as_f64().map(|f| f != 0.0),
        Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "enabled" | "on" => Some(true),
            "false" | "no" | "0" | "disabled" | "off" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_number_is_found_in_a_text_and_marked_as_coerced() {
        for (text, value) in [
            ("46 degrees C", 46.0),
            ("46", 46.0),
            ("-1.5", -1.5),
            ("+3", 3.0),
            ("55.546875", 55.546875),
            ("57.000000", 57.0),
            ("12,5 V", 12.5),
            ("4200RPM", 4200.0),
            ("35 %", 35.0),
            ("40°C", 40.0),
            ("0x1F", 31.0),
            ("1.2e3", 1200.0),
            (" 7 ", 7.0),
        ] {
            assert_eq!(as_number(&json!(text)), Some(Number { value, coerced: true }), "{text}");
        }
        assert_eq!(as_number(&json!(46.5)), Some(Number { value: 46.5, coerced: false }));
    }

    #[test]
    fn what_only_begins_with_digits_is_no_number() {
        let texts = [
            "N/A",
            "nan",
            "inf",
            "NaN",
            "-",
            "",
            "2024-01-01",
            "1I:3:4",
            "10.0.0.1",
            "1/2",
            "1,234",
            "1,234.5",
            "3 of 4",
            "0x",
            "0xffffffffffffffff",
            "1e999",
            "12:30",
            "5-6",
            "1_000",
            "46.",
        ];
        for text in texts {
            assert_eq!(as_number(&json!(text)), None, "{text}");
        }
        for value in [json!(null), json!(true), json!([1]), json!({"Reading": 1})] {
            assert_eq!(as_number(&value), None, "{value}");
        }
    }

    #[test]
    fn a_truth_is_read_in_every_spelling_and_nothing_else_is_one() {
        for (value, truth) in
            [(json!(true), true), (json!("Yes"), true), (json!(1), true), (json!("false"), false), (json!(0), false)]
        {
            assert_eq!(as_truth(&value), Some(truth), "{value}");
        }
        for value in [json!(null), json!("perhaps"), json!([true]), json!({})] {
            assert_eq!(as_truth(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_not_without_panic(text in ".{0,30}") {
            prop_assert!(in_text(&text).is_none_or(f64::is_finite));
        }

        #[test]
        fn a_number_written_out_is_read_back(value in -1e12..1e12f64) {
            prop_assert_eq!(as_number(&json!(value.to_string())).map(|n| n.value), Some(value));
        }
    }
}
