//! Answers `GET /metrics`: the few lines of HTTP/1.1 that a scrape takes. One request a connection.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// So many are answered at a time; more wait to be accepted.
const AT_ONCE: usize = 8;
/// A request and its answer take no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A request's head is no longer, in bytes.
const HEAD: usize = 8192;
/// So long nobody is let in after a connection could not be taken.
const REST: Duration = Duration::from_millis(200);

/// Answers with what `page` tells, until `shutdown` is cancelled.
pub(super) async fn serve<P, F>(listener: TcpListener, page: P, shutdown: CancellationToken)
where
    P: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Option<String>> + Send,
{
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let next = async {
            // Nobody closes it.
            let seat = Arc::clone(&seats).acquire_owned().await.ok();
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            () = shutdown.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let page = page.clone();
                tokio::spawn(async move {
                    match tokio::time::timeout(PATIENCE, answer(stream, page)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "a scrape broke off"),
                        Err(_) => tracing::debug!(%peer, "a scrape took too long"),
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a scrape cannot be taken");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn answer<P, F>(mut stream: TcpStream, page: P) -> std::io::Result<()>
where
    P: Fn() -> F,
    F: Future<Output = Option<String>>,
{
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < HEAD {
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(part.get(..n).unwrap_or_default()),
        }
    }
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let (status, body) = match asked(&String::from_utf8_lossy(line)) {
        Asked::Metrics => match page().await {
            Some(body) => ("200 OK", body),
            None => ("503 Service Unavailable", "the store does not answer; see the log\n".to_owned()),
        },
        Asked::Elsewhere => ("404 Not Found", "ask for /metrics\n".to_owned()),
        Asked::Otherwise => ("405 Method Not Allowed", "only GET is answered\n".to_owned()),
        Asked::Nonsense => ("400 Bad Request", "this is no request\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    Elsewhere,
    Otherwise,
    Nonsense,
}

fn asked(line: &str) -> Asked {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["GET", target, version] if version.starts_with("HTTP/1.") => {
            let path = target.split('?').next().unwrap_or_default();
            if path == "/metrics" { Asked::Metrics } else { Asked::Elsewhere }
        }
        [_, _, version] if version.starts_with("HTTP/1.") => Asked::Otherwise,
        _ => Asked::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_of_the_page_is_answered_with_it() {
        assert_eq!(asked("GET /metrics HTTP/1.1"), Asked::Metrics);
        assert_eq!(asked("GET /metrics?x=1 HTTP/1.0"), Asked::Metrics);
        assert_eq!(asked("GET / HTTP/1.1"), Asked::Elsewhere);
        assert_eq!(asked("POST /metrics HTTP/1.1"), Asked::Otherwise);
        assert_eq!(asked("PRI * HTTP/2.0"), Asked::Nonsense);
        assert_eq!(asked(""), Asked::Nonsense);
    }
}
