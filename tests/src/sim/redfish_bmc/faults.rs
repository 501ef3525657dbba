//! What goes wrong at a Redfish service, and where.

use crate::sim::https::Answer;
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// A place where something goes wrong, or takes longer. Paths are compared without regard to case.
#[derive(Debug, Clone)]
pub enum Where {
    /// Everywhere.
    Everywhere,
    /// At one path, with or without a slash at its end; with a query, only where exactly that is asked.
    At(String),
    /// At every path that begins so.
    Under(String),
    /// At every path and query that holds this text.
    Holding(String),
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Misdeed {
    /// Another status, with an error body; 503 says `Retry-After: 1`.
    Status(u16),
    /// No answer ever.
    Hang,
    /// A proper HTTP answer whose JSON stops half-way.
    TruncatedJson,
    /// The connection breaks half-way through the body.
    BrokenOff,
    /// A page of HTML, with this status.
    Html(u16),
    /// Another body, with status 200.
    Body(Bytes),
    /// The right answer, after this long.
    Slow(Duration),
    /// Another status with `Retry-After`, in seconds.
    RetryAfter(u16, u64),
    /// An error body with status 200.
    ErrorAs200,
    /// These bytes before the right body: junk, or an error object as iDRACs put it.
    Before(Bytes),
    /// These bytes after the right body.
    After(Bytes),
    /// A byte order mark before the right body.
    Bom,
    /// The right body in ISO 8859-1, with a letter in its `Name` that is no UTF-8.
    Latin1,
    /// Raw control characters within the texts of the right body.
    ControlCharacters,
    /// Numbers as texts, texts as numbers, booleans as texts, lists as objects.
    WrongTypes,
    /// The connection breaks without an answer.
    Reset,
    /// The right body in pieces of so many bytes, one each so often.
    Drip(usize, Duration),
    /// A redirect with this status to this URI.
    Redirect(u16, String),
}

impl Misdeed {
    /// The status that a request within the service meets, as one for a member of an expanded collection.
    pub(super) fn status(&self) -> u16 {
        match self {
            Misdeed::Status(status) | Misdeed::RetryAfter(status, _) => *status,
            Misdeed::Html(status) if *status >= 400 => *status,
            _ => 500,
        }
    }
}

/// Something that goes wrong at a place.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The place.
    pub place: Where,
    /// What.
    pub misdeed: Misdeed,
    /// How often it still happens; `None`: always.
    pub times: Option<u32>,
}

impl Fault {
    /// Goes wrong always.
    pub fn always(place: Where, misdeed: Misdeed) -> Self {
        Self { place, misdeed, times: None }
    }

    /// Goes wrong the first `times` times.
    pub fn first(times: u32, place: Where, misdeed: Misdeed) -> Self {
        Self { place, misdeed, times: Some(times) }
    }
}

impl Where {
    pub(super) fn is(&self, uri: &str) -> bool {
        let normal = |uri: &str| {
            let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
            let query = query.map(|q| format!("?{q}")).unwrap_or_default();
            format!("{}{query}", path.trim_end_matches('/')).to_ascii_lowercase()
        };
        let uri = normal(uri);
        match self {
            Where::Everywhere => true,
            Where::At(at) if at.contains('?') => uri == normal(at),
            Where::At(at) => uri.split('?').next() == Some(&*normal(at)),
            Where::Under(prefix) => uri.starts_with(&prefix.to_ascii_lowercase()),
            Where::Holding(text) => uri.contains(&text.to_ascii_lowercase()),
        }
    }
}

/// The first fault that strikes this URI, counted down.
pub(super) fn strike(faults: &mut [Fault], uri: &str) -> Option<Misdeed> {
    let fault = faults.iter_mut().find(|f| f.times != Some(0) && f.place.is(uri))?;
    if let Some(times) = &mut fault.times {
        *times -= 1;
    }
    Some(fault.misdeed.clone())
}

