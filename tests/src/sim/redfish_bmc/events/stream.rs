//! Server-Sent Events (DSP0266 §13.6, WHATWG HTML §9.2).

use super::hub::{Hub, Told, as_event};
use crate::sim::https::Answer;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

/// Further than any test lasts.
const NEVER: Duration = Duration::from_secs(86400 * 365);

/// A stream and the task that feeds it; `None`: there are as many as there may be.
pub(super) fn open(hub: &Arc<Hub>, last: Option<&str>) -> Option<(Answer, impl Future<Output = ()> + Send + 'static)> {
    let sse = hub.options.sse.as_ref()?;
    let most = if sse.streams == 0 { 2 } else { sse.streams };
    let streams = &hub.streams;
    streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most).then_some(n + 1)).ok()?;
    let held = Held(Arc::clone(hub));
    let mut opening = sse.retry.map(|r| format!("retry: {}\n\n", r.as_millis())).unwrap_or_default();
    let (news, past) = hub.listen(last.and_then(|l| l.parse().ok()));
    past.iter().for_each(|(id, event)| opening.push_str(&as_event(*id, event)));
    // An empty comment lets the headers go out at once.
    if opening.is_empty() {
        opening.push_str(":\n\n");
    }
    let (pieces, receiver) = mpsc::channel(64);
    let (comment_every, idle) = (sse.comment_every.unwrap_or(NEVER), sse.idle_timeout.unwrap_or(NEVER));
    let task = async move {
        let _held = held;
        if pieces.send(Ok(Bytes::from(opening))).await.is_ok() {
            feed(&pieces, news, comment_every, idle).await;
        }
    };
    Some((Answer::Stream { content_type: "text/event-stream", pieces: receiver }, task))
}

async fn feed(
    pieces: &mpsc::Sender<io::Result<Bytes>>,
    mut news: broadcast::Receiver<Told>,
    comment_every: Duration,
    idle: Duration,
) {
    let mut ends = Instant::now() + idle;
    loop {
        let comment = Instant::now() + comment_every;
        let piece = tokio::select! {
            told = news.recv() => match told {
                Ok(Told::Text(text)) => {
                    ends = Instant::now() + idle;
                    Ok(Bytes::from(text))
                }
                Ok(Told::Broken) => Err(io::ErrorKind::ConnectionReset.into()),
                // A client that reads too slowly misses events, as it does with a real BMC.
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Ok(Told::End) | Err(broadcast::error::RecvError::Closed) => return,
            },
            () = sleep_until(comment) => Ok(Bytes::from_static(b": keep-alive\n\n")),
            () = sleep_until(ends) => return,
            () = pieces.closed() => return,
        };
        let last = piece.is_err();
        if pieces.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// Counts as open until it is dropped.
struct Held(Arc<Hub>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
