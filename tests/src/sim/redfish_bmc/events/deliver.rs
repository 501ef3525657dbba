//! Delivery of an event to a subscriber: one HTTP/1.1 POST over a connection of its own, as BMCs do it. They seldom look at the listener's certificate.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a subscriber listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Destination {
    /// Reads `https://host:port/path`.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':').filter(|(_, p)| p.bytes().all(|b| b.is_ascii_digit())) {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self { tls, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Posts `body`; the status of the answer.
pub(super) async fn post(to: &Destination, headers: &[(String, String)], body: &str) -> io::Result<u16> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(PATIENCE, exchange(to, headers, body)).await.map_err(late)?
}

async fn exchange(to: &Destination, headers: &[(String, String)], body: &str) -> io::Result<u16> {
    let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
    if !to.tls {
        return talk(stream, to, headers, body).await;
    }
    let provider = Arc::new(ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
    talk(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, to, headers, body).await
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    to: &Destination,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<u16> {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        to.path,
        to.host,
        to.port,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.windows(2).any(|w| w == b"\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let status = line.split_ascii_whitespace().nth(1).and_then(|s| s.parse().ok());
    status.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Takes any certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read() {
        let read = |url| Destination::parse(url).map(|d| (d.tls, d.host, d.port, d.path));
        let some = |tls, host: &str, port, path: &str| Some((tls, host.to_owned(), port, path.to_owned()));
        assert_eq!(read("https://10.0.0.1:8443/a/b"), some(true, "10.0.0.1", 8443, "/a/b"));
        assert_eq!(read("http://listener"), some(false, "listener", 80, "/"));
        assert_eq!(read("https://[::1]:9/x"), some(true, "::1", 9, "/x"));
        assert_eq!((read("ftp://a/"), read("https:///x"), read("nonsense")), (None, None, None));
    }
}
