//! Tolerant access to what BMCs call JSON. A bad field loses itself, never its neighbours.

mod field;

pub use field::{Bad, Field, excerpt_field, first_number, number_field, text_field, time_field, truth_field};

use outband_schemas::Timestamp;
use serde_json::Value;

/// Why a body could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A web page, as proxies and booting BMCs serve.
    #[error("the body is a web page, not JSON")]
    Html,
    /// Nothing at all.
    #[error("the body is empty")]
    Empty,
    /// Not JSON even after mending; often cut off.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("the body is JSON but not an object")]
    NotObject,
}

/// Reads a body as one JSON object. Mended where needed: a byte order mark, Latin-1, raw control characters within strings, values left
/// out, `NaN`, and junk or an error object before the real one (iDRAC).
pub fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    let text = decode(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(BodyError::Empty);
    }
    let first_error = match serde_json::from_str::<Value>(text) {
        Ok(value) => return object(value),
        Err(error) => error,
    };
    if text.starts_with('<') {
        return Err(BodyError::Html);
    }
    let mended = mend(text);
    if let Ok(value) = serde_json::from_str::<Value>(&mended) {
        return object(value);
    }
    last_object(&mended).ok_or_else(|| BodyError::NotJson(first_error.to_string()))
}

fn object(value: Value) -> Result<Value, BodyError> {
    if value.is_object() { Ok(value) } else { Err(BodyError::NotObject) }
}

fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // Latin-1: every byte is the code point of its number.
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Of several values in one body the last that is an object and not merely an error.
fn last_object(text: &str) -> Option<Value> {
    let start = text.find('{')?;
    let mut found: Option<Value> = None;
    for value in serde_json::Deserializer::from_str(text.get(start..)?).into_iter::<Value>() {
        let Ok(value) = value else { break };
        if value.is_object() && (found.is_none() || error_of(&value).is_none()) {
            found = Some(value);
        }
    }
    found
}

/// Escapes raw control characters in strings and puts `null` where a value is missing or is no JSON number.
fn mend(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut in_string = false;
    let mut escaped = false;
    let mut wants_value = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            if c.is_control() {
                out.push(' ');
            } else {
                out.push(c);
            }
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                wants_value = false;
                out.push(c);
            }
            ':' => {
                wants_value = true;
                out.push(c);
            }
            ',' | '}' | ']' => {
                if wants_value {
                    out.push_str("null");
                }
                wants_value = false;
                out.push(c);
            }
            c if c.is_ascii_digit() || (c == '-' && rest.peek().is_some_and(char::is_ascii_digit)) => {
                out.push(c);
                while let Some(next) = rest.next_if(|n| n.is_ascii_digit() || matches!(n, '.' | 'e' | 'E' | '+' | '-'))
                {
                    out.push(next);
                }
                wants_value = false;
            }
            c if c.is_ascii_alphabetic() || (c == '-' && rest.peek().is_some_and(char::is_ascii_alphabetic)) => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|n| n.is_ascii_alphanumeric()) {
                    word.push(next);
                }
                out.push_str(match word.as_str() {
                    "true" | "True" => "true",
                    "false" | "False" => "false",
                    _ => "null",
                });
                wants_value = false;
            }
            c if c.is_control() => out.push(' '),
            c => {
                wants_value = wants_value && c.is_whitespace();
                out.push(c);
            }
        }
    }
    out
}

/// What an error body says (DSP0266 §8.6, and iLO 4's older form); `None` where the body is no error. Some BMCs serve these with status 200.
pub fn error_of(value: &Value) -> Option<String> {
    if value.get("@odata.id").is_some() || value.get("Members").is_some() {
        return None;
    }
    let (holder, messages) = match value.get("error") {
        Some(error) => (error, error.get("@Message.ExtendedInfo")),
        None if value.get("Id").is_none() && value.get("Name").is_none() => {
            (value, value.get("Messages").or_else(|| value.get("@Message.ExtendedInfo")))
        }
        None => return None,
    };
    if value.get("error").is_none() && messages.is_none() {
        return None;
    }
    let first = match messages {
        Some(Value::Array(list)) => list.first(),
        Some(one @ Value::Object(_)) => Some(one),
        _ => None,
    };
    let id = first.and_then(|m| text(m, "MessageId").or_else(|| text(m, "MessageID")));
    let said = first.and_then(|m| text(m, "Message")).or_else(|| text(holder, "message"));
    let parts: Vec<String> = [id.or_else(|| text(holder, "code")), said].into_iter().flatten().collect();
    Some(if parts.is_empty() { "an error without a message".to_owned() } else { clip(&parts.join(": "), 300) })
}

