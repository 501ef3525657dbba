//! From the bytes of a body to one JSON object.

use super::{error_of, says_none};
use serde_json::{Map, Value};
use std::borrow::Cow;

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

/// What of a body could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The object. Of one that is cut off: its identity, its links, and the complete elements of its arrays.
    pub value: Value,
    /// Of one that is cut off: how much of it there is, in words.
    pub cut: Option<String>,
}

/// Reads a body as one JSON object. Mended where needed: a byte order mark, UTF-16, Latin-1, GBK, raw control characters within strings, values left out,
/// commas too many, `NaN`, junk or an error object before the real one (iDRAC), and junk after it.
///
/// # Errors
/// See [`BodyError`]. A body that is cut off is not JSON; [`read`] tells what is whole of it.
pub fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    understand(&decode(bytes)).map_err(|(error, _)| error)
}

/// Like [`parse`], and what is whole of a body that is cut off. Only arrays give their complete elements: of a resource that ends before its `Status` nobody
/// knows whether its figures mean anything.
///
/// # Errors
/// See [`BodyError`].
pub fn read(bytes: &[u8]) -> Result<Body, BodyError> {
    let text = decode(bytes);
    match understand(&text) {
        Ok(value) => Ok(Body { value, cut: None }),
        Err((error, mended)) => match salvaged(&mended) {
            Some((value, elements)) => {
                let cut = format!(
                    "the body ends in its midst, after {} bytes; {elements} whole elements are read",
                    bytes.len()
                );
                Ok(Body { value, cut: Some(cut) })
            }
            None => Err(error),
        },
    }
}

/// The object in a text, or why there is none and the text after mending.
fn understand(text: &str) -> Result<Value, (BodyError, String)> {
    let text = text.trim_start_matches('\u{feff}').trim_matches(|c: char| c.is_whitespace() || c == '\0');
    if text.is_empty() {
        return Err((BodyError::Empty, String::new()));
    }
    let first_error = match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => return Ok(value),
        Ok(_) => return Err((BodyError::NotObject, String::new())),
        Err(error) => error,
    };
    if text.starts_with('<') {
        return Err((BodyError::Html, String::new()));
    }
    let mended = mend(text);
    match serde_json::from_str::<Value>(&mended) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err((BodyError::NotObject, String::new())),
        Err(_) => last_object(&mended).ok_or_else(|| (BodyError::NotJson(first_error.to_string()), mended)),
    }
}

fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => return encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0,
        [0xFE, 0xFF, rest @ ..] => return encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0,
        // UTF-16 without a mark: an ASCII character has a zero beside it.
        [b'{', 0, ..] => return encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0,
        [0, b'{', ..] => return encoding_rs::UTF_16BE.decode_without_bom_handling(bytes).0,
        _ => {}
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    // Mostly UTF-8 with a broken character, as of texts that were cut at a number of bytes: only that is lost.
    let high = bytes.iter().filter(|b| !b.is_ascii()).count();
    let lossy = String::from_utf8_lossy(bytes);
    let broken = lossy.matches('\u{fffd}').count();
    if broken * 4 < high {
        return lossy;
    }
    // Chinese characters of GB 2312 come as pairs of high bytes; Latin-1 has single ones among ASCII.
    let in_pairs = bytes
        .chunk_by(|a, b| a.is_ascii() == b.is_ascii())
        .all(|run| run.first().is_some_and(u8::is_ascii) || run.len() % 2 == 0);
    match encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) if in_pairs => text,
        // Every byte is the code point of its number.
        _ => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Of several values in one body the last that is an object and not merely an error.
