//! A client that knows nothing of Redfish, for tests of the simulated service.

use outband_tests::sim::machine::{Fault, Machine, Shared, Spec};
use outband_tests::sim::redfish_bmc::{Login, Options, Service};
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;

pub(crate) const USER: &str = "operator";
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(crate) fn options() -> Options {
    Options { login: Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() }), ..Options::default() }
}

pub(crate) fn machine(faults: Vec<Fault>) -> Shared {
    Shared::new(Machine::new(Spec::new("r1-u01", "NG0000018", 18), faults), 1.0)
}

/// A client that trusts this one certificate.
pub(crate) fn client(service: &Service) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    let pem = service.certificate_pem.as_bytes();
    let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(pem).unwrap();
    roots.add(certificate).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap()
}

/// A request with user and password, not yet sent.
pub(crate) fn asked(service: &Service, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}{path}", service.url());
    client(service).request(method, url).basic_auth(USER, Some(PASSWORD))
}

/// GETs with user and password; status and body.
pub(crate) async fn get(service: &Service, path: &str) -> Result<(u16, Vec<u8>), reqwest::Error> {
    let response = asked(service, reqwest::Method::GET, path).send().await?;
    Ok((response.status().as_u16(), response.bytes().await?.to_vec()))
}

pub(crate) async fn get_json(service: &Service, path: &str) -> Value {
    let (status, body) = get(service, path).await.unwrap();
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

/// One connection that is kept as long as the service lets it: a pool decides by itself when to open another.
pub(crate) struct Wire(tokio_rustls::client::TlsStream<tokio::net::TcpStream>);

impl Wire {
    pub(crate) async fn open(service: &Service) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(rustls::pki_types::pem::PemObject::from_pem_slice(service.certificate_pem.as_bytes()).unwrap())
            .unwrap();
        let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = tokio::net::TcpStream::connect(service.addr).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        Self(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap())
    }

    /// GETs; the body. `None`: the connection has ended.
    pub(crate) async fn get(&mut self, path: &str) -> Option<Vec<u8>> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", "localhost");
        self.0.write_all(request.as_bytes()).await.ok()?;
        // TLS may hold back what TCP did not take at once.
        self.0.flush().await.ok()?;
        let mut got = Vec::new();
        loop {
            let end = got.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
                let length: usize = head.split("content-length:").nth(1)?.lines().next()?.trim().parse().unwrap();
                if got.len() >= end + length {
                    return Some(got[end..].to_vec());
                }
            }
            if self.0.read_buf(&mut got).await.ok()? == 0 {
                return None;
            }
        }
    }
}
