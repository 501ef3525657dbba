//! Which certificates a collector shows, looked at before anything is said to it.

use super::sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const WITHIN: Duration = Duration::from_secs(15);

/// Why a chain was not seen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or no TLS.
    #[error("{address} cannot be reached: {source}")]
    Connect {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The name cannot stand in a certificate.
    #[error("{0:?} is no name of a host")]
    Name(String),
    /// Another CA than the line says.
    #[error(
        "{address} shows another CA than this line names: nothing was sent. Either the line is of another collector, or somebody sits in between"
    )]
    OtherCa {
        /// Where.
        address: String,
    },
    /// A certificate alone.
    #[error("{address} shows no CA: is it the agents' port of an Outband collector?")]
    NoCa {
        /// Where.
        address: String,
    },
}

/// A CA's certificate, DER. That a collector shows it says nothing yet: only a connection that is verified by it is the CA's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca(Vec<u8>);

impl Ca {
    /// SHA-256 of the certificate.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(&self.0)
    }

    /// As PEM.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(&self.0);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}

/// The CA of this hash, if the collector there shows it.
pub async fn pinned(address: &str, domain: Option<&str>, hash: &[u8; 32]) -> Result<Ca, Error> {
    let shown = shown(address, domain).await?;
    let found = shown.into_iter().find(|der| sha256(der) == *hash);
    found.map(|der| Ca(der.to_vec())).ok_or_else(|| Error::OtherCa { address: address.to_owned() })
}

/// The CA that the collector there shows, whichever it is: the end of its chain.
pub async fn claimed(address: &str, domain: Option<&str>) -> Result<Ca, Error> {
    let mut shown = shown(address, domain).await?;
    match (shown.len(), shown.pop()) {
        (2.., Some(der)) => Ok(Ca(der.to_vec())),
        _ => Err(Error::NoCa { address: address.to_owned() }),
    }
}

/// Shakes hands, says nothing, hangs up.
async fn shown(address: &str, domain: Option<&str>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let fail = |source| Error::Connect { address: address.to_owned(), source };
    let host = domain.unwrap_or_else(|| host(address));
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::Name(host.to_owned()))?;
    let provider = Arc::new(ring::default_provider());
    let seen = Arc::new(Seen { provider: provider.clone(), chain: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|e| fail(std::io::Error::other(e)))?;
    let mut config = config.dangerous().with_custom_certificate_verifier(seen.clone()).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let shake = async {
        let tcp = TcpStream::connect(address).await?;
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        tls.shutdown().await
    };
    tokio::time::timeout(WITHIN, shake).await.map_err(|e| fail(e.into()))?.map_err(fail)?;
    let chain = std::mem::take(&mut *seen.chain.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(chain)
}

/// The host of `HOST:PORT`, without the brackets of an IPv6 address.
pub(crate) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// Writes down what is shown, and believes it for the length of a handshake in which nothing is said.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates).map(|c| c.clone().into_owned()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
