//! What goes wrong at a Redfish service, and where.

use crate::sim::https::Answer;
use bytes::Bytes;
use std::time::Duration;

/// A place where something goes wrong. Paths are compared without regard to case.
#[derive(Debug, Clone)]
pub enum Where {
    /// Everywhere.
    Everywhere,
    /// At one path, with or without a slash at its end.
    At(String),
    /// At every path that begins so.
    Under(String),
    /// At every path that holds this text.
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
    fn is(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/').to_ascii_lowercase();
        match self {
            Where::Everywhere => true,
            Where::At(at) => path == at.trim_end_matches('/').to_ascii_lowercase(),
            Where::Under(prefix) => path.starts_with(&prefix.to_ascii_lowercase()),
            Where::Holding(text) => path.contains(&text.to_ascii_lowercase()),
        }
    }
}

/// The first fault that strikes this path, counted down.
pub(super) fn strike(faults: &mut [Fault], path: &str) -> Option<Misdeed> {
    let fault = faults.iter_mut().find(|f| f.times != Some(0) && f.place.is(path))?;
    if let Some(times) = &mut fault.times {
        *times -= 1;
    }
    Some(fault.misdeed.clone())
}

/// The answer as the misdeed leaves it.
pub(super) fn spoil(misdeed: Misdeed, proper: impl FnOnce() -> Answer) -> Answer {
    match misdeed {
        Misdeed::Status(status) => match super::error(status, "Base.1.8.GeneralError") {
            Answer::Whole { status: 503, body, content_type, .. } => {
                Answer::Whole { status: 503, headers: vec![("retry-after", "1".to_owned())], content_type, body }
            }
            other => other,
        },
        Misdeed::Hang => Answer::Never,
        Misdeed::Html(status) => Answer::Whole {
            status,
            headers: Vec::new(),
            content_type: "text/html",
            body: Bytes::from_static(b"<html><body><h1>Gateway Timeout</h1></body></html>"),
        },
        Misdeed::Body(body) => Answer::json(body),
        Misdeed::Slow(_) => proper(),
        Misdeed::TruncatedJson | Misdeed::BrokenOff => match proper() {
            Answer::Whole { body, .. } if matches!(misdeed, Misdeed::BrokenOff) => Answer::BrokenOff { body },
            Answer::Whole { status, headers, content_type, body } => {
                Answer::Whole { status, headers, content_type, body: body.slice(..body.len() / 2) }
            }
            other => other,
        },
    }
}
