//! Tolerant access to what BMCs call JSON. A bad field loses itself, never its neighbours.

mod body;
mod field;
mod number;
mod time;

pub use body::{Body, BodyError, parse, read};
pub use field::{Bad, Field, excerpt_field, first_number, number_field, text_field, time_field, truth_field};
pub use number::{Number, as_number, as_truth, number, truth};
pub use time::{as_time, time};

use serde_json::Value;

/// What an error body says (DSP0266 §8.6, and iLO 4's older form); `None` where the body is no error. Some BMCs serve these with status 200.
pub fn error_of(value: &Value) -> Option<String> {
    if value.get("@odata.id").is_some() || value.get("Members").is_some() {
        return None;
    }
    let (holder, messages) = match value.get("error") {
        Some(error) => (error, error.get("@Message.ExtendedInfo")),
        None if value.get("Id").is_none() && (value.get("Name").is_none() || is_extended_error(value)) => {
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

/// iLO 4's error bodies have a name and are told by their type, `ExtendedError.1.0.0`.
fn is_extended_error(value: &Value) -> bool {
    ["@odata.type", "Type"].iter().filter_map(|f| text(value, f)).any(|t| t.contains("ExtendedError"))
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
                || ["0000", "9999-12-31"].iter().any(|zero| plain.starts_with(zero))
        }
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_served_as_a_resource_is_recognised() {
        let lic = json!({"error": {"code": "Base.1.8.GeneralError", "message": "see extended", "@Message.ExtendedInfo": [{"MessageId": "IDRAC.2.7.LIC501", "Message": "A required license is missing"}]}});
        assert_eq!(error_of(&lic).unwrap(), "IDRAC.2.7.LIC501: A required license is missing");
        let ilo4 = json!({"Messages": [{"MessageID": "iLO.0.10.ResourceMissingAtURI"}], "Type": "ExtendedError.1.0.0", "Name": "Extended Error Information"});
        assert_eq!(error_of(&ilo4).unwrap(), "iLO.0.10.ResourceMissingAtURI");
        assert!(error_of(&json!({"@odata.id": "/x", "@Message.ExtendedInfo": []})).is_none());
        assert!(error_of(&json!({"Id": "1", "Name": "x", "Messages": []})).is_none());
        assert!(error_of(&json!({"Name": "A registry", "Messages": {}})).is_none());
    }

    #[test]
    fn a_link_is_found_in_every_form_and_nothing_else_is_one() {
        let v = json!({"a": {"@odata.id": "/r/a"}, "b": {"href": "/r/b"}, "c": "/r/c", "d": "no", "e": 3, "Links": {"f": {"@odata.id": " /r/f "}}});
        for (field, uri) in [("a", "/r/a"), ("b", "/r/b"), ("c", "/r/c"), ("f", "/r/f")] {
            assert_eq!(link(&v, field).as_deref(), Some(uri));
        }
        assert_eq!(["d", "e", "g"].map(|f| link(&v, f)), [None, None, None]);
    }

    #[test]
    fn the_words_for_nothing_are_told_from_words() {
        for none in ["N/A", " ", "--", "Unknown", "nan", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59+00:00"] {
            assert!(says_none(&json!(none)), "{none}");
        }
        for word in ["hot", "0", "-5", "0.0", "Failed"] {
            assert!(!says_none(&json!(word)), "{word}");
        }
    }
}
