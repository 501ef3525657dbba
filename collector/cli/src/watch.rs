//! Showing again whenever something changes.

use crate::context::Context;
use crate::error::Error;
use crate::output;
use std::io::IsTerminal;
use std::time::Duration;
use tokio_stream::{Stream, StreamExt};

/// Where no change is told, it is asked again so often. Ages go on in this rhythm too.
const EVERY: Duration = Duration::from_secs(5);
/// Changes that come together are shown together.
const TOGETHER: Duration = Duration::from_millis(200);
/// After a failure it is tried again so much later.
const AGAIN: Duration = Duration::from_secs(2);

/// Shows what `fetch` brings, once; with `--watch` again and again.
pub(crate) async fn show(context: &Context, fetch: impl AsyncFn() -> Result<String, Error>) -> Result<(), Error> {
    show_on(context, fetch, async || Ok(tokio_stream::pending::<Result<(), tonic::Status>>())).await
}

/// Like [`show`], where the collector tells of changes by a stream.
pub(crate) async fn show_on<S, T>(
    context: &Context,
    fetch: impl AsyncFn() -> Result<String, Error>,
    subscribe: impl AsyncFn() -> Result<S, Error>,
) -> Result<(), Error>
where
    S: Stream<Item = Result<T, tonic::Status>> + Unpin,
{
    if !context.watch {
        return output::print(&fetch().await?);
    }
    let mut last = String::new();
    let mut begun = false;
    loop {
        let ended = follow(&fetch, &subscribe, &mut last, &mut begun).await;
        // A collector that restarts is waited for; a mistake in the question is not.
        if !begun || !ended.is_unreachable() {
            return Err(ended);
        }
        ended.report(context.lang);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Goes on until something fails, and says what.
async fn follow<S, T>(
    fetch: &impl AsyncFn() -> Result<String, Error>,
    subscribe: &impl AsyncFn() -> Result<S, Error>,
    last: &mut String,
    begun: &mut bool,
) -> Error
where
    S: Stream<Item = Result<T, tonic::Status>> + Unpin,
{
    let mut changes = match subscribe().await {
        Ok(changes) => changes,
        Err(error) => return error,
    };
    loop {
        let text = match fetch().await {
            Ok(text) => text,
            Err(error) => return error,
        };
        *begun = true;
        if text != *last {
            if let Err(error) = display(&text) {
                return error;
            }
            *last = text;
        }
        match tokio::time::timeout(EVERY, changes.next()).await {
            Err(_) => {}
            Ok(Some(Ok(_))) => while let Ok(Some(Ok(_))) = tokio::time::timeout(TOGETHER, changes.next()).await {},
            Ok(Some(Err(status))) => return status.into(),
            Ok(None) => return tonic::Status::unavailable("the collector ended the watch").into(),
        }
    }
}

fn display(text: &str) -> Result<(), Error> {
    if std::io::stdout().is_terminal() {
        // Clears the screen, cursor home: the terminal shows the newest state only.
        output::print("\u{1b}[2J\u{1b}[H")?;
    }
    output::print(text)
}