fn last_object(text: &str) -> Option<Value> {
    // Brackets in junk are followed by something else. A later bracket than this would be within the object: what it holds is not the resource.
    let is_object = |rest: &str| rest.get(1..).is_some_and(|r| r.trim_start().starts_with(['"', '}']));
    let (start, _) = text.match_indices('{').find(|(at, _)| text.get(*at..).is_some_and(is_object))?;
    let mut found: Option<Value> = None;
    let mut whole = true;
    for value in serde_json::Deserializer::from_str(text.get(start..)?).into_iter::<Value>() {
        match value {
            Ok(value) if value.is_object() && (found.is_none() || error_of(&value).is_none()) => found = Some(value),
            Ok(_) => {}
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    // An error before something that is cut off is not what was asked for.
    found.filter(|value| whole || error_of(value).is_none())
}

/// Mends what can be mended without guessing: raw control characters in strings, backslashes that escape nothing, values that are missing or are no JSON,
/// commas too many or missing.
fn mend(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut open: Vec<char> = Vec::new();
    // The last token: a bracket, a comma, a colon, `"` for a string, `v` for another value.
    let mut last = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let ended_a_value = matches!(last, '"' | '}' | ']' | 'v') && !open.is_empty();
        match c {
            '"' | '{' | '[' if ended_a_value => out.push(','),
            ',' | '}' | ']' if last == ':' || c == ',' && last == '[' => out.push_str("null"),
            '}' | ']' if last == ',' => drop_comma(&mut out),
            _ => {}
        }
        match c {
            '"' => mend_string(&mut rest, &mut out),
            '{' | '[' => open.push(c),
            '}' | ']' => drop(open.pop()),
            ',' | ':' => {}
            c if c.is_whitespace() || c.is_control() => {
                out.push(' ');
                continue;
            }
            // Junk where no value belongs.
            c if last != ':' && open.last() != Some(&'[') => {
                out.push(c);
                continue;
            }
            c => {
                let mut bare = String::from(c);
                while let Some(next) = rest.next_if(|n| !matches!(n, ',' | '}' | ']' | '"' | '\n' | '\r')) {
                    bare.push(next);
                }
                out.push_str(&bare_value(bare.trim()));
                last = 'v';
                continue;
            }
        }
        if c != '"' {
            out.push(c);
        }
        last = c;
    }
    out
}

/// The rest of a string whose opening quote was read.
fn mend_string(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('"');
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.peek() {
                Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u') => {
                    out.push(c);
                    out.extend(rest.next());
                }
                // A backslash that escapes nothing stands for itself.
                _ => out.push_str("\\\\"),
            },
            '"' => {
                out.push(c);
                return;
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
}

/// What stands without quotes where a value belongs: JSON, or a text. `007` and `0x1F` are no JSON numbers; as texts they are read as numbers or not.
fn bare_value(bare: &str) -> String {
    match bare {
        "True" | "TRUE" => "true".to_owned(),
        "False" | "FALSE" => "false".to_owned(),
        _ if serde_json::from_str::<Value>(bare).is_ok() => bare.to_owned(),
        // NaN and the infinities are numbers to the BMC, and none to anybody else.
        _ if says_none(&Value::from(bare)) || bare.parse::<f64>().is_ok_and(|n| !n.is_finite()) => "null".to_owned(),
        _ => Value::from(bare).to_string(),
    }
}

/// Takes back a comma with nothing after it: XCC's metric report `PowerMetrics` ends its array with one.
fn drop_comma(out: &mut String) {
    let end = out.trim_end().len();
    if out.get(..end).is_some_and(|o| o.ends_with(',')) {
        out.truncate(end - 1);
    }
}

/// Arrays whose elements stand for themselves.
const ELEMENTS: [&str; 8] =
    ["Members", "Items", "Temperatures", "Fans", "Voltages", "PowerSupplies", "MetricValues", "Devices"];

/// What is whole of an object that is cut off, and how many elements of its arrays are. `None` where nothing worth telling is.
fn salvaged(text: &str) -> Option<(Value, usize)> {
    let start = text.find('{')?;
    let mut rest = Scanner { text: text.get(start + 1..)? };
    let mut kept = Map::new();
    let mut elements = 0;
    while let Some((name, value)) = rest.field() {
        match value {
            Part::Whole(value) => {
                let identity = matches!(name.as_str(), "@odata.id" | "@odata.type" | "Id" | "Name");
                let is_link = value.as_object().is_some_and(|o| o.len() == 1 && o.contains_key("@odata.id"));
                let whole = value.as_array().filter(|_| ELEMENTS.contains(&name.as_str())).map(Vec::len);
                elements += whole.unwrap_or_default();
                if identity || is_link || whole.is_some() {
                    kept.insert(name, value);
                }
            }
            Part::Cut(whole) if ELEMENTS.contains(&name.as_str()) => {
                elements += whole.len();
                kept.insert(name, Value::Array(whole));
                break;
            }
            Part::Cut(_) => break,
        }
    }
    (elements > 0).then_some((Value::Object(kept), elements))
}

enum Part {
    Whole(Value),
    /// An array that is cut off: its whole elements.
    Cut(Vec<Value>),
}

struct Scanner<'a> {
    text: &'a str,
}

