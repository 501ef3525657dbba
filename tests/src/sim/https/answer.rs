//! Requests as a BMC looks at them, and answers in every shape that one gives.

use super::count::Held;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// What becomes of a request.
#[derive(Debug)]
pub enum Answer {
    /// A whole answer.
    Whole {
        /// The status code.
        status: u16,
        /// Headers besides the content's type and length.
        headers: Vec<(&'static str, String)>,
        /// The content's type.
        content_type: &'static str,
        /// The content.
        body: Bytes,
    },
    /// The headers promise `body`, and the connection breaks half-way through it.
    BrokenOff {
        /// What was promised.
        body: Bytes,
    },
    /// The headers come at once and the body in pieces of `piece` bytes, one each `every`.
    Drip {
        /// The content.
        body: Bytes,
        /// Bytes a piece.
        piece: usize,
        /// Time before each piece.
        every: Duration,
    },
    /// What arrives in the channel, until its sender goes; an error breaks the connection.
    Stream {
        /// The content's type.
        content_type: &'static str,
        /// The content.
        pieces: mpsc::Receiver<io::Result<Bytes>>,
    },
    /// The connection breaks without an answer.
    Reset,
    /// No answer ever.
    Never,
}

impl Answer {
    /// JSON with status 200.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::status(200, body)
    }

    /// JSON with a status.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Whole { status, headers: Vec::new(), content_type: "application/json", body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }

    /// Status and length of what is sent; no status: none is.
    pub fn size(&self) -> (Option<u16>, usize) {
        match self {
            Self::Whole { status, body, .. } => (Some(*status), body.len()),
            Self::BrokenOff { body } => (Some(200), body.len() / 2),
            Self::Drip { body, .. } => (Some(200), body.len()),
            Self::Stream { .. } => (Some(200), 0),
            Self::Reset | Self::Never => (None, 0),
        }
    }
}

/// A request as far as a BMC looks at it.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, as it came.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// `Host`.
    pub host: Option<String>,
    /// `X-Auth-Token`.
    pub token: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// The content.
    pub body: Bytes,
    /// The TCP connection that it came over, from 1 on.
    pub connection: u64,
}

impl Call {
    pub(super) fn new(head: hyper::http::request::Parts, body: Bytes, connection: u64) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            host: header("host"),
            token: header("x-auth-token"),
            authorization: header("authorization"),
            if_none_match: header("if-none-match"),
            last_event_id: header("last-event-id"),
            body,
            connection,
        }
    }

    /// Path and query.
    pub fn uri(&self) -> String {
        let query = self.query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
        format!("{}{query}", self.path)
    }
}

/// A body that counts as in flight until it has gone out.
#[derive(Debug)]
pub(super) struct Reply {
    body: UnsyncBoxBody<Bytes, io::Error>,
    _held: Held,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

/// The response as hyper sends it; an error breaks the connection.
pub(super) async fn render(answer: Answer, held: Held) -> io::Result<Response<Reply>> {
    let mut headers = HeaderMap::new();
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    let mut code = StatusCode::OK;
    let mut kind = "application/json";
    let body = match answer {
        Answer::Whole { status, headers: more, content_type, body } => {
            code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            kind = content_type;
            for (name, value) in more {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            Full::new(body).map_err(|never| match never {}).boxed_unsync()
        }
        Answer::BrokenOff { body } => {
            // A stream has no known length, so that the header may lie.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            let frames = [Ok(Frame::data(body.slice(..body.len() / 2))), Err(broken())];
            BodyExt::boxed_unsync(StreamBody::new(tokio_stream::iter(frames)))
        }
        Answer::Drip { body, piece, every } => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            let piece = piece.max(1);
            let starts = (0..body.len()).step_by(piece).collect::<Vec<_>>();
            let drops = tokio_stream::iter(starts).then(move |at| {
                let drop = body.slice(at..(at + piece).min(body.len()));
                async move {
                    tokio::time::sleep(every).await;
                    Ok(Frame::data(drop))
                }
            });
            BodyExt::boxed_unsync(StreamBody::new(drops))
        }
        Answer::Stream { content_type, pieces } => {
            kind = content_type;
            let frames = ReceiverStream::new(pieces).map(|piece| piece.map(Frame::data));
            BodyExt::boxed_unsync(StreamBody::new(frames))
        }
        Answer::Reset => return Err(broken()),
        Answer::Never => std::future::pending().await,
    };
    let mut response = Response::new(Reply { body, _held: held });
    *response.status_mut() = code;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    *response.headers_mut() = headers;
    Ok(response)
}
