//! HTTPS on loopback with a certificate of its own, and whatever can go wrong with an answer.

mod answer;
mod count;

pub use answer::{Answer, Call};
pub use count::Connections;

use answer::{Reply, render};
use bytes::Bytes;
use count::Held;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

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
    connections: Arc<Connections>,
    cut: tokio::sync::watch::Sender<u64>,
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
        let connections = Arc::new(Connections::default());
        let counter = Arc::clone(&connections);
        let (cut, cuts) = tokio::sync::watch::channel(0);
        let task = tokio::spawn(async move {
            // A JoinSet aborts its tasks when it goes, so dropping the server closes every connection too.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let held = counter.opened();
                let (acceptor, answers, mut cuts) = (acceptor.clone(), Arc::clone(&answers), cuts.clone());
                cuts.mark_unchanged();
                let counter = Arc::clone(&counter);
                open.spawn(async move {
                    tokio::select! {
                        () = serve(stream, acceptor, answers, counter, held.number()) => {}
                        // Whether it was told or its server is gone: the connection ends.
                        _ = cuts.changed() => {}
                    }
                    drop(held);
                });
                while open.try_join_next().is_some() {}
            }
        });
        Ok(Self { addr, fingerprint, certificate_pem: cert.pem(), connections, cut, task })
    }

    /// What is and was open.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Breaks every connection, as a BMC's reset does.
    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<A: Answers>(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    answers: Arc<A>,
    connections: Arc<Connections>,
    number: u64,
) {
    // Else the end of a longer answer waits for the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay");
    }
    let tls = match acceptor.accept(stream).await {
        Ok(tls) => tls,
        Err(error) => return tracing::debug!(%error, "TLS handshake"),
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, held) = (Arc::clone(&answers), connections.asked());
        async move { respond(&*answers, request, number, held).await }
    });
    if let Err(error) = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await {
        tracing::debug!(%error, "connection");
    }
}

async fn respond<A: Answers>(
    answers: &A,
    request: Request<Incoming>,
    connection: u64,
    held: Held,
) -> io::Result<Response<Reply>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_else(|_| Bytes::new());
    let call = Call::new(head, body, connection);
    render(answers.answer(call).await, held).await
}
