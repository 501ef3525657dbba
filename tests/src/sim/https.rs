//! HTTPS on loopback with a certificate of its own, and whatever can go wrong with an answer.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What becomes of a request.
#[derive(Debug, Clone)]
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
    /// `X-Auth-Token`.
    pub token: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// The content.
    pub body: Bytes,
}

/// Something that answers requests.
pub trait Answers: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, call: Call) -> impl Future<Output = Answer> + Send;
}

/// A listening server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    /// SHA-256 of its certificate in DER form.
    pub fingerprint: [u8; 32],
    /// Its certificate in PEM form.
    pub certificate_pem: String,
    connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Listens on `127.0.0.1:port` (0: any) with a fresh self-signed certificate. Needs a tokio runtime.
    pub async fn start<A: Answers>(port: u16, answers: Arc<A>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let addr = listener.local_addr()?;
        let key = rcgen::KeyPair::generate().map_err(io::Error::other)?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let cert = rcgen::CertificateParams::new(names).and_then(|p| p.self_signed(&key)).map_err(io::Error::other)?;
        let fingerprint: [u8; 32] = Sha256::digest(cert.der()).into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key_der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key_der))
            .map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let connections = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            // A JoinSet aborts its tasks when it goes, so dropping the server closes every connection too.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream, acceptor.clone(), Arc::clone(&answers)));
                while open.try_join_next().is_some() {}
            }
        });
        Ok(Self { addr, fingerprint, certificate_pem: cert.pem(), connections, task })
    }

    /// TCP connections taken so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<A: Answers>(stream: TcpStream, acceptor: TlsAcceptor, answers: Arc<A>) {
    let tls = match acceptor.accept(stream).await {
        Ok(tls) => tls,
        Err(error) => return tracing::debug!(%error, "TLS handshake"),
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, Infallible>(respond(&*answers, request).await) }
    });
    if let Err(error) = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await {
        tracing::debug!(%error, "connection");
    }
}

async fn respond<A: Answers>(answers: &A, request: Request<Incoming>) -> Response<BoxBody<Bytes, io::Error>> {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (token, authorization) = (header("x-auth-token"), header("authorization"));
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let query = request.uri().query().map(str::to_owned);
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let whole = |body: Bytes| Full::new(body).map_err(|never| match never {}).boxed();
    match answers.answer(Call { method, path, query, token, authorization, body }).await {
        Answer::Whole { status, headers, content_type, body } => {
            let mut response = Response::new(whole(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            response.headers_mut().insert("odata-version", HeaderValue::from_static("4.0"));
            for (name, value) in headers {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Answer::BrokenOff { body } => {
            let half = body.slice(..body.len() / 2);
            // A stream has no known length, so that the header may lie.
            let frames = [Ok(Frame::data(half)), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
            let mut response = Response::new(BodyExt::boxed(StreamBody::new(tokio_stream::iter(frames))));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Answer::Never => std::future::pending().await,
    }
}
