//! The collector's own certificate authority, made on the first start, and the server certificate that it signs.
//!
//! Agents and operators are given `ca.pem`; it stays the same over restarts and over renewals of the server certificate.

use crate::datadir::{self, DataDir, Secrecy};
use crate::enrol::AgentIdentity;
use crate::enrol::identity::serial;
use outband_schemas::Timestamp;
use outband_schemas::enrol::BACKDATED;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SerialNumber,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);
const SERVER_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);
/// A server certificate with less than this to live is renewed at the next start.
const RENEW_BEFORE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The CA's certificate, to be given to agents and operators.
pub const CA_CERT: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const SERVER_CERT: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory failed.
    #[error(transparent)]
    DataDir(#[from] datadir::Error),
    /// A certificate or key cannot be made or signed.
    #[error("cannot make {what}: {source}")]
    Make {
        /// Which one.
        what: &'static str,
        /// The library's reason.
        source: rcgen::Error,
    },
    /// What an agent sent cannot be signed.
    #[error("this is no request for a certificate of a P-256 key: {0}")]
    Request(String),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(#[from] Box<crate::token::Error>),
    /// A certificate or key on disk cannot be used.
    #[error(
        "{file} cannot be used ({detail}); restore it from a backup, or remove ca.pem and ca.key together to start a new CA"
    )]
    Broken {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// What the listeners present. The key is never printed.
#[derive(Clone)]
pub struct ServerIdentity {
    /// The server's certificate and its CA's, PEM.
    pub chain_pem: String,
    /// The CA's certificate alone, PEM: what agents' certificates are verified by.
    pub ca_pem: String,
    /// The server's private key, PEM.
    pub key_pem: String,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerIdentity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// The names that the server answers to: `configured`, and always those of the loopback.
pub fn server_names(configured: &[String]) -> BTreeSet<String> {
    let always = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    always.into_iter().chain(configured.iter().cloned()).collect()
}

/// Loads CA and server certificate, making or renewing what is missing, near its end, or for other names.
pub fn load_or_make(dir: &DataDir, names: &BTreeSet<String>, now: Timestamp) -> Result<ServerIdentity, Error> {
    let (ca_pem, ca_key) = load_or_make_ca(dir, now)?;
    if let (Some(cert), Some(key)) = (dir.read(SERVER_CERT)?, dir.read(SERVER_KEY)?)
        && let Some(not_after) = still_good(&cert, &ca_pem, names, now)
        && key_matches(&key, &cert)
    {
        return Ok(ServerIdentity { chain_pem: cert, ca_pem, key_pem: key, not_after });
    }
    let make = |source| Error::Make { what: "the server certificate", source };
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key)
        .map_err(|e| Error::Broken { file: CA_CERT, detail: e.to_string() })?;
    let key = KeyPair::generate().map_err(make)?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>()).map_err(make)?;
    params.distinguished_name = named("Outband collector");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    // A day back: the clocks of agents differ.
    params.not_before = calendar(now.minus(DAY));
    let not_after = now.plus(SERVER_LIFE);
    params.not_after = calendar(not_after);
    let cert = params.signed_by(&key, &issuer).map_err(make)?;
    let chain_pem = format!("{}{ca_pem}", cert.pem());
    let identity = ServerIdentity { chain_pem, ca_pem, key_pem: key.serialize_pem(), not_after };
    dir.write(SERVER_KEY, &identity.key_pem, Secrecy::Secret)?;
    dir.write(SERVER_CERT, &identity.chain_pem, Secrecy::Public)?;
    tracing::info!(?names, %not_after, "made a server certificate");
    Ok(identity)
}

fn load_or_make_ca(dir: &DataDir, now: Timestamp) -> Result<(String, KeyPair), Error> {
    match (dir.read(CA_CERT)?, dir.read(CA_KEY)?) {
        (Some(cert), Some(key)) => {
            let key = KeyPair::from_pem(&key).map_err(|e| Error::Broken { file: CA_KEY, detail: e.to_string() })?;
            Ok((cert, key))
        }
        // The key is written first, so a key alone is a first start that was cut short.
        (None, _) => {
            let make = |source| Error::Make { what: "the certificate authority", source };
            let key = KeyPair::generate().map_err(make)?;
            let mut params = CertificateParams::default();
            // The name tells this CA from that of another collector, or of a rebuilt one.
            let tag: String = key.public_key_raw().iter().rev().take(4).map(|b| format!("{b:02x}")).collect();
            params.distinguished_name = named(&format!("Outband CA {tag}"));
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.not_before = calendar(now.minus(DAY));
            params.not_after = calendar(now.plus(CA_LIFE));
            let cert = params.self_signed(&key).map_err(make)?.pem();
            dir.write(CA_KEY, &key.serialize_pem(), Secrecy::Secret)?;
            dir.write(CA_CERT, &cert, Secrecy::Public)?;
            tracing::info!(path = %dir.path(CA_CERT).display(), "made a certificate authority");
            Ok((cert, key))
        }
        (Some(_), None) => Err(Error::Broken { file: CA_KEY, detail: "it is missing".to_owned() }),
    }
}