impl Scanner<'_> {
    /// The next field of the object; `None` at its cut.
    fn field(&mut self) -> Option<(String, Part)> {
        self.skip(',');
        let Value::String(name) = self.value()? else { return None };
        self.skip(':');
        if let Some(value) = self.value() {
            return Some((name, Part::Whole(value)));
        }
        self.text = self.text.trim_start().strip_prefix('[')?;
        let mut whole = Vec::new();
        while let Some(element) = self.value() {
            whole.push(element);
            self.skip(',');
        }
        Some((name, Part::Cut(whole)))
    }

    /// The next value, if it is whole. A number at the very end may go on, so it is not.
    fn value(&mut self) -> Option<Value> {
        let mut values = serde_json::Deserializer::from_str(self.text).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let rest = self.text.get(values.byte_offset()..)?;
        if rest.trim().is_empty() {
            return None;
        }
        self.text = rest;
        Some(value)
    }

    fn skip(&mut self, what: char) {
        let text = self.text.trim_start();
        self.text = text.strip_prefix(what).unwrap_or(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn an_error_object_before_the_real_one_is_skipped() {
        let body = br#"{"error":{"code":"x"}}{"@odata.id":"/redfish/v1","Id":"r"}"#;
        assert_eq!(parse(body).unwrap()["Id"], "r");
        let cut = br#"{"error":{"code":"x"}}{"@odata.id":"/redfish/v1","Id":"#;
        assert!(matches!(parse(cut), Err(BodyError::NotJson(_))), "the error is not what was asked for");
    }

    #[test]
    fn junk_before_and_after_the_object_costs_nothing() {
        for body in [
            "HTTP/1.1 200 OK {x}\r\n\r\n{\"a\": 1}",
            ")]}',\n{\"a\": 1}",
            "{\"a\": 1}\0\0\0",
            "{\"a\": 1}} trailing",
            "{\"a\": 1}\n<!-- served in 3 ms -->",
        ] {
            assert_eq!(parse(body.as_bytes()), Ok(json!({"a": 1})), "{body}");
        }
    }

    #[test]
    fn every_encoding_that_was_met_is_read() {
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\":\"x\ry\"}").unwrap()["a"], "x y");
        assert_eq!(parse(b"{\"a\":\"f\xfcr 21 \xb0C\"}").unwrap()["a"], "für 21 °C");
        assert_eq!(parse(b"{\"a\":\"\xb7\xe7\xc9\xc8\"}").unwrap()["a"], "风扇", "GBK");
        let wide = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            mark.iter().copied().chain("{\"a\":\"风\"}".encode_utf16().flat_map(bytes)).collect()
        };
        for body in [
            wide(b"\xff\xfe", u16::to_le_bytes),
            wide(b"\xfe\xff", u16::to_be_bytes),
            wide(b"", u16::to_le_bytes),
            wide(b"", u16::to_be_bytes),
        ] {
            assert_eq!(parse(&body).unwrap()["a"], "风");
        }
        let cut_character = [&b"{\"a\":\"\xe9\xa3\x8e\xe6\x89\x87\xe9\xa3\x8e\xe6\x89\"}"[..]].concat();
        assert_eq!(parse(&cut_character).unwrap()["a"], "风扇风\u{fffd}");
    }

    #[test]
    fn a_value_left_out_or_written_wrong_costs_only_itself() {
        let v = parse(
            b"{\"a\": ,\"b\":2,\"c\":NaN,\"d\":[1,-Infinity],\"e\":007,\"f\":True,\"g\":\"C:\\x\",\"h\":[1,2,],}",
        )
        .unwrap();
        assert_eq!(
            v,
            json!({"a": null, "b": 2, "c": null, "d": [1, null], "e": "007", "f": true, "g": "C:\\x", "h": [1, 2]})
        );
    }

    #[test]
    fn a_text_without_quotes_and_a_comma_that_is_missing_cost_nothing() {
        let v = parse(b"{\"Name\": PS1 Status,\n\"Links\": {}\n\"HostName\": \"h\", \"Reading\": 46 degrees C,\n\"Fans\": [{\"a\": 1} {\"a\": 2}]}").unwrap();
        assert_eq!(
            v,
            json!({"Name": "PS1 Status", "Links": {}, "HostName": "h", "Reading": "46 degrees C", "Fans": [{"a": 1}, {"a": 2}]})
        );
    }

    #[test]
    fn the_comma_too_many_of_xcc_metric_reports_is_dropped() {
        let report = b"{\"MetricValues\": [\n  {\"MetricValue\": \"635\"},\n ],\n \"Id\": \"PowerMetrics\"\n}";
        assert_eq!(parse(report).unwrap(), json!({"MetricValues": [{"MetricValue": "635"}], "Id": "PowerMetrics"}));
    }

    #[test]
    fn of_a_name_given_twice_the_last_counts() {
        assert_eq!(parse(b"{\"a\": 1, \"a\": 2}").unwrap(), json!({"a": 2}));
    }

    #[test]
    fn a_web_page_and_what_is_no_object_are_told_apart() {
        assert_eq!(parse(b"<html><body>504</body></html>"), Err(BodyError::Html));
        assert!(matches!(parse(b"{\"a\":[1,2"), Err(BodyError::NotJson(_))));
        assert_eq!(parse(b"  "), Err(BodyError::Empty));
        assert_eq!(parse(b"\0\0"), Err(BodyError::Empty));
        assert_eq!(parse(b"[1]"), Err(BodyError::NotObject));
    }

    #[test]
    fn of_a_body_that_is_cut_off_only_what_is_whole_is_told() {
        let cut = br#"{"@odata.id": "/t", "Id": "T", "Status": {"State": "Enabled"}, "Temperatures": [{"Name": "A", "ReadingCelsius": 40}, {"Name": "B", "Rea"#;
        let body = read(cut).unwrap();
        assert_eq!(
            body.value,
            json!({"@odata.id": "/t", "Id": "T", "Temperatures": [{"Name": "A", "ReadingCelsius": 40}]})
        );
        assert!(body.cut.unwrap().contains("1 whole"));
        assert!(matches!(parse(cut), Err(BodyError::NotJson(_))));
    }

    #[test]
    fn of_a_single_resource_that_is_cut_off_nothing_is_told() {
        let drive = br#"{"@odata.id": "/d", "Name": "Drive", "Location": [{"Info": "1"}], "FailurePredicted": false, "Status": {"#;
        assert!(matches!(read(drive), Err(BodyError::NotJson(_))));
    }

    #[test]
    fn a_hundred_thousand_brackets_are_refused_and_not_followed() {
        let deep = [vec![b'{'; 1], b"\"a\":".to_vec(), vec![b'['; 100_000]].concat();
        assert!(read(&deep).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(read(&bytes));
        }

        #[test]
        fn mending_leaves_good_json_as_it_is(text in "[a-zA-Z0-9 \\\\\"éü,\\]}]{0,40}", n in any::<i32>(), f in proptest::num::f64::NORMAL) {
            let value = json!({"t": text, "n": [n, f, null, true, {"x": []}]});
            let written = value.to_string();
            prop_assert_eq!(serde_json::from_str::<Value>(&mend(&written)).unwrap(), serde_json::from_str::<Value>(&written).unwrap());
        }

        #[test]
        fn a_body_cut_anywhere_tells_nothing_that_the_whole_does_not_hold(at in 0usize..400, readings in proptest::collection::vec(-50..150i32, 1..8)) {
            let members: Vec<Value> = readings.iter().enumerate().map(|(i, r)| json!({"Name": format!("T{i}"), "ReadingCelsius": r, "Status": {"State": "Enabled"}})).collect();
            let whole = json!({"@odata.id": "/t", "Id": "T", "Temperatures": members}).to_string();
            let at = at.min(whole.len());
            if let Ok(body) = read(&whole.as_bytes()[..at]) {
                let told = body.value["Temperatures"].as_array().unwrap();
                prop_assert!(members.starts_with(told));
                prop_assert_eq!(body.cut.is_none(), at == whole.len());
            }
        }
    }
}