/// The answer as the misdeed leaves it.
pub(super) fn spoil(misdeed: Misdeed, proper: impl FnOnce() -> Answer) -> Answer {
    let with_body = |change: &dyn Fn(Bytes) -> Bytes, proper: Answer| match proper {
        Answer::Whole { status, headers, content_type, body } => {
            Answer::Whole { status, headers, content_type, body: change(body) }
        }
        other => other,
    };
    match misdeed {
        Misdeed::Status(503) => super::error(503, GENERAL).with("retry-after", "1"),
        Misdeed::Status(status) => super::error(status, GENERAL),
        Misdeed::RetryAfter(status, seconds) => super::error(status, GENERAL).with("retry-after", seconds.to_string()),
        Misdeed::ErrorAs200 => super::error(200, GENERAL),
        Misdeed::Hang => Answer::Never,
        Misdeed::Reset => Answer::Reset,
        Misdeed::Html(status) => Answer::Whole {
            status,
            headers: Vec::new(),
            content_type: "text/html",
            body: Bytes::from_static(b"<html><body><h1>Gateway Timeout</h1></body></html>"),
        },
        Misdeed::Body(body) => Answer::json(body),
        Misdeed::Redirect(status, to) => Answer::status(status, "").with("location", to),
        Misdeed::Slow(_) => proper(),
        Misdeed::TruncatedJson => with_body(&|b| b.slice(..b.len() / 2), proper()),
        Misdeed::Before(junk) => with_body(&|b| [&junk[..], &b[..]].concat().into(), proper()),
        Misdeed::After(junk) => with_body(&|b| [&b[..], &junk[..]].concat().into(), proper()),
        Misdeed::Bom => with_body(&|b| [&b"\xef\xbb\xbf"[..], &b[..]].concat().into(), proper()),
        Misdeed::Latin1 => with_body(&|b| latin1(&b), proper()),
        Misdeed::ControlCharacters => with_body(&|b| with_controls(&b), proper()),
        Misdeed::WrongTypes => with_body(&|b| with_wrong_types(&b), proper()),
        Misdeed::BrokenOff => match proper() {
            Answer::Whole { body, .. } => Answer::BrokenOff { body },
            other => other,
        },
        Misdeed::Drip(piece, every) => match proper() {
            Answer::Whole { body, .. } => Answer::Drip { body, piece, every },
            other => other,
        },
    }
}

const GENERAL: &str = "Base.1.8.GeneralError";

fn latin1(body: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(body).replacen("\"Name\":\"", "\"Name\":\"\u{b0}\u{e9} ", 1);
    let text = text.replacen("\"Name\": \"", "\"Name\": \"\u{b0}\u{e9} ", 1);
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

/// A raw carriage return and a raw 0x01 behind every opening quote of a value.
fn with_controls(body: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(body);
    text.replace("\":\"", "\":\"\r\u{1}").replace("\": \"", "\": \"\r\u{1}").into()
}

fn with_wrong_types(body: &[u8]) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Bytes::copy_from_slice(body) };
    if let Value::Object(object) = &mut value {
        object.iter_mut().filter(|(name, _)| !name.starts_with('@')).for_each(|(_, inner)| swap_types(inner));
    }
    value.to_string().into()
}

fn swap_types(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::from(format!("{number} units")),
        Value::String(_) => *value = Value::from(7),
        Value::Bool(yes) => *value = Value::from(yes.to_string()),
        Value::Array(items) => *value = items.drain(..).enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        Value::Object(object) if !object.contains_key("@odata.id") || object.len() > 1 => {
            object.iter_mut().filter(|(name, _)| !name.starts_with('@')).for_each(|(_, inner)| swap_types(inner));
        }
        Value::Object(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_path_and_by_query_where_it_has_one() {
        for (place, uri, is) in [
            (Where::At("/a/B/".into()), "/A/b", true),
            (Where::At("/a/b".into()), "/a/b/?$skip=50", true),
            (Where::At("/a/b?$skip=50".into()), "/a/b/?$skip=50", true),
            (Where::At("/a/b?$skip=50".into()), "/a/b", false),
            (Where::Under("/a".into()), "/a/b/c?x", true),
            (Where::Under("/a".into()), "/b/a", false),
            (Where::Holding("skip=5".into()), "/a?$skip=50", true),
        ] {
            assert_eq!(place.is(uri), is, "{place:?} {uri}");
        }
    }
}