/// The CA, signing for agents. The key is never printed.
pub struct Authority {
    ca_pem: String,
    ca_sha256: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// The CA of this directory, made where there is none.
    pub fn load_or_make(dir: &DataDir, now: Timestamp) -> Result<Self, Error> {
        let (ca_pem, key) = load_or_make_ca(dir, now)?;
        let broken = |detail: String| Error::Broken { file: CA_CERT, detail };
        let (_, pem) = parse_x509_pem(ca_pem.as_bytes()).map_err(|e| broken(e.to_string()))?;
        let ca_sha256 = Sha256::digest(&pem.contents).into();
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, key).map_err(|e| broken(e.to_string()))?;
        Ok(Self { ca_pem, ca_sha256, issuer })
    }

    /// The CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// SHA-256 of the CA's certificate (DER).
    pub fn ca_sha256(&self) -> [u8; 32] {
        self.ca_sha256
    }

    /// A client certificate (PEM) for the holder of this key, and its serial number. The identity's own serial is not looked at.
    pub fn sign(&self, key: &AgentKey, identity: &AgentIdentity) -> Result<(String, String), Error> {
        let make = |source| Error::Make { what: "an agent's certificate", source };
        let mut number: [u8; 16] = crate::token::random_bytes().map_err(Box::new)?;
        // Positive, and as long as it looks (RFC 5280, 4.1.2.2).
        number[0] = (number[0] & 0x7f) | 0x40;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(identity.agent.as_str());
        params.subject_alt_names = vec![SanType::URI(identity.uri().as_str().try_into().map_err(make)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&number));
        params.not_before = calendar(identity.issued_at.minus(BACKDATED));
        params.not_after = calendar(identity.not_after);
        // Of what the agent asked for, only the key is taken.
        let request = CertificateSigningRequestParams { params, ..key.0.clone() };
        let certificate = request.signed_by(&self.issuer).map_err(make)?;
        Ok((certificate.pem(), serial(&number)))
    }
}

/// The key of an agent, whose holder has shown that it has the private half.
#[derive(Debug, Clone)]
pub struct AgentKey(CertificateSigningRequestParams);

impl AgentKey {
    /// The key of a certificate request (PKCS #10, DER) that is signed by it.
    pub fn of_request(der: &[u8]) -> Result<Self, Error> {
        let request = CertificateSigningRequestParams::from_der(&der.to_vec().into());
        let request = request.map_err(|e| Error::Request(e.to_string()))?;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(Error::Request("another kind of key".to_owned()));
        }
        Ok(Self(request))
    }

    /// Its public half: SubjectPublicKeyInfo, DER.
    pub fn public_key(&self) -> Vec<u8> {
        self.0.public_key.subject_public_key_info()
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// The end of a server certificate that can go on being used; `None` where a new one is needed.
fn still_good(cert: &str, ca: &str, names: &BTreeSet<String>, now: Timestamp) -> Option<Timestamp> {
    let (_, cert) = parse_x509_pem(cert.as_bytes()).ok()?;
    let cert = cert.parse_x509().ok()?;
    let (_, ca) = parse_x509_pem(ca.as_bytes()).ok()?;
    let ca = ca.parse_x509().ok()?;
    let not_after = Timestamp::from_secs(cert.validity().not_after.timestamp());
    let has: BTreeSet<String> =
        cert.subject_alternative_name().ok()??.value.general_names.iter().filter_map(text).collect();
    let good = not_after > now.plus(RENEW_BEFORE) && cert.issuer() == ca.subject() && &has == names;
    good.then_some(not_after)
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(IpAddr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| IpAddr::from(v6).to_string()),
        },
        _ => None,
    }
}

