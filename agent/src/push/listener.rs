//! The listener: BMCs post events here. What it takes is bounded in every way, and nothing in it is believed to say who sent it: the path's token is.

use super::routes::{Routes, Verdict};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use outband_bmc::redfish::push::watch::MAX_EVENT;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Connections at the same time; a BMC needs one.
const CONNECTIONS: usize = 256;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a head may take, and a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// No connection lasts longer, whatever it does.
const CONNECTION_LASTS: Duration = Duration::from_secs(3600);

/// A listener that is bound, and not yet listening.
pub(super) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Arc<Routes>,
}

impl Listener {
    /// Binds. `tls` is `None` for plain HTTP.
    pub(super) async fn bind(
        at: SocketAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        routes: Arc<Routes>,
    ) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(at).await?, tls: tls.map(TlsAcceptor::from), routes })
    }

    /// Where it is bound.
    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Listens until cancelled.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        // Its tasks end with it.
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(_) = open.join_next() => continue,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, mostly: the next try may be better, but not at once.
                    tracing::warn!(%error, "the push listener cannot take a connection");
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::debug!(%peer, "the push listener has no place for another connection");
                continue;
            };
            let (tls, routes) = (self.tls.clone(), self.routes.clone());
            open.spawn(async move {
                if timeout(CONNECTION_LASTS, serve(stream, tls, &routes, peer)).await.is_err() {
                    tracing::debug!(%peer, "the connection was open for an hour");
                }
                drop(place);
            });
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, routes: &Routes, peer: SocketAddr) {
    match tls {
        None => converse(stream, routes, peer).await,
        Some(tls) => match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => converse(stream, routes, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
            Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
        },
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, routes: &Routes, peer: SocketAddr) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(request, routes, peer).await) });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(16 << 10);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%peer, %error, "the connection broke");
    }
}

async fn answer(request: Request<Incoming>, routes: &Routes, peer: SocketAddr) -> Response<Empty<Bytes>> {
    let Some(route) = routes.find(request.uri().path()) else {
        tracing::debug!(%peer, "a post to no path of ours");
        return last(StatusCode::NOT_FOUND);
    };
    if request.method() != Method::POST {
        let mut response = last(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if !route.allows() {
        let mut response = last(StatusCode::TOO_MANY_REQUESTS);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
        return response;
    }
    let body = match timeout(BODY_WITHIN, Limited::new(request.into_body(), MAX_EVENT).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a body that could not be read");
            // Its news are in the log all the same.
            route.knock();
            return last(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Err(_) => return last(StatusCode::REQUEST_TIMEOUT),
    };
    match route.take(body.to_vec()) {
        Verdict::Taken => status(StatusCode::NO_CONTENT),
        Verdict::NoRoom => last(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// An answer after which the connection ends: what is left of a refused body is not read.
fn last(code: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = status(code);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
