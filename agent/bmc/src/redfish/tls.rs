//! Whose certificate is believed: self-signed ones are the norm among BMCs, so a fingerprint is pinned on first use; or a CA vouches.

use crate::{Fingerprint, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// The trust configured cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("the CA file holds no certificate in PEM form")]
    NoCa,
    #[error("the CA file: {0}")]
    BadCa(String),
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] Error),
}

/// What the handshakes of one client showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) certificate: Option<Fingerprint>,
    pub(super) version: Option<&'static str>,
    /// Handshakes, which is connections: sessions are not resumed.
    pub(super) handshakes: u64,
    /// A certificate that was refused since it is not the pinned one.
    pub(super) changed: Option<(Fingerprint, Fingerprint)>,
}

/// A verifier that tells what it saw.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    judge: Judge,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
enum Judge {
    Pinned(Fingerprint),
    /// Whatever comes first is believed from then on.
    FirstUse,
    Ca(Arc<WebPkiServerVerifier>),
}

impl Verifier {
    pub(super) fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, f: impl FnOnce(&mut Shown)) {
        f(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A TLS configuration that believes as `trust` says, and its verifier.
pub(super) fn config(trust: &Trust) -> Result<(ClientConfig, Arc<Verifier>), TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge = match trust {
        Trust::Pinned(print) => Judge::Pinned(*print),
        Trust::FirstUse => Judge::FirstUse,
        Trust::Ca(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(|e| TlsError::BadCa(e.to_string()))?)?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoCa);
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
            Judge::Ca(verifier.map_err(|e| TlsError::BadCa(e.to_string()))?)
        }
    };
    let verifier = Arc::new(Verifier { provider: provider.clone(), judge, shown: Mutex::default() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    // Each handshake is to show its certificate; BMCs are few connections, long kept.
    config.resumption = rustls::client::Resumption::disabled();
    Ok((config, verifier))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let print = Fingerprint(Sha256::digest(end_entity).into());
        let first = self.shown().certificate;
        self.note(|s| s.handshakes += 1);
        let pinned = match &self.judge {
            Judge::Pinned(pinned) => Some(*pinned),
            Judge::FirstUse => first,
            Judge::Ca(ca) => {
                self.note(|s| s.certificate = Some(print));
                return ca.verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
            }
        };
        match pinned {
            Some(pinned) if pinned != print => {
                self.note(|s| s.changed = Some((pinned, print)));
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => {
                self.note(|s| s.certificate = Some(print));
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note(|s| s.version = Some("TLS 1.2"));
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note(|s| s.version = Some("TLS 1.3"));
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