fn key_matches(key: &str, cert: &str) -> bool {
    let Ok(key) = KeyPair::from_pem(key) else { return false };
    let Ok((_, pem)) = parse_x509_pem(cert.as_bytes()) else { return false };
    let Ok(cert) = pem.parse_x509() else { return false };
    cert.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

fn calendar(at: Timestamp) -> time::OffsetDateTime {
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(at.as_secs()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn fixture() -> (tempfile::TempDir, DataDir) {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path().join("d")).unwrap();
        (tmp, dir)
    }

    #[test]
    fn the_ca_and_the_certificate_survive_a_restart_unchanged() {
        let (_tmp, dir) = fixture();
        let names = server_names(&["collector.example".to_owned()]);
        let first = load_or_make(&dir, &names, NOW).unwrap();
        let ca = dir.read(CA_CERT).unwrap();
        let second = load_or_make(&dir, &names, NOW.plus(DAY)).unwrap();
        assert_eq!((first.chain_pem, first.key_pem), (second.chain_pem, second.key_pem));
        assert_eq!(ca, dir.read(CA_CERT).unwrap());
    }

    #[test]
    fn a_certificate_near_its_end_is_renewed_under_the_same_ca() {
        let (_tmp, dir) = fixture();
        let names = server_names(&[]);
        let first = load_or_make(&dir, &names, NOW).unwrap();
        let ca = dir.read(CA_CERT).unwrap();
        let later = first.not_after.minus(RENEW_BEFORE);
        let second = load_or_make(&dir, &names, later).unwrap();
        assert_ne!(first.chain_pem, second.chain_pem);
        assert!(second.not_after > first.not_after);
        assert_eq!(ca, dir.read(CA_CERT).unwrap());
    }

    #[test]
    fn another_name_means_another_certificate() {
        let (_tmp, dir) = fixture();
        let first = load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        let names = server_names(&["10.1.2.3".to_owned(), "c.example".to_owned()]);
        let second = load_or_make(&dir, &names, NOW).unwrap();
        assert_ne!(first.chain_pem, second.chain_pem);
        assert_eq!(load_or_make(&dir, &names, NOW).unwrap().chain_pem, second.chain_pem);
    }

    #[test]
    fn keys_are_closed_to_others() {
        let (_tmp, dir) = fixture();
        load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        for key in [CA_KEY, SERVER_KEY] {
            let mode = std::fs::metadata(dir.path(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn a_ca_without_its_key_is_refused_rather_than_replaced() {
        let (_tmp, dir) = fixture();
        load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        std::fs::remove_file(dir.path(CA_KEY)).unwrap();
        let error = load_or_make(&dir, &server_names(&[]), NOW).unwrap_err();
        assert!(error.to_string().contains("ca.key"), "{error}");
    }

    #[test]
    fn a_server_key_that_is_not_the_certificates_is_replaced() {
        let (_tmp, dir) = fixture();
        let first = load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        dir.write(SERVER_KEY, &KeyPair::generate().unwrap().serialize_pem(), Secrecy::Secret).unwrap();
        let second = load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        assert_ne!(first.chain_pem, second.chain_pem);
        assert!(key_matches(&second.key_pem, &second.chain_pem));
    }

    fn identity() -> AgentIdentity {
        AgentIdentity {
            agent: outband_schemas::AgentId::new("dc1-a").unwrap(),
            site: outband_schemas::SiteId::new("dc1").unwrap(),
            serial: String::new(),
            issued_at: NOW,
            not_after: NOW.plus(7 * DAY),
        }
    }

    #[test]
    fn an_agents_certificate_says_who_it_is_and_nothing_that_it_asked_for() {
        let (_tmp, dir) = fixture();
        let authority = Authority::load_or_make(&dir, NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut asked = CertificateParams::new(vec!["collector.example".to_owned()]).unwrap();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        asked.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let request = AgentKey::of_request(asked.serialize_request(&key).unwrap().der()).unwrap();
        assert_eq!(request.public_key(), key.subject_public_key_info());
        let (pem, serial) = authority.sign(&request, &identity()).unwrap();
        let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
        assert_eq!(AgentIdentity::of_certificate(&pem.contents), Some(AgentIdentity { serial, ..identity() }));
        let certificate = pem.parse_x509().unwrap();
        assert!(!certificate.is_ca());
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
    }

    #[test]
    fn a_request_that_its_key_did_not_sign_is_refused() {
        let key = KeyPair::generate().unwrap();
        let mut der = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        assert!(AgentKey::of_request(&der).is_ok());
        let last = der.len() - 1;
        der[last] ^= 1;
        assert!(matches!(AgentKey::of_request(&der), Err(Error::Request(_))));
        assert!(matches!(AgentKey::of_request(b""), Err(Error::Request(_))));
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let other = CertificateParams::default().serialize_request(&other).unwrap();
        assert!(matches!(AgentKey::of_request(other.der()), Err(Error::Request(_))));
    }

    #[test]
    fn a_servers_certificate_makes_nobody_an_agent() {
        let (_tmp, dir) = fixture();
        let server = load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        let (_, pem) = parse_x509_pem(server.chain_pem.as_bytes()).unwrap();
        assert_eq!(AgentIdentity::of_certificate(&pem.contents), None);
    }

    #[test]
    fn the_private_key_is_never_printed() {
        let (_tmp, dir) = fixture();
        let identity = load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
