//! The file that says who this agent is: its key and its certificate, together, so that a crash leaves the old pair or the new one.

use outband_schemas::enrol::{BACKDATED, read_identity_uri};
use outband_schemas::{AgentId, SiteId, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

/// Its name in the data directory.
pub const FILE: &str = "identity.pem";
/// The collector's CA, beside it.
pub const CA_FILE: &str = "ca.pem";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path} holds no key with an agent's certificate; make it anew by: outband-agent join")]
    NoIdentity {
        /// The file.
        path: PathBuf,
    },
    /// No key, or no request.
    #[error("a key cannot be made: {0}")]
    Key(#[from] rcgen::Error),
}

/// What the file holds. The key is never printed.
#[derive(Clone)]
pub struct Identity {
    /// Key and certificate, PEM.
    pub pem: String,
    /// Who the certificate says this is.
    pub agent: AgentId,
    /// Where.
    pub site: SiteId,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("agent", &self.agent)
            .field("site", &self.site)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// What this PEM text means; `None`: no identity.
    pub fn of_pem(pem: String) -> Option<Self> {
        if !pem.contains("PRIVATE KEY-----") {
            return None;
        }
        let blocks: Vec<Pem> = Pem::iter_from_buffer(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
        let certificate = blocks.iter().find(|block| block.label == "CERTIFICATE")?.parse_x509().ok()?;
        let names = &certificate.subject_alternative_name().ok()??.value.general_names;
        let [GeneralName::URI(uri)] = names.as_slice() else { return None };
        let (site, agent) = read_identity_uri(uri)?;
        let issued_at = Timestamp::from_secs(certificate.validity().not_before.timestamp()).plus(BACKDATED);
        let not_after = Timestamp::from_secs(certificate.validity().not_after.timestamp());
        Some(Self { pem, agent, site, issued_at, not_after })
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let pem = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::of_pem(pem).ok_or_else(|| Error::NoIdentity { path: path.to_owned() })
    }

    /// How long the certificate is good in all.
    pub fn life(&self) -> Duration {
        self.not_after.since(self.issued_at)
    }

    /// When it is to be renewed: at half of its life.
    pub fn due_at(&self) -> Timestamp {
        self.issued_at.plus(self.life() / 2)
    }

    /// Whether it is near its end: with an eighth of its life left, somebody has to look.
    pub fn is_near_its_end(&self, now: Timestamp) -> bool {
        now >= self.not_after.minus(self.life() / 8)
    }
}

/// A key, and the request to certify it.
pub struct Request {
    key: KeyPair,
    /// PKCS #10, DER.
    pub csr: Vec<u8>,
}

impl Request {
    /// A new key for an agent that would like this name.
    pub fn new(agent: Option<&AgentId>) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(agent) = agent {
            params.distinguished_name.push(DnType::CommonName, agent.as_str());
        }
        let csr = params.serialize_request(&key)?.der().to_vec();
        Ok(Self { key, csr })
    }

    /// The public half of the key: SubjectPublicKeyInfo, DER.
    pub fn public_key(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    /// The identity that it becomes with the certificate that was issued; `None`: that is no certificate of an agent.
    pub fn certified(&self, certificate_pem: &str) -> Option<Identity> {
        Identity::of_pem(format!("{}{certificate_pem}", self.key.serialize_pem()))
    }
}

/// Makes the directory where it is not there, for its owner alone.
pub fn make_dir(dir: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| Error::Write { path: dir.to_owned(), source })
}

/// Writes a file as a whole or not at all, for its owner alone where it is secret. What root writes into the service's directory is the service's.
pub fn write(path: &Path, text: &str, secret: bool) -> Result<(), Error> {
    replace(path, text, if secret { 0o600 } else { 0o644 })
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // A left-over of a crash may have other permissions: `mode` counts only for a file that open() makes.
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (theirs, ours) = (fs::metadata(parent)?, file.metadata()?);
    if ours.uid() == 0 && theirs.uid() != 0 {
        chown(&new, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use outband_schemas::enrol::identity_uri;
    use rcgen::SanType;
    use std::os::unix::fs::PermissionsExt;

    /// An identity that signed itself, for a life that begins then.
    pub(crate) fn identity(issued_at: Timestamp, life: Duration) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let calendar =
            |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_secs().unsigned_abs());
        (params.not_before, params.not_after) = (calendar(issued_at.minus(BACKDATED)), calendar(issued_at.plus(life)));
        let uri = identity_uri(&SiteId::new("dc1").unwrap(), &AgentId::new("a1").unwrap());
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        let pem = params.self_signed(&key).unwrap().pem();
        Request { csr: Vec::new(), key }.certified(&pem).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_certificate_of_a_week_is_renewed_after_three_days_and_a_half() {
        let identity = identity(NOW, 7 * DAY);
        assert_eq!((identity.agent.as_str(), identity.site.as_str()), ("a1", "dc1"));
        assert_eq!(identity.life(), 7 * DAY);
        assert_eq!(identity.due_at(), NOW.plus(7 * DAY / 2));
        assert!(!identity.is_near_its_end(NOW.plus(6 * DAY)) && identity.is_near_its_end(NOW.plus(7 * DAY - DAY / 2)));
    }

    #[test]
    fn what_is_no_identity_is_none() {
        let good = identity(NOW, DAY).pem;
        assert!(Identity::of_pem(String::new()).is_none());
        assert!(Identity::of_pem(good.replace("PRIVATE KEY", "NOTHING")).is_none(), "a certificate alone");
        let at = good.find("-----BEGIN CERTIFICATE").unwrap();
        assert!(Identity::of_pem(good[..at].to_owned()).is_none(), "a key alone");
        assert!(Identity::of_pem(good[..at + 100].to_owned()).is_none(), "cut short");
    }

    #[test]
    fn the_key_is_for_its_owner_alone_and_is_never_printed() {
        let tmp = tempfile::tempdir().unwrap();
        let (dir, identity) = (tmp.path().join("d"), identity(NOW, DAY));
        make_dir(&dir).unwrap();
        let path = dir.join(FILE);
        fs::write(dir.join("identity.pem.new"), "half").unwrap();
        for _ in 0..2 {
            write(&path, &identity.pem, true).unwrap();
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&path)), (0o700, 0o600));
        assert_eq!(Identity::read(&path).unwrap().pem, identity.pem);
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