/// At most `max` characters of a text.
pub fn clip(text: &str, max: usize) -> String {
    let clean: String = text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

/// A field's text: strings trimmed, numbers and booleans written out; `None` where it is null, blank or no scalar.
pub fn text(value: &Value, field: &str) -> Option<String> {
    as_text(value.get(field)?)
}

/// Like [`text`], of a value itself.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.trim()).filter(|s| !s.is_empty()).map(str::to_owned),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number, and whether it had to be cut out of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The number, finite.
    pub value: f64,
    /// Whether it stood in a text.
    pub coerced: bool,
}

/// A field's number: `46`, `"46"`, `"46 degrees C"`; `None` where it is null, `"N/A"` or not finite.
pub fn number(value: &Value, field: &str) -> Option<Number> {
    as_number(value.get(field)?)
}

/// Like [`number`], of a value itself.
pub fn as_number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(n) => n.as_f64().filter(|f| f.is_finite()).map(|value| Number { value, coerced: false }),
        Value::String(s) => leading_number(s).map(|value| Number { value, coerced: true }),
        _ => None,
    }
}

fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.get(sign..)?;
    let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if whole == 0 {
        return None;
    }
    let fraction = match digits.get(whole..)?.strip_prefix('.') {
        Some(rest) => match rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()) {
            0 => 0,
            n => n + 1,
        },
        None => 0,
    };
    let after = digits.get(whole + fraction..)?;
    // "2024-08-08" or "1I:3:4" begin with digits, but are no quantities.
    if after.starts_with(['-', ':', '/']) {
        return None;
    }
    text.get(..sign + whole + fraction)?.parse::<f64>().ok().filter(|f| f.is_finite())
}

/// Whether a value is a maker's way of saying that there is none.
pub fn says_none(value: &Value) -> bool {
    const WORDS: [&str; 16] = [
        "",
        "n/a",
        "na",
        "none",
        "null",
        "nil",
        "nan",
        "unknown",
        "unavailable",
        "not available",
        "not applicable",
        "not specified",
        "not present",
        "no reading",
        "disabled",
        "absent",
    ];
    match value {
        Value::Null => true,
        Value::String(s) => {
            let plain = s.trim().to_ascii_lowercase();
            WORDS.contains(&plain.as_str())
                || plain.chars().all(|c| matches!(c, '-' | '.' | '?' | '*'))
                || plain.starts_with("0000")
        }
        _ => false,
    }
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
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A field's array; empty where it is null, absent or of another type.
pub fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    match value.get(field) {
        Some(Value::Array(list)) => list,
        _ => &[],
    }
}

/// Where a link leads: `@odata.id`, iLO 4's `href`, or a bare string. Directly under `field`, or under `Links`/`links`.
pub fn link(value: &Value, field: &str) -> Option<String> {
    let direct = value.get(field);
    let below = ["Links", "links"].iter().filter_map(|l| value.get(*l).and_then(|l| l.get(field)));
    direct.into_iter().chain(below).find_map(target)
}

/// The URI of a link object or of a string that is a URI.
pub fn target(link: &Value) -> Option<String> {
    let uri = match link {
        Value::String(s) => Some(s.as_str()),
        other => other.get("@odata.id").or_else(|| other.get("href")).and_then(Value::as_str),
    };
    uri.map(str::trim).filter(|u| u.starts_with('/')).map(str::to_owned)
}

/// Whether a member is there itself and not just a link to it.
pub fn is_inline(member: &Value) -> bool {
    member.as_object().is_some_and(|o| o.keys().any(|k| !matches!(k.as_str(), "@odata.id" | "href")))
}

/// A field's time. RFC 3339; without a zone it is taken for UTC. `None` where it is null, zeros or no date.
pub fn time(value: &Value, field: &str) -> Option<Timestamp> {
    as_time(value.get(field)?)
}

