//! The collector's own certificate authority, made on the first start, and the server certificate that it signs.
//!
//! Agents and operators are given `ca.pem`; it stays the same over restarts and over renewals of the server certificate.

use crate::datadir::{self, DataDir, Secrecy};
use outband_schemas::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
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
        return Ok(ServerIdentity { chain_pem: cert, key_pem: key, not_after });
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
    let identity =
        ServerIdentity { chain_pem: format!("{}{ca_pem}", cert.pem()), key_pem: key.serialize_pem(), not_after };
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

    #[test]
    fn the_private_key_is_never_printed() {
        let (_tmp, dir) = fixture();
        let identity = load_or_make(&dir, &server_names(&[]), NOW).unwrap();
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