/// Like [`time`], of a value itself.
pub fn as_time(value: &Value) -> Option<Timestamp> {
    let text = as_text(value)?;
    if text.starts_with("0000") {
        return None;
    }
    let with_t = text.replacen(' ', "T", 1);
    [text.clone(), format!("{text}Z"), format!("{with_t}Z"), with_t].iter().find_map(|t| t.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_number_is_found_in_a_text_and_marked_as_coerced() {
        let v = json!({"a": "46 degrees C", "b": 46.5, "c": "N/A", "d": null, "e": "-1.5", "f": "2024-01-01", "g": "55.546875"});
        assert_eq!(number(&v, "a"), Some(Number { value: 46.0, coerced: true }));
        assert_eq!(number(&v, "b"), Some(Number { value: 46.5, coerced: false }));
        assert_eq!(number(&v, "e"), Some(Number { value: -1.5, coerced: true }));
        assert_eq!(number(&v, "g"), Some(Number { value: 55.546875, coerced: true }));
        for none in ["c", "d", "f", "absent"] {
            assert_eq!(number(&v, none), None, "{none}");
        }
    }

    #[test]
    fn an_error_object_before_the_real_one_is_skipped() {
        let body = br#"{"error":{"code":"x"}}{"@odata.id":"/redfish/v1","Id":"r"}"#;
        assert_eq!(parse(body).unwrap()["Id"], "r");
    }

    #[test]
    fn control_characters_a_byte_order_mark_and_latin_1_are_mended() {
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\":\"x\ry\"}").unwrap()["a"], "x y");
        assert_eq!(parse(b"{\"a\":\"f\xfcr\"}").unwrap()["a"], "für");
    }

    #[test]
    fn a_value_left_out_costs_only_itself() {
        let v = parse(b"{\"a\": ,\"b\":2,\"c\":NaN,\"d\":[1,-Infinity]}").unwrap();
        assert_eq!(v, json!({"a": null, "b": 2, "c": null, "d": [1, null]}));
    }

    #[test]
    fn a_web_page_and_cut_off_json_are_told_apart() {
        assert_eq!(parse(b"<html><body>504</body></html>"), Err(BodyError::Html));
        assert!(matches!(parse(b"{\"a\":[1,2"), Err(BodyError::NotJson(_))));
        assert_eq!(parse(b"  "), Err(BodyError::Empty));
        assert_eq!(parse(b"[1]"), Err(BodyError::NotObject));
    }

    #[test]
    fn an_error_served_as_a_resource_is_recognised() {
        let lic = json!({"error": {"code": "Base.1.8.GeneralError", "message": "see extended", "@Message.ExtendedInfo": [{"MessageId": "IDRAC.2.7.LIC501", "Message": "A required license is missing"}]}});
        assert_eq!(error_of(&lic).unwrap(), "IDRAC.2.7.LIC501: A required license is missing");
        assert!(error_of(&json!({"@odata.id": "/x", "@Message.ExtendedInfo": []})).is_none());
        assert!(error_of(&json!({"Id": "1", "Name": "x", "Messages": []})).is_none());
    }

    #[test]
    fn times_of_zeros_are_no_time_and_a_missing_zone_is_utc() {
        let v = json!({"a": "0000-00-00T00:00:00Z", "b": "2024-08-08T18:48:07-05:00", "c": "2024-08-08T18:48:07", "d": "2024-08-08 18:48:07"});
        assert_eq!(time(&v, "a"), None);
        assert_eq!(time(&v, "b").unwrap().to_string(), "2024-08-08T23:48:07Z");
        assert_eq!(time(&v, "c").unwrap().to_string(), "2024-08-08T18:48:07Z");
        assert_eq!(time(&v, "d"), time(&v, "c"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&bytes));
        }

        #[test]
        fn mending_leaves_good_json_as_it_is(text in "[a-zA-Z0-9 \\\\\"éü]{0,40}", n in any::<i32>(), f in proptest::num::f64::NORMAL) {
            let value = json!({"t": text, "n": [n, f, null, true, {"x": []}]});
            let written = value.to_string();
            prop_assert_eq!(serde_json::from_str::<Value>(&mend(&written)).unwrap(), serde_json::from_str::<Value>(&written).unwrap());
        }

        #[test]
        fn any_text_is_a_number_or_not_without_panic(text in ".{0,30}") {
            prop_assert!(leading_number(&text).is_none_or(f64::is_finite));
        }
    }
}
